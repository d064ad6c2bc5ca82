package rollmon_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
)

// minutes keeps samples as the database does: one row for each site and minute.
type minutes struct {
	mu    sync.Mutex
	taken map[string]string
	saved []string
}

func (m *minutes) TakeMinute(_ context.Context, site fleet.SiteRef, minute time.Time, owner string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := site.String() + minute.Format(" 15:04")
	if m.taken[key] != "" {
		return false, nil
	}
	m.taken[key] = owner
	return true, nil
}

func (m *minutes) SaveMinute(_ context.Context, site fleet.SiteRef, minute time.Time, _ string, s rollmon.Samples) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, reading := range s {
		m.saved = append(m.saved, fmt.Sprintf("%s %s %s: %d servers", minute.Format("15:04"), site, name, len(reading.Servers)))
	}
	return nil
}

func (m *minutes) Minutes(context.Context, fleet.SiteRef, rollmon.Window) ([]rollmon.Minute, error) {
	return nil, nil
}

// forgetful is a source of checks that keeps no history, and counts how often it is asked.
type forgetful struct {
	mu    sync.Mutex
	reads int
	hang  bool
}

func (*forgetful) Name() string                   { return "forgetful" }
func (*forgetful) Forgets()                       {}
func (*forgetful) Answers(i fleet.Indicator) bool { return i.Check != nil }
func (f *forgetful) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	f.mu.Lock()
	f.reads++
	hang := f.hang
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
	}
	out := rollmon.Reading{Servers: map[string]rollmon.Sample{}}
	for _, s := range r.Exposed {
		out.Servers[s.Name] = rollmon.Sample{Tries: &rollmon.Tries{Runs: 1}}
	}
	return out
}

func sampledTopology() *fleet.Topology {
	site := func(env string) fleet.Site {
		return fleet.Site{Environment: env, Servers: []fleet.Server{{Name: env + "-1"}, {Name: env + "-2"}}}
	}
	return &fleet.Topology{
		Environments: []fleet.Environment{{Name: "UAT"}, {Name: "PROD", Production: true}},
		Pools:        []fleet.Pool{{Name: "hotel", Sites: []fleet.Site{site("UAT"), site("PROD")}}, {Name: "empty", Sites: []fleet.Site{{Environment: "PROD"}}}},
		Indicators:   []fleet.Indicator{check("health", true), ratio("5xx", true, 1)},
	}
}

func TestReplicasShareTheRegularWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, source := &minutes{taken: map[string]string{}}, &forgetful{}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for n := range 3 {
			s := &rollmon.Sampler{Topology: sampledTopology, Sources: []rollmon.Source{source}, Store: m, Log: quiet(), Owner: fmt.Sprint("replica-", n)}
			all.Go(func() { _ = s.Run(ctx) })
		}
		time.Sleep(2*time.Minute + 50*time.Second) // synctest begins at a full minute
		cancel()
		all.Wait()
		slices.Sort(m.saved)
		want := []string{
			"00:00 PROD/hotel health: 2 servers", "00:00 UAT/hotel health: 2 servers",
			"00:01 PROD/hotel health: 2 servers", "00:01 UAT/hotel health: 2 servers",
			"00:02 PROD/hotel health: 2 servers", "00:02 UAT/hotel health: 2 servers",
		}
		if !slices.Equal(m.saved, want) || source.reads != len(want) {
			t.Errorf("saved %q with %d reads, want %q", m.saved, source.reads, want)
		}
	})
}

func TestASourceThatHangsCostsItsMinuteOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, source := &minutes{taken: map[string]string{}}, &forgetful{hang: true}
		s := &rollmon.Sampler{Topology: sampledTopology, Sources: []rollmon.Source{source}, Store: m, Log: quiet(), Owner: "a"}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { _ = s.Run(ctx); close(ended) }()
		time.Sleep(3*time.Minute - time.Second)
		cancel()
		<-ended
		if source.reads != 6 {
			t.Errorf("asked %d times in three minutes about two sites", source.reads)
		}
	})
}
