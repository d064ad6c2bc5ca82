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

// anyNumber draws what a confused source may call a number.
func anyNumber() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.Float64(), rapid.Float64Range(-5, 2000), rapid.Map(rapid.IntRange(0, 3000), func(n int) float64 { return float64(n) }),
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e12, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64}))
}

// anyTime draws what a confused clock may say.
func anyTime() *rapid.Generator[time.Time] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 12), func(n int) time.Time { return since.Add(time.Duration(n) * 5 * time.Second) }),
		rapid.Map(rapid.Int64(), func(n int64) time.Time { return time.Unix(n>>4, 0) }),
		rapid.SampledFrom([]time.Time{{}, since.Add(-time.Hour), since.Add(1000 * time.Hour), time.Unix(0, 0)}))
}

// anySample draws what a confused source may say.
func anySample() *rapid.Generator[rollmon.Sample] {
	number := anyNumber()
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
		switch rapid.IntRange(0, 2).Draw(t, "points") {
		case 0:
			for range rapid.IntRange(0, 12).Draw(t, "length") {
				s.Points = append(s.Points, rollmon.Point{At: anyTime().Draw(t, "at"), Value: number.Draw(t, "point")})
			}
		case 1: // in order, whatever they say
			for n := range rapid.IntRange(0, 12).Draw(t, "length") {
				s.Points = append(s.Points, rollmon.Point{At: since.Add(time.Duration(n) * 5 * time.Second), Value: number.Draw(t, "point")})
			}
		}
		if rapid.Bool().Draw(t, "tries") {
			s.Tries = &rollmon.Tries{Runs: rapid.IntRange(-1, 3).Draw(t, "runs"), Failed: rapid.IntRange(-1, 3).Draw(t, "failed")}
		}
		if rapid.Bool().Draw(t, "report") {
			s.Report = &rollmon.Report{Passed: rapid.IntRange(-1, 3).Draw(t, "passed"), Failed: rapid.IntRange(-1, 3).Draw(t, "failed")}
		}
		return s
	})
}

// anyReading draws a source's whole answer.
func anyReading() *rapid.Generator[rollmon.Reading] {
	return rapid.Custom(func(t *rapid.T) rollmon.Reading {
		r := rollmon.Reading{Servers: rapid.MapOfN(rapid.SampledFrom(three), anySample(), 0, 3).Draw(t, "servers")}
		r.Failure = rapid.SampledFrom([]verdict.Outcome{"", "", "", verdict.SourceDown, verdict.Hard, "nonsense"}).Draw(t, "failure")
		if rapid.Bool().Draw(t, "whole") {
			r.Exposed, r.Control = new(anySample().Draw(t, "exposed")), new(anySample().Draw(t, "control"))
		}
		if rapid.Bool().Draw(t, "past") {
			r.Before = &rollmon.Past{Servers: rapid.MapOfN(rapid.SampledFrom(three), anySample(), 0, 3).Draw(t, "past servers")}
		}
		return r
	})
}

var three = []string{"hotel-api-1", "hotel-api-2", "hotel-api-3"}

func anyIndicators() *rapid.Generator[[]fleet.Indicator] {
	return rapid.Custom(func(t *rapid.T) []fleet.Indicator {
		n := rapid.IntRange(1, 4).Draw(t, "indicators")
		var all []fleet.Indicator
		for i := range n {
			all = append(all, anyIndicator(t, fmt.Sprintf("i%d", i)))
		}
		return all
	})
}

func anyIndicator(t *rapid.T, name string) fleet.Indicator {
	hard := rapid.Bool().Draw(t, "hard")
	against := fleet.Compare{Against: []string{"before", "control"}, Increase: rapid.Float64Range(0, 100).Draw(t, "increase"), DeadZone: rapid.Float64Range(0, 5).Draw(t, "dead zone")}
	var i fleet.Indicator
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		i = ratio(name, hard, rapid.SampledFrom([]float64{0, 0.01, 1, 20, 100}).Draw(t, "limit"))
	case 1:
		i = compared(hard, rapid.Float64Range(0, 100).Draw(t, "limit"), against)[0]
	case 2:
		i = value(name, hard, rapid.Float64Range(-10, 1000).Draw(t, "max"))
	case 3:
		i = valued(hard, fleet.ValueIndicator{Compare: &against, Consecutive: rapid.IntRange(0, 3).Draw(t, "consecutive"), Total: rapid.IntRange(0, 3).Draw(t, "total")})[0]
	case 4:
		i = latency(against.Increase)[0]
	case 5:
		i = filling(rapid.SampledFrom([]fleet.Direction{fleet.WorseHigher, fleet.WorseLower}).Draw(t, "worse"))[0]
	case 6:
		i = reporting(rapid.IntRange(0, 2).Draw(t, "most"), rapid.IntRange(0, 3).Draw(t, "least"))[0]
	default:
		i = check(name, hard)
	}
	i.Name = name
	if i.Rank == nil && i.Check == nil {
		i.Scope = rapid.SampledFrom([]fleet.Scope{"", fleet.ScopeServer, fleet.ScopeBatch, fleet.ScopePool}).Draw(t, "scope")
	}
	i.Weight = rapid.SampledFrom([]int{0, 10, 60, 100}).Draw(t, "weight")
	i.Warmup = rapid.SampledFrom([]fleet.Duration{0, 0, fleet.Duration(time.Second), fleet.Duration(time.Hour)}).Draw(t, "warm-up")
	return i
}

