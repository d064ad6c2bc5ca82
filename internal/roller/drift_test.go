package roller

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/event"
	"railyard/internal/fleet"
)

// asBelieved is a server that runs the revision and takes its full share.
func asBelieved(name string) ServerState {
	return ServerState{
		Server: fleet.Server{Name: name}, Asked: true, Reachable: true, Member: Member{Weight: 100, Up: true, Detail: "UP"},
		Host: HostState{Running: map[string]string{"hotel-api": oldRev.Apps[0].Name()}},
	}
}

func TestDrift(t *testing.T) {
	two := oldRev.With(AppRelease{App: "hotel-job", Package: "sha256:cccccccccccccccc"})
	cases := []struct {
		rule       string
		believed   Revision
		unbalanced bool
		change     func(s *ServerState)
		want       []string
	}{
		{rule: "a server that runs the revision at its full share differs in nothing", change: func(*ServerState) {}},
		{rule: "one that runs another revision", change: func(s *ServerState) { s.Host.Running = map[string]string{"hotel-api": newApp.Name()} },
			want: []string{"s1: other revision: expected hotel-api 1.0.0 (aaaaaaaaaaaa), found hotel-api bbbbbbbbbbbb"}},
		{rule: "one that runs only a part of it", believed: two, change: func(*ServerState) {},
			want: []string{"s1: other revision: expected hotel-job cccccccccccc, found hotel-job not running"}},
		{rule: "one that runs nothing of it", change: func(s *ServerState) { s.Host.Running = map[string]string{"cron": "x"} },
			want: []string{"s1: nothing runs: expected hotel-api 1.0.0 (aaaaaaaaaaaa), found hotel-api not running"}},
		{rule: "one that cannot be asked is not said to run nothing", change: func(s *ServerState) { s.Reachable, s.HostError, s.Host = false, "no route", HostState{} },
			want: []string{"s1: unreachable: expected an answer, found no route"}},
		{rule: "one that was not asked is not judged by what it runs", change: func(s *ServerState) { s.Asked, s.Reachable, s.Host = false, false, HostState{} }},
		{rule: "our flag at 0 without a roll", change: func(s *ServerState) { s.Member.Weight = 0 },
			want: []string{"s1: pulled out: expected weight 100, found weight 0"}},
		{rule: "another share than a full one", change: func(s *ServerState) { s.Member.Weight = 25 },
			want: []string{"s1: weight: expected weight 100, found weight 25"}},
		{rule: "down at the balancer", change: func(s *ServerState) { s.Member.Up, s.Member.Detail = false, "DOWN" },
			want: []string{"s1: down: expected up, found DOWN"}},
		{rule: "somebody's maintenance says nothing about our flag or the check",
			change: func(s *ServerState) { s.Member = Member{Foreign: true, Detail: "MAINT"} },
			want:   []string{"s1: maintenance: expected in rotation, found MAINT"}},
		{rule: "a member that the balancer does not know", change: func(s *ServerState) { s.Unlisted, s.Member = true, Member{} },
			want: []string{"s1: unknown member: expected member s1, found no such member"}},
		{rule: "what it runs comes before what the balancer makes of it",
			change: func(s *ServerState) {
				s.Member = Member{Detail: "DOWN"}
				s.Host.Running = map[string]string{"hotel-api": newApp.Name()}
			},
			want: []string{
				"s1: other revision: expected hotel-api 1.0.0 (aaaaaaaaaaaa), found hotel-api bbbbbbbbbbbb",
				"s1: pulled out: expected weight 100, found weight 0", "s1: down: expected up, found DOWN"}},
		{rule: "without a balancer only what it runs counts", unbalanced: true, change: func(s *ServerState) { s.Member = Member{} }},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			if c.believed.ID == "" {
				c.believed = oldRev
			}
			s := asBelieved("s1")
			c.change(&s)
			if diff := cmp.Diff(c.want, lines(Drift(c.believed, map[string]ServerState{"s1": s}, !c.unbalanced))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	t.Run("a site that nothing was released on differs from nothing", func(t *testing.T) {
		if got := Drift(Revision{}, map[string]ServerState{"s1": {Server: fleet.Server{Name: "s1"}, Asked: true}}, true); got != nil {
			t.Errorf("got %v", got)
		}
	})
	t.Run("the order is that of the servers' names, every time", func(t *testing.T) {
		servers := map[string]ServerState{}
		for _, name := range []string{"s3", "s1", "s2", "s4"} {
			s := asBelieved(name)
			s.Member.Weight, s.Member.Up = 0, false
			servers[name] = s
		}
		want := "s1 pulled_out,s1 down,s2 pulled_out,s2 down,s3 pulled_out,s3 down,s4 pulled_out,s4 down"
		for range 50 {
			var got []string
			for _, d := range Drift(oldRev, servers, true) {
				got = append(got, d.Server+" "+string(d.Kind))
			}
			if text := strings.Join(got, ","); text != want {
				t.Fatalf("got %s, expected %s", text, want)
			}
		}
	})
}

func lines(differences []Difference) (all []string) {
	for _, d := range differences {
		all = append(all, d.String())
	}
	return all
}

func TestReport(t *testing.T) {
	now := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	earlier := now.Add(-time.Hour)
	out := Difference{Server: "s1", Kind: DriftPulledOut, Expected: "weight 100", Found: "weight 0", Since: earlier}
	quarter := Difference{Server: "s1", Kind: DriftWeight, Expected: "weight 100", Found: "weight 25", Since: earlier}
	away := Difference{Server: "s1", Kind: DriftUnreachable, Expected: "an answer", Found: "port 40001: refused", Since: earlier}
	cases := []struct {
		rule     string
		known    []Difference
		change   func(s *ServerState)
		balancer error
		want     []string // events
		since    []time.Time
	}{
		{rule: "what appears is told", change: func(s *ServerState) { s.Member.Weight = 0 },
			want: []string{"drift_found s1 pulled_out: expected weight 100, found weight 0"}, since: []time.Time{now}},
		{rule: "what was told is not told again, and keeps its time", known: []Difference{out}, change: func(s *ServerState) { s.Member.Weight = 0 }, since: []time.Time{earlier}},
		{rule: "what changes is told with what it was", known: []Difference{quarter}, change: func(s *ServerState) { s.Member.Weight = 50 },
			want: []string{"drift_found s1 weight: expected weight 100, found weight 50; before it was weight 25"}, since: []time.Time{earlier}},
		{rule: "what goes away is told", known: []Difference{out}, change: func(*ServerState) {}, want: []string{"drift_gone s1 : it was weight 0"}},
		{rule: "another port in an error is no change", known: []Difference{away},
			change: func(s *ServerState) { s.Reachable, s.HostError = false, "port 40002: refused" }, since: []time.Time{earlier}},
		{rule: "a balancer that does not answer is told once, and what it said before is kept", known: []Difference{out}, change: func(s *ServerState) { s.Unlisted = true },
			balancer: errors.New("no such socket"), want: []string{"drift_found  no_balancer: expected an answer, found no such socket"},
			since: []time.Time{now, earlier}},
		{rule: "what differed on a server that left the topology is gone", known: []Difference{{Server: "s9", Kind: DriftDown, Found: "DOWN"}},
			change: func(*ServerState) {}, want: []string{"drift_gone s9 : it was DOWN"}},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			s := asBelieved("s1")
			c.change(&s)
			belief := Belief{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Revision: oldRev, Known: c.known}
			r := Report(belief, Survey{Servers: map[string]ServerState{"s1": s}, Balanced: true, Balancer: c.balancer}, now)
			var got []string
			for _, e := range r.Events {
				got = append(got, strings.Join([]string{e.What, e.Server, e.To}, " ")+": "+e.Why)
				if e.Object != "site/PROD/hotel-api" || e.Actor != event.Railyard || !e.At.Equal(now) {
					t.Errorf("event %+v", e)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			var since []time.Time
			for _, d := range r.Differences {
				since = append(since, d.Since)
			}
			if diff := cmp.Diff(c.since, since); diff != "" {
				t.Errorf("since (-want +got):\n%s", diff)
			}
			again := Report(Belief{Site: belief.Site, Revision: oldRev, Known: r.Differences}, Survey{Servers: map[string]ServerState{"s1": s}, Balanced: true, Balancer: c.balancer}, now.Add(time.Minute))
			if len(again.Events) > 0 {
				t.Errorf("the next audit, which sees the same, tells %v", again.Events)
			}
		})
	}
}
