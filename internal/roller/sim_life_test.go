package roller

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"railyard/internal/verdict"
)

// simProc is one process of Railyard.
type simProc struct {
	*sim
	name   string
	runner *Runner
	dead   atomic.Bool // it crashed: it reaches nothing any more, what it had begun may still land
}

// replica starts a process again and again, and crashes or stops it, until the calm; then one of them goes on.
func (s *sim) replica(i int, stays bool) {
	r := s.draw(fmt.Sprintf("replica %d", i))
	s.pause(r, time.Millisecond, time.Second)
	for life := 0; ; life++ {
		calm := s.isCalm()
		if calm && !stays {
			return
		}
		if life > 0 && !s.pause(r, time.Millisecond, 15*time.Second) {
			return
		}
		p := s.newProc(i)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = p.runner.Run(ctx, nil) // it ends by ctx alone
		}()
		if calm {
			<-s.over
		} else {
			s.pause(r, 5*time.Second, 90*time.Second)
		}
		crash := !calm && r.IntN(3) > 0
		s.locked(func() {
			s.note("%s ends, by a crash: %v", p.name, crash)
			s.procs = slices.DeleteFunc(s.procs, func(x *simProc) bool { return x == p })
		})
		p.dead.Store(crash)
		cancel()
		<-ended
	}
}

func (s *sim) newProc(i int) *simProc {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.born++
	p := &simProc{sim: s, name: fmt.Sprintf("replica%d-%d", i, s.born)}
	p.runner = &Runner{Store: simView{s.store, p}, Sites: p, Judge: p, Log: quiet(), Owner: p.name, flipped: s.flipped}
	s.procs = append(s.procs, p)
	s.note("%s starts", p.name)
	return p
}

// nature makes servers die, fall sick, be maintained by others, join and leave, and balancer and database go away.
func (s *sim) nature() {
	r := s.draw("nature")
	refs := slices.SortedFunc(maps.Keys(s.sites), func(a, b siteRef) int { return cmpRef(a, b) })
	for s.pause(r, 200*time.Millisecond, 8*time.Second) && !s.isCalm() {
		s.locked(func() { s.happen(r, s.sites[refs[r.IntN(len(refs))]]) })
	}
}

func (s *sim) happen(r *rand.Rand, site *simSite) {
	now := time.Now()
	names := slices.Sorted(maps.Keys(site.servers))
	if len(names) == 0 {
		return
	}
	x := site.servers[names[r.IntN(len(names))]]
	long := time.Second + time.Duration(r.Int64N(int64(40*time.Second)))
	switch r.IntN(12) {
	case 0, 1:
		s.lose(site, x, "dies", long, func(on bool) { x.down = on })
		if other := site.shared[x.name]; other != nil && other.servers[x.name] != nil { // the whole machine does
			twin := other.servers[x.name]
			s.lose(other, twin, "dies", long, func(on bool) { twin.down = on })
		}
	case 2, 3:
		s.lose(site, x, "falls sick", long, func(on bool) { x.sick = on })
	case 4, 5:
		s.lose(site, x, "is maintained by somebody", long, func(on bool) { x.foreign = on })
	case 6:
		name := fmt.Sprintf("%s-joined-%d", site.ref.Pool, s.draws["nature"]+uint64(now.Sub(s.start)))
		s.note("%s joins", name)
		site.addServerLate(r, name)
	case 7:
		if len(names) > 2 {
			s.note("%s leaves the topology", x.name)
			x.lost = now
			delete(site.servers, x.name)
			site.gone[x.name] = x
			s.later(long, func() {
				site.servers[x.name] = x
				delete(site.gone, x.name)
				s.note("%s is back in the topology", x.name)
			})
		}
	case 8:
		s.note("the balancer of %s is away for %s", site.ref, long)
		site.away = now.Add(long)
	case 9:
		s.note("the balancer of %s is reloaded and forgets weights", site.ref)
		site.reloaded = now
		for _, x := range site.servers {
			x.weight, x.ours = 100, false
		}
	case 10:
		s.store.away, s.store.hangs = now.Add(long), r.IntN(2) == 0
		s.note("the database is away for %s (hangs: %v)", long, s.store.hangs)
	case 11:
		x.sessions = 3
		s.later(long, func() { x.sessions = 0 })
	}
}

