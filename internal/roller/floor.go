package roller

import "railyard/internal/fleet"

// floor guards the absolute rule: no action takes a healthy server out of rotation if fewer than min would remain healthy
// and in rotation, in any pool that the server hosts. It is counted afresh for every decision from what is observed, less what this roll has taken out or
// is about to, so orders whose effect is not visible yet count as done.
type floor struct {
	up  int // healthy, in rotation and not ours to take out already
	min int

	neighbours map[fleet.SiteRef]*neighbourFloor // of sites that share servers
}

func newFloor(r Roll, obs Observation) *floor {
	f := &floor{min: r.MinUp}
	if r.AllowDowntime || obs.flipped == ruleFloor {
		f.min = 0
	}
	taken := make(map[string]bool, len(r.Targets))
	for _, t := range r.Targets {
		taken[t.Server] = t.Pulled
	}
	for name, s := range obs.Servers {
		if s.inRotation(r.Balanced) && !taken[name] {
			f.up++
		}
	}
	f.neighbours = newNeighbourFloors(r, obs)
	return f
}

// take asks to take a server out. A server that is already out or unhealthy may always be acted on, so that a crashing
// release can be rolled back.
func (f *floor) take(s ServerState, balanced bool) bool {
	in := s.inRotation(balanced)
	switch {
	case !f.spares(s):
		return false
	case !balanced && !s.Reachable && f.up < f.min:
		return false // only its own host could tell, and it may be well
	case in && f.up-1 < f.min:
		return false
	}
	if in {
		f.up--
	}
	f.takeElsewhere(s)
	return true
}

// again asks whether a server that was taken before, and so is not counted, may be ordered out once more: others may have
// died since, and then it stays in for them until they are back.
func (f *floor) again(s ServerState, balanced bool) bool {
	return !s.inRotation(balanced) || (f.up >= f.min && f.sparesStill(s))
}
