package rollmon_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// anySample draws what a confused source may say.
func anySample() *rapid.Generator[rollmon.Sample] {
	number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-5, 2000), rapid.Map(rapid.IntRange(0, 3000), func(n int) float64 { return float64(n) }),
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e12}))
	return rapid.Custom(func(t *rapid.T) rollmon.Sample {
		var s rollmon.Sample
		if rapid.IntRange(0, 9).Draw(t, "problem") == 0 {
			s.Problem = "it is confused"
		}
		if rapid.Bool().Draw(t, "count") {
			s.Count = &rollmon.Count{Failures: number.Draw(t, "failures"), Attempts: number.Draw(t, "attempts")}
		}
		if rapid.Bool().Draw(t, "value") {
			v := number.Draw(t, "value")
			s.Value = &v
		}
		if rapid.Bool().Draw(t, "tries") {
			s.Tries = &rollmon.Tries{Runs: rapid.IntRange(-1, 3).Draw(t, "runs"), Failed: rapid.IntRange(-1, 3).Draw(t, "failed")}
		}
		return s
	})
}

var three = []string{"hotel-api-1", "hotel-api-2", "hotel-api-3"}

func anyIndicators() *rapid.Generator[[]fleet.Indicator] {
	return rapid.Custom(func(t *rapid.T) []fleet.Indicator {
		n := rapid.IntRange(1, 4).Draw(t, "indicators")
		var all []fleet.Indicator
		for i := range n {
			name, hard := fmt.Sprintf("i%d", i), rapid.Bool().Draw(t, "hard")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				all = append(all, ratio(name, hard, rapid.SampledFrom([]float64{0, 0.01, 1, 20, 100}).Draw(t, "limit")))
			case 1:
				all = append(all, value(name, hard, rapid.Float64Range(-10, 1000).Draw(t, "max")))
			default:
				all = append(all, check(name, hard))
			}
		}
		return all
	})
}

func TestWhateverTheSourcesSayAVerdictIsMadeAndCanBeStored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		indicators := anyIndicators().Draw(t, "all")
		samples := rollmon.Samples{}
		for _, i := range indicators {
			r := rollmon.Reading{Servers: rapid.MapOfN(rapid.SampledFrom(three), anySample(), 0, 3).Draw(t, "servers")}
			r.Failure = rapid.SampledFrom([]verdict.Outcome{"", "", "", verdict.SourceDown, verdict.Hard, "nonsense"}).Draw(t, "failure")
			samples[i.Name] = r
		}
		q, _ := baking()
		q.Exposed, q.Control = three[:rapid.IntRange(1, 3).Draw(t, "exposed")], three[2:]
		v := rollmon.Judge(q, indicators, samples, since.Add(time.Minute))
		if _, err := json.Marshal(v); err != nil {
			t.Fatalf("%+v cannot be stored: %v", v, err)
		}
		if v.Reason == "" || len(v.Findings) < len(indicators) {
			t.Fatalf("%+v lacks a reason or a finding", v)
		}
		if v.Outcome == verdict.Pass {
			mustHaveData(t, indicators, samples, q.Exposed)
		}
	})
}

// mustHaveData fails unless every exposed server has numbers that a pass can rest on.
func mustHaveData(t *rapid.T, indicators []fleet.Indicator, samples rollmon.Samples, exposed []string) {
	for _, i := range indicators {
		if samples[i.Name].Failure != "" {
			t.Fatalf("passed although the source of %s failed", i.Name)
		}
		for _, server := range exposed {
			s, ok := samples[i.Name].Servers[server]
			good := ok && s.Problem == ""
			switch {
			case i.Ratio != nil:
				good = good && s.Count != nil && s.Count.Attempts >= 20 && s.Count.Failures >= 0
			case i.Value != nil:
				good = good && s.Value != nil && *s.Value <= *i.Value.Max
			default:
				good = good && s.Tries != nil && s.Tries.Runs > s.Tries.Failed
			}
			if !good {
				t.Fatalf("passed %s on %s with %+v", i.Name, server, s)
			}
		}
	}
}

func TestMoreFailuresNeverImproveTheOutcome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, _ := baking()
		q.Stage, q.Batch = "rolling", rapid.IntRange(1, 5).Draw(t, "batch")
		q.Exposed = three[:rapid.IntRange(1, 3).Draw(t, "exposed")]
		indicators := []fleet.Indicator{ratio("5xx", rapid.Bool().Draw(t, "hard"), rapid.Float64Range(0, 100).Draw(t, "limit"))}
		s := byServer{}
		for _, server := range q.Exposed {
			n := rapid.IntRange(0, 2000).Draw(t, "attempts")
			s[server] = counts(float64(rapid.IntRange(0, n).Draw(t, "failures")), float64(n))
		}
		before := rollmon.Judge(q, indicators, rollmon.Samples{"5xx": {Servers: s}}, since.Add(time.Minute))
		one := rapid.SampledFrom(q.Exposed).Draw(t, "one")
		c := s[one].Count
		more := rapid.IntRange(0, int(c.Attempts-c.Failures)).Draw(t, "more")
		s[one] = counts(c.Failures+float64(more), c.Attempts)
		after := rollmon.Judge(q, indicators, rollmon.Samples{"5xx": {Servers: s}}, since.Add(time.Minute))
		if verdict.Worse(before.Outcome, after.Outcome) != after.Outcome {
			t.Fatalf("%d failures more on %s made %s out of %s:\n%s\n%s", more, one, after.Outcome, before.Outcome, before.Reason, after.Reason)
		}
	})
}

func TestAHardBreachWinsWhateverElseHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		indicators := append(anyIndicators().Draw(t, "all"), ratio("bad", true, 1))
		samples := rollmon.Samples{"bad": {Servers: byServer{"hotel-api-1": counts(300, 600)}}}
		for _, i := range indicators[:len(indicators)-1] {
			if rapid.Bool().Draw(t, "down") {
				samples[i.Name] = rollmon.Reading{Failure: verdict.SourceDown, Reason: "down"}
			} else if rapid.Bool().Draw(t, "answers") {
				samples[i.Name] = rollmon.Reading{Servers: byServer{"hotel-api-1": anySample().Draw(t, "sample")}}
			}
		}
		q, _ := baking()
		if v := rollmon.Judge(q, indicators, samples, since.Add(time.Minute)); v.Outcome != verdict.Hard {
			t.Fatalf("outcome %s: %s", v.Outcome, v.Reason)
		}
	})
}
