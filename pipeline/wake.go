package pipeline

import (
	"time"

	"railyard/internal/rop"
)

// Waking is how waking a build ended.
type Waking struct {
	At       time.Time
	Milepost string // what it was woken for
	Tries    int    // for this milepost
	Settled  bool   // it was woken, knows already, or will never ask
	Err      string
}

// wakeBuilds wakes the builds that wait in Jenkins for this Coach to move, and reports whether one is still asleep.
func (d *decider) wakeBuilds() (asleep bool) {
	for i := range d.Builds {
		b := &d.Builds[i]
		if b.Number == 0 || b.State != rop.BuildPublished {
			continue // it has not come to where builds wait
		}
		asleep = d.rouse(b, d.Milepost(), d.ended()) || asleep
	}
	return asleep
}

// rouse wakes a build once for a milepost, and reports whether it is still asleep. A build that does not ask yet is on its way to:
// it is tried again, less and less often, so that the requests stay few however many builds wait. end is when whatever it waits for
// has ended; zero = it goes on.
func (j *jobs) rouse(b *rop.Build, milepost string, end time.Time) (asleep bool) {
	last, tried := j.seen.Woken[b.Deployment]
	tried = tried && last.Milepost == milepost
	if tried && last.Settled {
		b.Woken = milepost
	}
	if b.Woken == milepost || j.past(end, giveUpTelling) {
		return false
	}
	if tried {
		if wait := last.At.Add(wakeAgain(last.Tries)).Sub(j.now); wait > 0 {
			j.wakeIn(wait)
			return true
		}
	}
	j.actions = append(j.actions, Action{Kind: ActWake, Build: *b, Text: milepost})
	return true
}

// past reports that something ended longer ago than limit; what goes on (end is zero) has not.
func (j *jobs) past(end time.Time, limit time.Duration) bool {
	return !end.IsZero() && j.now.Sub(end) > limit
}

// wakeAgain is how long after so many tries the next one is made. A build asks a moment after it has looked, so the first
// ones are close together.
func wakeAgain(tries int) time.Duration {
	return min(250*time.Millisecond<<min(tries-1, 8), time.Minute)
}
