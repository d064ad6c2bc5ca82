package rollmon

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/verdict"
)

// Recorder keeps the looks worth judging again: each at which the outcome turned, and the last of each batch. It works beside the monitor: a database that hangs costs looks, never a verdict. Several replicas may record,
// since a roll is asked about by the one that drives it.
type Recorder struct {
	store LookStore
	log   logrus.FieldLogger
	notes chan Look
	rolls map[string]*noted // belongs to Run
}

// noted is the newest look at a roll.
type noted struct {
	look    Look
	unsaved bool
	since   time.Time // when it was noted
}

const (
	noteRoom      = 256              // looks that wait to be kept
	recordEvery   = 5 * time.Second  // so old may the last look of a batch be after a crash
	recordFor     = 10 * time.Minute // a roll nobody asked about for so long is forgotten
	storePatience = 2 * time.Second
)

// NewRecorder returns a Recorder. It keeps nothing before Run.
func NewRecorder(store LookStore, log logrus.FieldLogger) *Recorder {
	return &Recorder{store: store, log: log, notes: make(chan Look, noteRoom), rolls: map[string]*noted{}}
}

// Note takes a look without waiting. It is safe for concurrent use.
func (r *Recorder) Note(l Look) {
	select {
	case r.notes <- l:
	default:
		r.log.WithField("roll", l.Question.Roll).Warn("look not kept: the database is too slow")
	}
}

// Run keeps looks until ctx ends, and then what is left.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for {
		select {
		case l := <-r.notes:
			r.take(ctx, l, time.Now())
		case <-tick.C:
			r.flush(ctx, time.Now())
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience) // of all that is left
			defer cancel()
			for len(r.notes) > 0 {
				r.take(last, <-r.notes, time.Now())
			}
			r.flush(last, time.Now())
			return ctx.Err()
		}
	}
}

// take puts a look in its place. What it follows is kept first when the batch or the outcome is another.
func (r *Recorder) take(ctx context.Context, l Look, now time.Time) {
	before := r.rolls[l.Question.Roll]
	l.Turned = before == nil || turned(before.look.Verdict, l.Verdict)
	if l.Turned && before != nil {
		r.save(ctx, before)
	}
	n := &noted{look: l, unsaved: true, since: now}
	r.rolls[l.Question.Roll] = n
	switch {
	case l.Turned:
		r.save(ctx, n)
	case before.unsaved && before.look.Turned:
		n.look.Turned = true // that one could not be kept: this one says the same
	}
}

// turned reports whether a verdict begins something new.
func turned(before, now verdict.Verdict) bool {
	return before.Outcome != now.Outcome || before.Stage != now.Stage || before.Batch != now.Batch
}

func (r *Recorder) flush(ctx context.Context, now time.Time) {
	for roll, n := range r.rolls {
		r.save(ctx, n)
		if now.Sub(n.since) > recordFor {
			delete(r.rolls, roll)
		}
	}
}

// save keeps a look that is not kept yet. One that cannot be kept is tried again later.
func (r *Recorder) save(ctx context.Context, n *noted) {
	if !n.unsaved {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, storePatience, errors.New("the database gave no answer in time"))
	defer cancel()
	if err := r.store.SaveLook(ctx, n.look); err != nil {
		r.log.WithError(err).WithField("roll", n.look.Question.Roll).Warn("look not kept; trying again")
		return
	}
	n.unsaved = false
}
