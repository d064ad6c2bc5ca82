package rollmon_test

import (
	"fmt"
	"math"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// one puts a single reading in the place of all.
func one(name string, r rollmon.Reading) rollmon.Samples {
	r.Source = "prometheus"
	return rollmon.Samples{name: r}
}

func same(samples ...rollmon.Sample) byServer {
	s := byServer{}
	for n, sample := range samples {
		s[fmt.Sprintf("hotel-api-%d", n+1)] = sample
	}
	return s
}

// began makes a case know when its roll began.
func began(q *verdict.Question, _ byServer) { q.Began = since.Add(-time.Minute) }

func compared(hard bool, limit float64, c fleet.Compare) []fleet.Indicator {
	i := ratio("5xx", hard, limit)
	i.Ratio.Compare = &c
	return []fleet.Indicator{i}
}

var twice = fleet.Compare{Against: []string{"control"}, Increase: 100, DeadZone: 0.5}

var both = fleet.Compare{Against: []string{"before", "control"}, Increase: 100, DeadZone: 0.5}

var compareCases = []judgeCase{
	{rule: "a rate far over that of the servers not yet rolled is a breach, also under the limit", want: verdict.Hard,
		indicators: compared(true, 10, twice),
		samples:    one("5xx", rollmon.Reading{Servers: same(counts(40, 1000), counts(2, 2000), counts(2, 2000), counts(2, 2000), counts(2, 2000))})},
	{rule: "the same rate on the servers not yet rolled is not the new revision's", want: verdict.Pass,
		indicators: compared(true, 10, twice),
		samples:    one("5xx", rollmon.Reading{Servers: same(counts(40, 1000), counts(80, 2000), counts(80, 2000), counts(80, 2000), counts(80, 2000))})},
	{rule: "one failure against a baseline of none is no breach", want: verdict.Pass, indicators: compared(true, 10, twice),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(1, 1000), counts(0, 2000), counts(0, 2000), counts(0, 2000), counts(0, 2000))})},
	{rule: "many failures against a baseline of none are a breach", want: verdict.Hard, indicators: compared(true, 10, twice),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(40, 1000), counts(0, 2000), counts(0, 2000), counts(0, 2000), counts(0, 2000))})},
	{rule: "a comparison passes when five times of what it allows is ruled out, and not before", want: verdict.Pending, indicators: compared(true, 10, twice),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(0, 60), counts(0, 2000), counts(0, 2000), counts(0, 2000), counts(0, 2000))})},
	{rule: "a server of a batch that passes its comparison passes with it", want: verdict.Pass, indicators: compared(true, 10, twice),
		change:  batchOf(3, 1),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(0, 200), counts(0, 200), counts(0, 30), counts(0, 9000))})},
	{rule: "a server that is unusual in its batch does not", want: verdict.Pending, indicators: compared(true, 10, twice),
		change:  batchOf(3, 1),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(0, 900), counts(0, 900), counts(3, 60), counts(0, 9000))})},
	{rule: "a baseline of few requests explains a lot", want: verdict.Pass, indicators: compared(true, 10, twice),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(40, 1000), counts(0, 20), counts(0, 20), counts(0, 20), counts(0, 20))})},
	{rule: "a difference within the dead zone does not count, however certain", want: verdict.Pass, indicators: compared(true, 10, twice),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(400, 100_000), counts(0, 200_000), counts(0, 200_000), counts(0, 200_000), counts(0, 200_000))})},
	{rule: "what was there before the roll is not the new revision's", want: verdict.Pass, change: began, indicators: compared(true, 10, both),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(40, 1000), counts(0, 2000), counts(0, 2000), counts(0, 2000), counts(0, 2000)),
			Before: &rollmon.Past{Servers: same(counts(1600, 40_000))}})},
	{rule: "worse than both baselines is a breach", want: verdict.Hard, change: began, indicators: compared(true, 10, both),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(40, 1000), counts(0, 2000), counts(0, 2000), counts(0, 2000), counts(0, 2000)),
			Before: &rollmon.Past{Servers: same(counts(20, 40_000))}})},
	{rule: "a baseline that cannot be read leaves the other", want: verdict.Hard, change: began, indicators: compared(true, 10, both),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(40, 1000), counts(0, 2000), counts(0, 2000), counts(0, 2000), counts(0, 2000)),
			Before: &rollmon.Past{Failure: verdict.SourceDown, Reason: "answered 503 Service Unavailable"}})},
	{rule: "no baseline that can be read is doubt", want: verdict.NoData, indicators: compared(true, 10, twice),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(4, 1000))})},
	{rule: "no server left to compare with leaves the limit", want: verdict.Pass, indicators: compared(true, 10, twice),
		change:  func(q *verdict.Question, _ byServer) { q.Control = nil },
		samples: one("5xx", rollmon.Reading{Servers: same(counts(4, 1000))})},
	{rule: "a batch is judged as the source gives it", want: verdict.Hard,
		indicators: func() []fleet.Indicator {
			i := ratio("5xx", true, 1)
			i.Scope = fleet.ScopeBatch
			return []fleet.Indicator{i}
		}(),
		samples: one("5xx", rollmon.Reading{Exposed: new(counts(24, 500)), Control: new(counts(1, 1000))})},
	{rule: "a pool is judged as the source gives it", want: verdict.Pass,
		indicators: func() []fleet.Indicator {
			i := ratio("5xx", true, 1)
			i.Scope = fleet.ScopePool
			return []fleet.Indicator{i}
		}(),
		samples: one("5xx", rollmon.Reading{Exposed: new(counts(1, 5000))})},
	{rule: "a pool without an answer is no data", want: verdict.NoData,
		indicators: func() []fleet.Indicator {
			i := ratio("5xx", true, 1)
			i.Scope = fleet.ScopePool
			return []fleet.Indicator{i}
		}(),
		samples: one("5xx", rollmon.Reading{Servers: same(counts(0, 500))})},
}

