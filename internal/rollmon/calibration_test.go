package rollmon

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// The levels of a roll are far too small to see in a simulation whether a test keeps its own. Here each test gets a level at
// which false alarms can be counted, and is looked at again and again while its sample grows, as in a roll. Nothing is worse
// in any of these series, so no more of them than the level allows may ever breach.
func TestEveryTestKeepsItsLevelOverAllLooks(t *testing.T) {
	const runs, level = 400, 0.05
	zero := &fleet.Compare{Against: []string{fleet.BaselineControl}, DeadZone: 1e-9} // whatever is worse is worse
	for _, c := range []struct {
		test  string
		most  float64 // false alarms
		looks []time.Duration
		judge func(rng *rand.Rand) func(l look) verdict.Outcome
	}{
		{"comparison of counts", level * runs, every(5*time.Second, 5*time.Minute), func(rng *rand.Rand) func(look) verdict.Outcome {
			var fresh, old tally
			i := fleet.Indicator{Name: "5xx", Hard: true, Ratio: &fleet.RatioIndicator{Limit: 99, Compare: zero}}
			return func(l look) verdict.Outcome {
				fresh, old = fresh.plus(draw(rng, 100, 0.02)), old.plus(draw(rng, 300, 0.02))
				return worst(l.judgeRatio(i, Reading{Servers: map[string]Sample{"new": counting(fresh), "old": counting(old)}}))
			}
		}},
		{"ranks of minutes", level * runs, every(time.Minute, 8*time.Minute), func(rng *rand.Rand) func(look) verdict.Outcome {
			i := fleet.Indicator{Name: "p99", Rank: &fleet.RankIndicator{Effect: 0.5}}
			r := Reading{Servers: map[string]Sample{}, Before: &Past{Servers: map[string]Sample{}}}
			for _, s := range []string{"new", "old", "older"} {
				level := 100 * math.Exp(0.3*rng.NormFloat64())
				r.Servers[s] = Sample{Points: swinging(rng, 33, level)}
				r.Before.Servers[s] = Sample{Value: new(level)}
			}
			return func(l look) verdict.Outcome {
				l.Control = []string{"old", "older"}
				return l.judgeRank(i, r.until(l.now)).Outcome
			}
		}},
		{"trend", level * runs, every(15*time.Second, 8*time.Minute), func(rng *rand.Rand) func(look) verdict.Outcome {
			return trendOf(noisy(rng, 33))
		}},
		// What a regression knows of neighbours that resemble each other, it has to guess from few of them.
		{"trend of measurements like their neighbours", 2 * level * runs, every(15*time.Second, 8*time.Minute), func(rng *rand.Rand) func(look) verdict.Outcome {
			return trendOf(swinging(rng, 33, 0))
		}},
	} {
		t.Run(c.test, func(t *testing.T) {
			alarms := 0
			for seed := range uint64(runs) {
				judge := c.judge(rand.New(rand.NewPCG(seed, 11)))
				for _, at := range c.looks {
					q := verdict.Question{Exposed: []string{"new"}, Control: []string{"old"}, Since: start, Began: start.Add(-time.Minute)}
					if o := judge(look{Question: q, now: start.Add(at), levels: levels{level, level, level}}); o == verdict.Hard || o == verdict.Soft {
						alarms++
						break
					}
				}
			}
			t.Logf("%d of %d series without a fault breach at a level of %v", alarms, runs, level)
			if float64(alarms) > c.most {
				t.Errorf("%d of %d series without a fault breach, want at most %v", alarms, runs, c.most)
			}
		})
	}
}

// trendOf judges measurements whose horizon is so far that every rise that the test believes in reaches the mark.
func trendOf(points []Point) func(look) verdict.Outcome {
	i := fleet.Indicator{Name: "disk", Saturation: &fleet.SaturationIndicator{Full: 1e6, Horizon: fleet.Duration(1e6 * time.Hour)}}
	r := Reading{Servers: map[string]Sample{"new": {Points: points}}}
	return func(l look) verdict.Outcome { return worst(l.judgeSaturation(i, r.until(l.now))) }
}

var start = time.Date(2026, 3, 2, 21, 0, 0, 0, time.UTC)

func every(step, until time.Duration) (all []time.Duration) {
	for at := step; at <= until; at += step {
		all = append(all, at)
	}
	return all
}

func draw(rng *rand.Rand, n int, rate float64) (t tally) {
	for range n {
		t.attempts++
		if rng.Float64() < rate {
			t.failures++
		}
	}
	return t
}

func counting(t tally) Sample {
	return Sample{Count: &Count{Failures: float64(t.failures), Attempts: float64(t.attempts)}}
}

// swinging are measurements around a level that resemble the ones before them, as latencies do.
func swinging(rng *rand.Rand, n int, level float64) (points []Point) {
	swing := 0.0
	for i := range n {
		swing = 0.6*swing + 0.8*rng.NormFloat64()
		points = append(points, Point{At: start.Add(time.Duration(i) * 15 * time.Second), Value: level + 8*swing})
	}
	return points
}

func noisy(rng *rand.Rand, n int) (points []Point) {
	for i := range n {
		points = append(points, Point{At: start.Add(time.Duration(i) * 15 * time.Second), Value: rng.NormFloat64()})
	}
	return points
}

// until is what a source would have said at a time.
func (r Reading) until(now time.Time) Reading {
	seen := Reading{Servers: map[string]Sample{}, Before: r.Before}
	for name, s := range r.Servers {
		var known []Point
		for _, p := range s.Points {
			if !p.At.After(now) {
				known = append(known, p)
			}
		}
		seen.Servers[name] = Sample{Points: known}
	}
	return seen
}

func worst(findings []verdict.Finding) verdict.Outcome {
	o := verdict.Pass
	for _, f := range findings {
		o = verdict.Worse(o, f.Outcome)
	}
	return o
}

func TestARankTestThatCannotDecideNeverBreaches(t *testing.T) {
	for n := 1; n <= 12; n++ {
		for m := 1; m <= 12; m++ {
			var fresh, old []ranked
			for i := range n {
				fresh = append(fresh, ranked{blocks: []float64{1000 + float64(i)}})
			}
			for i := range m {
				old = append(old, ranked{blocks: []float64{float64(i)}})
			}
			test := rankTest{indicator: fleet.Indicator{Rank: &fleet.RankIndicator{Increase: 1}}, level: 1e-4}
			problem := test.choose(fresh, old, 1)
			if problem == "" {
				if f := test.finding(verdict.Finding{}, "latency"); f.Outcome != verdict.Soft || math.Abs(*f.P/smallestP(n, m)-1) > 1e-6 {
					t.Errorf("%d servers that are all worse than %d: %s with p = %v, want a breach with the smallest p there is, %v", n, m, f.Outcome, *f.P, smallestP(n, m))
				}
			}
			if can := smallestP(n, m) <= 1e-4; can != (problem == "") {
				t.Errorf("%d against %d: %q", n, m, problem)
			}
		}
	}
	if p := fmt.Sprintf("%.4f", smallestP(4, 4)); p != "0.0143" {
		t.Errorf("4 against 4 can reach %s, want 1/70", p)
	}
}
