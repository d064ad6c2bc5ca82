package rollmon

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat/combin"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// How counts are compared with counts. A baseline's own rate is only known from its counts, so it is replaced by the largest
// rate that these do not rule out; the exposed servers are then tested against what the comparison allows on top of it, as
// they are against a limit. Both are bounded over all looks together, each with half of the level: the largest rate by the
// mirror image of the boundary in alpha.go, a confidence sequence. So the probability that servers whose rate is within the
// comparison are ever called worse is at most the level. A baseline without a single failure still leaves a rate that it
// does not rule out, and so can never turn one failure into a problem; and what is allowed is never more than the dead
// zone or the increase above that rate, so it cannot hide one.
//
// The p-value that is told is that of Fisher's exact test: how probable as many failures or more would be on the exposed
// servers if all the failures of both had been dealt out by chance. Sources: R. A. Fisher, The Design of Experiments
// (1935); H. Robbins and D. Darling, Confidence sequences (1967).

// ratioReference is one baseline of counts.
type ratioReference struct {
	name  string
	tally tally
	words string // "0.1 % on 7 servers not yet rolled"
}

// ratioReferences are the baselines of a ratio with numbers, and in words those without.
type ratioReferences struct {
	found   []ratioReference
	missing []string
	gone    []string
}

// percent is a baseline's rate, for the finding.
func (r ratioReferences) percent(name string) *float64 {
	for _, ref := range r.found {
		if ref.name == name && ref.tally.attempts > 0 {
			return new(ref.tally.percent())
		}
	}
	return nil
}

// against says what the baselines show. Where nothing can be compared, it says so.
func (r ratioReferences) against() string {
	var said []string
	for _, ref := range r.found {
		said = append(said, ref.words)
	}
	return against(said, r.gone, r.missing)
}

// baselines collects the counts of the servers not yet rolled, which are told in any case, and of the time before the roll, if
// the comparison names it.
func (j ratioJudge) baselines(r Reading) ratioReferences {
	var refs ratioReferences
	j.controls(r, &refs)
	c := j.indicator.Ratio.Compare
	if c == nil || !c.With(fleet.BaselineBefore) {
		return refs
	}
	if missing, gone := j.unreadPast(r); missing+gone != "" {
		refs.missing, refs.gone = appendSaid(refs.missing, missing), appendSaid(refs.gone, gone)
		return refs
	}
	t, usable, _ := sum(j.Exposed, r.Before.Servers)
	if j.indicator.In() != fleet.ScopeServer {
		t, usable = whole(r.Before.Exposed)
	}
	switch {
	case usable == 0:
		refs.missing = append(refs.missing, "no numbers from before the roll")
	case t.attempts == 0:
		refs.missing = append(refs.missing, "no traffic before the roll")
	default:
		refs.found = append(refs.found, ratioReference{fleet.BaselineBefore, t, number(t.percent()) + " % before the roll"})
	}
	return refs
}

func (j ratioJudge) controls(r Reading, refs *ratioReferences) {
	t, usable, _ := sum(j.Control, r.Servers)
	if j.indicator.In() != fleet.ScopeServer {
		t, usable = whole(r.Control)
		usable *= len(j.Control)
	}
	switch {
	case j.indicator.In() == fleet.ScopePool: // one, with no part of it left to compare with
	case len(j.Control) == 0:
		refs.gone = append(refs.gone, "no server is left on the old revision")
	case usable == 0:
		refs.missing = append(refs.missing, fmt.Sprintf("no numbers from the %s not yet rolled", servers(len(j.Control))))
	case t.attempts == 0:
		refs.missing = append(refs.missing, fmt.Sprintf("no traffic on the %s not yet rolled", servers(usable)))
	default:
		refs.found = append(refs.found, ratioReference{fleet.BaselineControl, t, fmt.Sprintf("%s %% on %s not yet rolled", number(t.percent()), servers(usable))})
	}
}

// whole is the tally of a sample that stands for several servers.
func whole(s *Sample) (t tally, usable int) {
	if s == nil {
		return tally{}, 0
	}
	t, problem := checked(subject{sample: *s, known: true})
	if problem != "" {
		return tally{}, 0
	}
	return t, 1
}