// points are measurements every 15 seconds since the exposure.
func points(values ...float64) rollmon.Sample { return pointsFrom(since, values...) }

func pointsFrom(at time.Time, values ...float64) rollmon.Sample {
	var s rollmon.Sample
	for n, v := range values {
		s.Points = append(s.Points, rollmon.Point{At: at.Add(time.Duration(n) * 15 * time.Second), Value: v})
	}
	return s
}

func valued(hard bool, v fleet.ValueIndicator) []fleet.Indicator {
	v.Query = "q"
	return []fleet.Indicator{{Name: "heap", Class: fleet.ClassContainer, Hard: hard, Value: &v}}
}

var half = &fleet.Compare{Against: []string{"before", "control"}, Increase: 50, DeadZone: 20}

var valueCases = []judgeCase{
	{rule: "a value under its smallest good one is a breach", want: verdict.Hard, indicators: valued(true, fleet.ValueIndicator{Min: new(20.0)}),
		samples: one("heap", rollmon.Reading{Servers: same(gauge(12))})},
	{rule: "a value much over the servers not yet rolled is a breach", want: verdict.Soft, indicators: valued(false, fleet.ValueIndicator{Compare: half}),
		samples: one("heap", rollmon.Reading{Servers: same(gauge(812), gauge(480), gauge(500), gauge(470), gauge(9000))})},
	{rule: "one odd server among those not yet rolled does not make the baseline", want: verdict.Pass, indicators: valued(false, fleet.ValueIndicator{Compare: half}),
		samples: one("heap", rollmon.Reading{Servers: same(gauge(500), gauge(480), gauge(500), gauge(470), gauge(0))})},
	{rule: "a value that the machine had before the roll is not the new revision's", want: verdict.Pass, change: began, indicators: valued(true, fleet.ValueIndicator{Compare: half}),
		samples: one("heap", rollmon.Reading{Servers: same(gauge(812), gauge(480), gauge(500), gauge(470), gauge(480)), Before: &rollmon.Past{Servers: same(gauge(800))}})},
	{rule: "against a baseline of zero the dead zone is the limit", want: verdict.Pass, indicators: valued(true, fleet.ValueIndicator{Compare: half}),
		samples: one("heap", rollmon.Reading{Servers: same(gauge(20), gauge(0), gauge(0), gauge(0), gauge(0))})},
	{rule: "a baseline of zero does not hide what is over the dead zone", want: verdict.Hard, indicators: valued(true, fleet.ValueIndicator{Compare: half}),
		samples: one("heap", rollmon.Reading{Servers: same(gauge(20.5), gauge(0), gauge(0), gauge(0), gauge(0))})},
	{rule: "lower is worse where the topology says so", want: verdict.Hard,
		indicators: func() []fleet.Indicator {
			i := valued(true, fleet.ValueIndicator{Compare: half})
			i[0].Worse = fleet.WorseLower
			return i
		}(),
		samples: one("heap", rollmon.Reading{Servers: same(gauge(40), gauge(100), gauge(100), gauge(100), gauge(100))})},
	{rule: "a comparison with nothing left is not judged, and nothing else is no data", want: verdict.NoData, indicators: valued(true, fleet.ValueIndicator{Compare: half}),
		change:  func(q *verdict.Question, _ byServer) { q.Control = nil },
		samples: one("heap", rollmon.Reading{Servers: same(gauge(40))})},
	{rule: "a comparison that the source did not read is doubt", want: verdict.NoData, change: began,
		indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Compare: &fleet.Compare{Against: []string{"before"}, Increase: 50}}),
		samples:    one("heap", rollmon.Reading{Servers: same(gauge(40))})},
	{rule: "a limit wins over a comparison that cannot be made", want: verdict.Hard, change: began,
		indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Compare: &fleet.Compare{Against: []string{"before"}, Increase: 50}}),
		samples:    one("heap", rollmon.Reading{Servers: same(gauge(800))})},
	{rule: "as many bad measurements in a row as allowed are pending", want: verdict.Pending, elapsed: 50 * time.Second,
		indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Consecutive: 3}),
		samples:    one("heap", rollmon.Reading{Servers: same(points(600, 800, 800, 800))})},
	{rule: "one more in a row is a breach", want: verdict.Hard, elapsed: 65 * time.Second,
		indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Consecutive: 3}),
		samples:    one("heap", rollmon.Reading{Servers: same(points(600, 800, 800, 800, 800))})},
	{rule: "a good one in between begins the row anew", want: verdict.Pass, elapsed: 95 * time.Second,
		indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Consecutive: 3}),
		samples:    one("heap", rollmon.Reading{Servers: same(points(800, 800, 800, 600, 800, 800, 600))})},
	{rule: "bad measurements are limited in total too", want: verdict.Hard, elapsed: 95 * time.Second,
		indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Consecutive: 3, Total: 4}),
		samples:    one("heap", rollmon.Reading{Servers: same(points(800, 800, 800, 600, 800, 800, 600))})},
	{rule: "measurements that stopped are no data", want: verdict.NoData, elapsed: 10 * time.Minute,
		indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Consecutive: 3}),
		samples:    one("heap", rollmon.Reading{Servers: same(points(600, 600))})},
	{rule: "measurements of the future are named", want: verdict.NoData, indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Total: 3}),
		samples: one("heap", rollmon.Reading{Servers: same(pointsFrom(since.Add(time.Hour), 600))})},
	{rule: "measurements of before the exposure are named", want: verdict.NoData, indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Total: 3}),
		samples: one("heap", rollmon.Reading{Servers: same(pointsFrom(since.Add(-time.Hour), 600))})},
	{rule: "two measurements of one time are named", want: verdict.NoData, indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Total: 3}),
		samples: one("heap", rollmon.Reading{Servers: same(rollmon.Sample{Points: []rollmon.Point{{At: since, Value: 1}, {At: since, Value: 2}}})})},
	{rule: "measurements out of order are named", want: verdict.NoData, indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Total: 3}),
		samples: one("heap", rollmon.Reading{Servers: same(rollmon.Sample{Points: []rollmon.Point{{At: since.Add(time.Second), Value: 1}, {At: since, Value: 2}}})})},
	{rule: "a measurement that is NaN is named", want: verdict.NoData, indicators: valued(true, fleet.ValueIndicator{Max: new(700.0), Total: 3}),
		samples: one("heap", rollmon.Reading{Servers: same(points(math.NaN()))})},
}

