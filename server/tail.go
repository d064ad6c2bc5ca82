package server

import (
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/event"
	"railyard/internal/store"
)

// tail follows the event log once for everybody who listens, and keeps its newest rows. A listener has no queue of its own, only the
// id it has seen: one that is slow falls back to reading the log, and never holds up another or the tail.
type tail struct {
	log    eventLog
	logger logrus.FieldLogger

	mu        sync.Mutex
	listeners int
	stop      context.CancelFunc
	known     bool          // from and newest are known
	from      int64         // every event above it is in newest
	newest    []event.Event // at most tailKept
	moved     chan struct{} // closed when newest grows
}

const (
	tailKept = 512
	tailTick = time.Second // commits of other replicas are seen by asking
	pageSize = 200
)

func newTail(log eventLog, logger logrus.FieldLogger) *tail {
	return &tail{log: log, logger: logger, moved: make(chan struct{})}
}

// listen keeps the tail following until release is called.
func (t *tail) listen() (release func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners++
	if t.listeners == 1 {
		ctx, stop := context.WithCancel(context.Background())
		t.stop, t.known, t.newest = stop, false, nil
		go t.follow(ctx)
	}
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.listeners--; t.listeners == 0 {
			t.stop()
		}
	})
}

// since returns the events after an id that the tail has. have is false when it cannot say, and the log must be read. moved is closed
// when there are more.
func (t *tail) since(after int64) (events []event.Event, have bool, moved <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known || after < t.from {
		return nil, false, t.moved
	}
	for i, e := range t.newest {
		if e.ID > after {
			return t.newest[i:len(t.newest):len(t.newest)], true, t.moved
		}
	}
	return nil, true, t.moved
}

// next returns events after an id, from the tail or the log; none when there are none yet.
func (t *tail) next(ctx context.Context, after int64) (events []event.Event, moved <-chan struct{}, err error) {
	events, have, moved := t.since(after)
	if !have {
		events, err = t.log.Events(ctx, store.EventFilter{After: after, Limit: pageSize})
	}
	return events, moved, err
}

// last returns the id of the newest event, 0 if there is none.
func (t *tail) last(ctx context.Context) (int64, error) {
	events, err := t.log.Events(ctx, store.EventFilter{Newest: true, Limit: 1})
	if err != nil || len(events) == 0 {
		return 0, err
	}
	return events[0].ID, nil
}

func (t *tail) follow(ctx context.Context) {
	tick := time.NewTicker(tailTick)
	defer tick.Stop()
	failing := false
	for {
		changed := t.log.Changed()
		more, err := t.catchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			t.logger.WithError(err).Warn("follow the event log: the database does not answer; trying again")
		}
		failing = err != nil
		if more {
			continue
		}
		if failing {
			changed = nil // at the tick, not as fast as it fails
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// catchUp reads one page of new events. more says that there may be another.
func (t *tail) catchUp(ctx context.Context) (more bool, err error) {
	read, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	t.mu.Lock()
	known, after := t.known, t.from
	if n := len(t.newest); n > 0 {
		after = t.newest[n-1].ID
	}
	t.mu.Unlock()
	if !known {
		after, err = t.last(read)
		if err != nil {
			return false, err
		}
		return true, t.take(ctx, after, nil)
	}
	events, err := t.log.Events(read, store.EventFilter{After: after, Limit: pageSize})
	if err != nil {
		return false, err
	}
	return len(events) == pageSize, t.take(ctx, after, events)
}

// take adds events and wakes the listeners. A tail that was stopped meanwhile takes nothing: another one may follow already.
func (t *tail) take(ctx context.Context, after int64, events []event.Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !t.known {
		t.known, t.from = true, after
	}
	if len(events) == 0 {
		return nil
	}
	// Always into new memory: listeners read what they were given without a lock.
	grown := append(append(make([]event.Event, 0, len(t.newest)+len(events)), t.newest...), events...)
	if cut := len(grown) - tailKept; cut > 0 {
		t.from, grown = grown[cut-1].ID, grown[cut:]
	}
	t.newest = grown
	close(t.moved)
	t.moved = make(chan struct{})
	return nil
}
