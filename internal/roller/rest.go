package roller

import "railyard/internal/event"

// rest keeps our flag right on a server that is not in work. An order can be lost with the process that gave it, one of a
// process before can land late, and a balancer can forget weights when it is reloaded: what should be is looked at again
// for as long as the roll lasts.
func (d *decider) rest(t *Target, s ServerState) {
	if d.Stage == RollingBack && t.State == Settled && d.From.ID != "" && s.Host.Runs(d.To) && d.noWayBack() == "" {
		d.tell(event.Event{What: "server_drifted", Server: t.Server, Why: "runs " + d.To.ID + " again: a late order landed"})
		t.State, t.Touched, t.Since = Waiting, true, d.now
		return
	}
	weight, ours := d.restWeight(t)
	if !ours {
		return
	}
	if !d.order(t, s, weight) && weight > 0 && d.obs.BalancerError == "" {
		t.Pulled = false
	}
}

// restWeight is the weight that a server which is not in work should have; ours is false where this roll does not answer
// for it.
func (d *decider) restWeight(t *Target) (weight int, ours bool) {
	switch {
	case !t.Ordered, t.State == Left, t.State == Active:
		return 0, false
	case t.State == Skipped && !t.Touched:
		return 100, true // it was pulled out before a person left it to itself
	case t.Pulled:
		return 0, true
	case t.State == Settled:
		return d.weight(t), true
	}
	return 0, false
}

// loose reports whether an action is still under way, or our flag on a server that is not in work is still to be put right.
// It is waited for, but not for ever: what a balancer does not take in a step's time is drift, and is reported as such.
func (d *decider) loose() (any bool) {
	for i := range d.Targets {
		t := &d.Targets[i]
		s, there := d.obs.Servers[t.Server]
		if !there || t.State == Active || t.State == Waiting {
			continue
		}
		if d.obs.Busy[t.Server] {
			any = true
			continue
		}
		weight, ours := d.restWeight(t)
		wrong := s.Member.Weight != weight || s.Unlisted || d.obs.BalancerError != ""
		if ours && d.Balanced && wrong && !d.overdue(t, d.Strategy.StepTimeout) {
			d.poll(t)
			any = true
		}
	}
	return any
}
