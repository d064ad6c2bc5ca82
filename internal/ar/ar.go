// Package ar is the Auto Roller: from the plans that passed, the topology and what runs now, it says what is rolled where, in
// which order and how, and how it comes back. It is pure: Plan asks neither clock nor network, and the same input gives the
// same Itinerary, byte for byte, whatever the order of its lists.
//
//	Coaches ──split.go──► one stop per pool ──cluster.go──► child Trains ──order.go──► waves ──site.go──► batches per site
//	                                     requires.go, after: and kinds say what comes before what   back.go: the way back
//
// What cannot be planned is refused as a whole, with messages that name both sides: a Refusals.
package ar

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// Input is everything an Itinerary follows from.
type Input struct {
	Topology *fleet.Topology
	Coaches  []Coach
	Running  Running
	// Environments to plan for; none = all behind the first, which is each project's own.
	Environments []string
}

// Running is what runs: the revision that completed last on each site. Sites on which nothing was released are absent.
type Running map[fleet.SiteRef]roller.Revision

// Coach is what AR needs to know of a project Coach.
type Coach struct {
	ID         string            `json:"id"` // "hotel-api-7.2"
	Project    string            `json:"project"`
	Series     int               `json:"series"`
	SBU        string            `json:"sbu"`
	Repository string            `json:"-"`
	Version    string            `json:"version"` // "1.4.2"
	Commit     string            `json:"commit"`
	Plan       string            `json:"plan"`     // digest of the plan file
	Packages   map[string]string `json:"packages"` // app → package digest; "" = not published yet
	Requires   []rop.Requirement `json:"requires,omitempty"`
	Indicators []fleet.Override  `json:"indicators,omitempty"` // stricter limits than the topology's
	Rollback   rop.Rollback      `json:"-"`
}

// Of is the part of a Coach that AR needs.
func Of(c rop.Coach) Coach {
	out := Coach{
		ID: c.ID, Project: c.Project, Series: c.Series, SBU: c.SBU, Repository: c.Repository, Version: c.Plan.Version, Commit: c.Commit,
		Plan: c.PlanDigest, Packages: map[string]string{}, Requires: c.Plan.Requires, Indicators: c.Plan.Indicators, Rollback: c.Plan.Rollback,
	}
	for _, app := range c.Plan.Apps {
		out.Packages[app] = ""
	}
	for _, b := range c.Builds {
		if _, travels := out.Packages[b.App]; travels {
			out.Packages[b.App] = b.Package
		}
	}
	return out
}

// apps of the Coach, sorted.
func (c Coach) apps() []string { return sortedKeys(c.Packages) }

// Itinerary is a plan that can run: what is shown before departure, and what departure runs.
type Itinerary struct {
	Digest   string  `json:"digest"`   // SHA-256 over everything below, its first 12 hex digits: "3f9a0c12b4d5"
	Topology string  `json:"topology"` // digest of the topology it was made from
	Coaches  []Coach `json:"coaches"`  // sorted by id
	Children []Child `json:"children"` // child Trains, sorted by name; each runs its own waves beside the others
	Ties     []Tie   `json:"ties,omitempty"`
}

// Child is a child Train: the pools of a cluster that have something to do with each other, in waves.
type Child struct {
	Name    string   `json:"name"` // its first pool by name: "hotel-api"
	Coaches []string `json:"coaches"`
	Waves   []Wave   `json:"waves"`
}

// Wave is a set of pools that may roll at the same time.
type Wave struct {
	Stops []Stop `json:"stops"` // sorted by pool
}

// Stop is a pool on the way: the apps of all Coaches that change there, which travel together, machine by machine.
type Stop struct {
	Pool    string     `json:"pool"`
	Kind    fleet.Kind `json:"kind"` // the latest kind among its apps
	Changes []Change   `json:"changes"`
	Behind  []Link     `json:"behind,omitempty"` // what it waits for, and why
	Sites   []SitePlan `json:"sites"`            // in the order of environments; none where the pool has no servers
}

