package roller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"railyard/internal/fleet"
)

// hands carries out actions beside the roll, at most one per server, each with a deadline.
type hands struct {
	ctx  context.Context
	now  func() time.Time
	done chan finished
	busy map[string]bool
	last map[string]Result
}

type finished struct {
	action Action
	err    error
}

const orderPatience = 5 * time.Second // a weight order or one smoke test

func newHands(ctx context.Context, now func() time.Time) *hands {
	return &hands{ctx: ctx, now: now, done: make(chan finished, 64), busy: map[string]bool{}, last: map[string]Result{}}
}

func (h *hands) start(a Action, site OpenSite, stepTimeout time.Duration) {
	if h.busy[a.Server] {
		return
	}
	h.busy[a.Server] = true
	patience := orderPatience
	if a.Kind == ActSwitch {
		patience = max(stepTimeout, orderPatience)
	}
	go func() {
		ctx, cancel := context.WithTimeoutCause(h.ctx, patience, fmt.Errorf("%s was not done in %s", a.Kind, patience))
		defer cancel()
		err := inTime(ctx, func() error { return perform(ctx, a, site) })
		select {
		case h.done <- finished{a, err}:
		case <-h.ctx.Done():
		}
	}()
}

// lateGrace is how long after its time a driver may take to return.
const lateGrace = time.Second

// inTime runs a driver's call. A driver must return when its time is over; one that does not is left behind, so that its
// server is not busy for ever. Whatever it still does is seen by the next look.
func inTime(ctx context.Context, call func() error) error {
	result := make(chan error, 1)
	go func() { result <- call() }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(lateGrace)
	defer grace.Stop()
	select {
	case err := <-result:
		return err
	case <-grace.C:
		return fmt.Errorf("%w, and the driver has not returned since", context.Cause(ctx))
	}
}

func perform(ctx context.Context, a Action, site OpenSite) error {
	machine, ok := site.Machines[a.Server]
	if !ok {
		return fmt.Errorf("%s %s: the server is not in the topology any more", a.Kind, a.Server)
	}
	switch a.Kind {
	case ActWeight:
		if site.Balancer == nil {
			return fmt.Errorf("%s %s: the site has no balancer any more", a.Kind, a.Server)
		}
		return site.Balancer.SetWeight(ctx, MemberName(machine.Server), a.Weight)
	case ActSwitch:
		return site.Host.Switch(ctx, machine, a.Revision)
	case ActTest:
		return site.Tester.Test(ctx, machine)
	}
	return fmt.Errorf("%s %s: unknown action: %w", a.Kind, a.Server, ErrPermanent)
}

func (h *hands) finished(f finished) {
	delete(h.busy, f.action.Server)
	result := Result{Action: f.action.Kind, Revision: f.action.Revision.ID, At: h.now(), Tries: 1}
	if f.err != nil {
		result.Err = f.err.Error()
		result.Permanent = errors.Is(f.err, ErrPermanent)
		result.Unreachable = errors.Is(f.err, ErrUnreachable)
	}
	if last := h.last[f.action.Server]; last.Action == result.Action && last.Err != "" {
		result.Tries = last.Tries + 1
	}
	h.last[f.action.Server] = result
}

// MemberName is the server's name at its balancer.
func MemberName(s fleet.Server) string {
	if s.Member != "" {
		return s.Member
	}
	return s.Name
}