func TestWhateverTheSourcesSayAVerdictIsMadeAndCanBeStored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		indicators := anyIndicators().Draw(t, "all")
		samples := rollmon.Samples{}
		for _, i := range indicators {
			samples[i.Name] = anyReading().Draw(t, i.Name)
		}
		q, _ := baking()
		q.Exposed, q.Control = three[:rapid.IntRange(1, 3).Draw(t, "exposed")], three[2:]
		q.Began = rapid.SampledFrom([]time.Time{{}, since.Add(-time.Minute)}).Draw(t, "began")
		if rapid.Bool().Draw(t, "absurd clocks") {
			q.Since, q.Began = anyTime().Draw(t, "since"), anyTime().Draw(t, "began at")
		}
		r := rollmon.Record{Question: q, Indicators: indicators, Samples: samples, At: since.Add(time.Minute)}
		v := r.Judge()
		if _, err := json.Marshal(v); err != nil {
			t.Fatalf("%+v cannot be stored: %v", v, err)
		}
		if v.Reason == "" || len(v.Findings) < len(indicators) {
			t.Fatalf("%+v lacks a reason or a finding", v)
		}
		for _, f := range v.Findings {
			if f.Reason == "" {
				t.Fatalf("%+v gives no reason", f)
			}
		}
		if v.Outcome == verdict.Pass {
			mustHaveData(t, r)
		}
	})
}

// mustHaveData fails unless there are numbers that a pass can rest on: at least one indicator passes or warns, none of its
// servers' numbers are unusable, and none breaks its absolute limit.
func mustHaveData(t *rapid.T, r rollmon.Record) {
	judged := 0
	for _, f := range r.Judge().Findings {
		switch f.Outcome {
		case verdict.Pass, verdict.Warn:
			judged++
		case verdict.Abstain:
		default:
			t.Fatalf("passed with %+v", f)
		}
	}
	if judged == 0 {
		t.Fatalf("passed although nothing was judged")
	}
	for _, i := range r.Indicators {
		reading := r.Samples[i.Name]
		if reading.Failure != "" {
			t.Fatalf("passed although the source of %s failed", i.Name)
		}
		if i.Rank != nil {
			continue
		}
		subjects := map[string]rollmon.Sample{}
		for _, server := range r.Question.Exposed {
			subjects[server] = reading.Servers[server]
		}
		if i.In() != fleet.ScopeServer {
			subjects = map[string]rollmon.Sample{"whole": *reading.Exposed}
		}
		for subject, s := range subjects {
			if s.Problem != "" || !good(i, s) {
				t.Fatalf("passed %+v on %s with %+v", i, subject, s)
			}
		}
	}
}

// good reports whether a sample can be part of a pass: its numbers are numbers, and within what is absolute.
func good(i fleet.Indicator, s rollmon.Sample) bool {
	points := len(s.Points) > 0
	for _, p := range s.Points {
		points = points && !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0)
	}
	switch i.JudgedBy() {
	case fleet.JudgeRatio:
		return s.Count != nil && s.Count.Attempts >= 20 && s.Count.Failures >= 0 && s.Count.Failures <= s.Count.Attempts
	case fleet.JudgeValue:
		if i.Value.Repeated() {
			return points
		}
		soft := !i.Hard && i.Weighs() < fleet.FullWeight // may be over its limit, as a warning
		return s.Value != nil && !math.IsNaN(*s.Value) && (soft || i.Value.Max == nil || *s.Value <= *i.Value.Max)
	case fleet.JudgeCheck:
		return s.Tries != nil && s.Tries.Runs > 0 && s.Tries.Failed >= 0
	case fleet.JudgeSaturation:
		return points
	case fleet.JudgeReport:
		return s.Report != nil && s.Report.Passed+s.Report.Failed > 0
	}
	return false
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
