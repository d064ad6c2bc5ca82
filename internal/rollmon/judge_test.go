package rollmon_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

var update = flag.Bool("update", false, "write the golden files anew")

var since = time.Date(2026, 3, 2, 21, 0, 0, 0, time.UTC)

func ratio(name string, hard bool, limit float64) fleet.Indicator {
	return fleet.Indicator{Name: name, Class: fleet.ClassApp, Hard: hard,
		Ratio: &fleet.RatioIndicator{Failures: "f", Attempts: "a", Limit: limit}}
}

func value(name string, hard bool, limit float64) fleet.Indicator {
	return fleet.Indicator{Name: name, Class: fleet.ClassServer, Hard: hard, Value: &fleet.ValueIndicator{Query: "q", Max: &limit}}
}

func check(name string, hard bool) fleet.Indicator {
	return fleet.Indicator{Name: name, Class: fleet.ClassATP, Hard: hard, Check: &fleet.Check{Path: "/healthz"}}
}

func counts(failures, attempts float64) rollmon.Sample {
	return rollmon.Sample{Count: &rollmon.Count{Failures: failures, Attempts: attempts}}
}

func gauge(v float64) rollmon.Sample { return rollmon.Sample{Value: &v} }

func tries(runs, failed int) rollmon.Sample {
	return rollmon.Sample{Tries: &rollmon.Tries{Runs: runs, Failed: failed, Words: "GET http://127.0.0.1:18001/healthz: expected status 200, got 500"}}
}

type byServer = map[string]rollmon.Sample

// baking is the healthy default that the cases deviate from: one smoke server against four, eight seconds after it was
// exposed at 20 requests a second.
func baking() (verdict.Question, byServer) {
	q := verdict.Question{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Roll: "r-31", Stage: "baking",
		Exposed: []string{"hotel-api-1"}, Control: []string{"hotel-api-2", "hotel-api-3", "hotel-api-4", "hotel-api-5"}, Since: since}
	s := byServer{"hotel-api-1": counts(0, 160)}
	for _, c := range q.Control {
		s[c] = counts(1, 1000)
	}
	return q, s
}

type judgeCase struct {
	rule       string
	change     func(q *verdict.Question, s byServer)
	indicators []fleet.Indicator // default: a hard ratio of at most 1 %
	samples    rollmon.Samples   // default: s, as the reading of every indicator
	elapsed    time.Duration     // default: 8s
	want       verdict.Outcome
}

