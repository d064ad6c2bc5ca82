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
	for _, f := range v.Findings {
		v.Outcome = verdict.Worse(v.Outcome, f.Outcome)
	}
	v.Reason = decisive(v)
	return v
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
	return look{Question: q, now: now, levels: spend(q.Stage, q.Batch, countRatios(indicators), len(q.Exposed))}
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
	if reading.Failure != "" {
		return []verdict.Finding{l.unread(i, reading)}
	}
	switch {
	case i.Ratio != nil:
		return l.judgeRatio(i, reading)
	case i.Value != nil:
		return l.judgeValues(i, reading)
	case i.Check != nil:
		return l.judgeChecks(i, reading)
	default:
		return []verdict.Finding{l.unread(i, Reading{Failure: verdict.NoData, Reason: "it declares neither ratio, value nor check"})}
	}
}

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

// breach is the outcome of a breached indicator.
func breach(i fleet.Indicator) verdict.Outcome {
	if i.Hard {
		return verdict.Hard
	}
	return verdict.Soft
}

func countRatios(indicators []fleet.Indicator) int {
	n := 0
	for _, i := range indicators {
		if i.Ratio != nil {
			n++
		}
	}
	return n
}

// decisive is the verdict's reason: the first finding as bad as the verdict, and how many more there are.
func decisive(v verdict.Verdict) string {
	first, count := -1, 0
	for n, f := range v.Findings {
		if f.Outcome != v.Outcome {
			continue
		}
		if first < 0 {
			first = n
		}
		count++
	}
	if first < 0 { // an outcome that verdict does not know; Worse counts it as doubt
		return "a finding has an unknown outcome"
	}
	reason := v.Findings[first].Reason
	switch {
	case count == 1:
		return reason
	case v.Outcome == verdict.Pass:
		return fmt.Sprintf("all %d findings pass: %s", count, reason)
	default:
		return fmt.Sprintf("%s (and %d more: %s)", reason, count-1, v.Outcome)
	}
}
