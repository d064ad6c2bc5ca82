package roller

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"railyard/internal/event"
	"railyard/internal/verdict"
)

// Decision is what one step of a roll comes to.
type Decision struct {
	Roll    Roll          // the next state
	Changed bool          // something must be saved before Actions are taken
	Save    Save          // what to save when Changed
	Actions []Action      // what to do after the save; none is for a busy server
	Asks    bool          // the monitor is to be asked Roll.Question again
	AskedBy time.Time     // an answer to a question put before this does not count any more: ask at once
	Wake    time.Duration // when to look again although nothing was reported; > 0
}

// Decide is the whole rule of the roll: pure, total, and the same after any crash.
//
// The order matters: people first, then what actions came to, then servers that joined or left, then the monitor, then
// the stages, and only then new work on servers.
func Decide(r Roll, obs Observation, now time.Time) Decision {
	d := &decider{Roll: r, obs: obs, now: now, wake: idle}
	d.Targets = slices.Clone(r.Targets)
	d.Roll.Pause = clonePause(r.Pause)
	d.obey()
	if !d.Stage.Terminal() {
		d.membership()
		d.listen()
		for d.advance() {
		}
		if d.work() {
			d.wakeIn(0) // a server that settled may end its batch
		}
		d.watchProgress()
	}
	return d.decision(r)
}

// idle is how long nothing needs to be looked at when no server is in work.
const idle = time.Second

// decider carries one decision being made: the roll as it will be, and what was asked of the outside.
type decider struct {
	Roll
	obs     Observation
	now     time.Time
	floor   *floor
	heldUp  bool // the floor kept a server in that is to be taken
	actions []Action
	events  []event.Event
	handled []int64
	wake    time.Duration
	actor   string    // of the transition being made; "" = a rule
	askedBy time.Time // see Decision.AskedBy
}

func (d *decider) decision(before Roll) Decision {
	out := Decision{Roll: d.Roll, Actions: d.actions, Wake: d.wake, Asks: d.asks(), AskedBy: d.askedBy}
	var changed []Target
	old := make(map[string]Target, len(before.Targets))
	for _, t := range before.Targets {
		old[t.Server] = t
	}
	for _, t := range d.Targets {
		if o, ok := old[t.Server]; !ok || o != t {
			changed = append(changed, t)
		}
	}
	a, b := d.Roll, before
	a.Targets, b.Targets = nil, nil
	out.Changed = len(changed) > 0 || len(d.events) > 0 || len(d.handled) > 0 || !reflect.DeepEqual(a, b)
	if !out.Changed {
		return out
	}
	if len(changed) > 0 {
		d.ProgressAt = d.now
		out.Roll.ProgressAt = d.now
	}
	out.Save = Save{Roll: out.Roll, Targets: changed, Handled: d.handled, Events: d.events}
	if d.Stage.Terminal() && !before.Stage.Terminal() {
		d.finish(&out.Save)
	}
	return out
}

// finish adds what the end of a roll means to others: the lock is free, the site's revision, the bar.
func (d *decider) finish(s *Save) {
	s.Unlock = true
	switch d.Stage {
	case Done:
		to := d.To
		s.Complete = &to
		if d.Bars {
			s.Bar = d.From.ID
		}
	case RolledBack:
		if d.Kind.Brings() && d.inBatch(-1, func(t Target) bool { return t.Touched }) > 0 {
			s.Bar = d.To.ID
		}
	}
}

// enter moves the roll to a stage (and batch) and starts its clock.
func (d *decider) enter(stage Stage, batch int, why string) {
	from := d.place()
	d.Stage, d.Batch, d.StageSince, d.SettledAt = stage, batch, d.now, time.Time{}
	d.Accepted = false
	d.Verdict = nil
	d.obs.Verdict = nil
	d.ProgressAt = d.now
	d.Reason = why
	d.tell(event.Event{What: "stage_changed", From: from, To: d.place(), Why: why})
}

// place names where the roll is, for people: "rolling, batch 2 of 4".
func (r Roll) place() string {
	if r.Stage == Rolling {
		return fmt.Sprintf("rolling, batch %d of %d", r.Batch, r.Batches)
	}
	return string(r.Stage)
}

func (d *decider) tell(e event.Event) {
	e.At, e.Object, e.Coach = d.now, "roll/"+d.ID, d.Coach
	e.Actor = d.actor
	if e.Actor == "" {
		e.Actor = event.Railyard
	}
	d.events = append(d.events, e)
}

