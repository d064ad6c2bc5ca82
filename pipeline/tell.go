package pipeline

import (
	"fmt"
	"time"

	"railyard/internal/rop"
)

// Description is what a Jenkins build of the Coach says, in one line: where the Coach is and why.
func Description(c rop.Coach) string {
	where := string(c.State)
	if c.State == rop.Delivering || c.State == rop.Stopped {
		where += " " + c.Environment
	}
	return fmt.Sprintf("%s: %s — %s", c.ID, where, c.Reason)
}

// tellOthers tells Jenkins and the code host what is true, and closes the Coach once all have heard how it ended.
func (d *decider) tellOthers() {
	asleep, builds, commit := d.wakeBuilds(), d.tellJenkins(), d.markCommit()
	if d.State.Terminal() && !asleep && !builds && !commit {
		d.Closed = true
	}
}

// tellJenkins keeps the description of every build at what is true, and reports whether one has yet to hear something. A
// Jenkins that does not answer is told later; one that does not know the build any more need not be.
func (d *decider) tellJenkins() (untold bool) {
	text := Description(d.Coach)
	for i := range d.Builds {
		b := &d.Builds[i]
		d.locate(b)
		said, tried := d.obs.Told[b.Deployment]
		if tried && said.Err == "" {
			b.Told = said.Text
		}
		if b.Number == 0 {
			if d.State.Terminal() && onItsWay(*b) && d.now.Sub(d.ended()) < giveUpLooking {
				untold = true // it should hear why its package goes nowhere
			}
			continue
		}
		if b.Told == text {
			continue
		}
		if tried && said.Err != "" && d.State.Terminal() && d.now.Sub(d.ended()) > giveUpTelling {
			continue
		}
		untold = true
		if tried && said.Err != "" && d.now.Sub(said.At) < tellAgain {
			d.wakeIn(tellAgain)
			continue
		}
		d.actions = append(d.actions, Action{Kind: ActTell, Build: *b, Text: text, Buttons: d.buttons(), Keep: d.State == rop.Released})
	}
	return untold
}

// onItsWay reports whether a build without a number may be about to start. One that is being triggered may be in Jenkins
// already, with the reply still to come.
func onItsWay(b rop.Build) bool { return b.State == rop.BuildQueued || b.State == rop.BuildTriggering }

const (
	tellAgain     = 2 * time.Second
	giveUpLooking = 10 * time.Minute
	giveUpTelling = time.Hour // a Jenkins that was away longer shows the last description it heard
)

// ended is when the Coach reached its terminal state.
func (d *decider) ended() time.Time {
	if n := len(d.Stages); n > 0 {
		return d.Stages[n-1].End
	}
	return d.Created
}
