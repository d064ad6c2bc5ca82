package roller

import (
	"context"
	"errors"
	"time"
)

// eyes observes a site without ever making the roll wait: each look runs beside it and reports on a channel.
type eyes struct {
	ctx      context.Context
	now      func() time.Time
	balancer chan balancerSeen
	host     chan hostSeen

	looking      bool      // a look at the balancer is under way
	lookingSince time.Time //
	members      map[string]Member
	balancerErr  string
	hosts        map[string]ServerState // only the host part is used
	hostBusy     map[string]bool
	hostAt       map[string]time.Time // last look
}

type balancerSeen struct {
	members map[string]Member
	err     error
}

type hostSeen struct {
	server string
	state  HostState
	err    error
}

const (
	balancerPatience = 2 * time.Second  // an answer later than this is no answer
	hostPatience     = 10 * time.Second //
	hostAgain        = 5 * time.Second  // how often a server that does not answer is asked again
	hostLooks        = 32               // looks at hosts at once
)

func newEyes(ctx context.Context, now func() time.Time) *eyes {
	return &eyes{
		ctx: ctx, now: now,
		balancer: make(chan balancerSeen, 1), host: make(chan hostSeen, hostLooks),
		hosts: map[string]ServerState{}, hostBusy: map[string]bool{}, hostAt: map[string]time.Time{},
		balancerErr: "not read yet",
	}
}

func (e *eyes) lookAtBalancer(site OpenSite) {
	if site.Balancer == nil || e.looking {
		return
	}
	e.looking, e.lookingSince = true, e.now()
	go func() {
		ctx, cancel := context.WithTimeoutCause(e.ctx, balancerPatience, errors.New("the balancer gave no answer in time"))
		defer cancel()
		members, err := site.Balancer.Observe(ctx)
		select {
		case e.balancer <- balancerSeen{members, err}:
		case <-e.ctx.Done():
		}
	}()
}

func (e *eyes) sawBalancer(seen balancerSeen) {
	e.looking = false
	if seen.err != nil {
		e.balancerErr = seen.err.Error()
		return
	}
	e.members, e.balancerErr = seen.members, ""
}

// lookAtHosts asks every server that was not asked yet, and those that did not answer again from time to time.
func (e *eyes) lookAtHosts(site OpenSite) {
	now := e.now()
	for name := range site.Machines {
		known, asked := e.hosts[name]
		stale := asked && !known.Reachable && now.Sub(e.hostAt[name]) >= hostAgain
		if (!asked || stale) && len(e.hostBusy) < hostLooks {
			e.lookAtHost(site, name)
		}
	}
}

func (e *eyes) lookAtHost(site OpenSite, server string) {
	machine, ok := site.Machines[server]
	if !ok || e.hostBusy[server] {
		return
	}
	e.hostBusy[server] = true
	go func() {
		ctx, cancel := context.WithTimeoutCause(e.ctx, hostPatience, errors.New("the server gave no answer in time"))
		defer cancel()
		state, err := site.Host.Observe(ctx, machine)
		select {
		case e.host <- hostSeen{server, state, err}:
		case <-e.ctx.Done():
		}
	}()
}

func (e *eyes) sawHost(seen hostSeen) {
	delete(e.hostBusy, seen.server)
	e.hostAt[seen.server] = e.now()
	state := ServerState{Asked: true, Reachable: seen.err == nil, Host: seen.state}
	if seen.err != nil {
		state.HostError = seen.err.Error()
	}
	e.hosts[seen.server] = state
}

// after learns from a finished action: a switch that succeeded says what runs; one that failed leaves that unknown.
func (e *eyes) after(done finished, site OpenSite) {
	switch done.action.Kind {
	case ActSwitch:
		if done.err != nil {
			e.lookAtHost(site, done.action.Server)
			return
		}
		running := map[string]string{}
		for _, a := range done.action.Revision.Apps {
			running[a.App] = a.Name()
		}
		e.hosts[done.action.Server] = ServerState{Asked: true, Reachable: true, Host: HostState{Running: running}}
	case ActWeight:
		e.lookAtBalancer(site)
	}
}

func (e *eyes) observation(site OpenSite, siteError string) Observation {
	obs := Observation{Servers: make(map[string]ServerState, len(site.Machines)), SiteError: siteError}
	if site.Balancer != nil {
		obs.BalancerError = e.balancerErr
		if e.looking && e.now().Sub(e.lookingSince) > balancerPatience {
			obs.BalancerError = "no answer for " + balancerPatience.String()
		}
	}
	for name, machine := range site.Machines {
		state := e.hosts[name]
		state.Server = machine.Server
		state.Member = e.members[MemberName(machine.Server)]
		obs.Servers[name] = state
	}
	return obs
}
