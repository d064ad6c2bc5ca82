package rollmon

import (
	"fmt"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// minTries is how often a check must fail at one look, every time, to be a breach.
const minTries = 2

// judgeChecks judges what URL tests did at this look. One failure that its repetition does not confirm is told and
// forgiven; a check that fails at every try, at least twice, is a breach.
func (l look) judgeChecks(i fleet.Indicator, r Reading) []verdict.Finding {
	var findings []verdict.Finding
	for _, s := range l.subjects(i, r) {
		f := verdict.Finding{Indicator: i.Name, Server: s.server, Outcome: verdict.NoData}
		what := fmt.Sprintf("%s %s check %s on %s", l.Site.Pool, i.Name, i.Check.Path, s.where)
		tries := s.sample.Tries
		switch problem := s.problem(); {
		case problem != "":
			f.Reason = what + ": " + problem
		case tries == nil || tries.Runs <= 0:
			f.Reason = what + ": it was not run"
		case tries.Failed > tries.Runs || tries.Failed < 0:
			f.Reason = fmt.Sprintf("%s: %d failures of %d runs cannot be", what, tries.Failed, tries.Runs)
		default:
			f.Value, f.Samples = float64(tries.Failed), int64(tries.Runs)
			f = tried(i, f, *tries, what)
			f = triedBefore(f, r.Before, s)
		}
		findings = append(findings, f)
	}
	return findings
}

func tried(i fleet.Indicator, f verdict.Finding, t Tries, what string) verdict.Finding {
	switch {
	case t.Failed == 0:
		f.Outcome, f.Reason = verdict.Pass, what+" passed"
	case t.Failed < t.Runs:
		f.Outcome, f.Reason = verdict.Pass, fmt.Sprintf("%s passed, after failing %d of %d times: %s", what, t.Failed, t.Runs, t.Words)
	case t.Runs < minTries:
		f.Outcome, f.Reason = verdict.Pending, fmt.Sprintf("%s failed once and was not repeated yet: %s", what, t.Words)
	default:
		f = breached(i, f)
		f.Reason = fmt.Sprintf("%s failed %d of %d times: %s; %s check", what, t.Failed, t.Runs, t.Words, kindWord(i))
	}
	return f
}

// triedBefore tells how often the same test failed before the roll. It changes no outcome: visitors do not care whose fault it is.
func triedBefore(f verdict.Finding, past *Past, s subject) verdict.Finding {
	if past == nil {
		return f
	}
	before := past.Servers[s.server].Tries
	if s.server == "" {
		before = nil
		if past.Exposed != nil {
			before = past.Exposed.Tries
		}
	}
	if before == nil || before.Runs <= 0 || before.Failed < 0 || before.Failed > before.Runs {
		return f
	}
	if f.Outcome != verdict.Pass || before.Failed > 0 {
		f.Reason += fmt.Sprintf("; before the roll it failed %d of %d times", before.Failed, before.Runs)
	}
	return f
}
