package rollmon_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// Twenty indicators on the 500 servers of a batch: twelve of counts, a third of them compared, and eight of values, half of
// them compared. What the sources need is not in it.
func BenchmarkJudgeTwentyIndicatorsOnFiveHundredServers(b *testing.B) {
	q, indicators, samples := bigBatch(500)
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		if v := rollmon.Judge(q, indicators, samples, since.Add(time.Minute)); v.Outcome != verdict.Pass {
			b.Fatalf("%s: %s", v.Outcome, v.Reason)
		}
	}
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// processorTime is what the process has used so far, garbage collection included: on a busy machine the clock says more.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// The same with a bad version, where every server's count needs its boundary found.
func BenchmarkJudgeTwentyIndicatorsOnFiveHundredBadServers(b *testing.B) {
	q, indicators, samples := bigBatch(500)
	for _, r := range samples {
		for name, s := range r.Servers {
			if s.Count != nil {
				r.Servers[name] = counts(60, 600)
			}
		}
	}
	for b.Loop() {
		if v := rollmon.Judge(q, indicators, samples, since.Add(time.Minute)); v.Outcome != verdict.Hard {
			b.Fatalf("%s: %s", v.Outcome, v.Reason)
		}
	}
}

// One rank indicator judges the batch as one, so that its cost does not grow with the servers' findings.
func BenchmarkJudgeOneRankOnFiveHundredServers(b *testing.B) {
	q := verdict.Question{}
	batchOf(250, 250)(&q, nil)
	q.Since = since
	samples := rollmon.Samples{"p99": measured(5, 250, 250, level, 0, true)}
	for b.Loop() {
		rollmon.Judge(q, latency(20), samples, since.Add(5*time.Minute))
	}
}

func bigBatch(n int) (verdict.Question, []fleet.Indicator, rollmon.Samples) {
	q, _ := baking()
	q.Stage, q.Batch, q.Exposed, q.Control, q.Began = "rolling", 1, nil, nil, since.Add(-time.Minute)
	numbers, past := byServer{}, byServer{}
	values, pastValues := byServer{}, byServer{}
	for n := range 2 * n {
		name := fmt.Sprintf("hotel-api-%d", n+1)
		if n%2 == 0 {
			q.Exposed = append(q.Exposed, name)
		} else {
			q.Control = append(q.Control, name)
		}
		numbers[name], past[name] = counts(float64(n%5), 600), counts(float64(n%9), 6000)
		values[name], pastValues[name] = gauge(500+float64(n%40)), gauge(500+float64(n%30))
	}
	var indicators []fleet.Indicator
	samples := rollmon.Samples{}
	for n := range 20 {
		i := ratio(fmt.Sprintf("ratio-%d", n), true, 1)
		r := rollmon.Reading{Servers: byServer{}, Before: &rollmon.Past{Servers: past}}
		if n >= 12 {
			i = valued(true, fleet.ValueIndicator{Max: new(700.0)})[0]
			i.Name = fmt.Sprintf("value-%d", n)
			r.Before.Servers = pastValues
		}
		for name := range numbers {
			r.Servers[name] = numbers[name]
			if n >= 12 {
				r.Servers[name] = values[name]
			}
		}
		switch {
		case n < 4:
			i.Ratio.Compare = &both
		case n >= 16:
			i.Value.Compare = half
		}
		indicators = append(indicators, i)
		samples[i.Name] = r
	}
	return q, indicators, samples
}
