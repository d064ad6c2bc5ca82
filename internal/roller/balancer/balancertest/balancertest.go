// Package balancertest is the contract of roller.Balancer as a test suite: a driver is right when Run passes over a real
// balancer with real servers and visitors behind it.
package balancertest

import (
	"context"
	"slices"
	"testing"
	"time"

	"railyard/internal/roller"
)

// Fixture is a running balancer with at least four members, all healthy, at weight 100 and in nobody's maintenance. Its
// functions act as the rest of the world does, not through the driver. They may be called from any goroutine.
type Fixture struct {
	Balancer roller.Balancer
	Members  []string

	// Visit sends one visitor's request over a connection of its own and returns the member that answered it.
	Visit func(ctx context.Context) (member string, err error)
	// Hold sends a request that a member keeps open until finish is called; finish returns how it ended for the visitor.
	Hold func(ctx context.Context) (member string, finish func() error, err error)
	// Maintain is a person taking the member out of rotation, by other means than ours, or putting it back.
	Maintain func(member string, out bool) error
	// Maintained asks the balancer whether the person's order is still in force.
	Maintained func(member string) (bool, error)
	// Health makes the member pass or fail the balancer's health check.
	Health func(member string, healthy bool)
}

// patience bounds every wait for the balancer: a few of its health checks.
const patience = 20 * time.Second

// Run runs the suite; start makes a fresh fixture for each rule and ends it with the test.
func Run(t *testing.T, start func(t *testing.T) Fixture) {
	rules := []struct {
		name string
		test func(t *testing.T, f Fixture)
	}{
		{"a healthy member is seen up, at full weight, in nobody's maintenance", seenHealthy},
		{"a pulled-out member finishes its running requests and gets no new one", pullOut},
		{"a pulled-in member gets requests again", pullIn},
		{"a member at weight 25 gets about a quarter of a full share", quarterShare},
		{"somebody's maintenance is seen as foreign and survives our orders", foreign},
		{"a member that fails its health check is seen down, and up again when it passes", health},
		{"a pulled-out member's health is still watched", healthWhilePulledOut},
		{"an order that is repeated changes nothing", repeat},
		{"twenty callers at once are all served", concurrent},
		{"an unknown member is refused and nothing changes", unknown},
		{"a weight that is no percentage is refused and nothing changes", noPercentage},
		{"a caller that gave up gets an error", cancelled},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.test(t, start(t)) })
	}
}

func seenHealthy(t *testing.T, f Fixture) {
	got := f.observe(t)
	for _, name := range f.Members {
		m := got[name]
		if m.Weight != 100 || !m.Up || m.Foreign || m.Sessions != 0 || m.Detail == "" {
			t.Errorf("member %s = %+v, want weight 100, up, not foreign, no sessions, a detail", name, m)
		}
	}
}

func pullOut(t *testing.T, f Fixture) {
	member, finish, err := f.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.setWeight(t, member, 0)
	if m := f.observe(t)[member]; m.Weight != 0 || m.Foreign {
		t.Errorf("pulled out = %+v, want weight 0 and not foreign: the flag is ours", m)
	}
	f.until(t, member, "one session, the held request", func(m roller.Member) bool { return m.Sessions == 1 })
	for name, n := range f.visits(t, 40*len(f.Members)) {
		if name == member {
			t.Errorf("%d new requests went to the pulled-out member", n)
		}
	}
	if m := f.observe(t)[member]; m.Sessions != 1 {
		t.Errorf("sessions = %d while the held request runs, want 1", m.Sessions)
	}
	if err := finish(); err != nil {
		t.Errorf("the running request was not answered in full: %v", err)
	}
	f.until(t, member, "no sessions", func(m roller.Member) bool { return m.Sessions == 0 })
}

func pullIn(t *testing.T, f Fixture) {
	member := f.Members[0]
	f.setWeight(t, member, 0)
	f.setWeight(t, member, 100)
	f.until(t, member, "up at weight 100", func(m roller.Member) bool { return m.Up && m.Weight == 100 })
	const share = 50
	got := f.visits(t, share*len(f.Members))[member]
	if got < share*8/10 || got > share*12/10 {
		t.Errorf("the member got %d requests, want about %d", got, share)
	}
}

