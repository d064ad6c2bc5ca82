package roller

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// world is a virtual site: it does what actions say at once, keeps the saved state apart from the running one, and checks
// the absolute rules at every step.
type world struct {
	t       *testing.T
	now     time.Time
	roll    Roll
	servers map[string]*vserver
	last    map[string]Result
	current Revision
	barred  map[string]string
	holder  string
	judge   func(q verdict.Question, now time.Time) *verdict.Verdict
	pending []Command
	events  []event.Event
	saves   int
	done    Save // of the save that ended the roll
	actions []Action
	bad     map[string]bool // revision id → its smoke test fails
	minSeen int             // the fewest servers ever in rotation
	maxOut  int
	away    string          // why the balancer cannot be read
	answers time.Time       // since when it answers again
	hangs   map[string]bool // servers whose actions never come back
	busy    map[string]bool
	since   time.Time // when the process began to look
	braked  bool      // in memory
	nextID  int64

	shared   []string        // servers that host the pool jobs too
	jobs     map[string]bool // its servers → in rotation there
	jobsAway string          // why its balancer cannot be read
	holderOf fleet.SiteRef   // what holder holds
}

type vserver struct {
	smoke     bool
	running   map[string]string
	weight    int
	foreign   bool
	down      bool // its host does not answer
	sick      bool // its check fails
	sessions  int
	unlisted  bool // the balancer does not know it
	restarts  int
	everOnNew bool
}

var (
	oldRev = NewRevision(AppRelease{App: "hotel-api", Package: "sha256:aaaaaaaaaaaaaaaa", Version: "1.0.0"})
	newApp = AppRelease{App: "hotel-api", Package: "sha256:bbbbbbbbbbbbbbbb", Version: "1.1.0"}
	newRev = NewRevision(newApp)
)

// newWorld is a healthy site of n servers on the old revision, the first of which is a smoke server, and a roll of the
// new one with the strategy of production.
func newWorld(t *testing.T, n int) *world {
	w := &world{
		t: t, now: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC), servers: map[string]*vserver{}, last: map[string]Result{},
		current: oldRev, barred: map[string]string{}, bad: map[string]bool{}, minSeen: n,
		hangs: map[string]bool{}, busy: map[string]bool{},
		judge: func(q verdict.Question, now time.Time) *verdict.Verdict {
			return &verdict.Verdict{Outcome: verdict.Pass, At: now, Stage: q.Stage, Batch: q.Batch, Reason: "all indicators are good"}
		},
	}
	for i := range n {
		w.servers[fmt.Sprintf("s%02d", i+1)] = &vserver{
			smoke: i == 0, weight: 100, running: map[string]string{"hotel-api": oldRev.Apps[0].Name()},
		}
	}
	w.roll = Roll{
		ID: "r-1", Kind: Release, Coach: "hotel-api-1.1", Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"},
		Changes: []AppRelease{newApp}, Stage: Queued, Balanced: true, Traffic: true, Created: w.now, ProgressAt: w.now, StageSince: w.now,
		Strategy: fleet.Resolved{
			Smoke: true, BakingWeight: 25, BakingTime: 10 * time.Second, Pattern: []int{25}, Pause: 5 * time.Second, Watch: 5 * time.Second,
			MinUpPercent: 50, DrainTimeout: 5 * time.Second, StepTimeout: 10 * time.Second, Progress: time.Minute, DoubtBound: 10 * time.Second,
			OnFailure: fleet.OnFailurePause,
		},
	}
	w.holder = w.roll.ID
	return w
}

func (w *world) command(kind CommandKind, server string) {
	w.nextID++
	w.pending = append(w.pending, Command{ID: w.nextID, Roll: w.roll.ID, Kind: kind, Server: server, Actor: "person:release-engineer", Reason: "asked"})
}

func (s *vserver) inRotation() bool { return s.weight > 0 && !s.sick && !s.foreign && !s.down }

func (w *world) up() (n int) {
	for _, s := range w.servers {
		if s.inRotation() {
			n++
		}
	}
	return n
}

func (w *world) observe() Observation {
	current := w.current
	obs := Observation{LockHolder: w.holder, Current: &current, Barred: w.barred, Servers: map[string]ServerState{}, Last: w.last, Commands: w.pending,
		BalancerError: w.away, Busy: w.busy, Since: w.since, Braked: w.braked, BalancerSince: w.answers}
	for name, s := range w.servers {
		state := ServerState{
			Server: fleet.Server{Name: name, Smoke: s.smoke}, Asked: true, Reachable: !s.down,
			Member: Member{Weight: s.weight, Up: !s.sick && !s.down, Foreign: s.foreign, Sessions: s.sessions},
			Host:   HostState{Running: s.running}, Unlisted: s.unlisted,
		}
		if s.down {
			state.HostError, state.Host = "no route", HostState{}
		}
		obs.Servers[name] = state
	}
	for _, name := range w.shared {
		state := obs.Servers[name]
		state.SharedWith = []fleet.SiteRef{jobsSite}
		obs.Servers[name] = state
	}
	if w.shared != nil {
		obs.Neighbours = map[fleet.SiteRef]Neighbour{jobsSite: {InRotation: w.jobs, Error: w.jobsAway}}
		obs.LockSite = w.holderOf
	}
	if q, ok := w.roll.Question(obs); ok {
		obs.Verdict = w.judge(q, w.now)
	}
	return obs
}

