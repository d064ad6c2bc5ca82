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
		answer := "done"
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
		if !d.braked() {
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
		return "nothing to resume: the roll is not paused"
	}
	switch d.Roll.Pause.Cause {
	case CauseSoft, CauseDoubt:
		d.Accepted = true
	case CauseBudget:
		d.Forgiven = d.failures()
	case CauseFirst:
		d.unpause()
		d.enter(RolledBack, d.Batch, "accepted: the new servers stay out of rotation")
		return "done"
	}
	d.unpause()
	return "done"
}

// retry gives failed servers another chance and nothing else.
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
	d.SettledAt = time.Time{} // the batch is in work again; it is judged anew when it is done
	return "done"
}

func (d *decider) skip(c Command) string {
	i := slices.IndexFunc(d.Targets, func(t Target) bool { return t.Server == c.Server })
	if i < 0 {
		return fmt.Sprintf("refused: %q is not a server of %s", c.Server, d.Site)
	}
	t := &d.Targets[i]
	if t.State == Settled || t.State == Left {
		return fmt.Sprintf("refused: %s is already %s", t.Server, t.State)
	}
	t.State, t.Step, t.Since, t.Note = Skipped, "", d.now, "skipped: "+c.Reason
	return "done"
}

// turnBack starts the way back: regular, emergency, or as a withdrawal.
func (d *decider) turnBack(c Command) string {
	if c.Kind == CmdEmergency {
		d.Emergency = true
	}
	if d.Roll.Pause != nil {
		d.unpause()
	}
	if d.Stage == Queued {
		d.enter(Revoked, 0, orDefault(c.Reason, "revoked")+": no server was touched")
		return "done"
	}
	if d.Stage != RollingBack {
		d.rollBack(fmt.Sprintf("%s by %s: %s", c.Kind, c.Actor, c.Reason))
	}
	return "done"
}

func orDefault(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
