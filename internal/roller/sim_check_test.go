package roller

import (
	"cmp"
	"slices"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

type siteRef = fleet.SiteRef

func cmpRef(a, b siteRef) int { return cmp.Compare(a.Pool, b.Pool) }

// The properties. Each is checked at the moment at which it could be broken; sim.mu is held.

// stale is how old an observation may be on which something is taken out of rotation, and a little more.
const stale = 3 * time.Second

// checkBegin: no action without the site's lock and the roll's lease, under a brake, or of the bad revision on the way back.
func (s *sim) checkBegin(h simHand, server, what, revision string) {
	now := time.Now()
	s.begun = append(s.begun, now)
	s.note("%s begins to %s on %s", h.proc.name, what, server)
	holder := s.store.rolls[s.store.locks[h.ref]]
	if holder == nil || holder.owner != h.proc.name || now.After(holder.until) {
		if !h.proc.dead.Load() {
			s.fail("%s begins to %s on %s without the lock and lease of a roll of %s", h.proc.name, what, server, h.ref)
		}
		return
	}
	roll := holder.roll
	if roll.Stage == RollingBack && revision != "" && revision == roll.To.ID && revision != roll.From.ID {
		s.fail("%s is moved to the revision that is being rolled back", server)
	}
	if brake, on := s.brakes[roll.ID]; on {
		if brake.proc == h.proc && now.After(brake.told) {
			s.fail("%s begins to %s on %s although it was told to brake %s", h.proc.name, what, server, now.Sub(brake.told))
		}
		if !brake.stored.IsZero() && now.Sub(brake.stored) > 2*time.Second {
			s.fail("%s begins to %s on %s %s after a brake was stored", h.proc.name, what, server, now.Sub(brake.stored))
		}
	}
}

// remain counts the other servers in rotation, and those that something else took out too lately to be known of.
func (s *sim) remain(h simHand, x *simServer, began time.Time, old time.Duration) (n int) {
	now := time.Now()
	for _, gone := range h.gone {
		if now.Sub(gone.lost) <= now.Sub(began)+old {
			n++
		}
	}
	for _, other := range h.servers {
		unknown := now.Sub(other.lost) <= now.Sub(began)+old || now.Sub(h.reloaded) <= now.Sub(began)+old
		if other != x && (other.inRotation(h.balanced, now) || unknown) {
			n++
		}
	}
	return n
}

// checkWeight: never below the floor by our action, never two batches' worth out because of us.
func (s *sim) checkWeight(h simHand, x *simServer, weight int, began time.Time, late bool) {
	now := time.Now()
	holder := s.store.rolls[s.store.locks[h.ref]]
	if late || h.proc.dead.Load() || holder == nil || weight > 0 || !x.inRotation(true, now) {
		return
	}
	if now.Sub(later(x.back, x.starting)) <= now.Sub(began)+stale {
		return // nobody could know yet that it is well again
	}
	s.checkShared(h, x, began)
	roll := holder.roll
	if n := s.remain(h, x, began, stale); n < roll.MinUp && !roll.AllowDowntime {
		s.fail("%s is taken out, and %d stay in rotation; the floor is %d (%s)", x.name, n, roll.MinUp, roll.place())
	}
	out := 1
	for _, t := range roll.Targets {
		if y := h.servers[t.Server]; y != nil && y != x && y.ours && y.weight == 0 && !y.failed && (t.State == Active || t.State == Waiting) {
			out++
		}
	}
	if most := 2 * roll.BiggestBatch(); out > most && !roll.Emergency && roll.From.ID != "" {
		s.fail("%s is taken out, and %d are out because of us; two batches' worth are %d (%s)", x.name, out, most, roll.place())
	}
}

// checkSwitch: what is switched is out of rotation; without a balancer the switch is what takes it out.
func (s *sim) checkSwitch(h simHand, x *simServer, began time.Time, late bool) {
	now := time.Now()
	holder := s.store.rolls[s.store.locks[h.ref]]
	if late || h.proc.dead.Load() || holder == nil || !x.inRotation(h.balanced, now) {
		return
	}
	roll := holder.roll
	i := slices.IndexFunc(roll.Targets, func(t Target) bool { return t.Server == x.name })
	surprised := now.Sub(h.reloaded) <= now.Sub(began)+stale || (!x.late.IsZero() && now.Sub(x.late) <= now.Sub(began)+stale)
	switch {
	case h.balanced && !surprised:
		s.fail("%s is switched while in rotation at weight %d", x.name, x.weight)
	case !h.balanced && !roll.AllowDowntime && i >= 0 && roll.Targets[i].State != Failed && !x.back.After(roll.Targets[i].Since.Add(-20*time.Second)):
		failed := 0
		for _, t := range roll.Targets {
			if y := h.servers[t.Server]; y != nil && y != x && t.Pulled && y.inRotation(false, now) {
				failed++
			}
		}
		if n := s.remain(h, x, began, 20*time.Second) - failed; n < roll.MinUp && !roll.Targets[i].Exposed && roll.Stage != RollingBack {
			s.fail("%s is switched, and %d others run; the floor is %d (%s)", x.name, n, roll.MinUp, roll.place())
		}
	}
}

// checkSave: batch after batch, none before the one before it is done and passed; a site is completed once.
func (s *sim) checkSave(r *simRoll, save Save) {
	before, after := r.roll, save.Roll
	for _, t := range save.Targets {
		if x := s.sites[before.Site].servers[t.Server]; x != nil && t.State == Failed {
			x.failed = true
		}
	}
	if before.Stage.Terminal() && save.Complete != nil && s.store.byRoll[before.Site] != before.ID {
		s.fail("%s completes its site again, over %s", before.ID, s.store.byRoll[before.Site])
	}
	if before.Stage == RollingBack && after.Stage != RollingBack && after.Stage != RolledBack {
		s.fail("%s goes forward again from the way back: %s", before.ID, after.place())
	}
	forward := after.Stage == before.Stage && after.Batch > before.Batch ||
		before.Stage == Baking && after.Stage == Rolling || before.Stage == Rolling && after.Stage == Watch
	if !forward || (before.Stage == Rolling && before.Batch > before.Batches) {
		return
	}
	settled := 0
	for _, t := range after.Targets {
		if t.Batch != before.Batch {
			continue
		}
		if (t.State == Active && before.Stage != Baking) || (t.State == Waiting && before.Stage == Rolling) {
			s.fail("%s goes on to %s while %s is at %s %s", before.ID, after.place(), t.Server, t.State, t.Step)
		}
		if t.Exposed && t.State == Settled {
			settled++
		}
	}
	period := before.Strategy.Pause
	if before.Stage == Baking {
		period = before.Strategy.BakingTime
		if before.Strategy.BakingWeight == 0 || !before.Balanced {
			return
		}
	}
	passed := len(save.Events) > 0 && !before.Accepted && len(save.Handled) == 0
	if passed && settled > 0 && period > 0 && (before.Verdict == nil || before.Verdict.Outcome != verdict.Pass) && !passes(save) {
		s.fail("%s goes on to %s without a pass", before.ID, after.place())
	}
}

// passes reports whether the save itself tells of a pass.
func passes(save Save) bool {
	for _, e := range save.Events {
		if e.What == "verdict" && e.To == string(verdict.Pass) {
			return true
		}
	}
	return false
}

// checkNoDeadlock: rolls do not wait for each other's locks.
func (s *sim) checkNoDeadlock() {
	for id, x := range s.store.rolls {
		if !x.roll.Stage.Terminal() {
			s.fail("%s waits for ever: %s, %s", id, x.roll.place(), x.roll.Reason)
		}
	}
}

// checkEnd: every server runs what its roll says and is in rotation, unless it is reported or something else took it.
func (s *sim) checkEnd() {
	last := map[fleet.SiteRef]Roll{}
	for _, x := range s.store.rolls {
		if x.roll.Stage == Revoked && len(x.roll.Targets) == 0 {
			continue
		}
		if l, ok := last[x.roll.Site]; !ok || x.roll.StageSince.After(l.StageSince) {
			last[x.roll.Site] = x.roll
		}
	}
	for ref, roll := range last {
		goal := roll.To
		if roll.Stage != Done {
			goal = roll.From
		}
		for _, t := range roll.Targets {
			x := s.sites[ref].servers[t.Server]
			drifts := roll.Stage == Done || x == nil || x.late.After(roll.StageSince.Add(-2*hostAgain)) // what lands late after that is drift
			if x == nil || t.State != Settled || x.down || goal.ID == "" || (drifts && x.late.After(t.Since.Add(-20*time.Second))) {
				continue
			}
			if x.runs != goal.ID && roll.Stage != Revoked {
				s.fail("%s ended %s with %s %s on %s, expected %s", roll.ID, roll.Stage, t.Server, t.State, x.runs, goal.ID)
			}
			if s.sites[ref].balanced && t.Ordered && x.weight != 100 && s.sites[ref].reloaded.Before(roll.StageSince) {
				s.fail("%s ended %s with %s %s at weight %d", roll.ID, roll.Stage, t.Server, t.State, x.weight)
			}
		}
	}
}
