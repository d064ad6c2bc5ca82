package roller

import (
	"fmt"
	"time"

	"railyard/internal/event"
	"railyard/internal/verdict"
)

// listen takes in the monitor's newest verdict. A hard breach rolls back at once and a soft one stops, also while a batch
// is in work; only a brake is stronger.
func (d *decider) listen() {
	v := d.obs.Verdict
	if v == nil || d.Emergency || v.Stage != d.judgedAs() || v.Batch != d.Batch || v.At.Before(d.StageSince) {
		d.obs.Verdict = nil
		return
	}
	if v.At.Before(d.judgedSince()) {
		d.obs.Verdict = nil // of the batches before this one: it can breach, but not pass for it
		if v.Outcome != verdict.Hard {
			return
		}
	}
	if d.Roll.Verdict == nil || d.Roll.Verdict.Outcome != v.Outcome {
		d.Roll.Verdict = v
		d.tell(event.Event{What: "verdict", To: string(v.Outcome), Why: v.Reason})
	}
	if d.braked() || d.obs.flipped == ruleJudge {
		return
	}
	switch v.Outcome {
	case verdict.Hard:
		d.hardBreach(v)
	case verdict.Soft:
		d.softBreach(v)
	}
}

// hardBreach rolls back, whatever the roll is waiting for. Where there is no way back a person is called.
func (d *decider) hardBreach(v *verdict.Verdict) {
	why := d.noWayBack()
	if d.Stage == RollingBack {
		why = "this is the way back already"
	}
	if why == "" {
		d.Roll.Verdict = v
		if d.Roll.Pause != nil {
			d.unpause()
		}
		d.rollBack("hard breach: " + v.Reason)
		return
	}
	if d.Roll.Pause == nil && !d.Accepted {
		d.pause(CauseDoubt, fmt.Sprintf("hard breach: %s; not rolled back: %s; look at it, then resume to accept it", v.Reason, why))
	}
}

// softBreach stops the roll for a person, except in the watch, where only hard indicators are armed.
func (d *decider) softBreach(v *verdict.Verdict) {
	if d.Roll.Pause == nil && !d.Accepted && d.Stage != Watch {
		d.pause(CauseSoft, "soft breach: "+v.Reason+"; look at it, then resume or roll back")
	}
}

// judged reports whether the stage may be left: its time is over and the verdict made at or after its end is a pass, or
// a person accepted it. No data is never a pass: doubt is waited out up to the bound, then a person is called.
func (d *decider) judged(period time.Duration) bool {
	end := d.SettledAt.Add(period)
	if d.now.Before(end) {
		d.wakeIn(end.Sub(d.now))
		return false
	}
	if d.Accepted || d.obs.flipped == ruleJudge {
		return true
	}
	v := d.obs.Verdict
	doubt := "the monitor has not answered"
	if v != nil && !v.At.Before(end) {
		if v.Outcome == verdict.Pass || (v.Outcome == verdict.Soft && d.Stage == Watch) {
			d.Roll.Verdict = v
			return true
		}
		doubt = fmt.Sprintf("%s: %s", v.Outcome, v.Reason)
	}
	d.askedBy = end
	if bound := later(later(end, d.obs.Since), d.ProgressAt).Add(d.Strategy.DoubtBound); d.now.Before(bound) {
		d.wakeIn(min(judgeEvery, bound.Sub(d.now)))
		return false
	}
	d.pause(CauseDoubt, fmt.Sprintf("in doubt for %s: %s; look at it, then resume or roll back", d.Strategy.DoubtBound, doubt))
	return false
}

// judgeEvery is how often the monitor is asked while a stage is judged.
const judgeEvery = 500 * time.Millisecond
