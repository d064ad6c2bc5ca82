package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/store"
)

var eventRules = []rule{
	{"events are in the order of commits and a follower loses none", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		followersLoseNothing(t, []*store.Store{s, s}, s)
	}},
	{"events are chosen by coach, object, server, and the newest", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		c := claimRoll(t, s, "a", t0)
		var want []event.Event
		for i := range 250 { // more than one insert's worth
			want = append(want, event.Event{At: t0.Add(time.Duration(i) * time.Second), Actor: "railyard", Object: fmt.Sprintf("roll/%d", i%2),
				What: "server_switched", Why: "为什么", From: "a", To: "b", Server: fmt.Sprintf("s-%d", i%3), Coach: fmt.Sprintf("c-%d", i%5)})
		}
		ok(t, s.SaveRoll(t.Context(), c, roller.Save{Roll: c.Roll, Events: want}))
		for i := range want {
			want[i].ID = int64(i + 1)
		}
		choose := func(f func(event.Event) bool) (chosen []event.Event) {
			for _, e := range want {
				if f(e) {
					chosen = append(chosen, e)
				}
			}
			return chosen
		}
		for _, c := range []struct {
			what string
			f    store.EventFilter
			want []event.Event
		}{
			{"first hundred", store.EventFilter{}, want[:100]},
			{"all", store.EventFilter{Limit: 1000}, want},
			{"after", store.EventFilter{After: 240, Limit: 1000}, want[240:]},
			{"newest", store.EventFilter{Newest: true, Limit: 7}, want[243:]},
			{"of a coach", store.EventFilter{Coach: "c-3", Limit: 1000}, choose(func(e event.Event) bool { return e.Coach == "c-3" })},
			{"of an object and a server", store.EventFilter{Object: "roll/1", Server: "s-2", Limit: 1000},
				choose(func(e event.Event) bool { return e.Object == "roll/1" && e.Server == "s-2" })},
			{"of nothing", store.EventFilter{Object: "roll/9"}, []event.Event{}},
		} {
			equal(t, c.what, must[[]event.Event](t)(s.Events(t.Context(), c.f)), c.want)
		}
	}},
}

// followersLoseNothing writes events from many goroutines over the given stores, while a follower asks for what came
// after the last one it saw. Then the follower must have seen every event once, without gaps, each writer's in its order.
func followersLoseNothing(t *testing.T, writers []*store.Store, reader *store.Store) {
	const perStore, saves = 4, 25
	total := 0
	done := make(chan struct{})
	var all sync.WaitGroup
	for i, s := range writers {
		for j := range perStore {
			writer := fmt.Sprintf("w-%d-%d", i, j)
			events := 0
			for save := range saves {
				events += 1 + save%3
			}
			total += events
			all.Go(func() {
				n := 0
				for save := range saves {
					var told []event.Event
					for range 1 + save%3 {
						told = append(told, event.Event{At: t0, Object: writer, What: "counted", To: fmt.Sprint(n)})
						n++
					}
					if err := s.Tell(t.Context(), told); err != nil {
						t.Errorf("%s: %v", writer, err)
						return
					}
				}
			})
		}
	}
	go func() { all.Wait(); close(done) }()
	seen := map[string]int{}
	last := int64(0)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for finished := false; ; {
		events := must[[]event.Event](t)(reader.Events(ctx, store.EventFilter{After: last, Limit: 50}))
		for _, e := range events {
			if e.ID != last+1 {
				t.Fatalf("event %d came after %d", e.ID, last)
			}
			if e.To != fmt.Sprint(seen[e.Object]) {
				t.Fatalf("event %d is %s's number %s, want %d", e.ID, e.Object, e.To, seen[e.Object])
			}
			last = e.ID
			seen[e.Object]++
		}
		if finished && len(events) == 0 {
			break
		}
		select {
		case <-done:
			finished = true // one more round reads what was committed last
		default:
		}
	}
	if last != int64(total) {
		t.Errorf("the follower saw %d events of %d", last, total)
	}
}
