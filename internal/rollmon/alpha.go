package rollmon

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/mathext"

	"railyard/internal/fleet"
)

// How the false alarms of a roll are bounded, and how counts are tested against a limit. Every test of a roll, of counts, of
// ranks and of trends, spends of one budget.
//
// The test is the exact one-sided binomial test: p is the probability of at least k failures among n attempts if the
// true rate were the limit. Looking again and again at growing counts would raise false alarms with every look, so the
// level p is held against shrinks as it must. It follows from a sequential probability ratio test whose alternative is a
// mixture of rates above the limit:
//
//	E(k, n) = Σ wᵢ (pᵢ/p₀)ᵏ ((1−pᵢ)/(1−p₀))ⁿ⁻ᵏ
//
// While the true rate is at most p₀, E is a nonnegative supermartingale that starts at 1, so by Ville's inequality the
// probability that it ever reaches 1/α, at any of any number of looks, is at most α. Hence the boundary: the smallest k
// with E(k, n) ≥ 1/α breaches, and the level shown at n attempts is the binomial tail of that k. Nothing depends on
// when or how often somebody looked: the spending is done by the counts themselves, and a restart changes nothing.
//
// Sources: J. Ville, Étude critique de la notion de collectif (1939); A. Wald, Sequential Analysis (1947); H. Robbins,
// Statistical methods related to the law of the iterated logarithm (1970); R. Johari et al., Always valid inference
// (2022). The split over hypotheses is Bonferroni's.

const (
	// rollBudget bounds the probability that a roll that changes nothing raises any alarm by a test, at worst, that is with
	// every rate exactly on its limit.
	rollBudget = 1e-3
	// wellOver is how many times the limit a rate must be ruled out at, before few failures are a pass.
	wellOver = 5
	// passDoubt bounds the probability to pass a rate of wellOver × limit at one look: the power of a pass is 95 %.
	passDoubt = 0.05
	// zeroLimitRate is the rate to be ruled out where the limit is zero: 1 %.
	zeroLimitRate = 0.01
)

// alternatives are the rates E is made to detect, as multiples of the limit's odds, with their weights (they add to 1).
// Most of the weight is on five times the limit, the fault that matters most in baking; the small multiples make sure that no
// rate over the limit hides for ever behind a large number of requests.
var alternatives = []struct{ odds, weight float64 }{
	{1.05, 0.02}, {1.2, 0.03}, {1.6, 0.04}, {2.5, 0.11}, {5, 0.80},
}

// stageShare is the part of the roll's budget that a stage may spend, in all its batches. Baking gets the most, since there
// a bad version meets the fewest visitors. The shares add to 1.
func stageShare(stage string, batch int) float64 {
	switch stage {
	case "baking":
		return 3. / 4
	case "rolling":
		// The number of batches is not known here; 1/(b(b+1)) adds to 1 over any number of them.
		b := float64(max(batch, 1))
		return 1. / 8 / (b * (b + 1))
	case "watch":
		return 1. / 16
	case "smoke":
		return 1. / 32
	default:
		return 1. / 32
	}
}

// levels is the budget of one look's tests: of each server, of all of them together where each is tested too, and of a
// test of all of them where none is tested by itself.
type levels struct{ server, group, whole float64 }

// spend divides a stage's share over its tests and their servers. With several servers one half is for the
// sum of them, which has the most power against a bad version, and one half for the search for a single sick machine.
func spend(stage string, batch, tests, servers int) levels {
	share := rollBudget * stageShare(stage, batch) / float64(max(tests, 1))
	if servers <= 1 {
		return levels{server: share, group: share, whole: share}
	}
	return levels{server: share / 2 / float64(servers), group: share / 2, whole: share}
}

// countTests is how many tests the indicators make of a server or batch at a look.
func countTests(indicators []fleet.Indicator) int {
	n := 0
	for _, i := range indicators {
		switch {
		case i.Ratio != nil && i.Ratio.Compare != nil:
			n += 2 // against the limit, and against the baselines
		case i.Ratio != nil, i.Rank != nil, i.Saturation != nil:
			n++
		}
	}
	return n
}

// overLooks is the part of a level that may be spent when a sample has grown to its n-th size, n from 1: 1/n(n+1), which adds
// up to 1 over all of them. It is for tests that are no sequential ones by themselves.
func overLooks(level float64, n int) float64 { return level / (float64(n) * float64(n+1)) }

// tail is the exact probability of k or more failures among n attempts at a true rate.
func tail(k, n int64, rate float64) float64 {
	switch {
	case k <= 0:
		return 1
	case k > n || rate <= 0:
		return 0
	case rate >= 1:
		return 1
	}
	return mathext.RegIncBeta(float64(k), float64(n-k+1), rate)
}

// breaches reports whether k failures among n attempts reach the boundary of the budget alpha.
func breaches(k, n int64, limit, alpha float64) bool {
	switch {
	case limit >= 1:
		return false
	case limit <= 0:
		return k > 0
	case float64(k) <= limit*float64(n): // every likelihood ratio is at most 1 here
		return false
	}
	return logEvidence(k, n, limit) >= -math.Log(alpha)
}

// boundary is the smallest number of failures among n attempts that breaches; n+1 if none does yet.
func boundary(n int64, limit, alpha float64) int64 {
	return int64(sort.Search(int(n)+1, func(k int) bool { return breaches(int64(k), n, limit, alpha) }))
}

// logEvidence is log E(k, n). It grows with k.
func logEvidence(k, n int64, limit float64) float64 {
	terms := make([]float64, 0, 8)
	most := math.Inf(-1)
	for _, a := range alternatives {
		rate := a.odds * limit / (1 - limit + a.odds*limit)
		term := math.Log(a.weight) + float64(k)*math.Log(rate/limit) + float64(n-k)*math.Log((1-rate)/(1-limit))
		terms = append(terms, term)
		most = max(most, term)
	}
	sum := 0.0
	for _, term := range terms {
		sum += math.Exp(term - most)
	}
	return most + math.Log(sum)
}

// seenEnough reports whether a rate well over the limit would have shown more failures than these: it is ruled out
// with 95 % confidence (the one-sided Clopper-Pearson bound lies below it).
func seenEnough(k, n int64, limit float64) bool {
	return limit >= 1 || 1-tail(k+1, n, tooMuch(limit)) <= passDoubt
}

// tooMuch is the rate that a pass rules out: wellOver times the limit, or for large limits half the way to everything.
func tooMuch(limit float64) float64 {
	if limit <= 0 {
		return zeroLimitRate
	}
	return min(wellOver*limit, (1+limit)/2)
}

// inLine reports whether the failures are nothing unusual for a rate at the limit.
func inLine(k, n int64, limit float64) bool {
	return k == 0 || tail(k, n, limit) > passDoubt
}
