package roller

import (
	"context"
	"errors"
	"time"

	"railyard/internal/fleet"
)

// eyes observes a site without ever making the roll wait: each look runs beside it and reports on a channel.
type eyes struct {
	ctx      context.Context
	now      func() time.Time
	balancer chan balancerSeen
	host     chan hostSeen

	looking      bool      // a look at the balancer is under way
	lookingSince time.Time // when the last look began
	members      map[string]Member
	neighbours   map[fleet.SiteRef]Neighbour
	seenAt       time.Time // when the look began that members are from
	notBefore    time.Time // looks that began earlier do not count
	arrivedAt    time.Time // when they came
	answersSince time.Time // since when every look was answered
	balancerErr  string
	ordered      map[string]time.Time   // member → when an order of ours on it ended
	hosts        map[string]ServerState // only the host part is used
	hostBusy     map[string]bool
	hostAt       map[string]time.Time // last look
	acted        map[string]int       // actions that may have changed what the server runs
}

type balancerSeen struct {
	members    map[string]Member
	err        error
	neighbours map[fleet.SiteRef]Neighbour
}

type hostSeen struct {
	server string
	acted  int // before the look began
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
		hosts: map[string]ServerState{}, hostBusy: map[string]bool{}, hostAt: map[string]time.Time{}, acted: map[string]int{}, ordered: map[string]time.Time{},
		balancerErr: "not read yet",
	}
}

func (e *eyes) lookAtBalancer(site OpenSite) {
	if (site.Balancer == nil && len(site.Neighbours) == 0) || e.looking {
		return
	}
	e.looking, e.lookingSince = true, e.now()
	go func() {
		ctx, cancel := context.WithTimeoutCause(e.ctx, balancerPatience, errors.New("the balancer gave no answer in time"))
		defer cancel()
		var seen balancerSeen
		if site.Balancer != nil {
			seen.members, seen.err = site.Balancer.Observe(ctx)
		}
		if len(site.Neighbours) > 0 {
			seen.neighbours = lookAtNeighbours(ctx, site.Neighbours)
		}
		select {
		case e.balancer <- seen:
		case <-e.ctx.Done():
		}
	}()
}

// lookAtNeighbours asks the balancers of the sites that share servers with this one. Where there is none, every server is taken
// for one that works: nothing pulls it out.
func lookAtNeighbours(ctx context.Context, open []OpenNeighbour) map[fleet.SiteRef]Neighbour {
	found := make(map[fleet.SiteRef]Neighbour, len(open))
	for _, n := range open {
		seen := Neighbour{InRotation: make(map[string]bool, len(n.Members))}
		var members map[string]Member
		var err error
		if n.Balancer != nil {
			members, err = answerInTime(ctx, n.Balancer.Observe)
		}
		if err != nil {
			seen.Error = err.Error()
		}
		for server, member := range n.Members {
			state := ServerState{Member: members[member]}
			seen.InRotation[server] = n.Balancer == nil || state.inRotation(true)
		}
		found[n.Site] = seen
	}
	return found
}

func (e *eyes) sawBalancer(seen balancerSeen) {
	e.looking = false
	if seen.err == nil && e.lookingSince.Before(e.notBefore) {
		return
	}
	if seen.err != nil {
		e.balancerErr = seen.err.Error()
		return
	}
	if e.balancerErr != "" {
		e.answersSince = e.now()
	}
	for name, at := range e.ordered {
		if at.Before(e.lookingSince) {
			delete(e.ordered, name)
			continue
		}
		delete(seen.members, name) // this look may be from before the order
	}
	e.members, e.seenAt, e.arrivedAt, e.balancerErr = seen.members, e.lookingSince, e.now(), ""
	e.neighbours = seen.neighbours
}

// lookAtHosts asks every server that was not asked since its last action, and those that did not answer again from time to
// time; with refresh > 0 also those that did.
func (e *eyes) lookAtHosts(site OpenSite, refresh time.Duration) {
	now := e.now()
	for name := range site.Machines {
		known := e.hosts[name]
		again := hostAgain
		if known.Reachable {
			again = refresh
		}
		stale := known.Asked && again > 0 && now.Sub(e.hostAt[name]) >= again
		if (!known.Asked || stale) && len(e.hostBusy) < hostLooks {
			e.lookAtHost(site, name)
		}
	}
}

