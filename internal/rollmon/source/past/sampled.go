package past

import (
	"context"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// Sampled is a source that keeps no history, with the minutes that were sampled of it as its past.
type Sampled struct {
	rollmon.Source
	store  rollmon.SampleStore
	before Memory
}

var _ rollmon.Forgetful = (*Sampled)(nil)

// NewSampled returns a Sampled.
func NewSampled(s rollmon.Source, store rollmon.SampleStore) *Sampled {
	return &Sampled{Source: s, store: store}
}

// Forgets implements rollmon.Forgetful.
func (*Sampled) Forgets() {}

// Read asks the source, and the store about the time before the roll.
func (s *Sampled) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	out := s.Source.Read(ctx, r)
	out.Before = s.before.Read(r, func() *rollmon.Past {
		minutes, err := s.store.Minutes(ctx, r.Site, *r.Before)
		if err != nil {
			return &rollmon.Past{Failure: verdict.SourceDown, Reason: "the database does not say what was sampled: " + err.Error()}
		}
		return merge(minutes, r.Indicator)
	})
	return out
}

// merge makes one sample of all minutes, for each server and for the site: values become measurements, counts and tries add up. A
// minute in which the source failed says nothing.
func merge(minutes []rollmon.Minute, i fleet.Indicator) *rollmon.Past {
	p := &rollmon.Past{Servers: map[string]rollmon.Sample{}}
	some := false
	for _, m := range minutes {
		reading, ok := m.Samples[i.Name]
		if !ok || reading.Failure != "" {
			continue
		}
		some = true
		for server, sample := range reading.Servers {
			p.Servers[server] = add(p.Servers[server], sample, m)
		}
		if reading.Exposed != nil {
			var before rollmon.Sample
			if p.Exposed != nil {
				before = *p.Exposed
			}
			sum := add(before, *reading.Exposed, m)
			p.Exposed = &sum
		}
	}
	if !some {
		return &rollmon.Past{Failure: verdict.NoData, Reason: "nothing was sampled of it then"}
	}
	return p
}

func add(sum, s rollmon.Sample, m rollmon.Minute) rollmon.Sample {
	if s.Problem != "" {
		return sum
	}
	if s.Value != nil {
		sum.Value = s.Value
		sum.Points = append(sum.Points, rollmon.Point{At: m.At, Value: *s.Value})
	}
	if s.Count != nil {
		total := *s.Count
		if sum.Count != nil {
			total.Failures, total.Attempts = total.Failures+sum.Count.Failures, total.Attempts+sum.Count.Attempts
		}
		sum.Count = &total
	}
	if s.Tries != nil {
		total := *s.Tries
		if sum.Tries != nil {
			total.Runs, total.Failed = total.Runs+sum.Tries.Runs, total.Failed+sum.Tries.Failed
			if total.Words == "" {
				total.Words = sum.Tries.Words
			}
		}
		sum.Tries = &total
	}
	return sum
}