var reportCases = []judgeCase{
	{rule: "tests that passed are a pass", want: verdict.Pass, indicators: reporting(0, 40),
		samples: one("atp", rollmon.Reading{Exposed: &rollmon.Sample{Report: &rollmon.Report{Passed: 41, By: "build atp/hotel #7"}}})},
	{rule: "a test that failed is a breach", want: verdict.Hard, indicators: reporting(0, 40),
		samples: one("atp", rollmon.Reading{Exposed: &rollmon.Sample{Report: &rollmon.Report{Passed: 40, Failed: 1, By: "build atp/hotel #7", Words: "BookingTest.cancel: expected 200, got 500"}}})},
	{rule: "too few tests are waited for", want: verdict.Pending, indicators: reporting(0, 40),
		samples: one("atp", rollmon.Reading{Exposed: &rollmon.Sample{Report: &rollmon.Report{Passed: 3}}})},
	{rule: "no report yet is waited for", want: verdict.Pending, indicators: reporting(0, 0),
		samples: one("atp", rollmon.Reading{Exposed: &rollmon.Sample{Report: &rollmon.Report{}}})},
	{rule: "a report of nothing is no data", want: verdict.NoData, indicators: reporting(0, 0),
		samples: one("atp", rollmon.Reading{Exposed: &rollmon.Sample{}})},
	{rule: "a negative report is named", want: verdict.NoData, indicators: reporting(0, 0),
		samples: one("atp", rollmon.Reading{Exposed: &rollmon.Sample{Report: &rollmon.Report{Passed: -1}}})},
	{rule: "the test team's word is a report", want: verdict.Hard, indicators: reporting(0, 0),
		samples: one("atp", rollmon.Reading{Exposed: &rollmon.Sample{Report: &rollmon.Report{Failed: 1, By: "person:lin", Words: "prices are shown without taxes"}}})},
}

