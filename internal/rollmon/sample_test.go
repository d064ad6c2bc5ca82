package rollmon_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// roundTrip is what a record is after it was kept in a database.
func roundTrip(t interface{ Fatalf(string, ...any) }, r rollmon.Record) rollmon.Record {
	kept, err := json.Marshal(r)
	if err != nil {
		t.Fatalf("keep %+v: %v", r, err)
	}
	var again rollmon.Record
	if err := json.Unmarshal(kept, &again); err != nil {
		t.Fatalf("read %s: %v", kept, err)
	}
	return again
}

func TestARecordSurvivesWhateverTheSourcesSaid(t *testing.T) {
	q, s := baking()
	q.Began, q.Stricter = since.Add(-time.Minute), []fleet.Override{{Indicator: "5xx", Limit: new(0.5)}}
	for name, v := range map[string]float64{"a": math.NaN(), "b": math.Inf(1), "c": math.Inf(-1), "d": 1e-300, "e": 812.25} {
		s[name] = rollmon.Sample{Value: &v, Count: &rollmon.Count{Failures: v, Attempts: v}, Points: []rollmon.Point{{At: since, Value: v}}}
	}
	s["f"] = rollmon.Sample{Report: &rollmon.Report{Passed: 3, By: "person:lin"}, Tries: &rollmon.Tries{Runs: 2, Failed: 1}}
	whole := s["hotel-api-1"]
	limit := 700.0
	has := rollmon.Record{Question: q, At: since.Add(time.Minute),
		Indicators: []fleet.Indicator{ratio("5xx", true, 1), {Name: "heap", Warmup: fleet.Duration(time.Second), Kinds: []fleet.Kind{fleet.KindAPI},
			Value: &fleet.ValueIndicator{Query: "q", Max: &limit, Compare: &fleet.Compare{Against: []string{"before"}, Increase: 5}}}},
		Samples: rollmon.Samples{"5xx": {Servers: s, Exposed: &whole, Before: &rollmon.Past{Failure: verdict.NoData, Reason: "none", Servers: s}}}}
	if diff := cmp.Diff(has, roundTrip(t, has), cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
}

func TestAKeptRecordGivesTheSameVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		indicators := anyIndicators().Draw(t, "all")
		samples := rollmon.Samples{}
		for _, i := range indicators {
			samples[i.Name] = rollmon.Reading{Servers: rapid.MapOfN(rapid.SampledFrom(three), anySample(), 0, 3).Draw(t, "servers")}
		}
		q, _ := baking()
		q.Exposed, q.Control = three[:rapid.IntRange(1, 3).Draw(t, "exposed")], three[2:]
		r := rollmon.Record{Question: q, Indicators: indicators, Samples: samples, At: since.Add(time.Minute)}
		if diff := cmp.Diff(r.Judge(), roundTrip(t, r).Judge()); diff != "" {
			t.Fatal(diff)
		}
	})
}
