package roller

import (
	"context"
	"errors"
	"sync"
)

// Survey is a site as its balancer and its servers say it is now.
type Survey struct {
	Servers  map[string]ServerState
	Balanced bool  // the site has a balancer
	Balancer error // why it did not answer; the members are not known then
}

// Surveyor looks at whole sites at once. It is safe for concurrent use: however many sites are looked at, so many servers at
// a time are asked and no more.
type Surveyor struct{ places chan struct{} }

// NewSurveyor returns one that asks at most this many servers at once.
func NewSurveyor(servers int) *Surveyor { return &Surveyor{places: make(chan struct{}, servers)} }

// Look asks the balancer once and every server, each with its own time. It fails only when ctx ends: what does not answer is
// part of the answer.
func (y *Surveyor) Look(ctx context.Context, site OpenSite) (Survey, error) {
	seen := Survey{Servers: make(map[string]ServerState, len(site.Machines)), Balanced: site.Balancer != nil}
	var members map[string]Member
	var all sync.WaitGroup
	if seen.Balanced {
		all.Go(func() {
			call, cancel := context.WithTimeoutCause(ctx, balancerPatience, errors.New("the balancer gave no answer in time"))
			defer cancel()
			members, seen.Balancer = answerInTime(call, site.Balancer.Observe)
		})
	}
	var mu sync.Mutex
	for name, machine := range site.Machines {
		select {
		case y.places <- struct{}{}:
		case <-ctx.Done():
			all.Wait()
			return seen, context.Cause(ctx)
		}
		all.Go(func() {
			defer func() { <-y.places }()
			state := lookAt(ctx, site.Host, machine)
			mu.Lock()
			defer mu.Unlock()
			seen.Servers[name] = state
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return seen, context.Cause(ctx)
	}
	for name, state := range seen.Servers {
		member, listed := members[MemberName(state.Server)]
		state.Member, state.Unlisted = member, seen.Balanced && !listed
		seen.Servers[name] = state
	}
	return seen, nil
}

func lookAt(ctx context.Context, host Host, m Machine) ServerState {
	call, cancel := context.WithTimeoutCause(ctx, hostPatience, errors.New("the server gave no answer in time"))
	defer cancel()
	found, err := answerInTime(call, func(ctx context.Context) (HostState, error) { return host.Observe(ctx, m) })
	state := ServerState{Server: m.Server, Asked: true, Reachable: err == nil, Host: found}
	if err != nil {
		state.HostError = err.Error()
	}
	return state
}

// answerInTime asks a driver. One that does not return when its time is over is left behind.
func answerInTime[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := ask(ctx)
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
