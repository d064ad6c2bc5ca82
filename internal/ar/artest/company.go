// Package artest makes large inputs for measuring AR and what is built on it.
package artest

import (
	"fmt"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// Company is a large one: 13 SBUs, 3,000 pools, 5,000 apps, 60,000 servers in UAT and PROD together, everything released once, and 300 Coaches in
// 40 Trains. Its pools form layers, as those of the talk do: each is after a few of the layer before.
func Company() (*fleet.Topology, ar.Running, [][]ar.Coach) {
	const sbus, pools, apps, layers, coaches, trains = 13, 3000, 5000, 6, 300, 40
	kinds := []fleet.Kind{fleet.KindDatabase, fleet.KindWeb, fleet.KindJob, fleet.KindAPI, fleet.KindAPI, fleet.KindApp}
	layer := func(pool int) int { return pool * layers / pools }
	name := func(pool int) string { return fmt.Sprintf("pool-%04d", pool) }
	baking := &fleet.Baking{Weight: 25}
	top := &fleet.Topology{Digest: "sha256:company", Environments: []fleet.Environment{{Name: "FAT"}, {Name: "UAT"},
		{Name: "PROD", Production: true, Strategy: fleet.Strategy{Pattern: []int{10, 40, 50}, Baking: baking}}}}
	for i := range sbus {
		top.SBUs = append(top.SBUs, fleet.SBU{Name: fmt.Sprintf("sbu-%02d", i)})
	}
	for i := range pools {
		p := fleet.Pool{Name: name(i), SBU: fmt.Sprintf("sbu-%02d", i%sbus), Traffic: layer(i) > 2}
		for n := range 3 {
			if l := layer(i); l > 0 { // the layer before has pools/layers pools
				p.After = append(p.After, name((l-1)*pools/layers+(i*7+n*131)%(pools/layers)))
			}
		}
		for _, env := range []string{"UAT", "PROD"} {
			servers := 2
			if env == "PROD" {
				servers = 18
			}
			site := fleet.Site{Environment: env, Balancer: fleet.Balancer{Driver: "haproxy"}}
			for n := range servers {
				site.Servers = append(site.Servers, fleet.Server{Name: fmt.Sprintf("%s-%s-%d", env, p.Name, n), Smoke: env == "PROD" && n == 0})
			}
			p.Sites = append(p.Sites, site)
		}
		top.Pools = append(top.Pools, p)
	}
	runs := ar.Running{}
	for i := range apps {
		pool := i % pools
		a := fleet.App{Name: fmt.Sprintf("app-%04d", i), Kind: kinds[layer(pool)], SBU: fmt.Sprintf("sbu-%02d", pool%sbus), Pool: name(pool)}
		top.Apps = append(top.Apps, a)
		release := roller.AppRelease{App: a.Name, Version: "1.0.0", Package: "sha256:old", Coach: fmt.Sprintf("p-%d.1", i)}
		if i%4 == 0 && i > 0 {
			release.Requires = []rop.Requirement{{App: fmt.Sprintf("app-%04d", i-1), Version: ">=1"}}
		}
		for _, env := range []string{"UAT", "PROD"} {
			site := fleet.SiteRef{Environment: env, Pool: a.Pool}
			runs[site] = runs[site].With(release)
		}
	}
	out := make([][]ar.Coach, trains)
	for i := range coaches {
		c := ar.Coach{ID: fmt.Sprintf("c-%d.1", i), Project: "c", Series: i, Version: "2.0.0", Packages: map[string]string{}}
		for n := range 5 { // 1,500 of the 5,000 apps travel
			app := top.Apps[(i*16+n*3)%apps]
			c.Packages[app.Name] = "sha256:new"
		}
		c.Requires = []rop.Requirement{{App: fmt.Sprintf("app-%04d", (i*16+2)%apps), Version: "^1 || ^2"}}
		out[i%trains] = append(out[i%trains], c)
	}
	return fleet.Indexed(top), runs, out
}
