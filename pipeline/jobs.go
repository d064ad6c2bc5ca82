package pipeline

import (
	"time"

	"railyard/internal/rop"
)

// JobFacts is what an observation says about builds in Jenkins, by deployment id.
type JobFacts struct {
	Builds    map[string]BuildFact // what Jenkins says; absent = not asked yet
	Triggered map[string]Triggered // how the last trigger of this process ended
	Told      map[string]Telling   // how the last description of this process ended
	Woken     map[string]Waking    // how the last waking of this process ended
}

// jobs is the part of a decision that is about builds in Jenkins. Coaches and Trains have it in common.
type jobs struct {
	seen    JobFacts
	begun   map[string]Begun // the builds that said they do a deployment
	now     time.Time
	actions []Action
	wake    time.Duration
}

func (j *jobs) wakeIn(after time.Duration) { j.wake = min(j.wake, max(after, time.Millisecond)) }

// attend moves one build row, and reports that Jenkins has ended the build. It is triggered once: the row says triggering before
// Jenkins is asked, and whoever finds it so (after a lost reply, or a crash) asks Jenkins whether it has the deployment id before
// triggering again.
func (j *jobs) attend(b *rop.Build) (ended bool) {
	fact, asked := j.seen.Builds[b.Deployment]
	switch b.State {
	case rop.BuildWanted:
		b.State = rop.BuildTriggering
		j.actions = append(j.actions, Action{Kind: ActTrigger, Build: *b})
	case rop.BuildTriggering:
		j.triggering(b)
	case rop.BuildQueued, rop.BuildRunning:
		switch {
		case !asked:
		case fact.Done:
			b.Result = fact.Result
			return true
		case fact.Known && fact.Running:
			b.State = rop.BuildRunning
		case !fact.Known && b.Number > 0 && j.now.Sub(b.Queued) > lostAfter:
			b.State, b.Note = rop.BuildFailed, forgotten
		case !fact.Known && j.now.Sub(b.Queued) > lostAfter:
			// Jenkins lost its queue: the same row, and so the same deployment id, is triggered again.
			b.State, b.Note, b.QueueID = rop.BuildTriggering, "Jenkins lost it; asked again", 0
		}
	}
	return false
}

// forgotten is the note of a build that began, and that Jenkins has not any more.
const forgotten = "Jenkins does not know this build any more"

// lostAfter is how long a build may be unknown to Jenkins after it was queued, since lists lag behind the queue.
const lostAfter = 15 * time.Second

// locate learns the build's number and address from whoever knows: Jenkins, or the build itself.
func (j *jobs) locate(b *rop.Build) {
	if f, ok := j.seen.Builds[b.Deployment]; ok && f.Known {
		if f.QueueID > 0 {
			b.QueueID = f.QueueID
		}
		if f.Number > 0 {
			b.Number, b.URL = f.Number, f.URL
		}
		if b.State == rop.BuildTriggering {
			b.State, b.Queued, b.Note = rop.BuildQueued, j.now, ""
		}
	}
	if begun, ok := j.begun[b.Deployment]; ok && b.Number == 0 {
		b.Number, b.URL = begun.Number, begun.URL
	}
}

func (j *jobs) triggering(b *rop.Build) {
	t, tried := j.seen.Triggered[b.Deployment]
	tried = tried && t.At.After(b.Queued) // an older answer is about the build that was lost
	switch {
	case tried && t.Err == "":
		b.State, b.QueueID, b.Queued, b.Tries, b.Note = rop.BuildQueued, t.QueueID, j.now, 0, ""
		return
	case tried && t.Refused && b.Tries > 0 && !t.At.Before(b.RetryAt):
		b.State, b.Note = rop.BuildFailed, t.Err
		return
	case tried && !t.At.Before(b.RetryAt):
		b.Tries++
		b.RetryAt, b.Note = t.At.Add(backoff(b.Tries)), t.Err
	}
	if wait := b.RetryAt.Sub(j.now); wait > 0 {
		j.wakeIn(wait)
		return
	}
	j.actions = append(j.actions, Action{Kind: ActEnsure, Build: *b})
}

// backoff doubles from one second up to a minute.
func backoff(tries int) time.Duration {
	return min(time.Second<<min(tries-1, 6), time.Minute)
}

// endedAt is when the last of some stages ended; when there was none, the beginning.
func endedAt(stages []rop.StageTime, beginning time.Time) time.Time {
	if n := len(stages); n > 0 {
		return stages[n-1].End
	}
	return beginning
}
