package roller

import (
	"fmt"
	"strings"
	"time"

	"railyard/internal/event"
)

// noWayBack says why the roll cannot be turned around, or "". It goes back to the last revision that completed, never to an
// identical one; and a roll that is itself a return is not taken back to what it returns from.
func (d *decider) noWayBack() string {
	switch {
	case d.Kind == Migration:
		return NothingToUndo
	case d.Kind == Rollback:
		return fmt.Sprintf("this roll is itself the way back from %s; release that again to go there", d.From.ID)
	case d.From.ID == d.To.ID && d.From.ID != "":
		return fmt.Sprintf("the last completed revision %s is the same bytes", d.From.ID)
	}
	return ""
}

// rollBack turns the roll around. Servers that were never switched are only put back into rotation; those that were (or
// were ordered to, or ran the revision before) return to From. On a first release there is none, so the new servers are
// pulled out and a person is called.
func (d *decider) rollBack(why string) {
	d.enter(RollingBack, d.Batch, why)
	for i := range d.Targets {
		t := &d.Targets[i]
		s, there := d.obs.Servers[t.Server]
		if there && s.Host.Runs(d.To) {
			t.Touched = true
		}
		switch {
		case t.State == Left, t.State == Skipped && !t.Touched:
		case t.Touched:
			t.State, t.Step, t.Since, t.Note = Waiting, "", d.now, ""
		case t.Pulled:
			t.State, t.Step, t.Since = Active, PullIn, d.now
		case t.State == Owed:
		case there && s.Asked && d.From.ID != "" && !s.Host.Runs(d.From):
			t.State, t.Step, t.Since, t.Note = Owed, "", d.now, "never switched, and does not run "+d.From.ID+" either"
		default:
			t.State, t.Step, t.Note = Settled, "", "never switched"
		}
	}
	if d.Regular {
		d.Batch = d.lastWaiting()
	}
}

// lastWaiting is the highest batch that still has to return: a regular way back undoes the batches in reverse.
func (d *decider) lastWaiting() int {
	last := 0
	for _, t := range d.Targets {
		if t.State == Waiting {
			last = max(last, t.Batch)
		}
	}
	return last
}

// startBack puts touched servers to work: those that are out of rotation at once, as that only brings servers back; of the
// others a batch at a time, or all of them in an emergency. The floor has its say for each.
func (d *decider) startBack() {
	limit := d.BiggestBatch()
	if d.Emergency {
		limit = len(d.Targets)
	}
	working := d.inBatch(-1, func(t Target) bool { return t.State == Active })
	for i := range d.Targets {
		t := &d.Targets[i]
		if t.State != Waiting {
			continue
		}
		s := d.obs.Servers[t.Server]
		known := !d.Balanced || (d.obs.BalancerError == "" && !s.Unlisted)
		out := t.Pulled || (known && !s.inRotation(d.Balanced))
		if !out && (working >= limit || (d.Regular && t.Batch != d.Batch)) {
			continue
		}
		t.State, t.Step, t.Since = Active, PullOut, d.now
		if !out {
			working++
		}
	}
}

func (d *decider) backDone() bool {
	d.startBack()
	if d.inBatch(-1, func(t Target) bool { return t.State == Active }) > 0 || d.loose() {
		d.SettledAt = time.Time{}
		return false
	}
	if d.Regular && !d.backJudged() {
		return false
	}
	if d.inBatch(-1, func(t Target) bool { return t.State == Waiting }) > 0 {
		return d.nextBack()
	}
	if d.From.ID == "" {
		d.pause(CauseFirst, "first release: there is no revision to return to; the new servers are out of rotation; resume to accept that, then push a fix")
		return false
	}
	if !d.seenBack() {
		return false
	}
	d.enter(RolledBack, d.Batch, d.Reason+d.leftOut())
	return true
}

// seenBack looks once more at the servers that returned before the roll ends: a late order of a process before may have brought
// the bad revision again. One that cannot be asked any more is owed, and reported as such.
func (d *decider) seenBack() bool {
	for i := range d.Targets {
		t := &d.Targets[i]
		s, there := d.obs.Servers[t.Server]
		switch {
		case t.State != Settled || !t.Touched || !there || s.Reachable:
		case !s.Asked:
			return false // it is being asked
		default:
			d.owe(t, "it came back, and cannot be asked any more what it runs: "+s.HostError)
		}
	}
	return true
}

// backJudged judges the batch that returned, as each batch of a regular rollback is before the next.
func (d *decider) backJudged() bool {
	if d.SettledAt.IsZero() {
		d.SettledAt = d.now
	}
	returned := d.inBatch(d.Batch, func(t Target) bool { return t.Touched && t.State == Settled })
	if returned == 0 || d.From.ID == "" || d.Strategy.Pause == 0 {
		return true
	}
	return d.judged(d.Strategy.Pause)
}

// nextBack goes on with the batch before. The reason of the way back stays what it was.
func (d *decider) nextBack() bool {
	if !d.Regular {
		return false
	}
	before := d.Batch
	d.Batch, d.StageSince, d.SettledAt, d.Accepted = d.lastWaiting(), d.now, time.Time{}, false
	d.Verdict, d.obs.Verdict = nil, nil
	d.tell(event.Event{What: "stage_changed", From: d.place(), To: d.place(), Why: fmt.Sprintf("batch %d is back; batch %d follows", before, d.Batch)})
	return true
}

func (d *decider) leftOut() string {
	var failed []string
	for _, t := range d.Targets {
		if t.State == Failed {
			failed = append(failed, t.Server+" ("+t.Note+")")
		}
	}
	if len(failed) == 0 {
		return ""
	}
	return "; left out of rotation: " + strings.Join(failed, "; ")
}