func quarterShare(t *testing.T, f Fixture) {
	member := f.Members[1]
	f.setWeight(t, member, 25)
	f.until(t, member, "weight 25", func(m roller.Member) bool { return m.Weight == 25 })
	const quarter = 30
	total := quarter * (4*(len(f.Members)-1) + 1)
	got := f.visits(t, total)[member]
	if got < quarter*8/10 || got > quarter*12/10 {
		t.Errorf("the member got %d of %d requests, want about %d", got, total, quarter)
	}
}

func foreign(t *testing.T, f Fixture) {
	member := f.Members[0]
	if err := f.Maintain(member, true); err != nil {
		t.Fatal(err)
	}
	f.until(t, member, "foreign", func(m roller.Member) bool { return m.Foreign && m.Weight == 100 })
	for _, weight := range []int{0, 100} {
		f.setWeight(t, member, weight)
		if m := f.observe(t)[member]; !m.Foreign || m.Weight != weight {
			t.Errorf("after our weight %d: %+v, want it foreign still, at our weight", weight, m)
		}
		if kept, err := f.Maintained(member); err != nil || !kept {
			t.Errorf("after our weight %d: maintained = %v, %v; want the person's order in force", weight, kept, err)
		}
	}
	if n := f.visits(t, 20*len(f.Members))[member]; n != 0 {
		t.Errorf("%d requests went to a member in maintenance", n)
	}
	if err := f.Maintain(member, false); err != nil {
		t.Fatal(err)
	}
	f.until(t, member, "up and nobody's", func(m roller.Member) bool { return m.Up && !m.Foreign })
}

func health(t *testing.T, f Fixture) {
	member := f.Members[2]
	f.Health(member, false)
	f.until(t, member, "down", func(m roller.Member) bool { return !m.Up && !m.Foreign && m.Weight == 100 })
	f.Health(member, true)
	f.until(t, member, "up", func(m roller.Member) bool { return m.Up })
}

func healthWhilePulledOut(t *testing.T, f Fixture) {
	member := f.Members[2]
	f.setWeight(t, member, 0)
	f.Health(member, false)
	f.until(t, member, "down at weight 0", func(m roller.Member) bool { return !m.Up && m.Weight == 0 })
	f.Health(member, true)
	f.until(t, member, "up at weight 0", func(m roller.Member) bool { return m.Up && m.Weight == 0 })
}

func repeat(t *testing.T, f Fixture) {
	member := f.Members[0]
	for _, weight := range []int{0, 25, 100} {
		for range 3 {
			f.setWeight(t, member, weight)
			got := f.observe(t)
			if m := got[member]; m.Weight != weight || !m.Up || m.Foreign {
				t.Errorf("after weight %d: %+v", weight, m)
			}
			for _, other := range f.Members[1:] {
				if m := got[other]; m.Weight != 100 || !m.Up {
					t.Errorf("an order for %s changed %s: %+v", member, other, m)
				}
			}
		}
	}
}

func unknown(t *testing.T, f Fixture) {
	before := f.observe(t)
	err := f.Balancer.SetWeight(t.Context(), "no-such-member", 0)
	wantError(t, err, "no-such-member")
	f.unchanged(t, before)
}

func noPercentage(t *testing.T, f Fixture) {
	before := f.observe(t)
	for _, weight := range []int{-1, 101} {
		wantError(t, f.Balancer.SetWeight(t.Context(), f.Members[0], weight), f.Members[0])
	}
	f.unchanged(t, before)
}

func cancelled(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := f.observe(t)
	if _, err := f.Balancer.Observe(ctx); err == nil {
		t.Error("Observe with a canceled context succeeded")
	}
	if err := f.Balancer.SetWeight(ctx, f.Members[0], 0); err == nil {
		t.Error("SetWeight with a canceled context succeeded")
	}
	f.unchanged(t, before)
}

func concurrent(t *testing.T, f Fixture) {
	const callers = 20
	errs := make(chan error, callers)
	for i := range callers {
		member, weight := f.Members[i%len(f.Members)], 100
		if i%len(f.Members)%2 == 0 {
			weight = 50
		}
		go func() {
			err := f.Balancer.SetWeight(t.Context(), member, weight)
			if err == nil {
				_, err = f.Balancer.Observe(t.Context())
			}
			errs <- err
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	got := f.observe(t)
	for i, name := range f.Members {
		if want := 50 + 50*(i%2); got[name].Weight != want {
			t.Errorf("weight of %s = %d, want %d", name, got[name].Weight, want)
		}
	}
	if !slices.ContainsFunc(f.Members, func(name string) bool { return got[name].Up }) {
		t.Error("no member is up any more")
	}
}
