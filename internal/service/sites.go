package service

import (
	"fmt"
	"sync"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/roller/balancer/haproxy"
)

// sites opens the drivers of sites by the topology in force. Drivers are kept, so that their connections are reused.
type sites struct {
	topology func() *fleet.Topology
	hosts    map[string]roller.Host // driver name → driver; each reaches any machine
	tester   roller.Tester

	mu        sync.Mutex
	balancers map[fleet.Balancer]roller.Balancer
}

// OpenSite implements roller.Sites.
func (s *sites) OpenSite(ref fleet.SiteRef) (roller.OpenSite, error) {
	t := s.topology()
	info, ok := t.Site(ref)
	if !ok {
		return roller.OpenSite{}, fmt.Errorf("open site %s: it is not in the topology in force", ref)
	}
	host, ok := s.hosts[info.Site.Host.Driver]
	if !ok {
		return roller.OpenSite{}, fmt.Errorf("open site %s: no host driver %q in this service", ref, info.Site.Host.Driver)
	}
	balancer, err := s.balancer(info.Site.Balancer)
	if err != nil {
		return roller.OpenSite{}, fmt.Errorf("open site %s: %w", ref, err)
	}
	open := roller.OpenSite{Balancer: balancer, Host: host, Tester: s.tester, Machines: map[string]roller.Machine{}}
	for _, server := range info.Site.Servers {
		open.Machines[server.Name] = roller.Machine{Site: ref, Server: server, Apps: t.AppsOf(ref.Pool)}
	}
	return open, nil
}

// balancer returns the driver of a site's balancer; nil for a site without one.
func (s *sites) balancer(b fleet.Balancer) (roller.Balancer, error) {
	if b.Driver == "none" {
		return nil, nil //nolint:nilnil // OpenSite.Balancer is nil when there is none
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if open := s.balancers[b]; open != nil {
		return open, nil
	}
	open, err := haproxy.New(b)
	if err != nil {
		return nil, err
	}
	s.balancers[b] = open
	return open, nil
}
