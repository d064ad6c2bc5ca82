package roller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// simSite is a pool in one environment with its balancer. sim.mu guards it.
type simSite struct {
	*sim
	ref       fleet.SiteRef
	balanced  bool
	servers   map[string]*simServer
	gone      map[string]*simServer // not in the topology at present
	away      time.Time             // the balancer does not answer until then
	reloaded  time.Time             // when the balancer forgot its weights last
	badSmoke  map[string]bool       // revision → its smoke test fails on some servers
	badHealth map[string]bool       // revision → servers that run it fall sick
	breaches  map[string]bool       // revision → the monitor sees a hard breach where it takes traffic
	shared    map[string]*simSite   // server → the other site that has the machine too
}

type simServer struct {
	name      string
	smoke     bool
	running   map[string]string
	runs      string // revision id
	weight    int
	foreign   bool
	down      bool // host and process
	sick      bool
	starting  time.Time // its process is up again then
	sessions  int
	ours      bool      // we took it out of rotation
	lost      time.Time // when something else took it out of rotation
	late      time.Time // when an order of somebody gone landed last
	listed    bool      // the balancer knows it
	fragile   bool      // a bad smoke test fails here
	neverBack bool
	failed    bool      // and stays out until it is pulled in again
	back      time.Time // when it came back from the dead
}

func (x *simServer) up(now time.Time) bool {
	return !x.foreign && !x.down && !x.sick && !now.Before(x.starting) && len(x.running) > 0 && x.listed
}

func (x *simServer) inRotation(balanced bool, now time.Time) bool {
	if !balanced {
		return !x.down && len(x.running) > 0
	}
	return x.up(now) && x.weight > 0
}

func (s *sim) addSite(i int) {
	r := s.plain
	site := &simSite{
		sim: s, ref: fleet.SiteRef{Environment: "PROD", Pool: fmt.Sprintf("pool%d", i)}, balanced: r.IntN(5) > 0,
		servers: map[string]*simServer{}, gone: map[string]*simServer{},
		badSmoke: map[string]bool{}, badHealth: map[string]bool{}, breaches: map[string]bool{}, shared: map[string]*simSite{},
	}
	first := r.IntN(10) == 0
	old := simRevision(0)
	if first {
		old = Revision{}
	}
	n := 1 + r.IntN(12)
	if r.IntN(40) == 0 {
		n = 100 + r.IntN(100)
	}
	for k := range n {
		site.addServer(fmt.Sprintf("p%d-s%03d", i, k), k < r.IntN(3), old)
	}
	s.sites[site.ref] = site
	s.store.current[site.ref], s.store.barred[site.ref] = old, map[string]string{}
	for k := range 1 + r.IntN(3) {
		next := simRevision(k + 1)
		switch r.IntN(6) {
		case 0:
			site.badSmoke[next.ID] = true
		case 1:
			site.badHealth[next.ID] = true
		case 2:
			site.breaches[next.ID] = true
		}
		s.store.addRoll(site, fmt.Sprintf("r-%d-%d", i, k), next, n)
	}
}

func (site *simSite) addServer(name string, smoke bool, runs Revision) {
	r := site.plain
	x := &simServer{name: name, smoke: smoke, weight: 100, listed: true, fragile: r.IntN(2) == 0, neverBack: r.IntN(40) == 0}
	x.run(runs)
	site.servers[name] = x
}

func (x *simServer) run(r Revision) {
	x.runs, x.running = r.ID, map[string]string{}
	for _, a := range r.Apps {
		x.running[a.App] = a.Name()
	}
}

func simRevision(n int) Revision {
	return NewRevision(AppRelease{App: "api", Package: fmt.Sprintf("sha256:%d%015d", n+1, 0), Version: fmt.Sprint(n)})
}

