package ar

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// Requirements hold at every moment, not only at the end: against what runs while the waves before have rolled and the others
// have not. From that follows what comes before what.
//
//   - What a Coach requires runs already, in a version it accepts: nothing follows.
//   - It does not, and somebody aboard brings it: the pools of the Coach come behind those that bring it.
//   - Something that runs does not accept what is brought: it must be replaced first, by somebody aboard.
//   - Otherwise the Coaches cannot travel so.

// environments are those that are planned for.
func (p *planner) environments() (planned []fleet.Environment) {
	all := p.t.Environments
	if len(p.only) == 0 && len(all) > 1 {
		return all[1:]
	}
	for _, e := range all {
		if len(p.only) == 0 || slices.Contains(p.only, e.Name) {
			planned = append(planned, e)
		}
	}
	return planned
}

// supply is what satisfies a requirement, or does not: somebody aboard, or what runs.
type supply struct {
	coach   string  // who brings or brought it: "public-api-7.2"; "" = not known
	version string  // "2.1.0"
	stops   []*stop // aboard: where it is rolled
}

func (y *yard) tieByRequirements() {
	for _, c := range y.coaches {
		for _, r := range c.Requires {
			y.require(c, r)
		}
	}
	for _, env := range y.environments() {
		for _, pool := range y.t.PoolOrder() {
			for _, release := range y.running[fleet.SiteRef{Environment: env.Name, Pool: pool}].Apps {
				for _, r := range release.Requires {
					y.respect(env.Name, pool, release, r)
				}
			}
		}
	}
}

// require holds one requirement of a Coach against everything.
func (y *yard) require(c Coach, r rop.Requirement) {
	brought, aboard := y.aboard(r)
	if aboard && !Admits(r, brought.coach, brought.version) {
		y.refuse([]string{c.ID, brought.coach}, fmt.Sprintf("%s requires %s, and %s brings %s", c.ID, r, brought.coach, brought.version),
			"widen the range, or uncouple one of the two")
		return
	}
	for _, env := range y.environments() {
		runs, there := y.runs(env.Name, r)
		switch {
		case there && Admits(r, runs.coach, runs.version), !there && !y.expected(env.Name, r) && !aboard:
		case aboard:
			y.follow(c, brought, fmt.Sprintf("%s requires %s, which %s brings", c.ID, r, brought.coach))
		default:
			y.refuse([]string{c.ID}, fmt.Sprintf("%s requires %s, and %s", c.ID, r, y.insteadOf(env.Name, runs, there)),
				"couple a Coach that brings it, or release it before")
			return
		}
	}
}

// follow puts the Coach's stops behind those that bring what it requires.
func (y *yard) follow(c Coach, brought supply, why string) {
	for _, mine := range y.byCoach[c.ID] {
		for _, theirs := range brought.stops {
			if mine != theirs {
				y.link(mine, theirs.Pool, why)
			}
		}
	}
	if brought.coach != c.ID {
		y.needs = append(y.needs, Tie{Coach: c.ID, On: brought.coach, Kind: TieRequires, Why: why})
	}
}

// respect holds what is brought against a requirement of something that runs.
func (y *yard) respect(environment, pool string, release roller.AppRelease, r rop.Requirement) {
	brought, aboard := y.aboard(r)
	if !aboard || Admits(r, brought.coach, brought.version) {
		return
	}
	who := fmt.Sprintf("%s %s, which runs in %s, requires %s", release.App, release.Version, environment, r)
	next, replaced := y.brings[release.App]
	if !replaced {
		y.refuse([]string{brought.coach}, fmt.Sprintf("%s brings %s, and %s", brought.coach, brought.version, who),
			fmt.Sprintf("release a version of %s that accepts both first, or keep %s out", release.App, brought.coach))
		return
	}
	for _, theirs := range brought.stops {
		if theirs.Pool != pool {
			y.link(theirs, pool, fmt.Sprintf("%s, until %s replaces it", who, next.Coach))
		}
	}
	if brought.coach != next.Coach {
		y.needs = append(y.needs, Tie{Coach: brought.coach, On: next.Coach, Kind: TieRequires, Why: who + ", until " + next.Coach + " replaces it"})
	}
}

