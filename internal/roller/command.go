package roller

import (
	"fmt"
	"slices"
	"time"

	"railyard/internal/event"
)

// obey carries out people's commands, oldest first. Each is idempotent: a second brake changes nothing but is recorded.
func (d *decider) obey() {
	for _, c := range d.obs.Commands {
		d.actor = c.Actor
		var answer string
		if d.Stage.Terminal() {
			answer = "refused: the roll has ended (" + string(d.Stage) + ")"
		} else {
			answer = d.obeyOne(c)
		}
		why := c.Reason
		if answer != "done" {
			why = fmt.Sprintf("%s (%s)", c.Reason, answer)
		}
		d.tell(event.Event{What: "command_" + string(c.Kind), Why: why, Server: c.Server, To: d.place()})
		d.handled = append(d.handled, c.ID)
		d.actor = ""
	}
}

func (d *decider) obeyOne(c Command) string {
	switch c.Kind {
	case CmdBrake:
		if d.Roll.Pause == nil || d.Roll.Pause.Cause != CauseBrake {
			d.pause(CauseBrake, orDefault(c.Reason, "brake"))
		}
	case CmdResume:
		return d.resume()
	case CmdRetry:
		return d.retry()
	case CmdSkip:
		return d.skip(c)
	case CmdRevoke, CmdRollback, CmdEmergency:
		return d.turnBack(c)
	default:
		return fmt.Sprintf("refused: unknown command %q", c.Kind)
	}
	return "done"
}

// resume goes on from where the roll paused; for a breach or doubt that means the person accepts it for this batch.
func (d *decider) resume() string {
	if d.Roll.Pause == nil {
		if d.obs.Braked {
			return "done" // the brake was known here, and never stored
		}
		return "nothing to resume: the roll is not paused"
	}
	switch d.Roll.Pause.Cause {
	case CauseSoft, CauseDoubt:
		d.Accepted = true
	case CauseBudget:
		if d.Kind == Migration {
			return "refused: without it there is no migration; retry it, or revoke it"
		}
		d.Forgiven = d.failures()
	case CauseFirst, CauseProgress:
		if d.Stage == RollingBack && d.From.ID == "" {
			d.acceptFirst()
			return "done"
		}
	}
	d.unpause()
	return "done"
}

// acceptFirst ends the rollback of a first release. Servers that the floor kept in rotation stay there, and are named.
func (d *decider) acceptFirst() {
	d.unpause()
	for i := range d.Targets {
		if t := &d.Targets[i]; t.State == Active || t.State == Waiting {
			t.State, t.Step, t.Since, t.Note = Skipped, "", d.now, "keeps the revision: it could not be taken out within the floor"
		}
	}
	d.enter(RolledBack, d.Batch, "accepted: the new servers stay out of rotation")
}

// retry gives failed servers another chance and nothing else. What was accepted of their failures is forgotten.
func (d *decider) retry() string {
	any := false
	for i := range d.Targets {
		t := &d.Targets[i]
		if t.State == Failed {
			t.State, t.Step, t.Since, t.Note = Active, PullOut, d.now, ""
			any = true
		}
	}
	if !any {
		return "nothing to retry: no server has failed"
	}
	if d.Roll.Pause != nil && d.Roll.Pause.Cause != CauseBrake {
		d.unpause()
	}
	d.Forgiven = 0
	d.SettledAt = time.Time{} // the batch is in work again; it is judged anew when it is done
	return "done"
}

// skip leaves a server out of this roll. One that was only pulled out goes back into rotation as it is; one that was
// switched, or half so, stays out: nobody knows what it would serve.
func (d *decider) skip(c Command) string {
	i := slices.IndexFunc(d.Targets, func(t Target) bool { return t.Server == c.Server })
	if i < 0 {
		return fmt.Sprintf("refused: %q is not a server of %s", c.Server, d.Site)
	}
	t := &d.Targets[i]
	if t.State == Settled || t.State == Left || t.State == Skipped {
		return fmt.Sprintf("refused: %s is already %s", t.Server, t.State)
	}
	t.State, t.Step, t.Since, t.Note = Skipped, "", d.now, "skipped: "+c.Reason
	return "done"
}

// turnBack starts the way back: regular, emergency, or as a withdrawal. A roll that is the way back already goes on, faster
// when it is an emergency.
func (d *decider) turnBack(c Command) string {
	if d.Kind == Rollback && c.Kind == CmdEmergency {
		d.hasten(fmt.Sprintf("%s by %s: %s", c.Kind, c.Actor, c.Reason))
		return "done"
	}
	if d.Stage == Queued && (d.Kind != Rollback || c.Kind == CmdRevoke) {
		d.unpause()
		d.enter(Revoked, 0, orDefault(c.Reason, "revoked")+": no server was touched")
		return "done"
	}
	if d.Kind == Migration {
		return d.stopMigration(c)
	}
	if why := d.noWayBack(); why != "" {
		return "refused: " + why
	}
	d.unpause()
	if c.Kind == CmdEmergency {
		d.Emergency = true
	}
	if d.Stage == RollingBack {
		if d.Emergency {
			d.Regular, d.SettledAt = false, time.Time{}
		}
		return "done"
	}
	why := fmt.Sprintf("%s by %s: %s", c.Kind, c.Actor, c.Reason)
	if c.Kind == CmdRevoke && d.inBatch(-1, func(t Target) bool { return t.Touched || t.Pulled }) == 0 {
		d.enter(Revoked, d.Batch, why+": no server was touched")
		return "done"
	}
	d.Regular = !d.Emergency
	d.rollBack(why)
	return "done"
}

func orDefault(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
