package pipeline

import (
	"fmt"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// delivered takes the Coach through the waves of its environment, one roll per pool. A wave starts when the one before has
// rolled everywhere.
func (d *decider) delivered() bool {
	if d.Wave >= len(d.Waves) {
		return d.passed()
	}
	refs := d.rollsOf(d.Environment, d.Wave, false)
	if len(refs) == 0 {
		if !d.openWave() {
			d.Wave++ // no pool of this wave has servers here
			return true
		}
		return false
	}
	done, ended := 0, 0
	var failed *RollFact
	for _, ref := range refs {
		f := d.obs.Rolls[ref.ID]
		if f.Stage.Terminal() {
			ended++
		}
		if f.Stage == roller.Done {
			done++
		} else if f.Stage.Terminal() && failed == nil {
			failed = &f
		}
	}
	switch {
	case failed != nil && ended < len(refs):
		d.takeBack(refs, *failed)
		return false
	case failed != nil:
		return d.failedIn(*failed)
	case done == len(refs) && (d.BackBy != "" || d.RevokedBy != ""):
		return d.tooLate()
	case done == len(refs):
		d.Wave++
		return true
	}
	d.follows(refs)
	return false
}

// follows keeps the Coach's reason at what its first unfinished roll says, so that whoever looks sees it.
func (d *decider) follows(refs []rop.RollRef) {
	for _, ref := range refs {
		f, ok := d.obs.Rolls[ref.ID]
		if !ok || f.Stage.Terminal() {
			continue
		}
		words := fmt.Sprintf("%s/%s %s", ref.Environment, ref.Pool, f.Stage)
		if f.Stage == roller.Rolling {
			words += fmt.Sprintf(" batch %d of %d", f.Batch, f.Of)
		}
		if f.Paused {
			words += ", paused: " + f.Reason
		}
		d.Reason = words
		return
	}
}

func (d *decider) rollsOf(environment string, wave int, back bool) (refs []rop.RollRef) {
	for _, r := range d.Rolls {
		if r.Environment == environment && r.Wave == wave && r.Return == back {
			refs = append(refs, r)
		}
	}
	return refs
}

// openWave makes the rolls of the current wave, one per pool that has servers in the environment.
func (d *decider) openWave() bool {
	opened := false
	for _, p := range d.Waves[d.Wave].Pools {
		site, ok := d.obs.Topology.Site(p.Site(d.Environment))
		if !ok {
			continue
		}
		roll := roller.NewRoll(site, roller.Release, fmt.Sprintf("%s-%s-%s", d.ID, d.Environment, p.Pool), d.now)
		for _, app := range p.Apps {
			roll.Changes = append(roll.Changes, d.release(app))
		}
		roll.Stricter = d.Plan.Indicators
		d.addRoll(roll, false)
		opened = true
	}
	return opened
}

func (d *decider) addRoll(roll roller.Roll, back bool) {
	roll.Coach = d.ID
	d.newRolls = append(d.newRolls, roll)
	d.Rolls = append(d.Rolls, rop.RollRef{ID: roll.ID, Environment: roll.Site.Environment, Wave: d.Wave, Pool: roll.Site.Pool, Return: back})
	d.tell("roll_created", "", roll.ID, fmt.Sprintf("%s of %s", roll.Kind, roll.Site))
}

func (d *decider) release(app string) roller.AppRelease {
	r := roller.AppRelease{App: app, Version: d.Plan.Version, Commit: d.Commit, Coach: d.ID, Requires: d.Plan.Requires, KeepDays: d.Plan.KeepDays(app)}
	for _, b := range d.Builds {
		if b.App == app {
			r.Package = b.Package
		}
	}
	return r
}

// takeBack asks the other rolls of a failed wave to come back too. Asking once is enough: an order is stored.
func (d *decider) takeBack(refs []rop.RollRef, failed RollFact) {
	mark := "takes back the wave of " + failed.ID
	if d.Reason == mark {
		return
	}
	d.Reason = mark
	for _, ref := range refs {
		if f := d.obs.Rolls[ref.ID]; !f.Stage.Terminal() {
			d.orders = append(d.orders, roller.Command{
				Roll: ref.ID, Kind: roller.CmdRollback, Actor: event.Railyard, At: d.now,
				Reason: failed.ID + " of the same wave failed: " + failed.Reason,
			})
		}
	}
}

// failedIn says what a roll that did not finish means to the Coach. In production the waves that did finish are taken back,
// dependents first.
func (d *decider) failedIn(failed RollFact) bool {
	why := failed.Reason
	switch {
	case d.production() && len(d.finished()) > 0:
		d.enter(rop.Returning, d.Environment, why)
		return true
	case d.RevokedBy != "":
		return d.end(rop.Revoked, "revoked by "+d.RevokedBy+": "+why)
	case d.production() && (failed.Stage == roller.RolledBack || d.BackBy != ""):
		return d.end(rop.RolledBack, why)
	}
	return d.end(rop.Stopped, why)
}
