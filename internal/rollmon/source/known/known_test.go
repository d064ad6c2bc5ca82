package known_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/known"
	"railyard/internal/rollmon/sourcetest"
	"railyard/internal/verdict"
)

var site = fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}

func report(name string, source fleet.Source) fleet.Indicator {
	return fleet.Indicator{Name: name, Class: fleet.ClassContainer, Hard: true, Source: source, Report: &fleet.ReportIndicator{}}
}

func named(names ...string) []rollmon.Server {
	var all []rollmon.Server
	for _, name := range names {
		all = append(all, rollmon.Server{Name: name, Member: name})
	}
	return all
}

// state is what the servers of a world are like.
type state struct {
	mu     sync.Mutex
	bad    map[string]bool
	silent bool
}

func (s *state) set(server string, bad bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad[server] = bad
}

func (s *state) of(ctx context.Context, server string) (bad, known bool) {
	s.mu.Lock()
	silent := s.silent
	bad, known = s.bad[server]
	s.mu.Unlock()
	if silent {
		<-ctx.Done()
	}
	return bad, known
}

func (s *state) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

func world(i fleet.Indicator, source func(*state) rollmon.Source) func(t *testing.T) sourcetest.World {
	return func(*testing.T) sourcetest.World {
		s := &state{bad: map[string]bool{"hotel-api-1": false, "hotel-api-2": false, "hotel-api-3": false}}
		return sourcetest.World{
			Source: source(s), Indicator: i, Site: site, Roll: "r-1", Servers: named("hotel-api-1", "hotel-api-2", "hotel-api-3"), Since: time.Now(),
			Set:     func(_ *testing.T, server string, b sourcetest.Behaviour) { s.set(server, b == sourcetest.Failing) },
			Silence: func(*testing.T) { s.silence() },
		}
	}
}

func TestConformanceOfReadiness(t *testing.T) {
	sourcetest.Run(t, world(report("ready", fleet.Source{Readiness: &fleet.ReadinessSource{}}), func(s *state) rollmon.Source {
		return known.NewReadiness(func(ctx context.Context, _ string, _ fleet.SiteRef, server string) ([]known.Condition, error) {
			bad, ok := s.of(ctx, server)
			if !ok {
				return nil, errors.New("the topology has no such server")
			}
			c := []known.Condition{{Name: "machine"}, {Name: "hotel-api"}}
			if bad {
				c[1].Problem = "runs nothing, expected 15bec7"
			}
			return c, nil
		})
	}))
}

func TestConformanceOfTheRollingLog(t *testing.T) {
	sourcetest.Run(t, world(report("steps", fleet.Source{RollingLog: &fleet.RollingLogSource{}}), func(s *state) rollmon.Source {
		return known.NewRollingLog(func(ctx context.Context, _ string, after int64) (steps []known.Step, err error) {
			for n, server := range []string{"hotel-api-1", "hotel-api-2", "hotel-api-3"} {
				bad, _ := s.of(ctx, server)
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				steps = append(steps, known.Step{ID: after + int64(n) + 1, Server: server, Failed: bad, Words: "switch: connection refused"})
			}
			return steps, nil
		})
	}))
}

func TestAServerThatIsReadyAtTheSecondLookIsReady(t *testing.T) {
	looks := 0
	s := known.NewReadiness(func(context.Context, string, fleet.SiteRef, string) ([]known.Condition, error) {
		looks++
		c := []known.Condition{{Name: "machine"}}
		if looks == 1 {
			c[0].Problem = "does not answer"
		}
		return c, nil
	})
	r := s.Read(t.Context(), rollmon.Request{Roll: "r-1", Site: site, Exposed: named("hotel-api-1")})
	if got := r.Servers["hotel-api-1"].Report; got == nil || got.Passed != 1 || got.Failed != 0 || looks != 2 {
		t.Errorf("%+v after %d looks", r, looks)
	}
}

func TestTheRollingLogIsReadOnceAndRetriesAreForgiven(t *testing.T) {
	log := []known.Step{{ID: 3, Server: "s-1"}, {ID: 5, Server: "s-1", Failed: true, Words: "smoke test: status 500"}, {ID: 8, Server: "s-2", Settled: true}}
	var asked []int64
	l := known.NewRollingLog(func(_ context.Context, _ string, after int64) (steps []known.Step, err error) {
		asked = append(asked, after)
		for _, s := range log {
			if s.ID > after {
				steps = append(steps, s)
			}
		}
		return steps, nil
	})
	read := func() (string, string) {
		r := l.Read(t.Context(), rollmon.Request{Roll: "r-1", Exposed: named("s-1", "s-2")})
		say := func(name string) string {
			p := r.Servers[name].Report
			return fmt.Sprintf("%d passed, %d failed: %s", p.Passed, p.Failed, p.Words)
		}
		return say("s-1"), say("s-2")
	}
	if one, two := read(); one != "1 passed, 1 failed: smoke test: status 500" || two != "1 passed, 0 failed: " {
		t.Errorf("%s; %s", one, two)
	}
	log = append(log, known.Step{ID: 9, Server: "s-1"}, known.Step{ID: 10, Server: "s-1", Settled: true})
	if one, _ := read(); one != "3 passed, 0 failed: " {
		t.Errorf("after the retry: %s", one)
	}
	if len(asked) != 2 || asked[0] != 0 || asked[1] != 8 {
		t.Errorf("asked after %v", asked)
	}
}

func TestWhichWordsOfPeopleCount(t *testing.T) {
	at := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	say := func(minute int, who, where string, pass bool, why string) verdict.Entered {
		return verdict.Entered{Actor: who, Environment: where, Pass: pass, Reason: why, At: at.Add(time.Duration(minute) * time.Minute)}
	}
	for _, c := range []struct {
		rule string
		said []verdict.Entered
		want rollmon.Report
	}{
		{"nobody has said anything", nil, rollmon.Report{}},
		{"a pass", []verdict.Entered{say(0, "lin", "PROD", true, "booked")}, rollmon.Report{Passed: 1, By: "lin", Words: "booked"}},
		{"the newest word of each person", []verdict.Entered{say(0, "lin", "PROD", false, "broken"), say(1, "lin", "PROD", true, "mended")},
			rollmon.Report{Passed: 1, By: "lin", Words: "mended"}},
		{"a fail is told, whoever passed later", []verdict.Entered{say(0, "lin", "PROD", false, "broken"), say(1, "mei", "PROD", true, "fine")},
			rollmon.Report{Passed: 1, Failed: 1, By: "lin and 1 more", Words: "broken"}},
		{"what was said of another environment does not count here", []verdict.Entered{say(0, "lin", "UAT", true, "booked")}, rollmon.Report{}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			p := known.NewPeople(func(context.Context, string) ([]verdict.Entered, error) { return c.said, nil })
			r := p.Read(t.Context(), rollmon.Request{Roll: "r-1", Site: site, Exposed: named("hotel-api-1")})
			if r.Exposed == nil || *r.Exposed.Report != c.want {
				t.Errorf("%+v, want %+v", r.Exposed, c.want)
			}
		})
	}
	t.Run("a database that does not answer is no word", func(t *testing.T) {
		p := known.NewPeople(func(context.Context, string) ([]verdict.Entered, error) { return nil, errors.New("away") })
		if r := p.Read(t.Context(), rollmon.Request{Roll: "r-1", Site: site}); r.Failure != verdict.SourceDown {
			t.Errorf("%+v", r)
		}
	})
}
