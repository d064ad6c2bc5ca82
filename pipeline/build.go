package pipeline

import (
	"fmt"
	"time"

	"railyard/internal/rop"
)

// built follows the Coach's builds. All published: the first environment's gate opens. One failed: the Coach has failed.
func (d *decider) built() bool {
	published := 0
	for i := range d.Builds {
		b := &d.Builds[i]
		before := *b
		d.follow(b)
		if b.State != before.State {
			d.tell("build_"+string(b.State), string(before.State), string(b.State), buildWords(*b))
		}
		switch b.State {
		case rop.BuildPublished:
			published++
		case rop.BuildFailed:
			return d.end(rop.Failed, buildWords(*b))
		}
	}
	if published < len(d.Builds) {
		return false
	}
	return d.deliverTo(0, "every package is published")
}

func buildWords(b rop.Build) string {
	text := fmt.Sprintf("build of %s (%s)", b.App, b.Deployment)
	if b.Number > 0 {
		text += fmt.Sprintf(" is %s #%d", b.Job, b.Number)
	}
	if b.Package != "" {
		text += ", package " + b.Package
	}
	if b.Note != "" {
		text += ": " + b.Note
	}
	return text
}

// follow moves one build row. It is triggered once: the row says triggering before Jenkins is asked, and whoever finds it so
// (after a lost reply, or a crash) asks Jenkins whether it has the deployment id before triggering again.
func (d *decider) follow(b *rop.Build) {
	d.locate(b)
	if p, ok := d.obs.Packages[b.Deployment]; ok {
		b.State, b.Package, b.Note = rop.BuildPublished, p.Digest, ""
		return
	}
	fact, asked := d.obs.Builds[b.Deployment]
	switch b.State {
	case rop.BuildWanted:
		b.State = rop.BuildTriggering
		d.actions = append(d.actions, Action{Kind: ActTrigger, Build: *b})
	case rop.BuildTriggering:
		d.triggering(b)
	case rop.BuildQueued, rop.BuildRunning:
		switch {
		case !asked:
		case fact.Done:
			b.State, b.Result = rop.BuildFailed, fact.Result
			b.Note = fmt.Sprintf("Jenkins says %s and no package was published; see %s", fact.Result, b.URL)
		case fact.Known && fact.Running:
			b.State = rop.BuildRunning
		case !fact.Known && b.Number > 0 && d.now.Sub(b.Queued) > lostAfter:
			b.State, b.Note = rop.BuildFailed, "Jenkins does not know this build any more; push again to build anew"
		case !fact.Known && d.now.Sub(b.Queued) > lostAfter:
			// Jenkins lost its queue: the same row, and so the same deployment id, is triggered again.
			b.State, b.Note, b.QueueID = rop.BuildTriggering, "Jenkins lost it; asked again", 0
		}
	}
}

// lostAfter is how long a build may be unknown to Jenkins after it was queued, since lists lag behind the queue.
const lostAfter = 15 * time.Second

// locate learns the build's number and address from whoever knows: Jenkins, or the build itself.
func (d *decider) locate(b *rop.Build) {
	if f, ok := d.obs.Builds[b.Deployment]; ok && f.Known {
		if f.QueueID > 0 {
			b.QueueID = f.QueueID
		}
		if f.Number > 0 {
			b.Number, b.URL = f.Number, f.URL
		}
		if b.State == rop.BuildTriggering {
			b.State, b.Queued, b.Note = rop.BuildQueued, d.now, ""
		}
	}
	if begun, ok := d.obs.Begun[b.Deployment]; ok && b.Number == 0 {
		b.Number, b.URL = begun.Number, begun.URL
	}
}

func (d *decider) triggering(b *rop.Build) {
	t, tried := d.obs.Triggered[b.Deployment]
	tried = tried && t.At.After(b.Queued) // an older answer is about the build that was lost
	switch {
	case tried && t.Err == "":
		b.State, b.QueueID, b.Queued, b.Tries, b.Note = rop.BuildQueued, t.QueueID, d.now, 0, ""
		return
	case tried && t.Refused && b.Tries > 0 && !t.At.Before(b.RetryAt):
		b.State, b.Note = rop.BuildFailed, t.Err
		return
	case tried && !t.At.Before(b.RetryAt):
		b.Tries++
		b.RetryAt, b.Note = t.At.Add(backoff(b.Tries)), t.Err
	}
	if wait := b.RetryAt.Sub(d.now); wait > 0 {
		d.wakeIn(wait)
		return
	}
	d.actions = append(d.actions, Action{Kind: ActEnsure, Build: *b})
}

// backoff doubles from one second up to a minute.
func backoff(tries int) time.Duration {
	return min(time.Second<<min(tries-1, 6), time.Minute)
}
