package roller

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"railyard/internal/fleet"
)

// slowSite answers when it is told to, so that an order can come between a look and its answer.
type slowSite struct {
	balancer chan map[string]Member
	host     chan HostState
	hostErr  chan error
}

func (s *slowSite) Observe(ctx context.Context) (map[string]Member, error) {
	select {
	case members := <-s.balancer:
		return members, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *slowSite) SetWeight(context.Context, string, int) error { return nil }

type slowHost struct{ *slowSite }

func (h slowHost) Observe(ctx context.Context, _ Machine) (HostState, error) {
	select {
	case state := <-h.host:
		return state, nil
	case err := <-h.hostErr:
		return HostState{}, err
	case <-ctx.Done():
		return HostState{}, context.Cause(ctx)
	}
}

func (h slowHost) Switch(context.Context, Machine, Revision) error { return nil }

// look is what is seen of a slow site of one server, in virtual time.
type look struct {
	t     *testing.T
	site  *slowSite
	open  OpenSite
	eyes  *eyes
	began time.Time
}

func looking(t *testing.T, test func(l *look)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		site := &slowSite{balancer: make(chan map[string]Member), host: make(chan HostState), hostErr: make(chan error)}
		l := &look{t: t, site: site, eyes: newEyes(ctx, time.Now), began: time.Now()}
		l.open = OpenSite{Balancer: site, Host: slowHost{site}, Machines: map[string]Machine{"s1": {Server: fleet.Server{Name: "s1"}}}}
		test(l)
	})
}

// answer lets the look at the balancer that is under way end.
func (l *look) answer(weight int) {
	l.site.balancer <- map[string]Member{"s1": {Weight: weight, Up: true}}
	l.eyes.sawBalancer(<-l.eyes.balancer)
}

// tells lets the look at the host that is under way end.
func (l *look) tells(running string) {
	l.site.host <- HostState{Running: map[string]string{"hotel-api": running}}
	l.eyes.sawHost(<-l.eyes.host, l.open)
}

func (l *look) server() ServerState { return l.eyes.observation(l.open, "").Servers["s1"] }

// What was seen before an action of ours ended says nothing about what it did.
func TestRulesOfLooking(t *testing.T) {
	rules := []struct {
		rule string
		test func(t *testing.T, l *look)
	}{
		{"a look that began before an order ended does not say what the order did", func(t *testing.T, l *look) {
			l.eyes.lookAtBalancer(l.open)
			l.answer(100)
			want(t, l.server().Unlisted, false)
			l.eyes.lookAtBalancer(l.open) // before the order
			time.Sleep(time.Millisecond)
			l.eyes.after(finished{action: Action{Kind: ActWeight, Server: "s1"}}, l.open)
			want(t, l.server().Unlisted, true)
			l.answer(100) // as it was before
			want(t, l.server().Unlisted, true)
			time.Sleep(time.Millisecond)
			l.eyes.lookAtBalancer(l.open)
			l.answer(0)
			want(t, l.server().Unlisted, false)
			want(t, l.server().Member.Weight, 0)
		}},
		{"a look that began before the lock was ours does not count", func(t *testing.T, l *look) {
			l.eyes.lookAtBalancer(l.open)
			l.eyes.lookAtHosts(l.open, 0)
			time.Sleep(time.Millisecond)
			l.eyes.forget()
			l.answer(100)
			want(t, l.eyes.observation(l.open, "").BalancerError, "not read yet")
			l.tells("old")
			want(t, l.server().Asked, false)
			l.tells("new") // it was asked again at once
			want(t, l.server().Host.Running["hotel-api"], "new")
		}},
		{"what a server said while a switch ended is asked again", func(t *testing.T, l *look) {
			l.eyes.lookAtHosts(l.open, 0)
			l.eyes.after(finished{action: Action{Kind: ActSwitch, Server: "s1", Revision: newRev}, err: errors.New("the answer was lost")}, l.open)
			l.tells("old") // asked before, or in the middle of the switch
			want(t, l.server().Asked, false)
			l.tells("new")
			want(t, l.server().Host.Running["hotel-api"], "new")
		}},
		{"a switch that failed leaves unknown what runs until the server was asked", func(t *testing.T, l *look) {
			l.eyes.lookAtHosts(l.open, 0)
			l.tells("old")
			want(t, l.server().Asked, true)
			l.eyes.after(finished{action: Action{Kind: ActSwitch, Server: "s1", Revision: newRev}, err: errors.New("timed out")}, l.open)
			want(t, l.server().Asked, false)
			l.tells("half")
			want(t, l.server().Host.Running["hotel-api"], "half")
		}},
		{"a switch that succeeded says what runs, whatever a look before it says", func(t *testing.T, l *look) {
			l.eyes.lookAtHosts(l.open, 0)
			l.eyes.after(finished{action: Action{Kind: ActSwitch, Server: "s1", Revision: newRev}}, l.open)
			want(t, l.server().Host.Runs(newRev), true)
			l.tells("old")
			want(t, l.server().Host.Runs(newRev), true)
		}},
		{"a balancer whose last answer is old does not answer", func(t *testing.T, l *look) {
			l.eyes.lookAtBalancer(l.open)
			l.answer(100)
			time.Sleep(balancerPatience + time.Millisecond)
			want(t, l.eyes.observation(l.open, "").BalancerError, "its last answer is 2.001s old")
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { looking(t, func(l *look) { c.test(l.t, l) }) })
	}
}
