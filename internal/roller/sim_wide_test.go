package roller

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"railyard/internal/fleet"
)

// share lets the two sites share some machines: each of them has a server of the same name in both. Every roll then holds both.
func (s *sim) share() {
	refs := slices.SortedFunc(maps.Keys(s.sites), cmpRef)
	if len(refs) < 2 {
		return
	}
	r := s.draw("share")
	one, other := s.sites[refs[0]], s.sites[refs[1]]
	for _, name := range slices.Sorted(maps.Keys(one.servers)) {
		if r.IntN(2) == 0 {
			x := &simServer{name: name, weight: 100, listed: true, fragile: r.IntN(2) == 0}
			x.run(s.store.current[other.ref])
			other.servers[name] = x
			one.shared[name], other.shared[name] = other, one
		}
	}
	if len(one.shared) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.store.rolls)) {
		x := s.store.rolls[id]
		beside := one
		if x.roll.Site == one.ref {
			beside = other
		}
		floor := fleet.Resolved{MinUpPercent: []int{0, 50, 75}[r.IntN(3)]}
		x.roll.Shares = []Share{{Site: beside.ref, MinUp: min(floor.Floor(len(beside.servers)), len(beside.servers)-1)}}
		x.put(x.roll, nil)
	}
}

// neighbours are the sites that share servers with this one. sim.mu is held.
func (site *simSite) neighbours(p *simProc) (open []OpenNeighbour) {
	seen := map[*simSite]bool{}
	for _, name := range slices.Sorted(maps.Keys(site.shared)) {
		other := site.shared[name]
		if seen[other] || site.servers[name] == nil {
			continue
		}
		seen[other] = true
		n := OpenNeighbour{Site: other.ref, Members: map[string]string{}}
		if other.balanced {
			n.Balancer = simHand{other, p}
		}
		for name := range other.servers {
			n.Members[name] = name
		}
		open = append(open, n)
	}
	return open
}

// checkShared: never below the floor of the other pool of a machine that is taken. What this roll has out already counts as gone
// there too. sim.mu is held.
func (s *sim) checkShared(h simHand, x *simServer, began time.Time) {
	other := h.shared[x.name]
	if other == nil || other.servers[x.name] == nil || !other.balanced {
		return
	}
	now := time.Now()
	holder := s.store.rolls[s.store.locks[h.ref]]
	i := slices.IndexFunc(holder.roll.Shares, func(share Share) bool { return share.Site == other.ref })
	if i < 0 || s.store.locks[other.ref] != holder.roll.ID {
		s.fail("%s is taken out of %s, and the roll does not hold %s, which it is shared with", x.name, h.ref, other.ref)
		return
	}
	there := other.servers[x.name]
	if !there.inRotation(true, now) || now.Sub(later(there.back, there.starting)) <= now.Sub(began)+stale {
		return
	}
	n := s.remain(simHand{other, h.proc}, there, began, stale)
	for name, y := range h.servers {
		if z := other.servers[name]; y != x && z != nil && y.ours && y.weight == 0 && z.inRotation(true, now) {
			n--
		}
	}
	if least := holder.roll.Shares[i].MinUp; n < least {
		s.fail("%s is taken out of %s, and %d stay in rotation in %s, which it is shared with; the floor there is %d", x.name, h.ref, n, other.ref, least)
	}
}

// goBack does what the API does when a person takes back what has completed. sim.mu is held.
func (s *sim) goBack(undoes Roll, kind CommandKind) {
	tries := 1
	for _, x := range s.store.rolls {
		if x.roll.Undoes == undoes.ID {
			tries++
			if !x.roll.Stage.Terminal() {
				return
			}
		}
	}
	site := fleet.SiteInfo{Ref: undoes.Site, Strategy: undoes.Strategy, Site: fleet.Site{AllowDowntime: undoes.AllowDowntime}}
	if !undoes.Balanced {
		site.Site.Balancer.Driver = fleet.BalancerNone
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	r, _, err := PlanGoBack(GoBackOrder{
		Undoes: undoes, Site: site, Current: s.store.current[undoes.Site], Barred: s.store.barred[undoes.Site],
		ID: GoBackID(undoes.ID, tries), Emergency: kind == CmdEmergency, Actor: "person:p", Reason: "asked",
	}, now)
	if err != nil {
		s.note("%s of %s is refused: %v", kind, undoes.ID, err)
		return
	}
	r.Shares = undoes.Shares
	for _, ref := range r.Locks() {
		if held := s.store.rolls[s.store.locks[ref]]; held != nil && !held.roll.Stage.Terminal() {
			s.note("%s of %s is refused: %s holds %s", kind, undoes.ID, held.roll.ID, ref)
			return
		}
	}
	x := &simRoll{targets: map[string][]byte{}}
	x.put(r, nil)
	s.store.rolls[r.ID] = x
	s.store.lock(r.Locks(), r.ID)
	s.note("%s takes back %s", r.ID, undoes.ID)
}

// someRoll is one that a person speaks of: in a wide world also those that were made meanwhile.
func (s *sim) someRoll(r *rand.Rand, first []string) string {
	if s.wide() {
		s.locked(func() { first = slices.Sorted(maps.Keys(s.store.rolls)) })
	}
	return first[r.IntN(len(first))]
}
