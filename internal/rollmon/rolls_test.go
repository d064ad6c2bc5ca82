package rollmon_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// rolls is how many whole rolls are judged. The default is what a test run has time for; docs/indicators.md says what 2,000 gave.
var rolls = flag.Int("rolls", 40, "unchanged rolls to judge with every kind of indicator")

// A roll that changes nothing, judged by all kinds of indicators side by side as the Monitor does it: baking and nine batches,
// each looked at every half minute for two minutes. A soft breach counts as a false alarm like a hard one: both stop the roll.
func TestUnchangedRollsOfEveryKindOfIndicatorRaiseNoAlarm(t *testing.T) {
	var (
		wait   sync.WaitGroup
		alarms = make([]string, *rolls)
		places = make(chan struct{}, 4)
	)
	for n := range *rolls {
		places <- struct{}{}
		wait.Go(func() {
			alarms[n] = unchangedRoll(uint64(n))
			<-places
		})
	}
	wait.Wait()
	found := 0
	for n, words := range alarms {
		if words != "" {
			found++
			t.Logf("roll %d: %s", n, words)
		}
	}
	most := *rolls * 4 / 2000
	t.Logf("%d false alarms, hard or soft, in %d unchanged rolls of 10 batches and %d indicators", found, *rolls, len(allKinds()))
	if found > most {
		t.Errorf("%d false alarms in %d rolls, want at most %d", found, *rolls, most)
	}
}

// allKinds are twenty indicators as a topology may declare them.
func allKinds() []fleet.Indicator {
	var all []fleet.Indicator
	for n := range 8 {
		all = append(all, ratio(fmt.Sprintf("ratio-%d", n), n%2 == 0, 1))
	}
	for n := range 4 {
		i := compared(n%2 == 0, 1, fleet.Compare{Against: []string{"before", "control"}, Increase: 100, DeadZone: 0.2})[0]
		i.Name = fmt.Sprintf("compared-%d", n)
		all = append(all, i)
	}
	for n := range 3 {
		i := latency(15)[0]
		i.Name = fmt.Sprintf("rank-%d", n)
		all = append(all, i)
	}
	for n := range 3 {
		i := valued(n == 0, fleet.ValueIndicator{Consecutive: 3, Compare: &fleet.Compare{Against: []string{"before", "control"}, Increase: 50, DeadZone: 1}})[0]
		i.Name = fmt.Sprintf("value-%d", n)
		all = append(all, i)
	}
	for n := range 2 {
		i := filling(fleet.WorseHigher)[0]
		i.Name = fmt.Sprintf("filling-%d", n)
		all = append(all, i)
	}
	return all
}

const (
	rollServers = 4 // in a batch
	rollControl = 8
	rollSteps   = 8 // of a quarter of a minute
)

// unchangedRoll returns the words of the first breach.
func unchangedRoll(seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 21))
	indicators := allKinds()
	for batch := range 10 {
		q := verdict.Question{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Roll: "r-1", Stage: "rolling", Batch: batch, Since: since,
			Began: since.Add(-time.Minute)}
		if batch == 0 {
			q.Stage = "baking"
		}
		for n := range rollServers + rollControl {
			name := fmt.Sprintf("hotel-api-%d", n+1)
			if n < rollServers {
				q.Exposed = append(q.Exposed, name)
			} else {
				q.Control = append(q.Control, name)
			}
		}
		whole := rollmon.Samples{}
		for _, i := range indicators {
			whole[i.Name] = unchangedReading(rng, i, append(append([]string{}, q.Exposed...), q.Control...))
		}
		for step := 2; step <= rollSteps; step += 2 {
			v := rollmon.Judge(q, indicators, until(indicators, whole, step), since.Add(time.Duration(step)*15*time.Second))
			if v.Outcome == verdict.Hard || v.Outcome == verdict.Soft {
				return fmt.Sprintf("batch %d: %s: %s", batch, v.Outcome, v.Reason)
			}
		}
	}
	return ""
}

// unchangedReading is a whole batch's: counts by step in Points, which until adds up, or measurements.
func unchangedReading(rng *rand.Rand, i fleet.Indicator, names []string) rollmon.Reading {
	r := rollmon.Reading{Servers: byServer{}, Before: &rollmon.Past{Servers: byServer{}}}
	for _, name := range names {
		level, swing := 100*math.Exp(0.1*rng.NormFloat64()), 0.0
		var s rollmon.Sample
		for step := range rollSteps {
			swing = 0.6*swing + 0.8*rng.NormFloat64()
			v := level + 8*swing
			switch {
			case i.Ratio != nil:
				v = float64(binomial(rng, 300, 0.002))
			case i.Saturation != nil:
				v = 60 + 0.3*swing
			}
			s.Points = append(s.Points, rollmon.Point{At: since.Add(time.Duration(step+1) * 15 * time.Second), Value: v})
		}
		r.Servers[name] = s
		if i.Ratio != nil {
			r.Before.Servers[name] = counts(float64(binomial(rng, 12_000, 0.002)), 12_000)
		} else {
			r.Before.Servers[name] = gauge(level)
		}
	}
	return r
}

// until is what sources would have said after some steps.
func until(indicators []fleet.Indicator, whole rollmon.Samples, steps int) rollmon.Samples {
	seen := rollmon.Samples{}
	for _, i := range indicators {
		r := whole[i.Name]
		part := rollmon.Reading{Servers: make(byServer, len(r.Servers)), Before: r.Before}
		for server, s := range r.Servers {
			if i.Ratio == nil {
				part.Servers[server] = rollmon.Sample{Points: s.Points[:steps]}
				continue
			}
			failures := 0.0
			for _, p := range s.Points[:steps] {
				failures += p.Value
			}
			part.Servers[server] = counts(failures, 300*float64(steps))
		}
		seen[i.Name] = part
	}
	return seen
}

// binomial jumps from failure to failure.
func binomial(rng *rand.Rand, n int, rate float64) (failures int) {
	for at := 0; ; failures++ {
		at += 1 + int(math.Log(1-rng.Float64())/math.Log1p(-rate))
		if at > n {
			return failures
		}
	}
}
