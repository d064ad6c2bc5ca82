package server

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/server/api"
)

// still is a store in which one Coach stands, and which counts how often it is asked.
type still struct {
	Store
	changed chan struct{}
	reads   atomic.Int64
	asks    atomic.Int64
}

func (s *still) Coach(context.Context, string) (rop.Coach, error) {
	s.reads.Add(1)
	return rop.Coach{ID: "hotel-api-7.2", State: rop.Building}, nil
}

func (s *still) RollsOfCoach(context.Context, string) ([]roller.Roll, error) { return nil, nil }

func (s *still) Events(context.Context, store.EventFilter) ([]event.Event, error) {
	s.asks.Add(1)
	return nil, nil
}

func (s *still) Changed() <-chan struct{} { return s.changed }

func TestALongPollReadsLittleAndEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &still{changed: make(chan struct{})}
		s := &Server{Options: Options{Store: db}, tail: newTail(db, logrus.New()), objects: newSeenObjects()}
		than := coachOf(rop.Coach{ID: "hotel-api-7.2", State: rop.Building}, nil).Progress
		begin := time.Now()
		coach, err := otherThan(t.Context(), s, "hotel-api-7.2", than, 60*time.Second, s.coach, func(c api.Coach) string { return c.Progress })
		if err != nil || coach.Progress != than {
			t.Errorf("got %q, %v; expected the Coach as it is", coach.Progress, err)
		}
		if took := time.Since(begin); took != 60*time.Second {
			t.Errorf("it took %s, expected 60s", took)
		}
		if db.reads.Load() > 32 || db.asks.Load() > 128 {
			t.Errorf("it read the Coach %d times and the log %d times in a minute without any news", db.reads.Load(), db.asks.Load())
		}
		synctest.Wait() // the tail has stopped: a goroutine that is left would fail the test
	})
}

func TestLooks(t *testing.T) {
	site := fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}
	var asked int
	var takes time.Duration
	fresh := func() *looks {
		asked, takes = 0, 0
		return newLooks(func(ctx context.Context, _ fleet.SiteRef) SiteLook {
			asked++
			n := asked
			select {
			case <-time.After(takes):
			case <-ctx.Done():
			}
			return SiteLook{Members: map[string]roller.Member{"hotel-api-1": {Weight: n}}}
		})
	}
	number := func(l SiteLook) int { return l.Members["hotel-api-1"].Weight }
	cases := []struct {
		rule string
		run  func(t *testing.T, l *looks)
	}{
		{"many who look within a second ask once", func(t *testing.T, l *looks) {
			for range 10 {
				l.at(t.Context(), site)
				time.Sleep(90 * time.Millisecond)
			}
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		}},
		{"a look older than a second is taken anew", func(t *testing.T, l *looks) {
			l.at(t.Context(), site)
			time.Sleep(1100 * time.Millisecond)
			if got := number(l.at(t.Context(), site)); got != 2 {
				t.Errorf("got look %d, expected the second", got)
			}
		}},
		{"a site that answers slowly shows its last look meanwhile", func(t *testing.T, l *looks) {
			l.at(t.Context(), site)
			time.Sleep(2 * time.Second)
			takes = 2 * time.Second
			begin := time.Now()
			if got, took := number(l.at(t.Context(), site)), time.Since(begin); got != 1 || took != lookWait {
				t.Errorf("got look %d after %s, expected the first after %s", got, took, lookWait)
			}
			time.Sleep(2 * time.Second)
			if got := number(l.at(t.Context(), site)); got != 2 {
				t.Errorf("got look %d, expected the second when it came", got)
			}
		}},
		{"a look older than ten seconds is never shown", func(t *testing.T, l *looks) {
			l.at(t.Context(), site)
			time.Sleep(11 * time.Second)
			takes = 2 * time.Second
			if got := number(l.at(t.Context(), site)); got != 2 {
				t.Errorf("got look %d, expected the second", got)
			}
		}},
		{"nobody is asked while nobody looks", func(t *testing.T, l *looks) {
			l.at(t.Context(), site)
			time.Sleep(time.Hour)
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(t, fresh()) })
		})
	}
}

// slowHost answers for one machine and hangs for the others.
type slowHost struct{ roller.Host }

func (slowHost) Observe(ctx context.Context, m roller.Machine) (roller.HostState, error) {
	if m.Server.Name == "hotel-api-1" {
		return roller.HostState{Running: map[string]string{"hotel-api": "abc"}}, nil
	}
	<-ctx.Done()
	return roller.HostState{}, context.Cause(ctx)
}

func TestALookWaitsForNoServerLongerThanTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		look := LookAt(t.Context(), roller.OpenSite{Host: slowHost{}, Machines: map[string]roller.Machine{
			"hotel-api-1": {Server: fleet.Server{Name: "hotel-api-1"}}, "hotel-api-2": {Server: fleet.Server{Name: "hotel-api-2"}},
		}})
		if took := time.Since(begin); took != lookPatience {
			t.Errorf("it took %s, expected %s", took, lookPatience)
		}
		if len(look.Hosts) != 1 || look.Hosts["hotel-api-1"].Running["hotel-api"] != "abc" || look.Problem != "hotel-api-2: no answer in time" {
			t.Errorf("got %+v", look)
		}
	})
}