// addRoll queues a roll with a random strategy.
func (st *simStore) addRoll(site *simSite, id string, to Revision, servers int) {
	r := st.plain
	roll := Roll{
		ID: id, Kind: Release, Site: site.ref, Stage: Queued, Created: st.start, StageSince: st.start, ProgressAt: st.start,
		Changes: to.Apps, Balanced: site.balanced, AllowDowntime: servers == 1,
		Strategy: fleet.Resolved{
			Smoke: r.IntN(3) > 0, BakingWeight: []int{0, 20, 50}[r.IntN(3)], BakingTime: time.Duration(r.IntN(6)) * time.Second,
			Pattern: [][]int{{25}, {50}, {10, 40, 50}, {10}, {34}}[r.IntN(5)], Pause: time.Duration(r.IntN(4)) * time.Second,
			Watch: time.Duration(r.IntN(5)) * time.Second, MinUpPercent: []int{0, 50, 60, 75}[r.IntN(4)], FailureBudget: r.IntN(3),
			DrainTimeout: time.Duration(1+r.IntN(3)) * time.Second, StepTimeout: time.Duration(5+r.IntN(6)) * time.Second,
			Progress: 30 * time.Second, DoubtBound: 8 * time.Second,
			OnFailure: []string{fleet.OnFailurePause, fleet.OnFailureRollback}[r.IntN(2)],
		},
	}
	if r.IntN(8) == 0 {
		roll.Kind, roll.Changes, roll.To = Rollback, nil, to
	}
	x := &simRoll{targets: map[string][]byte{}}
	x.put(roll, nil)
	st.rolls[id] = x
}

// errSimFault is what a call says that did nothing, or whose answer was lost.
var errSimFault = errors.New("virtual fault")

// simHand is the site as one process reaches it: balancer, host and tester.
type simHand struct {
	*simSite
	proc *simProc
}

// act does f at a random moment of a call, or never, or later than anybody waits for; its answer may be lost.
func (h simHand) act(ctx context.Context, what, server string, least, most time.Duration, f func(late bool) error) error {
	r := h.draw(h.proc.name + " " + what + " " + server)
	fate := r.IntN(1000)
	if h.isCalm() || ctx.Err() != nil {
		fate = 999
	}
	if h.proc.dead.Load() {
		return errSimDead
	}
	var err error
	do := func(late bool) { h.locked(func() { err = f(late) }) }
	switch {
	case fate < 25:
		h.wait(ctx, r, least, most)
		return errSimFault // nothing was done
	case fate < 45:
		h.lands(r, f) // refuses to mind its context, and may do it very late
		<-h.over
		return errSimDead
	case fate < 60:
		select { // hangs for as long as it may
		case <-ctx.Done():
		case <-h.over:
		}
	}
	if ctx.Err() != nil || !h.wait(ctx, r, least, most) {
		if !h.isCalm() && r.IntN(3) == 0 {
			h.lands(r, f)
		}
		return context.Cause(ctx)
	}
	do(false)
	if err == nil && fate < 85 {
		return errSimFault // it was done, but the answer is lost
	}
	h.wait(ctx, r, least, most)
	return err
}

// lands does something after its caller has given up on it.
func (h simHand) lands(r *rand.Rand, f func(late bool) error) {
	h.wg.Go(func() {
		if h.pause(r, 10*time.Millisecond, 15*time.Second) && !h.isCalm() {
			h.locked(func() { _ = f(true) })
		}
	})
}

