package roller

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"railyard/internal/fleet"
)

// A brake stops what has not begun, whatever hangs: servers, balancer, database.
func TestABrakeTakesEffectWhateverHangs(t *testing.T) {
	cases := []struct {
		rule  string
		here  bool // it is given to the process that drives the roll
		bound time.Duration
		after time.Duration // when the database begins to hang: just after, and well before the commands are read again
	}{
		{"given to the process that drives the roll, at once, without the database", true, 0, 1300 * time.Millisecond},
		{"given to another process: no action starts when the commands cannot be read for two seconds", false, brakeTime, time.Second},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := quietSim()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- p.runner.Run(ctx, nil) }()
				time.Sleep(c.after) // the first servers are switched, and their smoke test is tried again and again
				s.locked(func() {
					want(t, len(s.begun) > 0, true)
					s.store.away, s.store.hangs = time.Now().Add(time.Hour), true
				})
				if c.here {
					p.runner.Brake("r-1")
				}
				braked := time.Now()
				time.Sleep(time.Minute)
				s.locked(func() {
					for _, began := range s.begun {
						if began.Sub(braked) > c.bound {
							t.Errorf("an action began %s after the brake", began.Sub(braked))
						}
					}
					want(t, s.store.rolls["r-1"].roll.Stage.Terminal(), false)
				})
				close(s.over)
				cancel()
				<-done
				s.wg.Wait()
			})
		})
	}
}

// quietSim is a calm simulation of one process and one site with forty servers, on which no smoke test passes.
func quietSim() (*sim, *simProc) {
	s := &sim{
		seed: 1, start: time.Now(), calm: true, plain: newRand(1), draws: map[string]uint64{}, over: make(chan struct{}),
		sites: map[fleet.SiteRef]*simSite{}, brakes: map[string]simBrake{},
	}
	s.store = newSimStore(s)
	site := &simSite{sim: s, ref: fleet.SiteRef{Environment: "PROD", Pool: "pool"}, balanced: true, servers: map[string]*simServer{},
		badSmoke: map[string]bool{simRevision(1).ID: true}}
	for i := range 40 {
		name := fmt.Sprintf("s%02d", i)
		site.addServer(name, false, simRevision(0))
		site.servers[name].fragile = true
	}
	s.sites[site.ref] = site
	s.store.current[site.ref], s.store.barred[site.ref] = simRevision(0), map[string]string{}
	s.store.addRoll(site, "r-1", simRevision(1), 40)
	stored := s.store.rolls["r-1"]
	stored.roll.Strategy.Pattern, stored.roll.Strategy.Smoke, stored.roll.Strategy.MinUpPercent = []int{5}, false, 50
	stored.roll.Strategy.StepTimeout = time.Hour
	stored.put(stored.roll, nil)
	return s, s.newProc(0)
}

// A lock that is not the roll's any more, whoever gave it away, ends all new action at the next renewal of the lease.
func TestNoActionBeginsWithoutTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quietSim()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.runner.Run(ctx, nil) }()
		time.Sleep(1300 * time.Millisecond)
		s.locked(func() {
			want(t, len(s.begun) > 0, true)
			site := s.store.rolls["r-1"].roll.Site
			other := &simRoll{targets: map[string][]byte{}}
			other.put(Roll{ID: "r-2", Site: site, Stage: Rolling, Pause: &Pause{Cause: CauseBrake}}, nil)
			other.until = time.Now().Add(time.Hour) // somebody else's
			s.store.rolls["r-2"], s.store.locks[site] = other, "r-2"
		})
		lost := time.Now()
		time.Sleep(time.Minute)
		s.locked(func() {
			for _, began := range s.begun {
				if began.Sub(lost) > p.runner.LeaseTTL/3+time.Second {
					t.Errorf("an action began %s after the lock was lost", began.Sub(lost))
				}
			}
			want(t, s.store.rolls["r-1"].roll.Stage.Terminal(), false)
		})
		close(s.over)
		cancel()
		<-done
		s.wg.Wait()
	})
}
