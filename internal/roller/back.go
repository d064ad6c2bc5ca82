package roller

import (
	"fmt"
	"strings"
)

// rollBack turns the roll around. Servers that were never switched are only put back into rotation; those that were (or
// were ordered to) return to From. It goes to the last revision that completed, never to an identical one; on a first
// release there is none, so the new servers are pulled out and a person is called.
func (d *decider) rollBack(why string) {
	if d.From.ID == d.To.ID && d.From.ID != "" {
		d.pause(CauseDoubt, fmt.Sprintf("%s; not rolled back: the last completed revision %s is the same bytes", why, d.From.ID))
		return
	}
	d.enter(RollingBack, d.Batch, why)
	for i := range d.Targets {
		t := &d.Targets[i]
		switch {
		case t.State == Left, t.State == Skipped && !t.Touched:
		case t.Touched:
			t.State, t.Step, t.Since, t.Note = Waiting, "", d.now, ""
		case t.Pulled:
			t.State, t.Step, t.Since = Active, PullIn, d.now
		case t.State == Owed:
		default:
			t.State, t.Step, t.Note = Settled, "", "never switched"
		}
	}
}

// startBack puts as many touched servers to work as may be: a batch at a time, or all at once in an emergency. The floor
// has its say for each.
func (d *decider) startBack() {
	limit := d.BiggestBatch()
	if d.Emergency {
		limit = len(d.Targets)
	}
	working := d.inBatch(-1, func(t Target) bool { return t.State == Active })
	for i := range d.Targets {
		t := &d.Targets[i]
		if t.State != Waiting || working >= limit {
			continue
		}
		t.State, t.Step, t.Since = Active, PullOut, d.now
		working++
	}
}

func (d *decider) backDone() bool {
	d.startBack()
	if d.inBatch(-1, func(t Target) bool { return t.State == Active || t.State == Waiting }) > 0 {
		return false
	}
	if d.From.ID == "" {
		d.pause(CauseFirst, "first release: there is no revision to return to; the new servers are out of rotation; resume to accept that, then push a fix")
		return false
	}
	var failed []string
	for _, t := range d.Targets {
		if t.State == Failed {
			failed = append(failed, t.Server+" ("+t.Note+")")
		}
	}
	why := d.Reason
	if len(failed) > 0 {
		why += "; left out of rotation: " + strings.Join(failed, "; ")
	}
	d.enter(RolledBack, d.Batch, why)
	return true
}