func (y *yard) refuse(coaches []string, what, fix string) {
	slices.Sort(coaches)
	one := Refusal{Coaches: slices.Compact(coaches), What: what, Fix: fix}
	if !slices.ContainsFunc(y.refused, func(r Refusal) bool { return r.What == what }) {
		y.refused = append(y.refused, one)
	}
}

// aboard finds who of those that travel brings what is required.
func (y *yard) aboard(r rop.Requirement) (supply, bool) {
	if r.App != "" {
		change, ok := y.brings[r.App]
		if !ok {
			return supply{}, false
		}
		return supply{coach: change.Coach, version: change.Version, stops: []*stop{y.byApp[r.App]}}, true
	}
	for _, c := range y.coaches {
		if c.Project == r.Project && r.Project != "" || r.Coach != "" && (series(c.ID) == r.Coach || c.ID == r.Coach) {
			return supply{coach: c.ID, version: c.Version, stops: y.byCoach[c.ID]}, true
		}
	}
	return supply{}, false
}

// runs finds what runs in an environment of what is required.
func (y *yard) runs(environment string, r rop.Requirement) (supply, bool) {
	if r.App != "" {
		app, ok := y.t.App(r.App)
		if !ok {
			return supply{}, false
		}
		for _, release := range y.running[fleet.SiteRef{Environment: environment, Pool: app.Pool}].Apps {
			if release.App == r.App {
				return supply{coach: release.Coach, version: release.Version}, true
			}
		}
		return supply{}, false
	}
	project := r.Project
	if r.Coach != "" {
		project, _ = split(r.Coach)
	}
	for _, pool := range y.t.PoolOrder() {
		for _, release := range y.running[fleet.SiteRef{Environment: environment, Pool: pool}].Apps {
			if of, _ := split(series(release.Coach)); of == project && release.Coach != "" {
				return supply{coach: release.Coach, version: release.Version}, true
			}
		}
	}
	return supply{}, false
}

// expected reports whether what is required could run in the environment at all: a pool without servers there asks nothing.
func (y *yard) expected(environment string, r rop.Requirement) bool {
	app, ok := y.t.App(r.App)
	if !ok {
		return true
	}
	_, ok = y.t.Site(fleet.SiteRef{Environment: environment, Pool: app.Pool})
	return ok
}

func (y *yard) insteadOf(environment string, runs supply, there bool) string {
	switch {
	case !there:
		return environment + " runs none of it"
	case runs.coach == "":
		return environment + " runs " + runs.version
	}
	return fmt.Sprintf("%s runs %s of %s", environment, runs.version, runs.coach)
}

// Admits reports whether a requirement accepts a version that a Coach brings or brought. A version that is no semantic version
// satisfies no range.
func Admits(r rop.Requirement, coach, version string) bool {
	if r.Coach != "" && !reaches(coach, r.Coach) {
		return false
	}
	if r.Version == "" {
		return true
	}
	rng, err := semver.NewConstraint(r.Version)
	if err != nil {
		return false
	}
	v, err := semver.NewVersion(version)
	return err == nil && rng.Check(v)
}

// reaches reports whether a Coach is the required one, or a later one of its project, which contains it.
func reaches(coach, required string) bool {
	if coach == required {
		return true
	}
	project, number := split(series(coach))
	wanted, least := split(required)
	return project == wanted && number >= least
}

// series is the project Coach of a candidate: "hotel-api-7" of "hotel-api-7.2".
func series(coach string) string {
	if i := strings.LastIndexByte(coach, '.'); i > strings.LastIndexByte(coach, '-') {
		return coach[:i]
	}
	return coach
}

// split takes "hotel-api-7" apart; what has no number is number 0.
func split(projectCoach string) (project string, number int) {
	i := strings.LastIndexByte(projectCoach, '-')
	if i < 0 {
		return projectCoach, 0
	}
	n, err := strconv.Atoi(projectCoach[i+1:])
	if err != nil {
		return projectCoach, 0
	}
	return projectCoach[:i], n
}
