package rollmon_test

import (
	"fmt"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

func latency(increase float64) []fleet.Indicator {
	return []fleet.Indicator{{Name: "p99", Class: fleet.ClassApp, Rank: &fleet.RankIndicator{Query: "q", Increase: increase}}}
}

// measured is a reading of one median per server and minute: level of a server plus a little of its own each minute. The first
// fresh servers run the new revision.
func measured(minutes, fresh, old int, level func(server int) float64, worse float64, before bool) rollmon.Reading {
	r := rollmon.Reading{Servers: byServer{}}
	if before {
		r.Before = &rollmon.Past{Servers: byServer{}}
	}
	for n := range fresh + old {
		name := fmt.Sprintf("hotel-api-%d", n+1)
		var now rollmon.Sample
		for m := range minutes * 4 {
			v := level(n) + float64((n*7+m*5)%11)/10 // steady, and never twice the same in a row
			if n < fresh {
				v += worse
			}
			now.Points = append(now.Points, rollmon.Point{At: since.Add(time.Duration(m) * 15 * time.Second), Value: v})
		}
		r.Servers[name] = now
		if before {
			r.Before.Servers[name] = pointsFrom(since.Add(-10*time.Minute), level(n)+0.4, level(n)+0.5, level(n)+0.6)
		}
	}
	return r
}

func batchOf(fresh, old int) func(q *verdict.Question, _ byServer) {
	return func(q *verdict.Question, _ byServer) {
		q.Stage, q.Batch, q.Exposed, q.Control, q.Began = "rolling", 1, nil, nil, since.Add(-time.Minute)
		for n := range fresh + old {
			if name := fmt.Sprintf("hotel-api-%d", n+1); n < fresh {
				q.Exposed = append(q.Exposed, name)
			} else {
				q.Control = append(q.Control, name)
			}
		}
	}
}

func level(int) float64 { return 100 }

func slowMachines(n int) float64 { return 100 + 20*float64(n%3) }

var rankCases = []judgeCase{
	{rule: "a batch of ten that is slower than thirty is a soft breach", want: verdict.Soft, indicators: latency(20), change: batchOf(10, 30), elapsed: 5 * time.Minute,
		samples: one("p99", measured(5, 10, 30, level, 30, false))},
	{rule: "a certain difference that is small is a pass", want: verdict.Pass, indicators: latency(20), change: batchOf(10, 30), elapsed: 5 * time.Minute,
		samples: one("p99", measured(5, 10, 30, level, 10, false))},
	{rule: "no difference is a pass", want: verdict.Pass, indicators: latency(20), change: batchOf(10, 30), elapsed: 5 * time.Minute,
		samples: one("p99", measured(5, 10, 30, level, 0, false))},
	{rule: "four against four can never decide, and say so", want: verdict.NoData, indicators: latency(20), change: batchOf(4, 4), elapsed: 5 * time.Minute,
		samples: one("p99", measured(5, 4, 4, level, 500, false))},
	{rule: "their minutes can, when each machine's own level is known", want: verdict.Soft, indicators: latency(20), change: batchOf(4, 4), elapsed: 5 * time.Minute,
		samples: one("p99", measured(5, 4, 4, level, 30, true))},
	{rule: "a slow machine is not a slow version", want: verdict.Pass, indicators: latency(20), elapsed: 10 * time.Minute,
		change:  func(q *verdict.Question, s byServer) { batchOf(1, 4)(q, s) },
		samples: one("p99", measured(10, 1, 4, func(n int) float64 { return 100 + map[bool]float64{true: 80}[n == 0] }, 0, true))},
	{rule: "a slow version on machines of all kinds is found", want: verdict.Soft, indicators: latency(20), change: batchOf(2, 6), elapsed: 10 * time.Minute,
		samples: one("p99", measured(10, 2, 6, slowMachines, 40, true))},
	{rule: "too early to decide is said", want: verdict.NoData, indicators: latency(20), change: batchOf(2, 2), elapsed: time.Minute,
		samples: one("p99", measured(1, 2, 2, level, 500, true))},
	{rule: "no server left to compare ranks with is said", want: verdict.NoData, indicators: latency(20), change: batchOf(10, 0), elapsed: 5 * time.Minute,
		samples: one("p99", measured(5, 10, 0, level, 500, false))},
	{rule: "what cannot be judged by ranks does not hinder what can be judged otherwise", want: verdict.Pass,
		indicators: append(latency(20), ratio("5xx", true, 1)), change: batchOf(4, 4), elapsed: 5 * time.Minute,
		samples: rollmon.Samples{"p99": measured(5, 4, 4, level, 500, false), "5xx": {Servers: same(counts(0, 900), counts(0, 900), counts(0, 900), counts(0, 900))}}},
	{rule: "values that are all the same are a pass", want: verdict.Pass, indicators: latency(20), change: batchOf(10, 30), elapsed: time.Minute,
		samples: one("p99", func() rollmon.Reading {
			r := measured(1, 10, 30, level, 0, false)
			for name := range r.Servers {
				r.Servers[name] = points(7, 7, 7, 7)
			}
			return r
		}())},
	{rule: "a rate that falls is found where lower is worse", want: verdict.Soft, change: batchOf(10, 30), elapsed: 5 * time.Minute,
		indicators: func() []fleet.Indicator { i := latency(20); i[0].Worse = fleet.WorseLower; return i }(),
		samples:    one("p99", measured(5, 10, 30, level, -30, false))},
	{rule: "a server of the batch without measurements is no data", want: verdict.NoData, indicators: latency(20), change: batchOf(10, 30), elapsed: 5 * time.Minute,
		samples: one("p99", func() rollmon.Reading {
			r := measured(5, 10, 30, level, 0, false)
			delete(r.Servers, "hotel-api-3")
			return r
		}())},
}

func filling(worse fleet.Direction) []fleet.Indicator {
	return []fleet.Indicator{{Name: "disk", Class: fleet.ClassServer, Hard: true, Worse: worse,
		Saturation: &fleet.SaturationIndicator{Query: "q", Full: map[fleet.Direction]float64{fleet.WorseHigher: 95, fleet.WorseLower: 5}[worse], Horizon: fleet.Duration(30 * time.Minute)}}}
}

// rising is a line with a little noise.
func rising(n int, from, perStep float64) rollmon.Sample {
	var values []float64
	for i := range n {
		values = append(values, from+perStep*float64(i)+0.1*float64(i*5%7)/7)
	}
	return points(values...)
}

var saturationCases = []judgeCase{
	{rule: "what is full is a breach at once", want: verdict.Hard, indicators: filling(fleet.WorseHigher), elapsed: 5 * time.Second,
		samples: one("disk", rollmon.Reading{Servers: same(points(96))})},
	{rule: "what fills up within the horizon is a breach", want: verdict.Hard, indicators: filling(fleet.WorseHigher), elapsed: 5 * time.Minute,
		samples: one("disk", rollmon.Reading{Servers: same(rising(20, 60, 0.4))})},
	{rule: "what fills up behind the horizon is a pass", want: verdict.Pass, indicators: filling(fleet.WorseHigher), elapsed: 5 * time.Minute,
		samples: one("disk", rollmon.Reading{Servers: same(rising(20, 60, 0.2))})},
	{rule: "what is level is a pass", want: verdict.Pass, indicators: filling(fleet.WorseHigher), elapsed: 5 * time.Minute,
		samples: one("disk", rollmon.Reading{Servers: same(rising(20, 60, 0))})},
	{rule: "free space that shrinks to nothing is a breach", want: verdict.Hard, indicators: filling(fleet.WorseLower), elapsed: 5 * time.Minute,
		samples: one("disk", rollmon.Reading{Servers: same(rising(20, 40, -0.4))})},
	{rule: "few measurements are no trend yet", want: verdict.Pending, indicators: filling(fleet.WorseHigher), elapsed: time.Minute,
		samples: one("disk", rollmon.Reading{Servers: same(rising(4, 60, 5))})},
	{rule: "no measurement is no data", want: verdict.NoData, indicators: filling(fleet.WorseHigher), elapsed: time.Minute,
		samples: one("disk", rollmon.Reading{Servers: same(rollmon.Sample{})})},
}