// compared holds a tally that keeps its limit against the baselines: it must be worse than each to be a breach.
func (j ratioJudge) compared(f verdict.Finding, where string, t tally, alpha float64) verdict.Finding {
	lenient, ok := j.allowance(alpha)
	switch {
	case !ok:
		f.Outcome = verdict.Worse(f.Outcome, uncompared(references{missing: j.refs.missing}, true))
		if len(j.refs.found) > 0 {
			f.Reason += "; not compared: " + strings.Join(append(j.refs.gone, j.refs.missing...), "; ")
		}
		return f
	case !breaches(t.failures, t.attempts, lenient.percent/100, alpha/2):
		if f.Outcome == verdict.Pass && !seenEnough(t.failures, t.attempts, lenient.percent/100) {
			f.Outcome = verdict.Pending
			f.Reason = fmt.Sprintf("%s; comparison allows %s %%, and there are too few attempts to tell it from %s %%", f.Reason,
				number(lenient.percent), number(100*tooMuch(lenient.percent/100)))
		}
		return f
	}
	p := fisher(t, lenient.baseline)
	f = breached(j.indicator, f)
	f.Test, f.P, f.Level, f.Limit = "fisher", &p, &alpha, lenient.percent
	f.Reason = fmt.Sprintf("%s; %s comparison allows %s %%, counting what chance may add to the baseline; p %s by Fisher's exact test", j.words(where, t),
		kindWord(j.indicator), number(lenient.percent), relation(p))
	return f
}

// allowance is what a comparison allows: that of its most lenient baseline.
type allowance struct {
	baseline tally
	percent  float64
}

// allowance finds it, at half of a level; ok is false where nothing can be compared. It is the same for all servers of a look, and
// found once.
func (j ratioJudge) allowance(alpha float64) (a allowance, ok bool) {
	if a, ok := j.allowed[alpha]; ok {
		return a, true
	}
	c := j.indicator.Ratio.Compare
	for _, ref := range j.refs.found {
		if percent := c.Limit(100*atMost(ref.tally, alpha/2), fleet.WorseHigher); c.With(ref.name) && percent >= a.percent {
			a, ok = allowance{ref.tally, percent}, true
		}
	}
	if ok {
		j.allowed[alpha] = a
	}
	return a, ok
}

// atMost is the largest rate that a tally does not rule out at any look, with a probability to be wrong of at most alpha.
func atMost(t tally, alpha float64) float64 {
	k, n := t.failures, t.attempts
	low, high := float64(k)/float64(max(n, 1)), 1.0
	for range 40 {
		middle := low + (high-low)/2
		if logEvidenceBelow(k, n, middle) >= -math.Log(alpha) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// logEvidenceBelow is the evidence that the rate is below a limit: logEvidence of the successes. The alternatives are the same
// multiples of the odds of a success.
func logEvidenceBelow(k, n int64, limit float64) float64 {
	if limit >= 1 {
		return math.Inf(1)
	}
	return logEvidence(n-k, n, 1-limit)
}

// fisher is the one-sided p-value of Fisher's exact test: the probability that of all failures as many or more fall on
// the exposed tally, the sum of a hypergeometric tail. The terms decrease from the first on when that is the more improbable side.
func fisher(exposed, baseline tally) float64 {
	n, failures := float64(exposed.attempts+baseline.attempts), float64(exposed.failures+baseline.failures)
	if exposed.failures == 0 {
		return 1
	}
	k, draws := float64(exposed.failures), float64(exposed.attempts)
	term := math.Exp(combin.LogGeneralizedBinomial(failures, k) + combin.LogGeneralizedBinomial(n-failures, draws-k) - combin.LogGeneralizedBinomial(n, draws))
	p := 0.0
	for ; term > 0 && k <= min(failures, draws); k++ {
		p += term
		term *= (failures - k) * (draws - k) / ((k + 1) * (n - failures - draws + k + 1))
		if term < p*1e-16 {
			break
		}
	}
	return min(p, 1)
}