func (h simHand) Observe(ctx context.Context) (map[string]Member, error) {
	r := h.draw(h.proc.name + " observe " + h.ref.Pool)
	fate := r.IntN(1000)
	h.mu.Lock()
	if now := time.Now(); now.Before(h.away) {
		fate = r.IntN(10)
	}
	if h.calm {
		fate = 999
	}
	h.mu.Unlock()
	if fate < 5 {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	if !h.wait(ctx, r, 200*time.Microsecond, 10*time.Millisecond) || fate < 15 || h.proc.dead.Load() {
		return nil, errSimFault
	}
	h.mu.Lock()
	members := map[string]Member{}
	now := time.Now()
	for name, x := range h.servers {
		if x.listed {
			members[name] = Member{Weight: x.weight, Up: !x.down && !x.sick && !now.Before(x.starting) && len(x.running) > 0,
				Foreign: x.foreign, Sessions: x.sessions, Detail: "virtual"}
		}
	}
	h.mu.Unlock()
	h.wait(ctx, r, 200*time.Microsecond, 10*time.Millisecond)
	return members, nil
}

func (h simHand) SetWeight(ctx context.Context, member string, weight int) error {
	began := time.Now()
	h.locked(func() { h.checkBegin(h, member, fmt.Sprintf("set weight %d", weight), "") })
	return h.act(ctx, "weight", member, time.Millisecond, 20*time.Millisecond, func(late bool) error {
		x := h.servers[member]
		if x == nil || !x.listed {
			return errors.New("no such member")
		}
		h.note("%s sets %s from weight %d to %d%s", h.proc.name, member, x.weight, weight, lateWord(late))
		if h.checkWeight(h, x, weight, began, late); late {
			x.late = time.Now()
		}
		if weight == 0 && x.inRotation(true, time.Now()) {
			x.ours = true
		}
		if late && weight == 0 {
			x.lost = time.Now()
		}
		if weight > 0 {
			x.ours, x.failed = false, false
		}
		x.weight = weight
		return nil
	})
}

func lateWord(late bool) string {
	if late {
		return ", late"
	}
	return ""
}

type simHost struct{ simHand }

func (h simHost) Observe(ctx context.Context, m Machine) (HostState, error) {
	r := h.draw(h.proc.name + " ask " + m.Server.Name)
	fate := r.IntN(1000)
	if h.isCalm() {
		fate = 999
	}
	if fate < 5 {
		<-ctx.Done()
		return HostState{}, fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
	}
	if !h.wait(ctx, r, time.Millisecond, 30*time.Millisecond) || fate < 15 || h.proc.dead.Load() {
		return HostState{}, fmt.Errorf("%w: virtual fault", ErrUnreachable)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.servers[m.Server.Name]
	if x == nil || x.down {
		return HostState{}, fmt.Errorf("%w: no route", ErrUnreachable)
	}
	return HostState{Running: x.running}, nil
}

func (h simHost) Switch(ctx context.Context, m Machine, rev Revision) error {
	began := time.Now()
	name := m.Server.Name
	h.locked(func() { h.checkBegin(h.simHand, name, "switch", rev.ID) })
	return h.act(ctx, "switch", name, 20*time.Millisecond, 400*time.Millisecond, func(late bool) error {
		x := h.servers[name]
		if x == nil || x.down {
			return fmt.Errorf("%w: no route", ErrUnreachable)
		}
		if x.runs == rev.ID {
			return nil
		}
		h.note("%s switches %s from %s to %s%s", h.proc.name, name, x.runs, rev.ID, lateWord(late))
		if h.checkSwitch(h.simHand, x, began, late); late {
			x.late = time.Now()
		}
		x.run(rev)
		x.sick = h.badHealth[rev.ID] && x.fragile
		x.starting = time.Now().Add(50 * time.Millisecond)
		return nil
	})
}

func (h simHand) Test(ctx context.Context, m Machine) error {
	h.locked(func() { h.checkBegin(h, m.Server.Name, "test", "") })
	return h.act(ctx, "test", m.Server.Name, time.Millisecond, 50*time.Millisecond, func(bool) error {
		x := h.servers[m.Server.Name]
		switch {
		case x == nil || x.down || x.sick || time.Now().Before(x.starting):
			return errors.New("GET /healthz: no answer")
		case h.badSmoke[x.runs] && x.fragile:
			return errors.New("GET /healthz: 500")
		}
		return nil
	})
}

// OpenSite implements Sites for one process.
func (p *simProc) OpenSite(ref fleet.SiteRef) (OpenSite, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	site := p.sites[ref]
	hand := simHand{site, p}
	open := OpenSite{Host: simHost{hand}, Tester: hand, Machines: map[string]Machine{}}
	if site.balanced {
		open.Balancer = hand
	}
	for name, x := range site.servers {
		open.Machines[name] = Machine{Site: ref, Server: fleet.Server{Name: name, Smoke: x.smoke}}
	}
	open.Neighbours = site.neighbours(p)
	return open, nil
}

// Judge implements Judge for one process: it sees a hard breach where a bad revision takes traffic, and otherwise passes,
// but for doubts and false alarms now and then.
func (p *simProc) Judge(ctx context.Context, q verdict.Question) verdict.Verdict {
	r := p.draw(fmt.Sprintf("%s judge %s %s %d", p.name, q.Roll, q.Stage, q.Batch))
	fate := r.IntN(1000)
	if p.isCalm() {
		fate = 999
	}
	if fate < 10 {
		<-ctx.Done()
	}
	v := verdict.Verdict{Outcome: verdict.Pass, At: time.Now().UTC().Truncate(time.Microsecond), Stage: q.Stage, Batch: q.Batch, Reason: "virtual"}
	p.wait(ctx, r, time.Millisecond, 300*time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	site := p.sites[q.Site]
	bad := slices.ContainsFunc(q.Exposed, func(name string) bool { return site.servers[name] != nil && site.breaches[site.servers[name].runs] })
	switch {
	case bad && fate > 500:
		v.Outcome = verdict.Hard
	case fate < 30:
		v.Outcome = verdict.Soft
	case fate < 60:
		v.Outcome = []verdict.Outcome{verdict.NoData, verdict.NoTraffic, verdict.SourceDown, verdict.Pending}[r.IntN(4)]
	case fate < 64:
		v.Outcome = verdict.Hard
	}
	p.judged(q.Roll, v)
	return v
}
