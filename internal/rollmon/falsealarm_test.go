package rollmon

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A roll that changes nothing must not be stopped. Every count is drawn afresh and looked at every five seconds; with the
// rate exactly on its limit this is the worst case. The floor is what was measured; 4 of 2,000 is what was asked for.
func TestFalseAlarmsOfUnchangedRollsStayWithinTheBudget(t *testing.T) {
	const (
		rolls, batches, indicators = 2000, 10, 20
		seconds, perSecond, every  = 60, 20, 5
		floor                      = 0 // measured for these seeds; at most 4 are wanted
	)
	for _, rate := range []float64{0.005, 0.01} { // under the limit, and exactly on it, which is the worst case
		rng := rand.New(rand.NewPCG(1, uint64(rate*1e6)))
		alarms := 0
		for range rolls {
			alarmed := false
			for batch := 0; batch < batches; batch++ {
				stage := "rolling"
				if batch == 0 {
					stage = "baking"
				}
				alpha := spend(stage, batch, indicators, 1).server
				for range indicators {
					alarmed = unchanged(rng, rate, alpha, seconds*perSecond, perSecond*every) || alarmed
				}
			}
			if alarmed {
				alarms++
			}
		}
		t.Logf("rate %v with limit 0.01: %d false alarms in %d rolls of %d batches and %d indicators", rate, alarms, rolls, batches, indicators)
		if alarms > floor {
			t.Errorf("rate %v: %d false alarms in %d rolls, want at most %d", rate, alarms, rolls, floor)
		}
	}
}

// unchanged runs one server's requests and reports whether any look raises an alarm. It jumps from failure to failure.
func unchanged(rng *rand.Rand, rate, alpha float64, requests, perLook int) bool {
	next := func(after int) int { return after + 1 + int(math.Log(1-rng.Float64())/math.Log1p(-rate)) }
	failures, at := int64(0), next(0)
	for n := perLook; n <= requests; n += perLook {
		for at <= n {
			failures++
			at = next(at)
		}
		if breaches(failures, int64(n), 0.01, alpha) {
			return true
		}
	}
	return false
}
