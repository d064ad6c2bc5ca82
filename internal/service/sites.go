package service

import (
	"fmt"
	"sync"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	balancerexec "railyard/internal/roller/balancer/exec"
	"railyard/internal/roller/balancer/haproxy"
	"railyard/internal/roller/host/deploy"
	hostexec "railyard/internal/roller/host/exec"
)

// sites opens the drivers of sites by the topology in force. Drivers are kept, so that their connections are reused.
type sites struct {
	topology func() *fleet.Topology
	hosts    map[string]roller.Host // driver name → driver; each reaches any machine
	packages deploy.Packages
	tester   roller.Tester

	mu        sync.Mutex
	balancers map[fleet.Balancer]roller.Balancer
	programs  map[string]roller.Host // path of a user's program → its driver
}

// OpenSite implements roller.Sites.
func (s *sites) OpenSite(ref fleet.SiteRef) (roller.OpenSite, error) {
	t := s.topology()
	info, ok := t.Site(ref)
	if !ok {
		return roller.OpenSite{}, fmt.Errorf("open site %s: it is not in the topology in force", ref)
	}
	host, err := s.host(info.Site.Host)
	if err != nil {
		return roller.OpenSite{}, fmt.Errorf("open site %s: %w", ref, err)
	}
	balancer, err := s.balancer(info.Site.Balancer)
	if err != nil {
		return roller.OpenSite{}, fmt.Errorf("open site %s: %w", ref, err)
	}
	open := roller.OpenSite{Balancer: balancer, Host: host, Tester: s.tester, Machines: map[string]roller.Machine{}}
	for _, server := range info.Site.Servers {
		open.Machines[server.Name] = roller.Machine{Site: ref, Server: server, Apps: t.AppsOf(ref.Pool)}
	}
	for _, n := range info.Neighbours {
		neighbour := roller.OpenNeighbour{Site: n.Ref, Members: map[string]string{}}
		if neighbour.Balancer, err = s.balancer(n.Site.Balancer); err != nil {
			return roller.OpenSite{}, fmt.Errorf("open site %s, which shares servers with %s: %w", n.Ref, ref, err)
		}
		for _, server := range n.Site.Servers {
			neighbour.Members[server.Name] = roller.MemberName(server)
		}
		open.Neighbours = append(open.Neighbours, neighbour)
	}
	return open, nil
}

// balancer returns the driver of a site's balancer; nil for a site without one.
func (s *sites) balancer(b fleet.Balancer) (roller.Balancer, error) {
	if b.Driver == fleet.BalancerNone {
		return nil, nil //nolint:nilnil // OpenSite.Balancer is nil when there is none
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if open := s.balancers[b]; open != nil {
		return open, nil
	}
	open, err := newBalancer(b)
	if err != nil {
		return nil, err
	}
	s.balancers[b] = open
	return open, nil
}

func newBalancer(b fleet.Balancer) (roller.Balancer, error) {
	if b.Driver == fleet.BalancerExec {
		return balancerexec.New(b)
	}
	return haproxy.New(b)
}

// host returns the driver that reaches a site's servers.
func (s *sites) host(h fleet.Host) (roller.Host, error) {
	if h.Driver != fleet.HostExec {
		if host, ok := s.hosts[h.Driver]; ok {
			return host, nil
		}
		return nil, fmt.Errorf("the host driver %q is not configured in this service", h.Driver)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.programs[h.Program] == nil {
		driver, err := hostexec.New(h.Program, s.packages)
		if err != nil {
			return nil, err
		}
		s.programs[h.Program] = driver
	}
	return s.programs[h.Program], nil
}
