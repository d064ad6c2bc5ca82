// Package sourcetest is what every metric source must do, whatever it reads: numbers that Judge understands, and doubt in
// words where there are none.
package sourcetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// Behaviour is how a server of a World does.
type Behaviour string

// The behaviours.
const (
	Healthy Behaviour = "healthy" // enough good numbers to pass
	Failing Behaviour = "failing" // enough bad ones to breach
)

// World is a source with the servers it reads about, as a test can set them.
type World struct {
	Source    rollmon.Source
	Indicator fleet.Indicator // a hard one that the source answers
	Site      fleet.SiteRef
	Backend   string
	Roll      string           // for sources that ask what is rolled
	Servers   []rollmon.Server // three that can be set, all Healthy when the World is made
	Since     time.Time        // when they were exposed
	// Set changes a server and returns when a reading can show it.
	Set func(t *testing.T, server string, b Behaviour)
	// Silence makes whatever the source asks take requests and answer none.
	Silence func(t *testing.T)
}

// Run runs the suite; make is called once for each test.
func Run(t *testing.T, make func(t *testing.T) World) {
	t.Run("it has a name and answers its indicator, and only that kind", func(t *testing.T) {
		w := make(t)
		if w.Source.Name() == "" || !w.Source.Answers(w.Indicator) || w.Source.Answers(fleet.Indicator{Name: "of no kind"}) {
			t.Errorf("source %q", w.Source.Name())
		}
	})
	t.Run("healthy servers pass", func(t *testing.T) {
		w := make(t)
		w.expect(t, w.read(t.Context(), w.Servers...), verdict.Pass, w.Servers...)
	})
	t.Run("one failing server is a breach, and the others are not", func(t *testing.T) {
		w := make(t)
		w.Set(t, w.Servers[1].Name, Failing)
		got := w.read(t.Context(), w.Servers...)
		w.expect(t, got, verdict.Hard, w.Servers[1])
		w.expect(t, got, verdict.Pass, w.Servers[0], w.Servers[2])
	})
	t.Run("a server it does not know has no data, and hides no other", func(t *testing.T) {
		w := make(t)
		stranger := rollmon.Server{Name: "nowhere-1", Member: "nowhere-1"}
		got := w.read(t.Context(), w.Servers[0], stranger)
		w.expect(t, got, verdict.NoData, stranger)
		w.expect(t, got, verdict.Pass, w.Servers[0])
	})
	t.Run("it says nothing of servers it was not asked about", func(t *testing.T) {
		w := make(t)
		for name := range w.read(t.Context(), w.Servers[0]).Servers {
			if name != w.Servers[0].Name {
				t.Errorf("it told about %s too", name)
			}
		}
	})
	t.Run("it returns soon after its time is over, with words and without a pass", func(t *testing.T) {
		w := make(t)
		w.Silence(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		got := w.read(ctx, w.Servers...)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
		v := w.judge(got, w.Servers...)
		if v.Outcome != verdict.SourceDown && v.Outcome != verdict.NoData || v.Reason == "" {
			t.Errorf("%s: %q, want doubt in words", v.Outcome, v.Reason)
		}
	})
	t.Run("it may be asked by many at once", func(t *testing.T) {
		w := make(t)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { w.expect(t, w.read(t.Context(), w.Servers...), verdict.Pass, w.Servers...) })
		}
		all.Wait()
	})
}

func (w World) read(ctx context.Context, servers ...rollmon.Server) rollmon.Reading {
	return w.Source.Read(ctx, rollmon.Request{Indicator: w.Indicator, Site: w.Site, Roll: w.Roll, Backend: w.Backend, Exposed: servers,
		Since: w.Since, Now: time.Now()})
}

func (w World) judge(r rollmon.Reading, servers ...rollmon.Server) verdict.Verdict {
	q := verdict.Question{Site: w.Site, Roll: "r-1", Stage: "baking", Since: w.Since}
	for _, s := range servers {
		q.Exposed = append(q.Exposed, s.Name)
	}
	return rollmon.Judge(q, []fleet.Indicator{w.Indicator}, rollmon.Samples{w.Indicator.Name: r}, time.Now())
}

// expect judges each of the servers by itself.
func (w World) expect(t *testing.T, r rollmon.Reading, want verdict.Outcome, servers ...rollmon.Server) {
	t.Helper()
	for _, s := range servers {
		if v := w.judge(r, s); v.Outcome != want {
			t.Errorf("%s: %s: %s, want %s", s.Name, v.Outcome, v.Reason, want)
		}
	}
}