// Coaches that have apps on the stop, sorted.
func (s Stop) Coaches() (ids []string) {
	for _, c := range s.Changes {
		ids = append(ids, c.Coach)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Site finds the plan of one environment.
func (s Stop) Site(environment string) (SitePlan, bool) {
	i := slices.IndexFunc(s.Sites, func(p SitePlan) bool { return p.Environment == environment })
	if i < 0 {
		return SitePlan{}, false
	}
	return s.Sites[i], true
}

// Change is one app that changes.
type Change struct {
	Coach   string `json:"coach"`
	App     string `json:"app"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Package string `json:"package"` // "" = not published yet: nothing departs with it
}

// Link says that a pool waits for another.
type Link struct {
	Pool string `json:"pool"`
	Why  string `json:"why"` // "the topology has hotel-app after hotel-api"
}

// SitePlan is how one site is rolled.
type SitePlan struct {
	Environment   string         `json:"environment"`
	Servers       int            `json:"servers"`
	Smoke         int            `json:"smoke"`   // servers that get the revision first
	Batches       []int          `json:"batches"` // servers per batch, without the smoke servers
	MinUp         int            `json:"min_up"`  // servers that stay up whatever happens
	Strategy      fleet.Resolved `json:"strategy"`
	AllowDowntime bool           `json:"allow_downtime,omitempty"`
	Balanced      bool           `json:"balanced,omitempty"`
	Traffic       bool           `json:"traffic,omitempty"`
	Migrates      bool           `json:"migrates,omitempty"` // a database: what is done there stays
	From          []Version      `json:"from"`               // what the changing apps run now, by app; of a first release none
}

// Version is what an app runs on a site.
type Version struct {
	App     string `json:"app"`
	Version string `json:"version"`
	Package string `json:"package"`
	Config  string `json:"config,omitempty"`
}

// Tie is a reason for which Coach may not stay when On goes back.
type Tie struct {
	Coach string  `json:"coach"`
	On    string  `json:"on"`
	Kind  TieKind `json:"kind"`
	Why   string  `json:"why"`
}

// TieKind is how strong a tie is.
type TieKind string

// The kinds of ties.
const (
	TiePool     TieKind = "pool"     // both change apps of one pool, which go in and out together
	TieRequires TieKind = "requires" // it cannot run without what the other brings
	TieAfter    TieKind = "after"    // its pools come after the other's by the topology alone
)

// Refusal is a contradiction: why the Coaches cannot travel so.
type Refusal struct {
	Coaches []string `json:"coaches"` // those concerned, sorted: leaving one of them behind may help
	What    string   `json:"what"`    // names both sides
	Fix     string   `json:"fix"`
}

func (r Refusal) Error() string { return r.What + "; " + r.Fix }

// Refusals is the error of Plan: every contradiction that was found, and nothing half-planned.
type Refusals []Refusal

func (r Refusals) Error() string {
	lines := make([]string, len(r))
	for i, one := range r {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Plan makes the Itinerary of Coaches that travel together, or of one. The error is a Refusals.
func Plan(in Input) (Itinerary, error) {
	p := newPlanner(in.Topology)
	p.only = in.Environments
	return p.plan(in)
}

// planner remembers what follows from the topology alone.
type planner struct {
	t     *fleet.Topology
	only  []string                   // see Input.Environments
	reach map[string]map[string]bool // pool → the pools it is `after`, over any number of others
}

func newPlanner(t *fleet.Topology) *planner {
	return &planner{t: t, reach: map[string]map[string]bool{}}
}

func (p *planner) plan(in Input) (Itinerary, error) {
	coaches := slices.Clone(in.Coaches)
	slices.SortFunc(coaches, func(a, b Coach) int { return strings.Compare(a.ID, b.ID) })
	stops, refused := p.split(coaches)
	if len(refused) > 0 {
		return Itinerary{}, refused
	}
	y := &yard{planner: p, coaches: coaches, stops: stops, running: in.Running}
	y.index()
	y.tieByTopology()
	y.tieByRequirements()
	if len(y.refused) > 0 {
		return Itinerary{}, y.refused
	}
	it := Itinerary{Topology: p.t.Digest, Coaches: coaches}
	for _, cluster := range y.clusters() {
		child, err := y.child(cluster)
		if err != nil {
			y.refused = append(y.refused, *err)
			continue
		}
		it.Children = append(it.Children, child)
	}
	y.checkReturnOrders(it.Children)
	if len(y.refused) > 0 {
		return Itinerary{}, y.refused
	}
	slices.SortFunc(it.Children, func(a, b Child) int { return strings.Compare(a.Name, b.Name) })
	it.Ties = y.ties()
	it.Digest = digest(it)
	return it, nil
}

// digest names what the Itinerary says.
func digest(it Itinerary) string {
	it.Digest = ""
	body, err := json.Marshal(it)
	if err != nil {
		panic(fmt.Sprintf("an itinerary is plain data: %v", err))
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:6])
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