// pause stops the roll until a person decides. Servers in work are finished first, except under a brake.
func (d *decider) pause(cause Cause, why string) {
	by := d.actor
	if by == "" {
		by = event.Railyard
	}
	d.Roll.Pause = &Pause{Cause: cause, Reason: why, By: by, Since: d.now}
	d.Reason = why
	d.tell(event.Event{What: "paused", To: string(cause), Why: why})
}

// unpause goes on. The time a brake took is not held against the servers it caught in the middle of a step.
func (d *decider) unpause() {
	if d.braked() {
		for i := range d.Targets {
			if t := &d.Targets[i]; t.State == Active {
				t.Since = d.now
			}
		}
	}
	d.Roll.Pause = nil
	d.ProgressAt = d.now
}

func (d *decider) braked() bool {
	return d.obs.Braked || (d.Roll.Pause != nil && d.Roll.Pause.Cause == CauseBrake)
}

func (d *decider) wakeIn(after time.Duration) {
	d.wake = min(d.wake, max(after, time.Millisecond))
}

// watchProgress pauses a roll in which nothing has moved for too long, and says where it hangs. Timed waits are progress, and so is whatever
// this decision tells of.
func (d *decider) watchProgress() {
	if d.Roll.Pause != nil || d.obs.Braked || d.Stage == Queued || d.Stage.Terminal() || !d.SettledAt.IsZero() || len(d.events) > 0 {
		return
	}
	if d.now.Sub(later(d.ProgressAt, d.obs.Since)) < d.Strategy.Progress {
		return
	}
	where := "no server is in work"
	for _, t := range d.Targets {
		if t.State == Active {
			where = fmt.Sprintf("%s has been at %q since %s", t.Server, t.Step, t.Since.UTC().Format(time.TimeOnly))
			if last := d.obs.Last[t.Server]; last.Err != "" {
				where += ": " + last.Err
			}
			if t.Step == PullOut && d.floor != nil {
				if d.floor.up <= d.floor.min {
					where += fmt.Sprintf("; %d are in rotation beside it, and %d must stay", max(0, d.floor.up-1), d.floor.min)
				}
				where += d.neighbourTrouble(d.obs.Servers[t.Server])
			}
			break
		}
	}
	if d.obs.BalancerError != "" {
		where += "; the balancer does not answer: " + d.obs.BalancerError
	}
	d.pause(CauseProgress, fmt.Sprintf("nothing moved for %s: %s; look at it, then resume, retry or roll back", d.Strategy.Progress, where))
}

// asks reports whether the monitor's answer is wanted now.
func (d *decider) asks() bool {
	_, ok := d.Question(d.obs)
	return ok
}

// Question is what the monitor is asked about the roll as it stands; ok is false when there is nothing to ask. While a
// batch is in work the servers of the batches before it are watched; once it is settled it is judged itself. On a regular
// way back it is about the servers that returned.
func (r Roll) Question(obs Observation) (q verdict.Question, ok bool) {
	if r.Stage.Terminal() || r.Stage == Queued || r.Emergency || (r.Stage == RollingBack && !r.Regular) {
		return verdict.Question{}, false
	}
	q = verdict.Question{Site: r.Site, Roll: r.ID, Stage: r.judgedAs(), Batch: r.Batch, Since: r.judgedSince(), Began: r.Began, Stricter: r.Stricter}
	for _, t := range r.Targets {
		switch {
		case r.judges(t):
			q.Exposed = append(q.Exposed, t.Server)
		case !t.Touched && obs.Servers[t.Server].inRotation(r.Balanced):
			q.Control = append(q.Control, t.Server)
		}
	}
	return q, len(q.Exposed) > 0
}

// judges reports whether the target takes part in the present look.
func (r Roll) judges(t Target) bool {
	switch r.Stage {
	case Smoke:
		return t.State == Active && t.Step == Hold && !r.SettledAt.IsZero()
	case RollingBack:
		return t.State == Settled && t.Touched && t.Batch == r.Batch && !r.SettledAt.IsZero()
	}
	inLook := r.Stage == Watch || r.SettledAt.IsZero() || t.Batch == r.Batch
	return t.State == Settled && t.Touched && inLook
}

// judgedAs names the stage whose indicators judge this one: the way back is judged as a roll is.
func (r Roll) judgedAs() string {
	if r.Stage == RollingBack {
		return string(Rolling)
	}
	return string(r.Stage)
}

// judgedSince is when the present look began.
func (r Roll) judgedSince() time.Time {
	if r.SettledAt.IsZero() {
		return r.StageSince
	}
	return r.SettledAt
}

func clonePause(p *Pause) *Pause {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
