package service

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rollmon/source/known"
	"railyard/internal/store"
	"railyard/internal/verdict"
)

// entered is what people said of the Coach that a roll carries.
func (s *Service) entered(ctx context.Context, id string) ([]verdict.Entered, error) {
	roll, err := s.store.Roll(ctx, id)
	if err != nil {
		return nil, err
	}
	if roll.Coach == "" {
		return nil, nil
	}
	return s.store.TestVerdicts(ctx, roll.Coach)
}

// stepsRead bounds the events of one look; the next look goes on where it ended.
const stepsRead = 10_000

// steps are the events on the servers of a roll.
func (s *Service) steps(ctx context.Context, roll string, after int64) ([]known.Step, error) {
	events, err := s.store.Events(ctx, store.EventFilter{After: after, Object: "roll/" + roll, Limit: stepsRead})
	if err != nil {
		return nil, err
	}
	var steps []known.Step
	for _, e := range events {
		if e.Server == "" {
			continue
		}
		words := e.Why
		if e.From != "" {
			words = e.From + ": " + words
		}
		steps = append(steps, known.Step{ID: e.ID, Server: e.Server, Failed: e.What == "server_failed" || e.What == "server_drifted",
			Settled: e.What == "server_settled", Words: words})
	}
	return steps, nil
}

// readiness looks at servers through the drivers of their sites. What all servers of a look have in common is read once.
type readiness struct {
	sites   *sites
	roll    func(ctx context.Context, id string) (roller.Roll, error)
	rolls   brief[roller.Roll]
	members brief[map[string]roller.Member]
}

// conditions implements known.Conditions.
func (r *readiness) conditions(ctx context.Context, id string, ref fleet.SiteRef, server string) ([]known.Condition, error) {
	roll, err := r.rolls.get(ctx, id, func(ctx context.Context) (roller.Roll, error) { return r.roll(ctx, id) })
	if err != nil {
		return nil, fmt.Errorf("the database does not say what roll %s brings: %w", id, err)
	}
	site, err := r.sites.OpenSite(ref)
	if err != nil {
		return nil, err
	}
	machine, ok := site.Machines[server]
	if !ok {
		return nil, fmt.Errorf("the topology has no server %s in %s", server, ref)
	}
	all := []known.Condition{{Name: "machine"}}
	state, err := site.Host.Observe(ctx, machine)
	if err != nil {
		all[0].Problem = "does not answer: " + err.Error()
	} else {
		for _, app := range roll.To.Apps {
			c := known.Condition{Name: app.App}
			if runs := state.Running[app.App]; runs == "" {
				c.Problem = "does not run, expected " + app.Name()
			} else if runs != app.Name() {
				c.Problem = fmt.Sprintf("runs %s, expected %s", runs, app.Name())
			}
			all = append(all, c)
		}
	}
	if site.Balancer == nil {
		return all, nil
	}
	members, err := r.members.get(ctx, ref.String(), site.Balancer.Observe)
	if err != nil {
		return nil, fmt.Errorf("the balancer does not say: %w", err)
	}
	c := known.Condition{Name: "balancer"}
	if m, ok := members[roller.MemberName(machine.Server)]; !ok {
		c.Problem = "does not know it"
	} else if !m.Up {
		c.Problem = "calls it " + m.Detail
	}
	return append(all, c), nil
}

// brief remembers an answer for a moment, and asks once for all who ask meanwhile. The zero value is ready.
type brief[T any] struct {
	group singleflight.Group
	mu    sync.Mutex
	known map[string]momentary[T]
}

type momentary[T any] struct {
	value T
	at    time.Time
}

// briefly is how long an answer counts: one look, not two.
const briefly = 400 * time.Millisecond

// mostBrief bounds what is remembered.
const mostBrief = 256

func (b *brief[T]) get(ctx context.Context, key string, ask func(context.Context) (T, error)) (T, error) {
	b.mu.Lock()
	seen, ok := b.known[key]
	b.mu.Unlock()
	if ok && time.Since(seen.at) < briefly {
		return seen.value, nil
	}
	got := b.group.DoChan(key, func() (any, error) {
		value, err := ask(ctx)
		if err == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.known == nil || len(b.known) > mostBrief {
				b.known = map[string]momentary[T]{}
			}
			b.known[key] = momentary[T]{value, time.Now()}
		}
		return value, err
	})
	var none T
	select {
	case r := <-got:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(T), nil
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}
