// Package score makes the labelled series that the judge is scored on: what the sources would have said during a roll whose
// truth is known.
//
//	Shape, seed ─► Series ─► Record at each look ─► rollmon.Judge ─► found, missed, false alarm, time to detect
//
// A shape is a fault that must be found, or a change that must not be taken for one. The same shape and seed always give the
// same series. scoregen writes the set that is kept in rollmon's testdata.
package score

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// Shape is one kind of truth.
type Shape struct {
	Name      string // "step"
	Tells     string // for people: "errors rise from 0.2 % to 5 % at the exposure"
	Fault     bool   // it must be found; otherwise it must raise no alarm
	Indicator fleet.Indicator
	Exposed   int           // servers on the new revision
	Control   int           // servers not yet rolled
	Lasts     time.Duration // how long it is looked at
	Onset     time.Duration // when the fault begins, after the exposure
	Every     time.Duration // between two looks, and between two measurements

	counts func(m *moment) (failures, attempts int) // of one server in one step, for a ratio
	value  func(m *moment) float64                  // of one server at one step, for the others
}

// moment is one server at one step; it is what the shape's functions see.
type moment struct {
	*rand.Rand
	server int           // exposed servers first
	at     time.Duration // since the exposure; negative before it
	fresh  bool          // it runs the new revision
	memory map[string]float64
}

// bad reports whether a fault of the new revision acts.
func (m *moment) bad(s Shape) bool { return m.fresh && m.at >= s.Onset }

// Series is what was counted or measured on every server.
type Series struct {
	Shape  string   `json:"shape"`
	Seed   uint64   `json:"seed"`
	Before []Step   `json:"before,omitempty"` // of the time before the roll, by server
	During [][]Step `json:"during"`           // by server: one per look
}

// Step is what happened on one server between two looks.
type Step struct {
	Failures int     // counted
	Attempts int     // counted
	Value    float64 // measured
	Missing  bool    // the scrape was lost
}

// began is when the virtual rolls begin, and their servers are exposed a minute later.
var began = time.Date(2026, 3, 2, 21, 0, 0, 0, time.UTC)

const exposedAfter = time.Minute

// before is how much of the time before the roll is known of every server.
const before = 10 * time.Minute

// Generate makes the series of a shape.
func (s Shape) Generate(seed uint64) Series {
	out := Series{Shape: s.Name, Seed: seed, During: make([][]Step, s.Exposed+s.Control)}
	for server := range out.During {
		m := &moment{Rand: rand.New(rand.NewPCG(seed, hash(s.Name)+uint64(server))), server: server, memory: map[string]float64{}}
		var past Step
		var pastValues []float64
		for m.at = -before; m.at < 0; m.at += s.Every {
			step := s.step(m)
			past.Failures += step.Failures
			past.Attempts += step.Attempts
			pastValues = append(pastValues, step.Value)
		}
		past.Value = middle(pastValues)
		out.Before = append(out.Before, past)
		m.fresh = server < s.Exposed
		for m.at = s.Every; m.at <= s.Lasts; m.at += s.Every {
			out.During[server] = append(out.During[server], s.step(m))
		}
	}
	return out
}

func (s Shape) step(m *moment) Step {
	if s.counts != nil {
		failures, attempts := s.counts(m)
		return Step{Failures: failures, Attempts: attempts, Missing: m.memory["missing"] == 1}
	}
	return Step{Value: round(s.value(m)), Missing: m.memory["missing"] == 1}
}

// round keeps the files small; three digits behind the point are more than an exporter's measurement is worth.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// middle is the median.
func middle(values []float64) float64 {
	sorted := append([]float64(nil), values...)
	for i := range sorted { // insertion: few values, once
		for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	return sorted[len(sorted)/2]
}

// hash tells the shapes' random numbers apart (FNV-1a).
func hash(name string) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// Looks is how many looks a series has.
func (s Series) Looks() int { return len(s.During[0]) }

// Record is what the judge sees at a look, from 1.
func (s Shape) Record(series Series, look int) rollmon.Record {
	since := began.Add(exposedAfter)
	r := rollmon.Record{
		Question: verdict.Question{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Roll: "r-1", Stage: s.stage(), Batch: s.batch(),
			Since: since, Began: began},
		Indicators: []fleet.Indicator{s.Indicator},
		At:         since.Add(time.Duration(look) * s.Every),
	}
	reading := rollmon.Reading{Source: "score", Servers: map[string]rollmon.Sample{}, Before: &rollmon.Past{Servers: map[string]rollmon.Sample{}}}
	for server, steps := range series.During {
		name := fmt.Sprintf("hotel-api-%d", server+1)
		if server < s.Exposed {
			r.Question.Exposed = append(r.Question.Exposed, name)
		} else {
			r.Question.Control = append(r.Question.Control, name)
		}
		reading.Servers[name] = s.sample(steps[:look], since)
		reading.Before.Servers[name] = s.pastSample(series.Before[server])
	}
	r.Samples = rollmon.Samples{s.Indicator.Name: reading}
	return r
}

func (s Shape) stage() string {
	if s.Exposed == 1 {
		return "baking"
	}
	return "rolling"
}

func (s Shape) batch() int {
	if s.Exposed == 1 {
		return 0
	}
	return 1
}

// sample is what a source says of one server after some steps. A lost scrape hides its step until the next one.
func (s Shape) sample(steps []Step, since time.Time) rollmon.Sample {
	if s.counts != nil {
		last := len(steps)
		for last > 0 && steps[last-1].Missing {
			last--
		}
		var c rollmon.Count
		for _, step := range steps[:last] {
			c.Failures += float64(step.Failures)
			c.Attempts += float64(step.Attempts)
		}
		return rollmon.Sample{Count: &c}
	}
	var out rollmon.Sample
	for n, step := range steps {
		if !step.Missing {
			out.Points = append(out.Points, rollmon.Point{At: since.Add(time.Duration(n+1) * s.Every), Value: step.Value})
			out.Value = &step.Value
		}
	}
	return out
}

func (s Shape) pastSample(past Step) rollmon.Sample {
	if s.counts != nil {
		return rollmon.Sample{Count: &rollmon.Count{Failures: float64(past.Failures), Attempts: float64(past.Attempts)}}
	}
	return rollmon.Sample{Value: &past.Value}
}

// Result is how the judge did on one series.
type Result struct {
	Found bool          // it said soft or hard
	After time.Duration // the fault's onset, or the exposure where there is no fault
	Words string        // of the verdict
}

// Judge runs the judge over a series until it breaches or the series ends.
func (s Shape) Judge(series Series) Result {
	for look := 1; look <= series.Looks(); look++ {
		v := s.Record(series, look).Judge()
		if v.Outcome == verdict.Hard || v.Outcome == verdict.Soft {
			return Result{Found: true, After: time.Duration(look)*s.Every - s.Onset, Words: v.Reason}
		}
	}
	return Result{}
}

// File is the name of the file that holds the shape's series: "late-step.txt".
func (s Shape) File() string {
	return strings.NewReplacer(" ", "-", ",", "").Replace(s.Name) + ".txt"
}
