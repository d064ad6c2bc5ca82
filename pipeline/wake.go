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

// wakeBuilds wakes the builds that wait in Jenkins for this Coach to move, each once for every milepost, and reports whether
// one is still asleep. A build that does not ask yet is on its way to: it is tried again, less and less often, so that the
// requests stay few however many builds wait.
func (d *decider) wakeBuilds() (asleep bool) {
	milepost := d.Milepost()
	for i := range d.Builds {
		b := &d.Builds[i]
		if b.Number == 0 || b.State != rop.BuildPublished {
			continue // it has not come to where builds wait
		}
		last, tried := d.obs.Woken[b.Deployment]
		tried = tried && last.Milepost == milepost
		if tried && last.Settled {
			b.Woken = milepost
		}
		if b.Woken == milepost || d.State.Terminal() && d.now.Sub(d.ended()) > giveUpTelling {
			continue
		}
		asleep = true
		if tried {
			if wait := last.At.Add(wakeAgain(last.Tries)).Sub(d.now); wait > 0 {
				d.wakeIn(wait)
				continue
			}
		}
		d.actions = append(d.actions, Action{Kind: ActWake, Build: *b, Text: milepost})
	}
	return asleep
}

// wakeAgain is how long after so many tries the next one is made. A build asks a moment after it has looked, so the first
// ones are close together.
func wakeAgain(tries int) time.Duration {
	return min(250*time.Millisecond<<min(tries-1, 8), time.Minute)
}