func (site *simSite) addServerLate(r *rand.Rand, name string) {
	x := &simServer{name: name, weight: 100, listed: r.IntN(3) > 0}
	x.run(site.store.current[site.ref])
	site.servers[name] = x
	site.later(20*time.Second, func() { x.listed = true })
}

// lose takes a server away for a while.
func (s *sim) lose(site *simSite, x *simServer, what string, long time.Duration, set func(on bool)) {
	if x.inRotation(site.balanced, time.Now()) {
		x.lost = time.Now()
	}
	set(true)
	s.note("%s %s", x.name, what)
	if !x.neverBack {
		s.later(long, func() { x.back = time.Now(); set(false); s.note("%s: no longer %s", x.name, what) })
	}
}

// later does something in a while, or at the calm if that comes first. s.mu is held.
func (s *sim) later(after time.Duration, f func()) {
	s.wg.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.over:
		}
		s.locked(f)
	})
}

var simKinds = []CommandKind{
	CmdBrake, CmdBrake, CmdBrake, CmdResume, CmdResume, CmdResume, CmdResume, CmdRetry, CmdRetry, CmdSkip, CmdRevoke, CmdRollback, CmdEmergency,
}

// people give random commands to random rolls.
func (s *sim) people() {
	r := s.draw("people")
	ids := slices.Sorted(maps.Keys(s.store.rolls))
	for s.pause(r, time.Second, 25*time.Second) && !s.isCalm() {
		s.command(r, s.someRoll(r, ids), simKinds[r.IntN(len(simKinds))])
	}
}

// simBrake is a brake that somebody was told is on.
type simBrake struct {
	stored time.Time // zero if it could not be
	proc   *simProc  // that drove the roll when it was told
	told   time.Time
}

// command does what the API does: a brake first in memory, then in the database, if that answers.
func (s *sim) command(r *rand.Rand, id string, kind CommandKind) {
	s.mu.Lock()
	var through *simProc
	if len(s.procs) > 0 {
		through = s.procs[r.IntN(len(s.procs))]
	}
	s.mu.Unlock()
	if through == nil {
		return
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	brake := simBrake{told: now}
	if kind == CmdBrake {
		through.runner.Brake(id)
		through.runner.mu.Lock()
		if through.runner.rolls[id] != nil {
			brake.proc = through
		}
		through.runner.mu.Unlock()
	}
	s.mu.Lock()
	if stored := s.store.rolls[id]; s.wide() && stored.roll.Stage == Done && (kind == CmdRollback || kind == CmdEmergency) && !now.Before(s.store.away) {
		s.goBack(stored.roll, kind)
	}
	if stored := s.store.rolls[id]; !stored.roll.Stage.Terminal() && !time.Now().Before(s.store.away) {
		s.store.nextID++
		c := Command{ID: s.store.nextID, Roll: id, Kind: kind, Actor: "person:p", Reason: "asked", At: now}
		if kind == CmdSkip && len(stored.roll.Targets) > 0 {
			c.Server = stored.roll.Targets[r.IntN(len(stored.roll.Targets))].Server
		}
		s.note("a person asks %s to %s %s", id, kind, c.Server)
		s.store.commands = append(s.store.commands, c)
		brake.stored = now
		if kind == CmdResume || kind == CmdRollback || kind == CmdEmergency || kind == CmdRevoke {
			delete(s.brakes, id)
		}
	}
	if kind == CmdBrake && (brake.proc != nil || !brake.stored.IsZero()) {
		if before, on := s.brakes[id]; on && !before.stored.IsZero() {
			brake = before
		}
		s.brakes[id] = brake
	}
	s.mu.Unlock()
	through.runner.Kick(id)
}

// becalm ends all faults. Servers that never come back stay away.
func (s *sim) becalm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note("the calm begins")
	s.calm = true
	s.store.away = time.Time{}
	for _, site := range s.sites {
		site.away = time.Time{}
		for _, x := range site.servers {
			if !x.neverBack {
				x.down, x.foreign, x.sessions, x.back = false, false, 0, time.Now()
				x.sick = site.badHealth[x.runs] && x.fragile
			}
		}
	}
}

