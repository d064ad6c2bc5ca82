package rollmon

import (
	"fmt"
	"math"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// minTries is how often a check must fail at one look, every time, to be a breach.
const minTries = 2

// judgeValues holds each exposed server's value against the absolute limit.
func (l look) judgeValues(i fleet.Indicator, r Reading) []verdict.Finding {
	if i.Value.Max == nil || math.IsNaN(*i.Value.Max) || math.IsInf(*i.Value.Max, 0) {
		return []verdict.Finding{l.unread(i, Reading{Failure: verdict.NoData, Source: "topology", Reason: "its limit is not a number"})}
	}
	most := *i.Value.Max
	base, counted := l.baseline(r)
	findings := make([]verdict.Finding, 0, len(l.Exposed))
	for _, server := range l.Exposed {
		f := verdict.Finding{Indicator: i.Name, Server: server, Limit: most}
		if counted > 0 {
			f.Baseline = &base
		}
		value, problem := valueOf(r, server)
		switch {
		case problem != "":
			f.Outcome = verdict.NoData
			f.Reason = fmt.Sprintf("%s %s on %s %s: %s", l.Site.Pool, i.Name, server, l.batchWords(), problem)
			findings = append(findings, f)
			continue
		case value > most:
			f.Outcome = breach(i)
		default:
			f.Outcome = verdict.Pass
		}
		f.Value = value
		f.Reason = fmt.Sprintf("%s %s %s on %s %s %s; %s limit %s", l.Site.Pool, i.Name, number(value), server, l.batchWords(),
			l.againstValue(base, counted), kindWord(i), number(most))
		findings = append(findings, f)
	}
	return findings
}

// baseline is the mean value of the servers not yet rolled, and how many have one.
func (l look) baseline(r Reading) (mean float64, counted int) {
	for _, server := range l.Control {
		if v, problem := valueOf(r, server); problem == "" {
			counted++
			mean += (v - mean) / float64(counted) // no sum, which could overflow
		}
	}
	return mean, counted
}

func (l look) againstValue(base float64, counted int) string {
	switch {
	case len(l.Control) == 0:
		return "with no server left to compare with"
	case counted == 0:
		return fmt.Sprintf("without numbers from the %s not yet rolled", servers(len(l.Control)))
	}
	return fmt.Sprintf("against %s on %s not yet rolled", number(base), servers(counted))
}

func valueOf(r Reading, server string) (float64, string) {
	s, ok := r.Servers[server]
	switch {
	case !ok:
		return 0, "the source has no data about it"
	case s.Problem != "":
		return 0, s.Problem
	case s.Value == nil:
		return 0, "the source gave no value"
	case math.IsNaN(*s.Value) || math.Abs(*s.Value) > math.MaxFloat64/4: // a mean of such must stay a number too
		return 0, fmt.Sprintf("its value is %v, not a number", *s.Value)
	}
	return *s.Value, ""
}

// judgeChecks judges what URL tests did at this look. One failure that its repetition does not confirm is told and
// forgiven; a check that fails at every try, at least twice, is a breach.
func (l look) judgeChecks(i fleet.Indicator, r Reading) []verdict.Finding {
	findings := make([]verdict.Finding, 0, len(l.Exposed))
	for _, server := range l.Exposed {
		f := verdict.Finding{Indicator: i.Name, Server: server}
		s, ok := r.Servers[server]
		what := fmt.Sprintf("%s %s check %s on %s %s", l.Site.Pool, i.Name, i.Check.Path, server, l.batchWords())
		switch {
		case !ok:
			f.Outcome, f.Reason = verdict.NoData, what+": the source has no data about it"
		case s.Problem != "":
			f.Outcome, f.Reason = verdict.NoData, what+": "+s.Problem
		case s.Tries == nil || s.Tries.Runs <= 0:
			f.Outcome, f.Reason = verdict.NoData, what+": it was not run"
		case s.Tries.Failed > s.Tries.Runs || s.Tries.Failed < 0:
			f.Outcome, f.Reason = verdict.NoData, fmt.Sprintf("%s: %d failures of %d runs cannot be", what, s.Tries.Failed, s.Tries.Runs)
		default:
			f.Value, f.Samples = float64(s.Tries.Failed), int64(s.Tries.Runs)
			f.Outcome, f.Reason = l.tried(i, *s.Tries, what)
		}
		findings = append(findings, f)
	}
	return findings
}

func (l look) tried(i fleet.Indicator, t Tries, what string) (verdict.Outcome, string) {
	switch {
	case t.Failed == 0:
		return verdict.Pass, what + " passed"
	case t.Failed < t.Runs:
		return verdict.Pass, fmt.Sprintf("%s passed, after failing %d of %d times: %s", what, t.Failed, t.Runs, t.Words)
	case t.Runs < minTries:
		return verdict.Pending, fmt.Sprintf("%s failed once and was not repeated yet: %s", what, t.Words)
	}
	return breach(i), fmt.Sprintf("%s failed %d of %d times: %s; %s check", what, t.Failed, t.Runs, t.Words, kindWord(i))
}
