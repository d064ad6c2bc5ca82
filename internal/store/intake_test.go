package store_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
)

func delivery(key string) pipeline.Delivery {
	return pipeline.Delivery{Provider: "github", Key: key, Repository: "hotel/hotel-api", Branch: "release/1.4",
		After: strings.Repeat("a", 40), Pusher: "dev", At: t0}
}

func saveDelivery(t *testing.T, s *store.Store, d pipeline.Delivery) int64 {
	t.Helper()
	id, _, err := s.SaveDelivery(t.Context(), d, tell("delivery", "accepted"))
	ok(t, err)
	return id
}

func pending(t *testing.T, s *store.Store, now time.Time) []pipeline.Delivery {
	t.Helper()
	return must[[]pipeline.Delivery](t)(s.PendingDeliveries(t.Context(), now, 0))
}

var intakeRules = []rule{
	{"a second delivery with the same key changes nothing", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		first := saveDelivery(t, s, delivery("k1"))
		before := everything(t, s)
		again := delivery("k1")
		again.Branch, again.At = "release/2.0", t0.Add(time.Hour)
		id, duplicate, err := s.SaveDelivery(t.Context(), again, tell("delivery", "accepted"))
		ok(t, err)
		if !duplicate || id != first {
			t.Errorf("duplicate %v of %d, want true of %d", duplicate, id, first)
		}
		equal(t, "database", everything(t, s), before)
	}},
	{"the same key of another code host is another delivery", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		saveDelivery(t, s, delivery("k1"))
		other := delivery("k1")
		other.Provider = "gitea"
		saveDelivery(t, s, other)
		equal(t, "pending", len(pending(t, s, t0)), 2)
	}},
	{"a processed delivery with the same key is still a duplicate", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id := saveDelivery(t, s, delivery("k1"))
		ok(t, s.TakeIn(t.Context(), pipeline.TakeIn{Deliveries: []int64{id}, Repository: "hotel/hotel-api", Branch: "release/1.4", NewTip: "b"}))
		_, duplicate, err := s.SaveDelivery(t.Context(), delivery("k1"))
		ok(t, err)
		equal(t, "duplicate", duplicate, true)
		equal(t, "pending", len(pending(t, s, t0)), 0)
	}},
	{"a delivery that was put off waits for its time and keeps the error", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id := saveDelivery(t, s, delivery("k1"))
		ok(t, s.PutOffDelivery(t.Context(), id, "fetch: no route to host", t0.Add(time.Minute)))
		equal(t, "pending before", len(pending(t, s, t0.Add(time.Minute-time.Microsecond))), 0)
		want := delivery("k1")
		want.ID, want.Tries, want.RetryAt, want.Note = id, 1, t0.Add(time.Minute), "fetch: no route to host"
		equal(t, "pending after", pending(t, s, t0.Add(time.Minute)), []pipeline.Delivery{want})
		wantErr(t, s.PutOffDelivery(t.Context(), id+1, "", t0), pipeline.ErrNotFound)
	}},
	{"a text too long for its column is refused by name", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		d := delivery("k1")
		d.Branch = strings.Repeat("x", 256)
		_, _, err := s.SaveDelivery(t.Context(), d)
		wantErr(t, err, store.ErrTooLong)
		if !strings.Contains(err.Error(), "the branch has 256 characters, at most 255") {
			t.Errorf("error does not name the text: %v", err)
		}
	}},
	{"bytes that are not UTF-8 are kept as replacement characters", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		d := delivery("k1")
		d.Pusher = "Zo\xeb"
		saveDelivery(t, s, d)
		equal(t, "pusher", pending(t, s, t0)[0].Pusher, "Zo\uFFFD")
	}},
	{"taking in with a moved tip is a conflict and writes nothing", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		id := saveDelivery(t, s, delivery("k1"))
		before := everything(t, s)
		for _, old := range []string{"", "somebody else's"} {
			c := coach(1, 2)
			err := s.TakeIn(t.Context(), pipeline.TakeIn{Deliveries: []int64{id}, Repository: c.Repository, Branch: c.Branch, OldTip: old,
				NewTip: c.Commit, Coach: &c, Events: []event.Event{tell("coach/"+c.ID, "created")}})
			wantErr(t, err, pipeline.ErrConflict)
		}
		err := s.TakeIn(t.Context(), pipeline.TakeIn{Repository: "hotel/hotel-api", Branch: "never seen", OldTip: "a", NewTip: "b"})
		wantErr(t, err, pipeline.ErrConflict)
		equal(t, "database", everything(t, s), before)
	}},
	{"a delivery processed meanwhile is a conflict and writes nothing", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id := saveDelivery(t, s, delivery("k1"))
		in := pipeline.TakeIn{Deliveries: []int64{id}, Repository: "hotel/hotel-api", Branch: "release/1.4", NewTip: "b"}
		ok(t, s.TakeIn(t.Context(), in))
		before := everything(t, s)
		in.OldTip = "b"
		wantErr(t, s.TakeIn(t.Context(), in), pipeline.ErrConflict)
		equal(t, "database", everything(t, s), before)
	}},
	{"a coach's id that is taken is a conflict and writes nothing", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		before := everything(t, s)
		c := coach(1, 1)
		c.Branch = "release/2.0"
		wantErr(t, s.TakeIn(t.Context(), pipeline.TakeIn{Repository: c.Repository, Branch: c.Branch, NewTip: c.Commit, Coach: &c}), pipeline.ErrConflict)
		equal(t, "database", everything(t, s), before)
	}},
	{"of replicas that take in the same push one wins", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		var won, lost atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				c := coach(1, 1)
				err := s.TakeIn(t.Context(), pipeline.TakeIn{Repository: c.Repository, Branch: c.Branch, NewTip: c.Commit, Coach: &c})
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, pipeline.ErrConflict):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || lost.Load() != 7 {
			t.Errorf("%d won and %d lost, want 1 and 7", won.Load(), lost.Load())
		}
	}},
	{"the same commit may come back, and the latest coach is that of the last push", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		_, err := s.LatestCoach(t.Context(), "hotel/hotel-api", "release/1.4")
		wantErr(t, err, pipeline.ErrNotFound)
		first, second, reverted := coach(1, 1), coach(1, 2), coach(1, 3)
		reverted.Commit = first.Commit
		reverted.Created = t0.Add(-time.Hour) // by a clock that is off
		for _, c := range []rop.Coach{first, second, reverted} {
			push(t, s, c)
			equal(t, "latest", must[rop.Coach](t)(s.LatestCoach(t.Context(), c.Repository, c.Branch)), c)
		}
		equal(t, "last series", must[int](t)(s.LastSeries(t.Context(), "hotel-api")), 1)
		equal(t, "last series of another project", must[int](t)(s.LastSeries(t.Context(), "hotel-app")), 0)
	}},
	{"a branch that was deleted may come back", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		gone := coach(1, 1)
		ok(t, s.TakeIn(t.Context(), pipeline.TakeIn{Repository: gone.Repository, Branch: gone.Branch, OldTip: gone.Commit, NewTip: ""}))
		push(t, s, coach(1, 2))
		equal(t, "tip", must[string](t)(s.Tip(t.Context(), gone.Repository, gone.Branch)), coach(1, 2).Commit)
	}},
}
