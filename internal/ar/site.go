package ar

import (
	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// sites lays a stop out in every environment in which its pool has servers.
func (y *yard) sites(s *stop) []SitePlan {
	var plans []SitePlan
	for _, env := range y.environments() {
		info, ok := y.t.Site(fleet.SiteRef{Environment: env.Name, Pool: s.Pool})
		if !ok {
			continue
		}
		plans = append(plans, y.site(info, s))
	}
	return plans
}

func (y *yard) site(info fleet.SiteInfo, s *stop) SitePlan {
	p := SitePlan{
		Environment: info.Ref.Environment, Servers: len(info.Site.Servers), Strategy: info.Strategy,
		MinUp: info.Strategy.Floor(len(info.Site.Servers)), AllowDowntime: info.MayStop(),
		Balanced: info.Balanced(), Migrates: info.Migrates(), Traffic: info.Pool.Traffic,
	}
	if p.AllowDowntime {
		p.MinUp = 0
	}
	if info.Strategy.Smoke {
		for _, server := range info.Site.Servers {
			if server.Smoke {
				p.Smoke++
			}
		}
	}
	last := 0
	for _, end := range roller.BatchEnds(info.Strategy.Pattern, p.Servers-p.Smoke) {
		p.Batches = append(p.Batches, end-last)
		last = end
	}
	for _, change := range s.changes {
		for _, runs := range y.running[info.Ref].Apps {
			if runs.App == change.App {
				p.From = append(p.From, Version{App: runs.App, Version: runs.Version, Package: runs.Package, Config: runs.Config})
			}
		}
	}
	return p
}