func reporting(most, least int) []fleet.Indicator {
	return []fleet.Indicator{{Name: "atp", Class: fleet.ClassATP, Hard: true, Scope: fleet.ScopePool, Report: &fleet.ReportIndicator{MaxFailed: most, MinPassed: least}}}
}

// light are soft values that weigh less than a breach needs.
func light(weights ...int) (all []fleet.Indicator, samples rollmon.Samples) {
	samples = rollmon.Samples{}
	for n, w := range weights {
		i := value(fmt.Sprintf("light-%d", n), false, 10)
		i.Weight = w
		all = append(all, i)
		samples[i.Name] = rollmon.Reading{Source: "prometheus", Servers: same(gauge(11))}
	}
	return all, samples
}

func lightCase(rule string, want verdict.Outcome, weights ...int) judgeCase {
	all, samples := light(weights...)
	return judgeCase{rule: rule, want: want, indicators: all, samples: samples}
}

func warm(i fleet.Indicator, d time.Duration) fleet.Indicator { i.Warmup = fleet.Duration(d); return i }

var compositeCases = []judgeCase{
	lightCase("a light soft breach alone is a warning", verdict.Pass, 40),
	lightCase("light soft breaches add up to a stop", verdict.Soft, 40, 30, 30),
	lightCase("a little less does not stop", verdict.Pass, 40, 30, 29),
	{rule: "an indicator weighs once, on however many servers it breaches", want: verdict.Pass,
		indicators: func() []fleet.Indicator { all, _ := light(40); return all }(),
		change: func(q *verdict.Question, _ byServer) {
			q.Stage, q.Batch, q.Exposed, q.Control = "rolling", 1, []string{"hotel-api-1", "hotel-api-2", "hotel-api-3"}, nil
		},
		samples: one("light-0", rollmon.Reading{Servers: same(gauge(11), gauge(12), gauge(13))})},
	{rule: "nothing is judged during the warm-up", want: verdict.Pending, indicators: []fleet.Indicator{warm(ratio("5xx", true, 1), 20*time.Second)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(100, 160) }},
	{rule: "nor is a value", want: verdict.Pending, indicators: []fleet.Indicator{warm(value("heap MB", true, 700), 20*time.Second)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = gauge(9000) }},
	{rule: "behind the warm-up it is", want: verdict.Hard, indicators: []fleet.Indicator{warm(value("heap MB", true, 700), 20*time.Second)}, elapsed: 20 * time.Second,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = gauge(9000) }},
	{rule: "a source that is down is told during the warm-up too", want: verdict.SourceDown, indicators: []fleet.Indicator{warm(ratio("5xx", true, 1), 20*time.Second)},
		samples: one("5xx", rollmon.Reading{Failure: verdict.SourceDown, Reason: "answered 503 Service Unavailable"})},
	{rule: "a warning and a pass are a pass that tells of it", want: verdict.Pass,
		indicators: func() []fleet.Indicator { all, _ := light(40); return append(all, ratio("5xx", true, 1)) }(),
		samples:    rollmon.Samples{"light-0": {Source: "prometheus", Servers: same(gauge(11))}, "5xx": {Source: "prometheus", Servers: same(counts(0, 160))}}},
}
