package rollmon

import (
	"fmt"
	"math"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// defaultMinAttempts is how many attempts a ratio needs where its indicator does not say.
const defaultMinAttempts = 20

// judgeRatio judges failures among attempts: of all exposed servers together where there are several, and of each.
//
// The sum decides about the version. Each server by itself has less traffic; once the sum has ruled out a rate well over
// the limit, a server passes when its own few failures are nothing unusual, instead of having to rule it out alone.
func (l look) judgeRatio(i fleet.Indicator, r Reading) []verdict.Finding {
	j := ratioJudge{look: l, indicator: i, limit: i.Ratio.Limit / 100, least: int64(i.Ratio.MinAttempts), allowed: map[float64]allowance{}}
	if j.least <= 0 {
		j.least = defaultMinAttempts
	}
	if i.Ratio.Limit < 0 || i.Ratio.Limit > 100 || math.IsNaN(i.Ratio.Limit) {
		return []verdict.Finding{l.unread(i, topologyFault("the limit %v %% is not between 0 and 100", i.Ratio.Limit))}
	}
	j.refs = j.baselines(r)
	if i.In() != fleet.ScopeServer {
		return []verdict.Finding{j.subject(l.subjects(i, r)[0], j.levels.whole, false)}
	}
	var findings []verdict.Finding
	groupPasses := false
	if len(l.Exposed) > 1 {
		group := j.group(r)
		groupPasses = group.Outcome == verdict.Pass
		findings = append(findings, group)
	}
	for _, s := range l.subjects(i, r) {
		findings = append(findings, j.subject(s, j.levels.server, groupPasses))
	}
	return findings
}

type ratioJudge struct {
	look
	indicator fleet.Indicator
	limit     float64 // a fraction: 0.01
	least     int64
	refs      ratioReferences
	allowed   map[float64]allowance // by level
}

// group judges the sum of all exposed servers whose numbers can be used.
func (j ratioJudge) group(r Reading) verdict.Finding {
	total, usable, problems := sum(j.Exposed, r.Servers)
	where := j.together(usable)
	if usable < len(j.Exposed) {
		where = fmt.Sprintf("%d of %s %s", usable, servers(len(j.Exposed)), j.batchWords())
	}
	if usable == 0 {
		return j.finding("", verdict.NoData, total, "on "+where+": no numbers that can be used")
	}
	f := j.judged("", where, total, j.levels.group)
	if len(problems) > 0 {
		f.Outcome = verdict.Worse(f.Outcome, verdict.NoData)
		f.Reason += "; without " + list(problems)
	}
	return f
}

// subject judges one server, or what the source gives as one.
func (j ratioJudge) subject(s subject, level float64, groupPasses bool) verdict.Finding {
	t, problem := checked(s)
	if problem != "" {
		return j.finding(s.server, verdict.NoData, t, "on "+s.where+": "+problem)
	}
	f := j.judged(s.server, s.where, t, level)
	if groupPasses && f.Outcome == verdict.Pending && j.inLine(t, level) {
		f.Outcome = verdict.Pass
		f.Reason = j.words(s.where, t) + "; in line with its batch"
	}
	return f
}

// inLine reports whether a tally is nothing unusual, for the limit and for what the comparison allows.
func (j ratioJudge) inLine(t tally, level float64) bool {
	if j.indicator.Ratio.Compare != nil {
		if a, ok := j.allowance(level); ok && !inLine(t.failures, t.attempts, a.percent/100) {
			return false
		}
	}
	return inLine(t.failures, t.attempts, j.limit)
}

// judged holds a tally against the limit and, unless that breaches already, against the baselines.
func (j ratioJudge) judged(server, where string, t tally, alpha float64) verdict.Finding {
	f := j.limited(server, where, t, alpha)
	if j.indicator.Ratio.Compare == nil || f.Outcome == breach(j.indicator) || f.Outcome == verdict.NoTraffic {
		return f
	}
	return j.compared(f, where, t, alpha)
}

// limited applies the binomial test to a tally: the one place where a ratio passes or breaches its limit.
func (j ratioJudge) limited(server, where string, t tally, alpha float64) verdict.Finding {
	k, n := t.failures, t.attempts
	words := j.words(where, t)
	p := tail(k, n, j.limit)
	switch {
	case n < j.least:
		return j.finding(server, verdict.NoTraffic, t, fmt.Sprintf("%s; %d of at least %d attempts", words, n, j.least))
	case breaches(k, n, j.limit, alpha):
		if j.limit <= 0 {
			return breached(j.indicator, tested(j.finding(server, "", t, words+"; not one is allowed"), p, 0))
		}
		level := tail(boundary(n, j.limit, alpha), n, j.limit)
		words = fmt.Sprintf("%s; p %s (limit %s for this roll)", words, relation(p), probability(level))
		return breached(j.indicator, tested(j.finding(server, "", t, words), p, level))
	case seenEnough(k, n, j.limit) && inLine(k, n, j.limit):
		return tested(j.finding(server, verdict.Pass, t, words), p, 0)
	default:
		if inLine(k, n, j.limit) {
			words = fmt.Sprintf("%s; too few attempts to tell it from %s %%", words, number(100*tooMuch(j.limit)))
		} else {
			words = fmt.Sprintf("%s; p %s: more than the limit explains well, too little to be sure", words, relation(p))
		}
		return tested(j.finding(server, verdict.Pending, t, words), p, 0)
	}
}

// words says the numbers: "hotel-api 5xx rate 4.8 % (24 of 500) on …; hard limit 1 %".
func (j ratioJudge) words(where string, t tally) string {
	return fmt.Sprintf("%s %s rate %s %% (%d of %d) on %s%s; %s limit %s %%", j.Site.Pool, j.indicator.Name,
		number(t.percent()), t.failures, t.attempts, where, j.refs.against(), kindWord(j.indicator), number(j.indicator.Ratio.Limit))
}

func (j ratioJudge) finding(server string, o verdict.Outcome, t tally, words string) verdict.Finding {
	if o == verdict.NoData {
		words = fmt.Sprintf("%s %s %s", j.Site.Pool, j.indicator.Name, words)
	}
	return verdict.Finding{Indicator: j.indicator.Name, Server: server, Outcome: o, Value: t.percent(), Limit: j.indicator.Ratio.Limit,
		Samples: t.attempts, Baseline: j.refs.percent(fleet.BaselineControl), Before: j.refs.percent(fleet.BaselineBefore), Reason: words}
}

// tested notes the binomial test that a finding was made from, and the level that its p had to reach, if that was asked.
func tested(f verdict.Finding, p, level float64) verdict.Finding {
	f.Test, f.P = "binomial", &p
	if level > 0 {
		f.Level = &level
	}
	return f
}
