package rollmon

import (
	"fmt"
	"slices"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// Judge answers a question from what the sources said at one look. It is pure, and total: whatever the samples contain,
// it returns a verdict whose findings name it. An indicator without usable numbers is never a pass.
func Judge(q verdict.Question, indicators []fleet.Indicator, samples Samples, now time.Time) verdict.Verdict {
	v := verdict.Verdict{At: now, Stage: q.Stage, Batch: q.Batch, Outcome: verdict.Pass}
	switch {
	case len(indicators) == 0:
		v.Reason = "no indicator is declared for this stage"
		return v
	case len(q.Exposed) == 0:
		v.Outcome, v.Reason = verdict.NoData, "no server of "+q.Site.String()+" runs the new revision yet: nothing to judge"
		return v
	}
	l := newLook(q, indicators, now)
	for _, i := range indicators {
		v.Findings = append(v.Findings, l.judge(i, samples)...)
	}
	return compose(v)
}

// look is one question at one time, with the budget its tests may spend.
type look struct {
	verdict.Question
	now    time.Time
	levels levels
}

func newLook(q verdict.Question, indicators []fleet.Indicator, now time.Time) look {
	q.Exposed = sorted(q.Exposed)
	q.Control = sorted(q.Control)
	return look{Question: q, now: now, levels: spend(q.Stage, q.Batch, countTests(indicators), len(q.Exposed))}
}

// sorted returns the names in order, each once.
func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// judge makes the findings of one indicator: at least one.
func (l look) judge(i fleet.Indicator, samples Samples) []verdict.Finding {
	reading, ok := samples[i.Name]
	if !ok {
		reading = Reading{Failure: verdict.SourceDown, Reason: "nobody read it"}
	}
	if early := l.tooEarly(i); early != nil && reading.Failure == "" {
		reading = *early
	}
	if reading.Failure != "" {
		return []verdict.Finding{l.unread(i, reading)}
	}
	switch i.JudgedBy() {
	case fleet.JudgeRatio:
		return l.judgeRatio(i, reading)
	case fleet.JudgeValue:
		return l.judgeValues(i, reading)
	case fleet.JudgeCheck:
		return l.judgeChecks(i, reading)
	case fleet.JudgeRank:
		return []verdict.Finding{l.judgeRank(i, reading)}
	case fleet.JudgeSaturation:
		return l.judgeSaturation(i, reading)
	case fleet.JudgeReport:
		return l.judgeReports(i, reading)
	default:
		return []verdict.Finding{l.unread(i, topologyFault("it does not name exactly one judge"))}
	}
}

// tooEarly answers instead of the source while there is no span of time to judge: before the exposure, which a clock that
// is off can show, and during the warm-up.
func (l look) tooEarly(i fleet.Indicator) *Reading {
	if l.Since.IsZero() {
		if i.Warmup == 0 && !spans(i) {
			return nil
		}
		return &Reading{Failure: verdict.NoData, Source: "roller", Reason: "the question does not say since when the servers take traffic"}
	}
	begin := countedSince(l.Since, i)
	switch {
	case l.now.Before(l.Since) && (spans(i) || i.Warmup > 0):
		return &Reading{Failure: verdict.Pending, Source: "clock",
			Reason: fmt.Sprintf("the servers take traffic since %s, which is %s from now", l.Since.UTC().Format("15:04:05"), l.Since.Sub(l.now))}
	case l.now.Before(begin):
		return &Reading{Failure: verdict.Pending, Source: "warm-up",
			Reason: fmt.Sprintf("the servers warm up for another %s", begin.Sub(l.now).Round(time.Second/10))}
	}
	return nil
}

// spans reports whether an indicator is judged by what happened since the exposure.
func spans(i fleet.Indicator) bool {
	return i.Ratio != nil || i.Rank != nil || i.Saturation != nil || i.Value != nil && i.Value.Repeated()
}

// countedSince is when an indicator's counts and measurements begin: behind its warm-up.
func countedSince(exposed time.Time, i fleet.Indicator) time.Time { return exposed.Add(i.Warmup.D()) }

// unread is the finding of an indicator whose reading failed as a whole.
func (l look) unread(i fleet.Indicator, r Reading) verdict.Finding {
	f := verdict.Finding{Indicator: i.Name, Outcome: r.Failure}
	switch r.Failure {
	case verdict.Pending, verdict.NoData, verdict.SourceDown:
	default: // a source reads, it does not judge
		f.Outcome = verdict.NoData
	}
	who := r.Source
	if who == "" {
		who = "its source"
	}
	f.Reason = fmt.Sprintf("%s %s: %s: %s", l.Site.Pool, i.Name, who, r.Reason)
	return f
}

// topologyFault is the reading of an indicator that cannot be judged as it is declared. The topology's validation
// refuses such ones; here they are doubt.
func topologyFault(format string, args ...any) Reading {
	return Reading{Failure: verdict.NoData, Source: "topology", Reason: fmt.Sprintf(format, args...)}
}

// breach is the outcome of a breached indicator.
func breach(i fleet.Indicator) verdict.Outcome {
	if i.Hard {
		return verdict.Hard
	}
	return verdict.Soft
}

// breached turns a finding into a breach of its indicator.
func breached(i fleet.Indicator, f verdict.Finding) verdict.Finding {
	f.Outcome = breach(i)
	if !i.Hard {
		f.Weight = i.Weighs()
	}
	return f
}