// finish waits until every roll has ended or waits for a person, plays that person, and looks at what came of it all.
func (s *sim) finish() {
	r := s.draw("finish")
	for tries := 0; ; tries++ {
		if !s.settles() {
			return
		}
		var open []Roll
		s.locked(func() {
			for _, id := range slices.Sorted(maps.Keys(s.store.rolls)) {
				if x := s.store.rolls[id].roll; !x.Stage.Terminal() && x.Pause != nil {
					open = append(open, x)
				}
			}
		})
		if len(open) == 0 {
			s.locked(s.checkNoDeadlock)
			break
		}
		if tries > 40 {
			s.locked(func() {
				s.fail("%s is still %s after 40 decisions of a person: %+v", open[0].ID, open[0].place(), open[0].Pause)
			})
			return
		}
		for _, x := range open {
			kind := CmdResume
			switch {
			case tries == 0 && x.Pause.Cause == CauseBudget:
				kind = CmdRetry
			case tries == 10:
				kind = CmdRollback
			case tries == 20:
				kind = CmdEmergency
			}
			if tries > 25 {
				s.skipAll(x)
				continue
			}
			s.command(r, x.ID, kind)
		}
		s.pause(r, 3*time.Second, 4*time.Second)
	}
	s.locked(s.checkEnd)
}

// skipAll gives up on servers that cannot be taken, as a person would where the floor can never be met again.
func (s *sim) skipAll(roll Roll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range roll.Targets {
		if t.State == Active || t.State == Waiting || t.State == Failed {
			s.store.nextID++
			s.store.commands = append(s.store.commands, Command{ID: s.store.nextID, Roll: roll.ID, Kind: CmdSkip, Server: t.Server, Actor: "person:p", Reason: "gone"})
		}
	}
	s.store.nextID++
	s.store.commands = append(s.store.commands, Command{ID: s.store.nextID, Roll: roll.ID, Kind: CmdResume, Actor: "person:p", Reason: "gone", At: time.Now()})
}

// settles waits until no roll moves by itself any more, at most an hour.
func (s *sim) settles() bool {
	deadline := time.Now().Add(time.Hour)
	for {
		moving := ""
		s.locked(func() {
			for id, x := range s.store.rolls {
				waits := false
				for _, site := range x.roll.Locks() {
					holder := s.store.rolls[s.store.locks[site]]
					waits = waits || x.roll.Stage == Queued && holder != nil && holder != x && (holder.roll.Pause != nil || holder.roll.Stage == Queued)
				}
				if !x.roll.Stage.Terminal() && x.roll.Pause == nil && !waits {
					moving = id
				}
			}
		})
		if moving == "" {
			return true
		}
		if time.Now().After(deadline) {
			s.locked(func() {
				x := s.store.rolls[moving].roll
				s.fail("%s neither ended nor waits for a person an hour into the calm: %s: %s %+v", moving, x.place(), x.Reason, x.Targets)
			})
			return false
		}
		time.Sleep(time.Second)
	}
}

// judged notes what the monitor says. s.mu is held.
func (s *sim) judged(roll string, v verdict.Verdict) {
	s.note("the monitor says %s about %s %s, batch %d", v.Outcome, roll, v.Stage, v.Batch)
}
