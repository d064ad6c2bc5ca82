package rollmon_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// bakingRun is one virtual baking of a bad version: one exposed server, looked at after every scrape.
type bakingRun struct {
	perSecond  int
	scrape     time.Duration
	indicators []fleet.Indicator // the first one counts the failures, the sources of the others are down
	fails      func(request int) bool
}

// detect returns the time from the first bad request to the first look that is a hard breach.
func (r bakingRun) detect(within time.Duration) (took time.Duration, found bool) {
	q, s := baking()
	failures, requests := 0, 0
	var first time.Duration
	for at := r.scrape; first == 0 || at-first <= within; at += r.scrape {
		for ; requests < int(at.Seconds()*float64(r.perSecond)); requests++ {
			if !r.fails(requests + 1) {
				continue
			}
			failures++
			if failures == 1 {
				first = time.Duration(requests+1) * time.Second / time.Duration(r.perSecond)
			}
		}
		s["hotel-api-1"] = counts(float64(failures), float64(requests))
		samples := rollmon.Samples{r.indicators[0].Name: {Source: "prometheus", Servers: s}}
		if v := rollmon.Judge(q, r.indicators, samples, since.Add(at)); v.Outcome == verdict.Hard {
			return at - first, true
		}
	}
	return 0, false
}

// manyIndicators are those of a large topology: all of them spend of the roll's budget.
func manyIndicators(n int) []fleet.Indicator {
	var all []fleet.Indicator
	for i := range n {
		all = append(all, ratio(fmt.Sprintf("ratio %d", i), true, 1))
	}
	return all
}

// distribution runs many seeds and returns the detection times in order, and the number of misses within 60 s.
func distribution(seeds, perSecond int, rate float64, indicators []fleet.Indicator) (took []time.Duration, misses int) {
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(uint64(seed), 4))
		run := bakingRun{perSecond: perSecond, scrape: 5 * time.Second, indicators: indicators,
			fails: func(int) bool { return rng.Float64() < rate }}
		if d, found := run.detect(time.Minute); found {
			took = append(took, d)
		} else {
			misses++
		}
	}
	slices.Sort(took)
	return took, misses
}

// The target is at most 4 misses in 1,000; the floors are what was measured for these seeds.
func TestFivePercentOfErrorsAtTwentyRequestsASecondAreFoundWithinAMinute(t *testing.T) {
	for _, c := range []struct {
		indicators   int
		misses       int           // floor
		median, most time.Duration // floors of the times to detect
	}{
		{indicators: 1, misses: 0, median: 10 * time.Second, most: 50 * time.Second},
		{indicators: 20, misses: 0, median: 15 * time.Second, most: 60 * time.Second},
	} {
		took, misses := distribution(1000, 20, 0.05, manyIndicators(c.indicators))
		at := func(percent int) time.Duration {
			return took[min(len(took)-1, len(took)*percent/100)].Round(100 * time.Millisecond)
		}
		t.Logf("%d indicators: %d of 1000 missed; found after: fastest %s, 10 %% %s, median %s, 90 %% %s, 99 %% %s, slowest %s",
			c.indicators, misses, at(0), at(10), at(50), at(90), at(99), at(100))
		if misses > c.misses {
			t.Errorf("%d indicators: %d misses of 1000, want at most %d", c.indicators, misses, c.misses)
		}
		if at(50) > c.median || at(100) > c.most {
			t.Errorf("%d indicators: median %s, slowest %s, want at most %s and %s", c.indicators, at(50), at(100), c.median, c.most)
		}
	}
}