// forget drops everything that was seen, and what is being looked at now.
func (e *eyes) forget() {
	e.members, e.neighbours, e.balancerErr, e.notBefore = nil, nil, "not read yet", e.now()
	for server := range e.hosts {
		e.acted[server]++
	}
	for server := range e.hostBusy {
		e.acted[server]++
	}
	clear(e.hosts)
}

func (e *eyes) lookAtHost(site OpenSite, server string) {
	machine, ok := site.Machines[server]
	if !ok || e.hostBusy[server] {
		return
	}
	e.hostBusy[server] = true
	acted := e.acted[server]
	go func() {
		ctx, cancel := context.WithTimeoutCause(e.ctx, hostPatience, errors.New("the server gave no answer in time"))
		defer cancel()
		state, err := site.Host.Observe(ctx, machine)
		select {
		case e.host <- hostSeen{server, acted, state, err}:
		case <-e.ctx.Done():
		}
	}()
}

func (e *eyes) sawHost(seen hostSeen, site OpenSite) {
	delete(e.hostBusy, seen.server)
	if seen.acted != e.acted[seen.server] {
		e.lookAtHost(site, seen.server) // it may have changed while we looked
		return
	}
	e.hostAt[seen.server] = e.now()
	state := ServerState{Asked: true, Reachable: seen.err == nil, Host: seen.state}
	if seen.err != nil {
		state.HostError = seen.err.Error()
	}
	e.hosts[seen.server] = state
}

// after learns from a finished action: a switch that succeeded says what runs; one that failed leaves that unknown until
// the server was asked. What the balancer makes of an order is known from a look that began after it.
func (e *eyes) after(done finished, site OpenSite) {
	switch done.action.Kind {
	case ActSwitch:
		e.acted[done.action.Server]++
		if done.err != nil {
			delete(e.hosts, done.action.Server)
			e.lookAtHost(site, done.action.Server)
			return
		}
		running := map[string]string{}
		for _, a := range done.action.Revision.Apps {
			running[a.App] = a.Name()
		}
		e.hostAt[done.action.Server] = e.now()
		e.hosts[done.action.Server] = ServerState{Asked: true, Reachable: true, Host: HostState{Running: running}}
	case ActWeight:
		name := MemberName(site.Machines[done.action.Server].Server)
		e.ordered[name] = e.now()
		delete(e.members, name)
		e.lookAtBalancer(site)
	}
}

func (e *eyes) observation(site OpenSite, siteError string) Observation {
	obs := Observation{Servers: make(map[string]ServerState, len(site.Machines)), SiteError: siteError}
	trouble := e.balancerErr
	if old := e.now().Sub(e.seenAt); trouble == "" && old > balancerPatience {
		trouble = "its last answer is " + old.Round(time.Millisecond).String() + " old"
	}
	if site.Balancer != nil {
		obs.BalancerError, obs.BalancerSince, obs.BalancerAt = trouble, e.answersSince, e.arrivedAt
	}
	sharedWith := e.seesNeighbours(site, &obs, trouble)
	for name, machine := range site.Machines {
		state := e.hosts[name]
		state.Server, state.SharedWith = machine.Server, sharedWith[name]
		member, listed := e.members[MemberName(machine.Server)]
		state.Member, state.Unlisted = member, site.Balancer != nil && !listed
		obs.Servers[name] = state
	}
	return obs
}

// seesNeighbours adds what is known of the sites that share servers, and returns which site shares which server.
func (e *eyes) seesNeighbours(site OpenSite, obs *Observation, trouble string) map[string][]fleet.SiteRef {
	if len(site.Neighbours) == 0 {
		return nil
	}
	obs.BalancerAt = e.arrivedAt
	obs.Neighbours = make(map[fleet.SiteRef]Neighbour, len(site.Neighbours))
	sharedWith := map[string][]fleet.SiteRef{}
	for _, n := range site.Neighbours {
		seen, known := e.neighbours[n.Site]
		if !known || (trouble != "" && seen.Error == "") {
			seen.Error = orDefault(trouble, "not read yet")
		}
		obs.Neighbours[n.Site] = seen
		for name := range site.Machines {
			if _, shared := n.Members[name]; shared {
				sharedWith[name] = append(sharedWith[name], n.Site)
			}
		}
	}
	return sharedWith
}