var judgeCases = []judgeCase{
	{rule: "a healthy server passes after eight seconds at 20 requests a second", want: verdict.Pass},
	{rule: "a healthy server passes after eight seconds at 10 requests a second", want: verdict.Pass,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(0, 80) }},
	{rule: "five percent of failures is a hard breach after two hundred requests", want: verdict.Hard,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(10, 200) }},
	{rule: "many failures are a hard breach with a small p", want: verdict.Hard,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(24, 500) }},
	{rule: "five percent of failures is pending while the requests are few", want: verdict.Pending,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(4, 80) }},
	{rule: "one failure of few requests is pending", want: verdict.Pending,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(1, 60) }},
	{rule: "a soft indicator breaches softly", want: verdict.Soft, indicators: []fleet.Indicator{ratio("4xx", false, 1)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(24, 500) }},
	{rule: "no request is no traffic", want: verdict.NoTraffic,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(0, 0) }},
	{rule: "fewer requests than the minimum is no traffic, whatever they say", want: verdict.NoTraffic,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(19, 19) }},
	{rule: "failures of every request breach at the minimum", want: verdict.Hard,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(20, 20) }},
	{rule: "a server without data is no pass", want: verdict.NoData,
		change: func(_ *verdict.Question, s byServer) { delete(s, "hotel-api-1") }},
	{rule: "a reset counter is named", want: verdict.NoData,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(-3, 500) }},
	{rule: "an extrapolated count is named", want: verdict.NoData,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(0, 11.3) }},
	{rule: "NaN is named", want: verdict.NoData,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(math.NaN(), 500) }},
	{rule: "infinity is named", want: verdict.NoData,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(0, math.Inf(1)) }},
	{rule: "more failures than attempts is named", want: verdict.NoData,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(30, 20) }},
	{rule: "a source's problem with one server is passed on", want: verdict.NoData,
		change: func(_ *verdict.Question, s byServer) {
			s["hotel-api-1"] = rollmon.Sample{Problem: "the answer has 2 series of failures for it"}
		}},
	{rule: "a zero baseline neither hides nor invents a problem", want: verdict.Pass,
		change: func(q *verdict.Question, s byServer) {
			for _, c := range q.Control {
				s[c] = counts(0, 1000)
			}
		}},
	{rule: "servers not yet rolled without traffic are named and do not hinder", want: verdict.Pass,
		change: func(q *verdict.Question, s byServer) {
			for _, c := range q.Control {
				s[c] = counts(0, 0)
			}
		}},
	{rule: "servers not yet rolled without numbers are named and do not hinder", want: verdict.Pass,
		change: func(q *verdict.Question, s byServer) {
			for _, c := range q.Control {
				delete(s, c)
			}
		}},
	{rule: "no server left to compare with is said", want: verdict.Pass,
		change: func(q *verdict.Question, _ byServer) { q.Control, q.Stage, q.Batch = nil, "watch", 4 }},
	{rule: "the servers of a batch breach together though none does alone", want: verdict.Hard,
		change: func(q *verdict.Question, s byServer) {
			q.Stage, q.Batch = "rolling", 1
			q.Exposed, q.Control = []string{"hotel-api-2", "hotel-api-3", "hotel-api-4"}, []string{"hotel-api-5"}
			for _, e := range q.Exposed {
				s[e] = counts(6, 140)
			}
		}},
	{rule: "one sick server of a batch breaches though the sum does not", want: verdict.Hard,
		change: func(q *verdict.Question, s byServer) {
			q.Stage, q.Batch, q.Exposed, q.Control = "rolling", 2, nil, nil
			for n := range 20 {
				q.Exposed = append(q.Exposed, fmt.Sprintf("hotel-api-%d", n+10))
				s[q.Exposed[n]] = counts(0, 400)
			}
			s["hotel-api-17"] = counts(40, 400)
		}},
	{rule: "a server passes with its batch when its own few failures are nothing unusual", want: verdict.Pass,
		change: func(q *verdict.Question, s byServer) {
			q.Stage, q.Batch, q.Exposed = "rolling", 1, []string{"hotel-api-2", "hotel-api-3", "hotel-api-4"}
			s["hotel-api-2"], s["hotel-api-3"], s["hotel-api-4"] = counts(0, 200), counts(0, 200), counts(1, 40)
		}},
	{rule: "a batch with one server without data is no pass", want: verdict.NoData,
		change: func(q *verdict.Question, s byServer) {
			q.Stage, q.Batch, q.Exposed = "rolling", 1, []string{"hotel-api-2", "hotel-api-3"}
			delete(s, "hotel-api-3")
		}},
	{rule: "a limit of zero breaches at the first failure", want: verdict.Hard, indicators: []fleet.Indicator{ratio("lost bookings", true, 0)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(1, 160) }},
	{rule: "a limit of zero passes when one percent is ruled out", want: verdict.Pass, indicators: []fleet.Indicator{ratio("lost bookings", true, 0)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(0, 300) }},
	{rule: "a little over the limit for long is found at last", want: verdict.Hard,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(1500, 100_000) }},
	{rule: "a little over the limit is pending until it is sure", want: verdict.Pending,
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = counts(45, 3000) }},
	{rule: "a value within its limit passes", want: verdict.Pass, indicators: []fleet.Indicator{value("heap MB", true, 700)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"], s["hotel-api-2"] = gauge(512), gauge(480) }},
	{rule: "a value over its limit is a breach", want: verdict.Soft, indicators: []fleet.Indicator{value("heap MB", false, 700)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"], s["hotel-api-2"] = gauge(812.4), gauge(640) }},
	{rule: "a value that is NaN is no data", want: verdict.NoData, indicators: []fleet.Indicator{value("heap MB", true, 700)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = gauge(math.NaN()) }},
	{rule: "a missing value is no data", want: verdict.NoData, indicators: []fleet.Indicator{value("heap MB", true, 700)}},
	{rule: "a check that passes is a pass", want: verdict.Pass, indicators: []fleet.Indicator{check("health", true)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = tries(1, 0) }},
	{rule: "a check that fails twice is a breach", want: verdict.Hard, indicators: []fleet.Indicator{check("health", true)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = tries(2, 2) }},
	{rule: "a check whose repetition passes is a pass that tells of the failure", want: verdict.Pass, indicators: []fleet.Indicator{check("health", true)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = tries(2, 1) }},
	{rule: "a failure that could not be repeated is pending", want: verdict.Pending, indicators: []fleet.Indicator{check("health", true)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = tries(1, 1) }},
	{rule: "a check that was not run is no data", want: verdict.NoData, indicators: []fleet.Indicator{check("health", true)},
		change: func(_ *verdict.Question, s byServer) { s["hotel-api-1"] = tries(0, 0) }},
	{rule: "no indicator is a pass that says so", want: verdict.Pass, indicators: []fleet.Indicator{}},
	{rule: "no exposed server is no pass", want: verdict.NoData, change: func(q *verdict.Question, _ byServer) { q.Exposed = nil }},
	{rule: "a source that is down is named", want: verdict.SourceDown, samples: rollmon.Samples{
		"5xx": {Source: "prometheus", Failure: verdict.SourceDown, Reason: "answered 503 Service Unavailable"}}},
	{rule: "an indicator nobody read is no pass", want: verdict.SourceDown, samples: rollmon.Samples{}},
	{rule: "a source cannot pass by calling its failure a pass", want: verdict.NoData, samples: rollmon.Samples{
		"5xx": {Source: "prometheus", Failure: verdict.Pass, Reason: "all is well"}}},
	{rule: "a hard breach wins over a source that is down", want: verdict.Hard,
		indicators: []fleet.Indicator{value("heap MB", true, 700), ratio("5xx", true, 1)}, samples: rollmon.Samples{
			"heap MB": {Source: "zabbix", Failure: verdict.SourceDown, Reason: "did not answer within 5s"},
			"5xx":     {Source: "prometheus", Servers: byServer{"hotel-api-1": counts(24, 500)}}}},
	{rule: "a soft breach wins over doubt and the verdict counts what is as bad", want: verdict.Soft,
		indicators: []fleet.Indicator{ratio("5xx", true, 1), value("heap MB", false, 700), value("threads", false, 70)},
		samples: rollmon.Samples{
			"5xx":     {Source: "prometheus", Servers: byServer{"hotel-api-1": counts(0, 0)}},
			"heap MB": {Source: "prometheus", Servers: byServer{"hotel-api-1": gauge(900)}},
			"threads": {Source: "prometheus", Servers: byServer{"hotel-api-1": gauge(71)}}}},
	{rule: "a question without a beginning has no counts", want: verdict.NoData,
		change: func(q *verdict.Question, _ byServer) { q.Since = time.Time{} }},
	{rule: "a clock before the exposure waits", want: verdict.Pending, elapsed: -3 * time.Second},
	{rule: "a limit that is no percentage is named", want: verdict.NoData, indicators: []fleet.Indicator{ratio("5xx", true, 101)}},
	{rule: "an indicator of no kind is named", want: verdict.NoData, indicators: []fleet.Indicator{{Name: "mystery", Hard: true}}},
}

// allCases are those of every judge.
func allCases() []judgeCase {
	return slices.Concat(judgeCases, compareCases, valueCases, rankCases, saturationCases, reportCases, compositeCases)
}

// run judges a case.
func (c judgeCase) run() verdict.Verdict {
	q, s := baking()
	if c.change != nil {
		c.change(&q, s)
	}
	indicators := c.indicators
	if indicators == nil {
		indicators = []fleet.Indicator{ratio("5xx", true, 1)}
	}
	samples := c.samples
	if samples == nil {
		samples = rollmon.Samples{}
		for _, i := range indicators {
			samples[i.Name] = rollmon.Reading{Source: "prometheus", Servers: s}
		}
	}
	elapsed := c.elapsed
	if elapsed == 0 {
		elapsed = 8 * time.Second
	}
	return rollmon.Judge(q, indicators, samples, since.Add(elapsed))
}

func TestJudge(t *testing.T) {
	for _, c := range allCases() {
		t.Run(c.rule, func(t *testing.T) {
			v := c.run()
			if v.Outcome != c.want {
				t.Errorf("outcome %s, want %s: %s", v.Outcome, c.want, v.Reason)
			}
			if v.Reason == "" {
				t.Error("the verdict gives no reason")
			}
			if _, err := json.Marshal(v); err != nil {
				t.Errorf("the verdict cannot be stored: %v", err)
			}
		})
	}
}

func TestTheWordsOfVerdicts(t *testing.T) {
	var said strings.Builder
	for _, c := range allCases() {
		v := c.run()
		fmt.Fprintf(&said, "# %s\n%s: %s\n", c.rule, v.Outcome, v.Reason)
		if len(v.Findings) > 1 {
			for _, f := range v.Findings[:min(5, len(v.Findings))] {
				fmt.Fprintf(&said, "    %s: %s\n", f.Outcome, f.Reason)
			}
		}
		said.WriteString("\n")
	}
	golden(t, "verdicts.txt", said.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s changed (-want +got); run with -update if that is right:\n%s", path, diff)
	}
}

func TestAFindingCarriesItsNumbers(t *testing.T) {
	q, s := baking()
	s["hotel-api-1"] = counts(24, 500)
	v := rollmon.Judge(q, []fleet.Indicator{ratio("5xx", true, 1)}, rollmon.Samples{"5xx": {Servers: s}}, since.Add(25*time.Second))
	if len(v.Findings) != 1 {
		t.Fatalf("%d findings, want 1", len(v.Findings))
	}
	f := v.Findings[0]
	if f.Value != 4.8 || f.Limit != 1 || f.Samples != 500 || f.Server != "hotel-api-1" || f.Baseline == nil || *f.Baseline != 0.1 || f.P == nil {
		t.Errorf("finding %+v lacks a number", f)
	}
	if *f.P > 1e-8 || *f.P < 1e-12 {
		t.Errorf("p = %g for 24 of 500 at 1 %%", *f.P)
	}
	if !v.At.Equal(since.Add(25*time.Second)) || v.Stage != "baking" || v.Batch != 0 {
		t.Errorf("the verdict does not say of what it is: %+v", v)
	}
}
