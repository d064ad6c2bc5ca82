package fleet_test

import (
	"testing"

	"railyard/internal/fleet"
)

func TestWhatTheKindsOfAPoolMeanForItsRolls(t *testing.T) {
	const web, image, database, api = fleet.KindWeb, fleet.KindImage, fleet.KindDatabase, fleet.KindAPI
	site := func(driver string, apps ...fleet.App) fleet.SiteInfo {
		top := &fleet.Topology{
			Environments: []fleet.Environment{{Name: "PROD", Strategy: fleet.Strategy{Baking: &fleet.Baking{Weight: 25}}}},
			Pools:        []fleet.Pool{{Name: "p", Sites: []fleet.Site{{Environment: "PROD", Balancer: fleet.Balancer{Driver: driver}}}}},
		}
		for i := range apps {
			apps[i].Pool = "p"
		}
		top.Apps = apps
		info, _ := top.Site(fleet.SiteRef{Environment: "PROD", Pool: "p"})
		return info
	}
	for _, c := range []struct {
		rule                   string
		site                   fleet.SiteInfo
		slots, balanced, stops bool
		baking                 int
	}{
		{"an api is taken out of rotation and bakes", site("haproxy", fleet.App{Name: "a", Kind: api}), false, true, false, 25},
		{"without a balancer it is not", site("none", fleet.App{Name: "a", Kind: api}), false, false, false, 0},
		{"web and image resources go to slots: no balancer is asked, no floor holds, nothing bakes",
			site("haproxy", fleet.App{Name: "a", Kind: web}, fleet.App{Name: "b", Kind: image}), true, false, true, 0},
		{"one that has to be restarted is rolled like everything else", site("haproxy", fleet.App{Name: "a", Kind: web, Restart: "nginx -s reload"}), false, true, false, 25},
		{"so is a pool in which anything else lives", site("haproxy", fleet.App{Name: "a", Kind: web}, fleet.App{Name: "b", Kind: api}), false, true, false, 25},
		{"a database is migrated where it is", site("haproxy", fleet.App{Name: "a", Kind: database, Restart: "./migrate"}), false, false, true, 0},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := c.site
			if s.Slots() != c.slots || s.Balanced() != c.balanced || s.MayStop() != c.stops || s.Strategy.BakingWeight != c.baking {
				t.Errorf("slots %v, balanced %v, may stop %v, baking %d", s.Slots(), s.Balanced(), s.MayStop(), s.Strategy.BakingWeight)
			}
		})
	}
}
