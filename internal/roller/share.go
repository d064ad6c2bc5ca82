package roller

import (
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
)

// A machine may host two pools: a shared server, which is in the sites of both under one name. A roll of one pool changes that
// pool's applications only, and pulls it out of that pool's rotation only. But the machine is being worked on and may be lost,
// so it counts against the floor of both, and the roll holds the sites of both for as long as it lasts.

// Share is another site that a roll holds, because they share servers.
type Share struct {
	Site  fleet.SiteRef `json:"site"`   // PROD/jobs
	MinUp int           `json:"min_up"` // its floor in servers, fixed when the roll was made; 0 where downtime is allowed
}

// Neighbour is how a site that shares servers with the roll's looks now.
type Neighbour struct {
	InRotation map[string]bool // all its servers, by name: healthy and in rotation; without a balancer all of them are
	Error      string          // why its balancer could not be read: then nothing that is shared with it is taken out
}

// sharesOf are the neighbours of a site as a roll of it keeps them, by name.
func sharesOf(site fleet.SiteInfo) (shares []Share) {
	for _, n := range site.Neighbours {
		share := Share{Site: n.Ref}
		if !n.Site.AllowDowntime {
			share.MinUp = n.Strategy.Floor(len(n.Site.Servers))
		}
		shares = append(shares, share)
	}
	return shares
}

// Locks are the sites that the roll holds, in the order of their names: every roll takes them in this order, so that no two of
// them wait for each other.
func (r Roll) Locks() []fleet.SiteRef {
	sites := []fleet.SiteRef{r.Site}
	for _, s := range r.Shares {
		sites = append(sites, s.Site)
	}
	slices.SortFunc(sites, func(a, b fleet.SiteRef) int { return strings.Compare(a.String(), b.String()) })
	return sites
}

// holds reports whether the roll holds a site besides its own.
func (r Roll) holds(site fleet.SiteRef) bool {
	return slices.ContainsFunc(r.Shares, func(s Share) bool { return s.Site == site })
}

// obstacle says why a server cannot be rolled now, so that it is owed, or "".
func (r Roll) obstacle(s ServerState) string {
	switch {
	case s.Unlisted:
		return "the balancer does not know it"
	case s.Member.Foreign:
		return "in somebody's maintenance: " + s.Member.Detail
	}
	return r.unheld(s)
}

// unheld says with which site a server is shared that the roll does not hold, or "".
func (r Roll) unheld(s ServerState) string {
	for _, site := range s.SharedWith {
		if !r.holds(site) {
			return fmt.Sprintf("it is shared with %s since the roll was made, and the roll does not hold that; railyard pool sync catches it up", site)
		}
	}
	return ""
}

// neighbourFloor is the floor of one site that shares servers with the roll's.
type neighbourFloor struct {
	up, min int
	in      map[string]bool
	unseen  bool
}

// newNeighbourFloors counts the neighbours' servers that are in rotation, less those that this roll has taken and not yet seen
// back in its own rotation.
func newNeighbourFloors(r Roll, obs Observation) map[fleet.SiteRef]*neighbourFloor {
	if len(r.Shares) == 0 {
		return nil
	}
	taken := make(map[string]bool, len(r.Targets))
	for _, t := range r.Targets {
		comes := t.State == Active && t.Step == PullIn && r.Balanced && !obs.Servers[t.Server].inRotation(true)
		taken[t.Server] = t.Pulled || comes
	}
	floors := make(map[fleet.SiteRef]*neighbourFloor, len(r.Shares))
	for _, share := range r.Shares {
		seen, asked := obs.Neighbours[share.Site]
		f := &neighbourFloor{min: share.MinUp, in: seen.InRotation, unseen: !asked || seen.Error != ""}
		if obs.flipped == ruleShare {
			f.min = 0
		}
		for name, in := range seen.InRotation {
			if in && !taken[name] {
				f.up++
			}
		}
		floors[share.Site] = f
	}
	return floors
}

// spares reports whether every neighbour of a server can do without it.
func (f *floor) spares(s ServerState) bool {
	for _, site := range s.SharedWith {
		n := f.neighbours[site]
		if n == nil || n.unseen || (n.in[s.Server.Name] && n.up-1 < n.min) {
			return false
		}
	}
	return true
}

// takeElsewhere counts a server as taken in its other pools too.
func (f *floor) takeElsewhere(s ServerState) {
	for _, site := range s.SharedWith {
		if n := f.neighbours[site]; n != nil && n.in[s.Server.Name] {
			n.up--
		}
	}
}

// sparesStill reports whether a server that was taken before may be ordered out once more.
func (f *floor) sparesStill(s ServerState) bool {
	for _, site := range s.SharedWith {
		if n := f.neighbours[site]; n != nil && n.in[s.Server.Name] && n.up < n.min {
			return false
		}
	}
	return true
}

// neighbourTrouble says which neighbour keeps a server in rotation, or "".
func (d *decider) neighbourTrouble(s ServerState) string {
	for _, site := range s.SharedWith {
		n := d.floor.neighbours[site]
		switch {
		case n == nil:
			return "; " + d.unheld(s)
		case n.unseen:
			return fmt.Sprintf("; it is shared with %s, which cannot be seen: %s", site, d.obs.Neighbours[site].Error)
		case n.in[s.Server.Name] && n.up-1 < n.min:
			return fmt.Sprintf("; it is shared with %s, where %d are in rotation beside it, and %d must stay", site, max(0, n.up-1), n.min)
		}
	}
	return ""
}
