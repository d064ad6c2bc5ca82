package past_test

import (
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/past"
	"railyard/internal/verdict"
)

func TestWhatIsRemembered(t *testing.T) {
	began := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	ask := func(change func(*rollmon.Request)) rollmon.Request {
		r := rollmon.Request{
			Indicator: fleet.Indicator{Name: "latency", Rank: &fleet.RankIndicator{Query: "q"}}, Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"},
			Exposed: []rollmon.Server{{Name: "hotel-api-1"}}, Since: began, Now: began.Add(time.Minute),
			Before: &rollmon.Window{From: began.Add(-time.Hour), Until: began},
		}
		if change != nil {
			change(&r)
		}
		return r
	}
	good := &rollmon.Past{Servers: map[string]rollmon.Sample{}}
	for _, c := range []struct {
		rule          string
		first, second rollmon.Request
		answer        *rollmon.Past
		reads         int
	}{
		{"the same question is read once, whenever it is asked", ask(nil), ask(func(r *rollmon.Request) { r.Now, r.Since = r.Now.Add(time.Hour), r.Since.Add(time.Hour) }), good, 1},
		{"other servers are another question", ask(nil), ask(func(r *rollmon.Request) { r.Control = []rollmon.Server{{Name: "hotel-api-2"}} }), good, 2},
		{"another query too", ask(nil), ask(func(r *rollmon.Request) { r.Indicator.Rank = &fleet.RankIndicator{Query: "other"} }), good, 2},
		{"another roll too", ask(nil), ask(func(r *rollmon.Request) { r.Before = &rollmon.Window{From: began, Until: began.Add(time.Second)} }), good, 2},
		{"a failure is tried again", ask(nil), ask(nil), &rollmon.Past{Failure: verdict.SourceDown}, 2},
		{"what ended just now may still come in", ask(func(r *rollmon.Request) { r.Now = began.Add(10 * time.Second) }), ask(nil), good, 2},
		{"nothing is read where nothing is asked", ask(func(r *rollmon.Request) { r.Before = nil }), ask(func(r *rollmon.Request) { r.Before = nil }), good, 0},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var m past.Memory
			reads := 0
			for _, r := range []rollmon.Request{c.first, c.second} {
				got := m.Read(r, func() *rollmon.Past { reads++; return c.answer })
				if (r.Before == nil) != (got == nil) {
					t.Errorf("got %+v", got)
				}
			}
			if reads != c.reads {
				t.Errorf("read %d times, want %d", reads, c.reads)
			}
		})
	}
	t.Run("a long memory forgets its beginning", func(t *testing.T) {
		var m past.Memory
		reads := 0
		read := func(n int) {
			m.Read(ask(func(r *rollmon.Request) { r.Before.From = r.Before.From.Add(time.Duration(n) * time.Second) }), func() *rollmon.Past { reads++; return good })
		}
		for n := range 100 {
			read(n)
		}
		read(0)
		read(99)
		if reads != 101 {
			t.Errorf("read %d times, want 101", reads)
		}
	})
}
