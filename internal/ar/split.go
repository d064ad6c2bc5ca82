package ar

import (
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// stop is a pool on the way while it is being ordered.
type stop struct {
	*rop.Stop
	changes []Change
}

// split makes one stop of everything that changes in a pool, whichever Coaches bring it, sorted by pool.
func (p *planner) split(coaches []Coach) (stops []*stop, refused Refusals) {
	byPool := map[string]*stop{}
	carrier := map[string]string{} // app → the Coach that releases it
	for _, c := range coaches {
		for _, name := range c.apps() {
			app, wrong := p.belongs(c, name)
			if wrong == nil {
				if other, twice := carrier[name]; twice {
					wrong = &Refusal{Coaches: []string{other, c.ID}, What: fmt.Sprintf("app %q is released by %s and by %s", name, other, c.ID),
						Fix: "uncouple one of the two, or take the app out of one plan"}
				}
			}
			if wrong != nil {
				refused = append(refused, *wrong)
				continue
			}
			carrier[name] = c.ID
			s := byPool[app.Pool]
			if s == nil {
				s = &stop{Stop: &rop.Stop{Pool: app.Pool, Behind: map[string]string{}}}
				byPool[app.Pool] = s
				stops = append(stops, s)
			}
			s.Take(app.Kind)
			s.changes = append(s.changes, Change{Coach: c.ID, App: name, Version: c.Version, Commit: c.Commit, Package: c.Packages[name]})
		}
	}
	slices.SortFunc(stops, func(a, b *stop) int { return strings.Compare(a.Pool, b.Pool) })
	for _, s := range stops {
		slices.SortFunc(s.changes, func(a, b Change) int { return strings.Compare(a.App, b.App) })
	}
	return stops, refused
}

// belongs finds an app of a Coach, or says why the Coach may not release it under the topology as it is now.
func (p *planner) belongs(c Coach, name string) (fleet.App, *Refusal) {
	refuse := func(what, fix string) (fleet.App, *Refusal) {
		return fleet.App{}, &Refusal{Coaches: []string{c.ID}, What: what, Fix: fix}
	}
	app, ok := p.t.App(name)
	switch {
	case !ok:
		return refuse(fmt.Sprintf("%s releases app %q, which is not in the topology", c.ID, name), "correct the plan's apps, or add it to the topology")
	case c.SBU != "" && app.SBU != c.SBU:
		return refuse(fmt.Sprintf("%s is a Coach of SBU %q and releases app %q, which the topology now gives to SBU %q", c.ID, c.SBU, name, app.SBU),
			fmt.Sprintf("push a plan with sbu: %s, or give the app back in the topology", app.SBU))
	case c.Repository != "" && app.Repository != c.Repository:
		return refuse(fmt.Sprintf("%s is of repository %s and releases app %q, which the topology now builds from %s", c.ID, c.Repository, name, app.Repository),
			"plan it there, or correct the topology")
	}
	if _, ok := p.t.Pool(app.Pool); !ok {
		return refuse(fmt.Sprintf("%s releases app %q, whose pool %q is not in the topology", c.ID, name, app.Pool), "add the pool to the topology")
	}
	return app, nil
}

// after is Topology.Before, asked once for each pool.
func (p *planner) after(pool string) map[string]bool {
	found, known := p.reach[pool]
	if !known {
		found = p.t.Before(pool)
		p.reach[pool] = found
	}
	return found
}
