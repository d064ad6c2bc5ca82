package roller

import (
	"fmt"
	"time"

	"railyard/internal/event"
	"railyard/internal/verdict"
)

// listen takes in the monitor's newest verdict. A hard breach rolls back at once, whatever the roll is waiting for; only a
// brake is stronger.
func (d *decider) listen() {
	v := d.obs.Verdict
	if v == nil || v.At.Before(d.judgedSince()) || v.Stage != string(d.Stage) || v.Batch != d.Batch {
		d.obs.Verdict = nil
		return
	}
	if d.Roll.Verdict == nil || d.Roll.Verdict.Outcome != v.Outcome {
		d.Roll.Verdict = v
		d.tell(event.Event{What: "verdict", To: string(v.Outcome), Why: v.Reason})
	}
	if v.Outcome != verdict.Hard || d.braked() || d.Stage == RollingBack {
		return
	}
	d.Roll.Verdict = v
	if d.Roll.Pause != nil {
		d.unpause()
	}
	d.rollBack("hard breach: " + v.Reason)
}

// judged reports whether the stage may be left: its time is over and the verdict made at or after its end is a pass, or
// a person accepted it. No data is never a pass: doubt is waited out up to the bound, then a person is called.
func (d *decider) judged(period time.Duration) bool {
	if d.Accepted {
		return true
	}
	end := d.SettledAt.Add(period)
	v := d.obs.Verdict
	outcome := verdict.Pending
	why := "the monitor has not answered"
	if v != nil {
		outcome, why = v.Outcome, v.Reason
	}
	if outcome == verdict.Soft && d.Stage != Watch {
		d.pause(CauseSoft, "soft breach: "+why+"; look at it, then resume or roll back")
		return false
	}
	if d.now.Before(end) {
		d.wakeIn(end.Sub(d.now))
		return false
	}
	fresh := v != nil && !v.At.Before(end)
	if fresh && (outcome == verdict.Pass || (outcome == verdict.Soft && d.Stage == Watch)) {
		d.Roll.Verdict = v
		return true
	}
	if d.now.Before(end.Add(d.Strategy.DoubtBound)) {
		d.wakeIn(judgeEvery)
		return false
	}
	d.pause(CauseDoubt, fmt.Sprintf("%s for %s: %s; look at it, then resume or roll back", outcome, d.Strategy.DoubtBound, why))
	return false
}

// judgeEvery is how often the monitor is asked while a stage is judged.
const judgeEvery = 500 * time.Millisecond
