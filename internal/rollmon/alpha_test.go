package rollmon

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

func TestTheBinomialTailIsExact(t *testing.T) {
	for _, c := range []struct {
		k, n int64
		rate float64
	}{{1, 20, 0.01}, {5, 100, 0.01}, {24, 500, 0.01}, {3, 3, 0.5}, {60, 1000, 0.05}} {
		b := distuv.Binomial{N: float64(c.n), P: c.rate}
		want := 0.0
		for k := c.k; k <= c.n; k++ {
			want += b.Prob(float64(k))
		}
		if got := tail(c.k, c.n, c.rate); math.Abs(got/want-1) > 1e-9 {
			t.Errorf("P(at least %d of %d at %v) = %g, want the sum of its terms %g", c.k, c.n, c.rate, got, want)
		}
	}
}

func TestTheSharesOfAllStagesAndBatchesAddUpToTheRollsBudget(t *testing.T) {
	total := stageShare("smoke", 0) + stageShare("baking", 0) + stageShare("watch", 9) + stageShare("rolling_back", 1)
	for b := 1; b <= 100_000; b++ {
		total += stageShare("rolling", b)
	}
	if total > 1 || total < 0.9999 {
		t.Errorf("the shares add to %v, want just under 1", total)
	}
	weights := 0.0
	for _, a := range alternatives {
		weights += a.weight
	}
	if math.Abs(weights-1) > 1e-12 {
		t.Errorf("the weights of the alternatives add to %v, want 1", weights)
	}
}

func TestOneLooksTestsSpendNoMoreThanTheirShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		indicators, servers := rapid.IntRange(1, 20).Draw(t, "indicators"), rapid.IntRange(1, 500).Draw(t, "servers")
		l := spend("baking", 0, indicators, servers)
		spent := l.server * float64(servers)
		if servers > 1 {
			spent += l.group
		}
		if limit := rollBudget * stageShare("baking", 0) * (1 + 1e-9); spent*float64(indicators) > limit {
			t.Fatalf("%d indicators on %d servers spend %g of %g", indicators, servers, spent*float64(indicators), limit)
		}
	})
}

// The boundary is what the promise rests on: with the rate on its limit, and a look after every single request, it is
// reached with a probability of at most alpha. This computes that probability exactly, by following all paths.
func TestLookingAfterEveryRequestRaisesNoMoreFalseAlarmsThanTheBudget(t *testing.T) {
	for _, limit := range []float64{0.001, 0.01, 0.05, 0.3} {
		for _, alpha := range []float64{1e-2, 1e-3, 1e-5} {
			const requests = 3000
			alive := []float64{1} // by failures so far: the probability of being there without an alarm
			alarmed := 0.0
			for n := int64(1); n <= requests; n++ {
				edge := boundary(n, limit, alpha)
				after := make([]float64, min(int64(len(alive))+1, edge))
				for k, p := range alive {
					if int64(k) < edge {
						after[k] += p * (1 - limit)
					} else {
						alarmed += p * (1 - limit)
					}
					if int64(k)+1 < edge {
						after[k+1] += p * limit
					} else {
						alarmed += p * limit
					}
				}
				alive = after
			}
			if alarmed > alpha {
				t.Errorf("limit %v: a false alarm in %g of all runs of %d requests, want at most %g", limit, alarmed, requests, alpha)
			}
			t.Logf("limit %v, budget %g: false alarms %.2g", limit, alpha, alarmed)
		}
	}
}

func TestTheBoundaryIsTheSmallestNumberOfFailuresThatBreaches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1e9).Draw(t, "n")
		limit := rapid.Float64Range(1e-6, 0.99).Draw(t, "limit")
		alpha := math.Pow(10, -rapid.Float64Range(1, 12).Draw(t, "-log alpha"))
		edge := boundary(n, limit, alpha)
		if edge <= n && !breaches(edge, n, limit, alpha) {
			t.Fatalf("%d of %d does not breach", edge, n)
		}
		if edge > 0 && breaches(edge-1, n, limit, alpha) {
			t.Fatalf("%d of %d breaches below the boundary %d", edge-1, n, edge)
		}
		if edge <= n && float64(edge) < limit*float64(n) {
			t.Fatalf("%d of %d breaches a limit of %v", edge, n, limit)
		}
		if p := tail(edge, n, limit); math.IsNaN(p) || p < 0 || p > 1 {
			t.Fatalf("tail(%d, %d, %v) = %v", edge, n, limit, p)
		}
	})
}

// A comparison replaces the baseline's rate by a larger one; that is safe because a breach of a limit is a breach of every
// smaller limit.
func TestABreachOfALimitIsABreachOfEverySmallerOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1e6).Draw(t, "n")
		limit := rapid.Float64Range(1e-5, 0.9).Draw(t, "limit")
		smaller := limit * rapid.Float64Range(0.01, 1).Draw(t, "part")
		alpha := math.Pow(10, -rapid.Float64Range(1, 9).Draw(t, "-log alpha"))
		k := rapid.Int64Range(0, n).Draw(t, "k")
		if edge := boundary(n, limit, alpha); rapid.Bool().Draw(t, "at the edge") {
			k = min(edge, n)
		}
		if breaches(k, n, limit, alpha) && !breaches(k, n, smaller, alpha) {
			t.Fatalf("%d of %d breaches %v and not %v", k, n, limit, smaller)
		}
	})
}

func TestTheLargestRateThatABaselineDoesNotRuleOutHoldsAtEveryLook(t *testing.T) {
	for _, c := range []struct{ rate, alpha float64 }{{0.001, 0.05}, {0.01, 0.05}, {0.2, 0.02}} {
		const runs, requests = 400, 4000
		rng := rand.New(rand.NewPCG(7, uint64(c.rate*1e6)))
		wrong := 0
		for range runs {
			var k int64
			for n := int64(1); n <= requests; n++ {
				if rng.Float64() < c.rate {
					k++
				}
				if n%50 == 0 && c.rate > float64(k)/float64(n) && logEvidenceBelow(k, n, c.rate) >= -math.Log(c.alpha) {
					wrong++
					break
				}
			}
		}
		t.Logf("rate %v: ruled out in %d of %d runs at a level of %v", c.rate, wrong, runs, c.alpha)
		if float64(wrong) > c.alpha*runs {
			t.Errorf("rate %v: ruled out in %d of %d runs, want at most %v of them", c.rate, wrong, runs, c.alpha)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1e7).Draw(t, "n")
		k := rapid.Int64Range(0, n).Draw(t, "k")
		u := atMost(tally{k, n}, 1e-6)
		if !(u >= 0 && u <= 1) || n > 0 && u < float64(k)/float64(n) {
			t.Fatalf("%d of %d may be at most %v", k, n, u)
		}
	})
}

func TestFishersTestIsTheSumOfItsTail(t *testing.T) {
	for _, c := range []struct {
		exposed, baseline tally
		want              float64
	}{
		{tally{3, 4}, tally{1, 4}, 17. / 70}, // the lady tasting tea: (16+1)/70
		{tally{4, 4}, tally{0, 4}, 1. / 70},
		{tally{0, 10}, tally{5, 10}, 1},
		{tally{24, 500}, tally{7, 7000}, 5.948e-23},
	} {
		if got := fisher(c.exposed, c.baseline); math.Abs(got/c.want-1) > 0.05 {
			t.Errorf("fisher(%v, %v) = %g, want %g", c.exposed, c.baseline, got, c.want)
		}
	}
}
