package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// goBack takes a Coach out of production again because a person asked for it: also one that was released already. Its running
// rolls are told first; those that completed are returned when these have come back, dependents first.
func (d *decider) goBack(c Command) string {
	emergency := c.Kind == CmdEmergency
	switch {
	case d.State == rop.RolledBack:
		return "it has come back already"
	case d.State == rop.Returning:
		d.hasten(c)
		return ""
	case d.State != rop.Released && !(d.State == rop.Delivering && d.production()):
		return fmt.Sprintf("refused: nothing of it is in production, it is %s", place(d.State, d.Environment))
	}
	running := d.running()
	if d.Train != "" {
		return "refused: Train " + d.Train + " rolled it; take its pools back one by one, dependents first (railyard roll rollback; railyard train show " + d.Train + " has their order)"
	}
	if len(running) == 0 && len(d.finished()) == 0 {
		return "refused: no roll of it has completed in production; revoke it"
	}
	if d.State == rop.Delivering && d.BackBy != "" && (d.Emergency || !emergency) {
		return "" // they were told
	}
	d.BackBy, d.Emergency = c.Actor, d.Emergency || emergency
	why := fmt.Sprintf("%s by %s: %s", c.Kind, c.Actor, c.Reason)
	if len(running) == 0 {
		d.Closed = false
		d.enter(rop.Returning, d.Environment, why)
		return ""
	}
	d.order(running, rollCommand(c))
	d.Reason = why
	return ""
}

// tooLate takes in that a wave completed before its rolls heard that they were to come back.
func (d *decider) tooLate() bool {
	if d.production() {
		d.enter(rop.Returning, d.Environment, "its rolls had completed before they could be taken back")
		return true
	}
	return d.end(rop.Revoked, "revoked by "+d.RevokedBy+": "+d.Environment+" keeps it")
}

// hasten turns a return that is under way into an emergency.
func (d *decider) hasten(c Command) {
	if c.Kind != CmdEmergency || d.Emergency {
		return
	}
	d.Emergency = true
	d.order(d.running(), rollCommand(c))
}

// rollCommand is what a command to a Coach asks of each of its rolls.
func rollCommand(c Command) roller.Command {
	kinds := map[CommandKind]roller.CommandKind{CmdRevoke: roller.CmdRevoke, CmdRollback: roller.CmdRollback, CmdEmergency: roller.CmdEmergency}
	return roller.Command{Kind: kinds[c.Kind], Actor: c.Actor, Reason: c.Reason}
}

// order asks the same of several rolls. An order is stored, so asking once is enough.
func (d *decider) order(refs []rop.RollRef, c roller.Command) {
	for _, ref := range refs {
		c.Roll, c.At = ref.ID, d.now
		d.orders = append(d.orders, c)
	}
}

// finished are the production rolls that completed with this Coach, in reverse order of their waves and, within
// one, in the order that the plan gives them.
func (d *decider) finished() (refs []rop.RollRef) {
	for _, ref := range d.Rolls {
		if f := d.obs.Rolls[ref.ID]; !ref.Return && ref.Environment == d.Environment && f.Stage == roller.Done {
			refs = append(refs, ref)
		}
	}
	slices.SortStableFunc(refs, func(a, b rop.RollRef) int { return cmp.Or(b.Wave-a.Wave, d.turn(a)-d.turn(b)) })
	return refs
}

// turn is when a pool goes back among those of its wave, as the plan's rollback order says.
func (d *decider) turn(ref rop.RollRef) int {
	if ref.Wave < len(d.Waves) {
		for _, p := range d.Waves[ref.Wave].Pools {
			if p.Pool == ref.Pool {
				return d.Plan.Rollback.Turn(p.Apps)
			}
		}
	}
	return 0
}

// returned takes finished sites back to what they ran before, in the reverse of the release order, one wave at a time.
func (d *decider) returned() bool {
	var notes []string
	var before rop.RollRef
	waits := false
	for _, ref := range d.finished() {
		if waits && (ref.Wave != before.Wave || d.turn(ref) != d.turn(before)) {
			return false // dependents first: this one's turn comes when they are back
		}
		before = ref
		note, back := d.siteReturned(ref)
		if note != "" {
			notes = append(notes, note)
		}
		waits = waits || !back
	}
	if waits {
		return false
	}
	why := "production runs what it ran before"
	if len(notes) > 0 {
		why += ", but " + strings.Join(notes, "; ")
	}
	state := rop.RolledBack
	if d.RevokedBy != "" {
		state = rop.Revoked
	}
	return d.end(state, why)
}

// keepsIt says why a pool does not go back although what it belongs to does, or "".
func keepsIt(pool string, forward RollFact) string {
	switch {
	case forward.Kind == roller.Migration:
		return pool + " keeps its migration: " + roller.NothingToUndo
	case forward.From.ID == "":
		return pool + " keeps it: it was its first release"
	case forward.From.ID == forward.To.ID:
		return pool + " ran the same bytes before"
	}
	return ""
}

// siteReturned sees to it that one finished site goes back, and reports whether that has ended, with what is to be said of it.
func (d *decider) siteReturned(ref rop.RollRef) (note string, ended bool) {
	forward := d.obs.Rolls[ref.ID]
	if note := keepsIt(ref.Pool, forward); note != "" {
		return note, true
	}
	id := roller.GoBackID(ref.ID, 1)
	if !slices.ContainsFunc(d.Rolls, func(r rop.RollRef) bool { return r.ID == id }) {
		if _, asked := d.obs.Rolls[id]; asked { // for this site alone, by a person
			d.Rolls = append(d.Rolls, rop.RollRef{ID: id, Environment: ref.Environment, Wave: ref.Wave, Pool: ref.Pool, Return: true})
		} else {
			site, ok := d.obs.Topology.Site(fleet.SiteRef{Environment: ref.Environment, Pool: ref.Pool})
			if !ok {
				return ref.Pool + " is no longer in the topology", true
			}
			roll := roller.NewGoBack(site, id, ref.ID, forward.To, forward.From, d.now)
			roll.Bars = d.BackBy != "" // when a rule takes it back only what failed is bad
			if d.Emergency {
				roll = roll.Hurried()
			}
			d.Wave = ref.Wave
			d.addRoll(roll, true)
			return "", false
		}
	}
	back := d.obs.Rolls[id]
	if !back.Stage.Terminal() {
		d.Reason = fmt.Sprintf("returning %s/%s: %s", ref.Environment, ref.Pool, back.Stage)
		if back.Paused {
			d.Reason += ", paused: " + back.Reason
		}
		return "", false
	}
	if back.Stage != roller.Done {
		return fmt.Sprintf("%s could not be returned: %s", ref.Pool, back.Reason), true
	}
	return "", true
}
