package roller

// floor guards the absolute rule: no action takes a healthy server out of rotation if fewer than min would remain healthy
// and in rotation. It is counted afresh for every decision from what is observed, less what this roll has taken out or
// is about to, so orders whose effect is not visible yet count as done.
type floor struct {
	up  int // healthy, in rotation and not ours to take out already
	min int
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
	return f
}

// take asks to take a server out. A server that is already out or unhealthy may always be acted on, so that a crashing
// release can be rolled back.
func (f *floor) take(s ServerState, balanced bool) bool {
	if !balanced && !s.Reachable {
		return f.up >= f.min // only its own host could tell, and it may be well
	}
	if !s.inRotation(balanced) {
		return true
	}
	if f.up-1 < f.min {
		return false
	}
	f.up--
	return true
}

// again asks whether a server that was taken before, and so is not counted, may be ordered out once more: others may have
// died since, and then it stays in for them until they are back.
func (f *floor) again(s ServerState, balanced bool) bool {
	return !s.inRotation(balanced) || f.up >= f.min
}