func TestDetectionImprovesWithTheFaultAndWithTraffic(t *testing.T) {
	const seeds = 100
	traffic := []int{5, 10, 20, 50}
	var curve strings.Builder
	previous := make([]int, len(traffic))
	for _, rate := range []float64{0.02, 0.03, 0.05, 0.1, 0.5} {
		fmt.Fprintf(&curve, "\n%4.0f %% errors:", rate*100)
		for n, perSecond := range traffic {
			took, misses := distribution(seeds, perSecond, rate, manyIndicators(5))
			median := "-"
			if len(took) > seeds/2 {
				median = took[seeds/2].Round(time.Second).String()
			}
			fmt.Fprintf(&curve, "   %2d/s %3d %% in %3s", perSecond, len(took)*100/seeds, median)
			if found := seeds - misses; found < previous[n] {
				t.Errorf("%v errors at %d/s are found %d times, a smaller fault %d times", rate, perSecond, found, previous[n])
			} else {
				previous[n] = found
			}
		}
	}
	t.Logf("found within 60 s, and the median time (5 indicators, limit 1 %%, a scrape every 5 s):%s", curve.String())
	if slices.Min(previous) < seeds {
		t.Errorf("half of all requests failing is missed: %v of %d", previous, seeds)
	}
}

// Every twentieth request fails, as in the demonstration: one indicator, a scrape every second.
func TestEveryTwentiethRequestFailingIsFoundInAboutTwoHundredRequests(t *testing.T) {
	for _, c := range []struct {
		perSecond int
		floor     time.Duration // from the first bad request
	}{{10, 18 * time.Second}, {15, 12 * time.Second}, {20, 9 * time.Second}, {40, 5 * time.Second}} {
		run := bakingRun{perSecond: c.perSecond, scrape: time.Second, indicators: manyIndicators(1),
			fails: func(request int) bool { return request%20 == 0 }}
		took, found := run.detect(time.Minute)
		t.Logf("%d requests a second: found %s after the first bad one", c.perSecond, took)
		if !found || took > c.floor {
			t.Errorf("%d requests a second: found %v after %s, want at most %s", c.perSecond, found, took, c.floor)
		}
	}
}

// Baking has most of the roll's budget, but a fault may show only in a later batch, where less is left: the sum of the batch's
// servers makes up for it.
func TestFivePercentOfErrorsAreFoundInLaterBatchesToo(t *testing.T) {
	const seeds = 1000
	for _, c := range []struct {
		batch, servers int
		misses         int           // floor
		median         time.Duration // floor
	}{
		{batch: 1, servers: 1, misses: 0, median: 20 * time.Second}, {batch: 1, servers: 4, misses: 0, median: 5 * time.Second},
		{batch: 10, servers: 1, misses: 1, median: 25 * time.Second}, {batch: 10, servers: 4, misses: 0, median: 10 * time.Second},
	} {
		var took []time.Duration
		for seed := range uint64(seeds) {
			if d, found := laterBatch(rand.New(rand.NewPCG(seed, 5)), c.batch, c.servers); found {
				took = append(took, d)
			}
		}
		slices.Sort(took)
		misses, median := seeds-len(took), took[len(took)/2]
		t.Logf("batch %d of %d server(s), 20 indicators: %d of %d missed within 60 s; median %s, slowest %s", c.batch, c.servers, misses, seeds, median, took[len(took)-1])
		if misses > c.misses || median > c.median {
			t.Errorf("batch %d of %d servers: %d misses of %d, median %s; want at most %d and %s", c.batch, c.servers, misses, seeds, median, c.misses, c.median)
		}
	}
}

// laterBatch returns the time from the beginning, within a minute, to a hard breach of a batch with 5 % errors.
func laterBatch(rng *rand.Rand, batch, servers int) (took time.Duration, found bool) {
	q, s := baking()
	q.Stage, q.Batch, q.Exposed = "rolling", batch, nil
	failures := make([]int, servers)
	for n := range servers {
		q.Exposed = append(q.Exposed, fmt.Sprintf("hotel-api-%d", n+10))
	}
	indicators := manyIndicators(20)
	for at := 5 * time.Second; at <= time.Minute; at += 5 * time.Second {
		for n, name := range q.Exposed {
			failures[n] += binomial(rng, 100, 0.05)
			s[name] = counts(float64(failures[n]), 20*at.Seconds())
		}
		samples := rollmon.Samples{indicators[0].Name: {Source: "prometheus", Servers: s}}
		if v := rollmon.Judge(q, indicators, samples, since.Add(at)); v.Outcome == verdict.Hard {
			return at, true
		}
	}
	return 0, false
}
