// Package rop holds what travels: the Plan (ROP, Roll Out Plan) a team writes, the Coach that carries its changes, and AR
// (Auto Roller), which turns a plan and a topology into waves of pools. All of it is pure.
package rop

import (
	"fmt"
	"slices"
	"time"

	"railyard/internal/fleet"
)

// Plan is the file .railyard/rop.yaml on the release branch, read at the pushed commit. docs/rop.md teaches it.
type Plan struct {
	Project      string           `yaml:"project" json:"project"`           // "hotel-api": names the Coach
	SBU          string           `yaml:"sbu" json:"sbu"`                   // "hotel"
	Owner        string           `yaml:"owner" json:"owner"`               // "hotel-api-team"
	Apps         []string         `yaml:"apps" json:"apps"`                 // apps of this repository that travel: ["hotel-api"]
	Version      string           `yaml:"version" json:"version"`           // semver of what is released: "1.4.2"
	Branch       string           `yaml:"branch" json:"branch"`             // "release/1.4": the one branch it is for; "" = the one it lies on
	Environments []string         `yaml:"environments" json:"environments"` // the topology's first ones, in its order: ["FAT", "UAT"]; none = all
	Requires     []Requirement    `yaml:"requires" json:"requires"`         // what must run, or travel earlier
	Resources    Resources        `yaml:"resources" json:"resources"`       // what resources of some kinds need said
	Indicators   []fleet.Override `yaml:"indicators" json:"indicators"`     // stricter limits than the topology's
	Window       *Window          `yaml:"window" json:"window"`             // when production may begin; nil = any time
	Bookings     []Booking        `yaml:"bookings" json:"bookings"`         // capacity booked ahead
	Train        string           `yaml:"train" json:"train"`               // "hotel-line": the line whose next Train it boards; "" = it travels alone
	Urgent       bool             `yaml:"urgent" json:"urgent"`             // skips the Train, never the smoke stage or the floor
	Draft        bool             `yaml:"draft" json:"draft"`               // not submitted by itself when its first environment is passed
	Rollback     Rollback         `yaml:"rollback" json:"rollback"`         // mandatory: never fight unprepared
}

// Rollback is the rollback plan.
type Rollback struct {
	To    string   `yaml:"to" json:"to"`       // "previous", see RollbackToPrevious
	Order []string `yaml:"order" json:"order"` // every app of the plan, the first to go back first; none = the release order reversed
	Who   []string `yaml:"who" json:"who"`     // roles that may order it: ["release-engineer"]
}

// Turn is when some apps that share a pool go back among those of their wave: 0 = with all others that the order does not name,
// so in a plan without an order all at once.
func (r Rollback) Turn(apps []string) int {
	for i, name := range r.Order {
		if slices.Contains(apps, name) {
			return i + 1
		}
	}
	return 0
}

// Requirement is something a plan needs to run before its own pools are rolled. Exactly one of App, Project and Coach is set.
type Requirement struct {
	App     string `yaml:"app" json:"app"`         // "public-api": this app, in a version of the range
	Project string `yaml:"project" json:"project"` // "public-api": what this project releases, in a version of the range if one is given
	Coach   string `yaml:"coach" json:"coach"`     // "public-api-7": this project Coach, whichever of its candidates
	Version string `yaml:"version" json:"version"` // a range: ">=2.1.0 <3.0.0", "^2.1"; mandatory with App
}

// String names the requirement as a person would: "public-api >=2.1.0 <3.0.0", "coach public-api-7".
func (r Requirement) String() string {
	switch {
	case r.Coach != "":
		return "coach " + r.Coach
	case r.Project != "" && r.Version == "":
		return "project " + r.Project
	case r.Project != "":
		return "project " + r.Project + " " + r.Version
	}
	return r.App + " " + r.Version
}

// Resources says what the kinds of resources need said of them. Apps that are not named have nothing special.
type Resources struct {
	Image    []Slot      `yaml:"image" json:"image"`
	Web      []Slot      `yaml:"web" json:"web"`
	Database []Migration `yaml:"database" json:"database"` // every database app of the plan
}

