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

// tellJenkins keeps the description of every build at what is true, and reports whether one has yet to hear something.
func (d *decider) tellJenkins() (untold bool) {
	say := Action{Kind: ActTell, Text: Description(d.Coach), Buttons: d.buttons(), Keep: d.State == rop.Released}
	for i := range d.Builds {
		untold = d.describe(&d.Builds[i], say, d.ended()) || untold
	}
	return untold
}

// describe keeps the description of one build at what is true, and reports whether it has yet to hear something. A Jenkins that
// does not answer is told later; one that does not know the build any more need not be. end is when whatever the build is for has
// ended; zero = it goes on.
func (j *jobs) describe(b *rop.Build, say Action, end time.Time) (untold bool) {
	j.locate(b)
	said, tried := j.seen.Told[b.Deployment]
	if tried && said.Err == "" {
		b.Told = said.Text
	}
	if b.Number == 0 {
		// It should hear why its package goes nowhere.
		return !end.IsZero() && onItsWay(*b) && !j.past(end, giveUpLooking)
	}
	failed := tried && said.Err != ""
	if b.Told == say.Text || failed && j.past(end, giveUpTelling) {
		return false
	}
	if failed && j.now.Sub(said.At) < tellAgain {
		j.wakeIn(tellAgain)
		return true
	}
	say.Build = *b
	j.actions = append(j.actions, say)
	return true
}

// onItsWay reports whether a build without a number may be about to start. One that is being triggered may be in Jenkins
// already, with the reply still to come.
func onItsWay(b rop.Build) bool { return b.State == rop.BuildQueued || b.State == rop.BuildTriggering }

const (
	tellAgain     = 2 * time.Second
	giveUpLooking = 10 * time.Minute
	giveUpTelling = time.Hour // a Jenkins that was away longer shows the last description it heard
)

// ended is when the Coach reached its terminal state; zero before.
func (d *decider) ended() time.Time {
	if !d.State.Terminal() {
		return time.Time{}
	}
	return endedAt(d.Stages, d.Created)
}
