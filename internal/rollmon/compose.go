package rollmon

import (
	"fmt"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// compose makes a verdict of its findings. The rules, in the order in which they win:
//
//   - any hard breach rolls back;
//   - soft breaches whose weights add up to 100 percent stop, each indicator counted once; a lighter sum is a warning;
//   - a source that is down, no data and no traffic are doubt, and so is what is still pending;
//   - where every finding abstains nothing was judged, which is no data;
//   - the rest passes.
func compose(v verdict.Verdict) verdict.Verdict {
	weight := weigh(v.Findings)
	v.Outcome = verdict.Abstain
	for n, f := range v.Findings {
		if f.Outcome == verdict.Soft && weight < fleet.FullWeight {
			v.Findings[n].Outcome = verdict.Warn
			f.Outcome = verdict.Warn
		}
		v.Outcome = verdict.Worse(v.Outcome, f.Outcome)
	}
	switch v.Outcome {
	case verdict.Abstain:
		v.Outcome = verdict.NoData
		v.Reason = "nothing could be judged: " + decisive(v.Findings, verdict.Abstain)
	case verdict.Pass, verdict.Warn:
		v.Outcome = verdict.Pass
		v.Reason = passed(v.Findings, weight)
	case verdict.Soft:
		v.Reason = decisive(v.Findings, verdict.Soft)
		if light := v.Findings[first(v.Findings, verdict.Soft)].Weight; light < fleet.FullWeight {
			v.Reason = fmt.Sprintf("soft breaches weigh %d of 100 together: %s", weight, v.Reason)
		}
	default:
		v.Reason = decisive(v.Findings, v.Outcome)
	}
	return v
}

// weigh adds up what the breached soft indicators weigh, each once.
func weigh(findings []verdict.Finding) int {
	sum := 0
	counted := map[string]bool{}
	for _, f := range findings {
		if f.Outcome == verdict.Soft && !counted[f.Indicator] {
			counted[f.Indicator] = true
			sum += f.Weight
		}
	}
	return sum
}

// passed is the reason of a pass: what passed, and what was seen beside it.
func passed(findings []verdict.Finding, weight int) string {
	reason := "nothing stops the roll"
	if n := count(findings, verdict.Pass); n > 1 && n == len(findings) {
		reason = fmt.Sprintf("all %d findings pass: %s", n, findings[0].Reason)
	} else if n > 1 {
		reason = fmt.Sprintf("%d findings pass: %s", n, findings[first(findings, verdict.Pass)].Reason)
	} else if n == 1 {
		reason = findings[first(findings, verdict.Pass)].Reason
	}
	if n := count(findings, verdict.Warn); n > 0 {
		reason = fmt.Sprintf("%s; %s of weight %d of 100: %s", reason, plural(n, "warning"), weight, findings[first(findings, verdict.Warn)].Reason)
	}
	if n := count(findings, verdict.Abstain); n > 0 {
		reason = fmt.Sprintf("%s; %s could not be judged: %s", reason, plural(n, "finding"), findings[first(findings, verdict.Abstain)].Reason)
	}
	return reason
}

// decisive is the reason of the first finding with an outcome, and how many more there are.
func decisive(findings []verdict.Finding, o verdict.Outcome) string {
	at := first(findings, o)
	if at < 0 { // an outcome that verdict does not know; Worse counts it as doubt
		return "a finding has an unknown outcome"
	}
	if n := count(findings, o); n > 1 {
		return fmt.Sprintf("%s (and %d more: %s)", findings[at].Reason, n-1, o)
	}
	return findings[at].Reason
}

func first(findings []verdict.Finding, o verdict.Outcome) int {
	for n, f := range findings {
		if f.Outcome == o {
			return n
		}
	}
	return -1
}

func count(findings []verdict.Finding, o verdict.Outcome) int {
	n := 0
	for _, f := range findings {
		if f.Outcome == o {
			n++
		}
	}
	return n
}