// Slot is a version of files that lies beside others on a server.
type Slot struct {
	App      string `yaml:"app" json:"app"`             // "hotel-web"
	KeepDays int    `yaml:"keep_days" json:"keep_days"` // how long the versions before stay: 14; only ever longer than the topology's
}

// Migration is what a plan says of a change to a database.
type Migration struct {
	App string `yaml:"app" json:"app"` // "hotel-db"
	// BackwardCompatible must be true: what runs now keeps working on the changed database, so nothing has to be undone.
	BackwardCompatible bool `yaml:"backward_compatible" json:"backward_compatible"`
	// Destructive names each statement that loses something, as the check of the package names it: ["DROP COLUMN rooms.legacy"].
	Destructive []string `yaml:"destructive" json:"destructive"`
}

// KeepDays is how many days the plan keeps the versions of an app that lie beside the new one; 0 = as the topology says.
func (p Plan) KeepDays(app string) int {
	for _, s := range slices.Concat(p.Resources.Image, p.Resources.Web) {
		if s.App == app {
			return s.KeepDays
		}
	}
	return 0
}

// Migration finds what the plan says of a database app.
func (p Plan) Migration(app string) (Migration, bool) {
	i := slices.IndexFunc(p.Resources.Database, func(m Migration) bool { return m.App == app })
	if i < 0 {
		return Migration{}, false
	}
	return p.Resources.Database[i], true
}

// Window is a time in which production may begin. It contains From and not To.
type Window struct {
	From Moment `yaml:"from" json:"from"` // 2026-12-01T22:00:00+08:00
	To   Moment `yaml:"to" json:"to"`     // 2026-12-02T04:00:00+08:00: the plan expires then, unless it is in production
}

// Contains reports whether now is in the window. A nil window contains every time.
func (w *Window) Contains(now time.Time) bool {
	return w == nil || !now.Before(w.From.Time) && now.Before(w.To.Time)
}

// Over reports whether the window has ended. A nil window never does.
func (w *Window) Over(now time.Time) bool { return w != nil && !now.Before(w.To.Time) }

// String writes the window in UTC, for people.
func (w Window) String() string { return w.From.String() + " to " + w.To.String() }

// Booking is capacity that a plan books ahead, before its servers are in the topology.
type Booking struct {
	Capacity string  `yaml:"capacity" json:"capacity"` // "standard": a stock of servers, see fleet.Capacity
	Servers  int     `yaml:"servers" json:"servers"`   // 4
	Window   *Window `yaml:"window" json:"window"`     // nil = the plan's
}

// Moment is a time with a zone, kept in UTC.
type Moment struct{ time.Time }

// UnmarshalText reads RFC 3339: 2026-12-01T22:00:00+08:00. The zone is mandatory: a window that moves with the reader's clock
// is not a window.
func (m *Moment) UnmarshalText(text []byte) error {
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("%q is no time; write date, time and zone, such as 2026-12-01T22:00:00+08:00", text)
	}
	m.Time = at.UTC()
	return nil
}

// String writes the moment in UTC: "2026-12-01 14:00 UTC".
func (m Moment) String() string { return m.UTC().Format("2006-01-02 15:04 MST") }

// Wave is a set of pool Coaches that may roll at the same time. Waves run in order, and back in reverse order.
type Wave struct {
	Pools []PoolCoach `json:"pools"`
}

// PoolCoach is the part of a Coach that goes to one pool: all its apps there that change travel together.
type PoolCoach struct {
	Pool string   `json:"pool"` // "hotel-api"
	Apps []string `json:"apps"` // ["hotel-api"]
}

// Site returns the pool Coach's site in an environment.
func (p PoolCoach) Site(environment string) fleet.SiteRef {
	return fleet.SiteRef{Environment: environment, Pool: p.Pool}
}
