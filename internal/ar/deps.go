package ar

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// Dependency is one app that runs, with who requires it.
type Dependency struct {
	App, Pool  string
	Version    string
	Coach      string // who brought it; "" = not known
	Before     string // the version that a rollback of its pool would return to; "" = it was a first release
	Requires   []rop.Requirement
	RequiredBy []Dependent
	Why        string // why it may not be rolled back alone; "" = it may
}

// Dependent is an app that runs and requires another.
type Dependent struct {
	App, Version string
	Needs        rop.Requirement
	Met          bool // what runs satisfies it
}

// Dependencies says of every app that runs in an environment who requires it, and whether its pool may be rolled back alone:
// everything that runs must be satisfied by what would run then, and so must what comes back. before is what each site would
// return to. Sorted by app.
func Dependencies(t *fleet.Topology, environment string, running, before Running) []Dependency {
	y := &yard{planner: newPlanner(t), running: running}
	y.index()
	var found []Dependency
	at := map[string]int{}
	var requirements []Dependent
	for _, pool := range t.PoolOrder() {
		site := fleet.SiteRef{Environment: environment, Pool: pool}
		for _, a := range running[site].Apps {
			at[a.App] = len(found)
			d := Dependency{App: a.App, Pool: pool, Version: a.Version, Coach: a.Coach, Requires: a.Requires}
			if b, ok := releaseOf(before[site], a.App); ok {
				d.Before = b.Version
			}
			found = append(found, d)
			for _, r := range a.Requires {
				runs, there := y.runs(environment, r)
				requirements = append(requirements, Dependent{App: a.App, Version: a.Version, Needs: r, Met: there && Admits(r, runs.coach, runs.version)})
			}
		}
	}
	for _, d := range requirements {
		for i := range found {
			if concernsApp(d.Needs, found[i]) {
				found[i].RequiredBy = append(found[i].RequiredBy, d)
			}
		}
	}
	for i := range found {
		found[i].Why = stays(y, environment, found[i], found, before)
	}
	slices.SortFunc(found, func(a, b Dependency) int { return cmp.Compare(a.App, b.App) })
	return found
}

// concernsApp reports whether a requirement is about an app: by its name, or by the Coach that brought it.
func concernsApp(r rop.Requirement, d Dependency) bool {
	if r.App != "" {
		return r.App == d.App
	}
	project, _ := split(series(d.Coach))
	wanted := r.Project
	if r.Coach != "" {
		wanted, _ = split(r.Coach)
	}
	return d.Coach != "" && project == wanted
}

func releaseOf(r roller.Revision, app string) (roller.AppRelease, bool) {
	i := slices.IndexFunc(r.Apps, func(a roller.AppRelease) bool { return a.App == app })
	if i < 0 {
		return roller.AppRelease{}, false
	}
	return r.Apps[i], true
}

// stays says why an app's pool may not be rolled back alone; "" when it may.
func stays(y *yard, environment string, d Dependency, all []Dependency, before Running) string {
	if app, ok := y.t.App(d.App); ok && app.Kind == fleet.KindDatabase {
		return "a migration stays, " + roller.NothingToUndo
	}
	site := fleet.SiteRef{Environment: environment, Pool: d.Pool}
	old, ok := releaseOf(before[site], d.App)
	if !ok {
		return "it was the first release of its pool, so there is nothing to return to"
	}
	var why []string
	for _, by := range d.RequiredBy {
		i := slices.IndexFunc(all, func(other Dependency) bool { return other.App == by.App })
		if i >= 0 && all[i].Pool != d.Pool && by.Met && !Admits(by.Needs, old.Coach, old.Version) {
			why = append(why, fmt.Sprintf("%s %s requires %s, and %s would be %s", by.App, by.Version, by.Needs, d.App, old.Version))
		}
	}
	for _, back := range before[site].Apps {
		for _, r := range back.Requires {
			runs, there := y.runs(environment, r)
			if app, known := y.t.App(r.App); known && app.Pool == d.Pool {
				continue // it comes back with the pool
			}
			if !there || !Admits(r, runs.coach, runs.version) {
				why = append(why, fmt.Sprintf("%s %s, to which it would return, requires %s, and %s", back.App, back.Version, r, y.insteadOf(environment, runs, there)))
			}
		}
	}
	return strings.Join(why, "; ")
}
