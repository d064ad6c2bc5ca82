package store_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/internal/verdict"
	"railyard/pipeline"
)

func look(second, batch int, o verdict.Outcome, turned bool) rollmon.Look {
	at := t0.Add(time.Duration(second) * time.Second)
	l := rollmon.Look{Turned: turned, Verdict: verdict.Verdict{Outcome: o, Stage: "rolling", Batch: batch, At: at, Reason: fmt.Sprint(second)}}
	l.Question, l.At = verdict.Question{Roll: "r-1", Stage: "rolling", Batch: batch}, at
	return l
}

func seconds(looks []rollmon.Look) string {
	var all []string
	for _, l := range looks {
		all = append(all, l.Verdict.Reason)
	}
	return strings.Join(all, " ")
}

var lookRules = []rule{
	{"a look comes back with every number it was made from, also those that are none", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		nan, limit := math.NaN(), 1.5
		l := look(1, 2, verdict.Hard, true)
		l.Question.Exposed, l.Question.Since = []string{"hotel-api-1"}, t0
		l.Indicators = []fleet.Indicator{{Name: "load", Hard: true, Value: &fleet.ValueIndicator{Query: "q", Max: &limit}}}
		l.Samples = rollmon.Samples{"load": {Source: "prometheus", Servers: map[string]rollmon.Sample{"hotel-api-1": {Value: &nan}}}}
		l.Verdict.Findings = []verdict.Finding{{Indicator: "load", Server: "hotel-api-1", Outcome: verdict.NoData, Limit: 1.5}}
		ok(t, s.SaveLook(t.Context(), l))
		kept := must[[]rollmon.Look](t)(s.Looks(t.Context(), "r-1", 0))
		if v := kept[0].Samples["load"].Servers["hotel-api-1"].Value; v == nil || !math.IsNaN(*v) {
			t.Fatalf("the sample is %v", v)
		}
		equal(t, "verdict judged again", kept[0].Judge(), l.Judge())
		kept[0].Samples, l.Samples = nil, nil
		equal(t, "looks", kept, []rollmon.Look{l})
	}},
	{"of a batch the turns are kept, and the last look", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for _, l := range []rollmon.Look{
			look(0, 1, verdict.Pending, true), look(1, 1, verdict.Pending, false), look(2, 1, verdict.Pass, true), look(3, 1, verdict.Pass, false),
			look(4, 1, verdict.Pass, false), look(5, 2, verdict.Pass, true), look(6, 2, verdict.Pass, false),
		} {
			ok(t, s.SaveLook(t.Context(), l))
		}
		equal(t, "seconds", seconds(must[[]rollmon.Look](t)(s.Looks(t.Context(), "r-1", 0))), "6 5 4 2 0")
		equal(t, "of another roll", len(must[[]rollmon.Look](t)(s.Looks(t.Context(), "r-2", 0))), 0)
	}},
	{"the looks of a roll are bounded, the oldest go first, and the very old ones by their age", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for i := range 505 {
			ok(t, s.SaveLook(t.Context(), look(i, i, verdict.Pass, true)))
		}
		kept := must[[]rollmon.Look](t)(s.Looks(t.Context(), "r-1", 1000))
		equal(t, "number, newest, oldest", []any{len(kept), kept[0].Verdict.Batch, kept[len(kept)-1].Verdict.Batch}, []any{500, 504, 5})
		equal(t, "pruned", must[int64](t)(s.Prune(t.Context(), t0.Add(15*time.Second), t0)), int64(10))
		equal(t, "left", len(must[[]rollmon.Look](t)(s.Looks(t.Context(), "r-1", 1000))), 490)
	}},
	{"what people say of a Coach is kept in order, and of no other", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, rop.Coach{ID: "hotel-1.1", Project: "hotel", Series: 1, Candidate: 1, Repository: "r", Branch: "b"})
		first := verdict.Entered{Coach: "hotel-1.1", Environment: "UAT", Actor: "person:lin", Reason: "cancelling fails", At: t0}
		second := verdict.Entered{Coach: "hotel-1.1", Environment: "UAT", Actor: "person:lin", Pass: true, Reason: "mended", At: t0.Add(time.Hour)}
		ok(t, s.AddTestVerdict(t.Context(), first, event.Event{At: t0, What: "verdict_entered"}))
		ok(t, s.AddTestVerdict(t.Context(), second))
		equal(t, "verdicts", must[[]verdict.Entered](t)(s.TestVerdicts(t.Context(), "hotel-1.1")), []verdict.Entered{first, second})
		wantErr(t, s.AddTestVerdict(t.Context(), verdict.Entered{Coach: "nobody-1.1"}), pipeline.ErrNotFound)
		equal(t, "of nobody", len(must[[]verdict.Entered](t)(s.TestVerdicts(t.Context(), "nobody-1.1"))), 0)
	}},
	{"of all replicas one samples a site in a minute", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		site := fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}
		var mu sync.Mutex
		var all sync.WaitGroup
		turns := map[time.Time]int{}
		for n := range 4 {
			all.Go(func() {
				for minute := range 5 {
					at := t0.Add(time.Duration(minute) * time.Minute)
					taken, err := s.TakeMinute(t.Context(), site, at, fmt.Sprint("replica-", n))
					if err != nil {
						t.Errorf("take: %v", err)
					}
					if taken {
						mu.Lock()
						turns[at]++
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		for minute := range 5 {
			equal(t, fmt.Sprint("turns in minute ", minute), turns[t0.Add(time.Duration(minute)*time.Minute)], 1)
		}
	}},
	{"what was sampled comes back in order; a minute that nobody finished does not", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		site := fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}
		samples := rollmon.Samples{"health": {Source: "url", Servers: map[string]rollmon.Sample{"hotel-api-1": {Tries: &rollmon.Tries{Runs: 1}}}}}
		for _, minute := range []int{2, 0, 1} {
			at := t0.Add(time.Duration(minute) * time.Minute)
			equal(t, "taken", must[bool](t)(s.TakeMinute(t.Context(), site, at, "a")), true)
			if minute != 1 {
				ok(t, s.SaveMinute(t.Context(), site, at, "a", samples))
			}
			ok(t, s.SaveMinute(t.Context(), site, at, "somebody else", rollmon.Samples{}))
		}
		window := rollmon.Window{From: t0, Until: t0.Add(time.Hour)}
		want := []rollmon.Minute{{At: t0, Samples: samples}, {At: t0.Add(2 * time.Minute), Samples: samples}}
		equal(t, "minutes", must[[]rollmon.Minute](t)(s.Minutes(t.Context(), site, window)), want)
		equal(t, "pruned", must[int64](t)(s.Prune(t.Context(), t0, t0.Add(time.Minute))), int64(1))
		equal(t, "left", must[[]rollmon.Minute](t)(s.Minutes(t.Context(), site, window)), want[1:])
	}},
}

var _ interface {
	rollmon.LookStore
	rollmon.SampleStore
} = (*store.Store)(nil)
