// Package yard is a whole small company on one machine: the applications of the talk as real processes on their servers,
// HAProxy in front of them, Prometheus, a git server, a Jenkins, visitors, and Railyard itself as a process of its own.
// The demo tells its story in it, and the end-to-end tests try to break it.
package yard

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/balancer"
	"railyard/internal/demo/machines"
	"railyard/internal/demo/ports"
	"railyard/internal/demo/prometheus"
)

// Pool is one pool of the company with its one application.
type Pool struct {
	App     string         // also the pool's and the repository's name
	Kind    string         // as the topology calls it
	After   string         // the pools before it: "public-api, hotel-db"; "" = none
	Traffic bool           // visitors come through HAProxy in production
	Servers map[string]int // environment → number of servers
	// PeopleApprove: its plans wait for a person; otherwise the topology's policy passes them.
	PeopleApprove bool
	Watch         time.Duration // in production, instead of Speed's
}

// Talk is the company of the talk: JobWS → public API → hotel API → hotel APP, with a database object and web resources.
func Talk() []Pool {
	servers := func(production int) map[string]int { return map[string]int{"FAT": 1, "UAT": 1, "PROD": production} }
	return []Pool{
		{App: apps.HotelDB, Kind: "database", Servers: servers(1)},
		{App: apps.HotelWeb, Kind: "web", Servers: servers(2)},
		{App: apps.JobWS, Kind: "job", Servers: servers(2)},
		{App: apps.PublicAPI, Kind: "api", After: apps.JobWS, Traffic: true, Servers: servers(3)},
		{App: apps.HotelAPI, Kind: "api", After: apps.PublicAPI + ", " + apps.HotelDB, Traffic: true, Servers: servers(5)},
		{App: apps.HotelApp, Kind: "app", After: apps.HotelAPI + ", " + apps.HotelWeb, Traffic: true, Servers: servers(3)},
	}
}

// Environments are the company's, in the order a Coach passes them.
var Environments = []string{"FAT", "UAT", "PROD"}

// site is a pool in an environment with the ports it was given.
type site struct {
	pool        Pool
	environment string
	port        int // of the frontend; 0 for a job pool
	servers     []server
}

type server struct {
	name    string
	dir     string
	port    int
	smoke   bool
	machine machines.Machine
}

func (s site) balanced() bool { return s.pool.Kind != "job" && s.pool.Kind != "database" }

// strategy is what the site rolls otherwise than its environment, as the topology writes it.
func (s site) strategy() string {
	var own []string
	if !s.balanced() {
		own = append(own, "baking: {weight: 0}", "min_up: 0")
	}
	if s.environment == "PROD" && s.pool.Watch > 0 {
		own = append(own, "watch: "+s.pool.Watch.String())
	}
	if len(own) == 0 {
		return ""
	}
	return "{" + strings.Join(own, ", ") + "}"
}

// plan gives every server a name, a directory and a port.
func (y *Yard) plan() error {
	urls := map[string]string{} // environment + application → where its clients reach it
	for _, environment := range Environments {
		for _, pool := range y.options.Pools {
			if pool.Servers[environment] == 0 {
				continue
			}
			s := site{pool: pool, environment: environment}
			if s.balanced() {
				if err := y.take(&s.port); err != nil {
					return err
				}
				urls[environment+pool.App] = "http://" + ports.Address(s.port)
			}
			for i := range pool.Servers[environment] {
				name := fmt.Sprintf("%s-%s-%d", strings.ToLower(environment), pool.App, i+1)
				one := server{name: name, dir: filepath.Join(y.Dir, "servers", name), smoke: environment == "PROD" && i == 0 && s.balanced()}
				if err := y.take(&one.port); err != nil {
					return err
				}
				one.machine = machines.Machine{
					Environment: environment, Server: name, Dir: one.dir,
					Services: []machines.Service{{App: pool.App, Port: one.port, Env: map[string]string{
						"PUBLIC_API_URL": urls[environment+apps.PublicAPI], "HOTEL_API_URL": urls[environment+apps.HotelAPI],
					}}},
				}
				s.servers = append(s.servers, one)
			}
			y.sites = append(y.sites, s)
		}
	}
	return nil
}

func (y *Yard) take(port *int) (err error) {
	*port, err = y.ports.Take()
	return err
}

func (y *Yard) allMachines() (all []machines.Machine) {
	for _, s := range y.sites {
		for _, server := range s.servers {
			all = append(all, server.machine)
		}
	}
	return all
}

func (y *Yard) balancerPools() (pools []balancer.Pool) {
	for _, s := range y.sites {
		if !s.balanced() {
			continue
		}
		p := balancer.Pool{Environment: s.environment, Name: s.pool.App, Port: s.port, Public: s.environment == "PROD"}
		for _, server := range s.servers {
			p.Servers = append(p.Servers, balancer.Server{Name: server.name, Address: ports.Address(server.port)})
		}
		pools = append(pools, p)
	}
	return pools
}

func (y *Yard) scrapeTargets() []prometheus.Target {
	targets := []prometheus.Target{{Job: "haproxy", Address: y.Balancer.MetricsAddress()}}
	for _, s := range y.sites {
		for _, server := range s.servers {
			targets = append(targets, prometheus.Target{Job: "apps", Address: ports.Address(server.port), Labels: map[string]string{
				"env": s.environment, "pool": s.pool.App, "server": server.name, "app": s.pool.App,
			}})
		}
	}
	return targets
}