// step makes one decision, saves it (through a copy, as a store would) and acts.
func (w *world) step() Decision {
	d := Decide(w.roll, w.observe(), w.now)
	if d.Changed {
		w.saves++
		w.roll = d.Roll
		w.events = append(w.events, d.Save.Events...)
		handled := map[int64]bool{}
		for _, id := range d.Save.Handled {
			handled[id] = true
		}
		var left []Command
		for _, c := range w.pending {
			if !handled[c.ID] {
				left = append(left, c)
			}
		}
		w.pending = left
		if d.Roll.Stage.Terminal() {
			w.done = d.Save
		}
	}
	for _, a := range d.Actions {
		w.act(a)
	}
	w.minSeen = min(w.minSeen, w.up())
	w.maxOut = max(w.maxOut, len(w.servers)-w.up())
	return d
}

func (w *world) act(a Action) {
	w.actions = append(w.actions, a)
	if w.hangs[a.Server] {
		w.busy[a.Server] = true
		return
	}
	s := w.servers[a.Server]
	result := Result{Action: a.Kind, At: w.now.Add(time.Millisecond), Revision: a.Revision.ID}
	switch a.Kind {
	case ActWeight:
		before := w.up()
		s.weight = a.Weight
		if w.up() < before && w.up() < w.roll.MinUp && !w.roll.AllowDowntime {
			w.t.Errorf("%s taken out: %d in rotation, the floor is %d", a.Server, w.up(), w.roll.MinUp)
		}
	case ActSwitch:
		switch {
		case s.down:
			result.Err, result.Unreachable = "no route", true
		default:
			if s.inRotation() && w.roll.Balanced {
				w.t.Errorf("%s switched while in rotation", a.Server)
			}
			s.running = map[string]string{}
			for _, app := range a.Revision.Apps {
				s.running[app.App] = app.Name()
			}
			s.restarts++
			s.everOnNew = s.everOnNew || a.Revision.ID == newRev.ID
		}
	case ActTest:
		if w.bad[w.runs(a.Server)] || s.down {
			result.Err = "GET /healthz: 500"
		}
	}
	w.last[a.Server] = result
}

// runs names the revision a server runs.
func (w *world) runs(server string) string {
	for _, r := range []Revision{oldRev, newRev} {
		if (HostState{Running: w.servers[server].running}).Runs(r) {
			return r.ID
		}
	}
	return ""
}

// run steps until the roll ends or pauses, at most for an hour of its time.
func (w *world) run() *world {
	w.until(func() bool { return w.roll.Stage.Terminal() || w.roll.Pause != nil })
	return w
}

func (w *world) until(enough func() bool) {
	w.t.Helper()
	deadline := w.now.Add(time.Hour)
	for !enough() {
		d := w.step()
		if enough() {
			return
		}
		w.now = w.now.Add(max(d.Wake, 2*time.Millisecond))
		if w.now.After(deadline) {
			w.t.Fatalf("still %s (%s) after an hour: %+v", w.roll.place(), w.roll.Reason, w.roll.Targets)
		}
	}
}

func (w *world) names(is func(*vserver) bool) (names []string) {
	for name, s := range w.servers {
		if is(s) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func (w *world) allOn(r Revision) {
	w.t.Helper()
	for name, s := range w.servers {
		if w.runs(name) != r.ID {
			w.t.Errorf("%s runs %v, expected %s", name, s.running, r.ID)
		}
		if !s.inRotation() || s.weight != 100 {
			w.t.Errorf("%s is at weight %d, expected 100 and in rotation", name, s.weight)
		}
	}
}

// clone is another world like this one, which shares nothing that changes.
func (w *world) clone() *world {
	c := *w
	c.servers, c.last, c.barred = map[string]*vserver{}, maps.Clone(w.last), maps.Clone(w.barred)
	c.busy, c.hangs, c.bad = maps.Clone(w.busy), maps.Clone(w.hangs), maps.Clone(w.bad)
	for name, s := range w.servers {
		server := *s
		c.servers[name] = &server
	}
	c.pending, c.events, c.actions = slices.Clone(w.pending), slices.Clone(w.events), slices.Clone(w.actions)
	return &c
}
