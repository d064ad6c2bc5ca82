package rop

import (
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/yamlfile"
)

// fitter tells what in a plan does not fit a topology.
type fitter struct {
	plan  Plan
	doc   *yamlfile.Document
	t     *fleet.Topology
	found yamlfile.Problems
}

func fits(plan Plan, doc *yamlfile.Document, t *fleet.Topology, repository string) yamlfile.Problems {
	f := &fitter{plan: plan, doc: doc, t: t}
	if _, ok := t.Repository(repository); !ok {
		f.say("$.project", fmt.Sprintf("the topology has no repository %q", repository), "ask DevOps to add it to the topology's repositories")
	}
	f.sbu()
	f.apps(repository)
	f.environments()
	f.requires()
	f.resources()
	f.indicators()
	f.bookings()
	f.order()
	return f.found
}

func (f *fitter) say(path, what, fix string) {
	f.found = append(f.found, f.doc.Problem(path, what, fix))
}

func (f *fitter) sbu() {
	if _, ok := f.t.SBU(f.plan.SBU); !ok {
		f.say("$.sbu", fmt.Sprintf("sbu: unknown SBU %q", f.plan.SBU), yamlfile.Choose(f.plan.SBU, namesOf(f.t.SBUs, func(s fleet.SBU) string { return s.Name })))
	}
}

func namesOf[T any](items []T, name func(T) string) []string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = name(item)
	}
	return names
}

func (f *fitter) apps(repository string) {
	here := func() (names []string) {
		for _, app := range f.t.Apps {
			if app.Repository == repository {
				names = append(names, app.Name)
			}
		}
		return names
	}
	for i, name := range f.plan.Apps {
		at := fmt.Sprintf("$.apps[%d]", i)
		app, ok := f.t.App(name)
		switch {
		case !ok:
			f.say(at, fmt.Sprintf("apps: unknown app %q", name), yamlfile.Choose(name, here()))
		case app.Repository != repository:
			f.say(at, fmt.Sprintf("apps: %q is built from repository %s, not from %s", name, app.Repository, repository), "plan it there; "+belonging(here()))
		case app.SBU != f.plan.SBU:
			f.say(at, fmt.Sprintf("apps: %q belongs to SBU %q, the plan to SBU %q", name, app.SBU, f.plan.SBU),
				fmt.Sprintf("set sbu: %s, or give the apps of each SBU a plan of their own", app.SBU))
		}
	}
}

func belonging(apps []string) string {
	if len(apps) == 0 {
		return "no app is built from this repository"
	}
	return "built from this repository: " + strings.Join(apps, ", ")
}

// environments: a plan may end before production, but what reaches an environment has passed those before it.
func (f *fitter) environments() {
	known := namesOf(f.t.Environments, func(e fleet.Environment) string { return e.Name })
	for i, name := range f.plan.Environments {
		at := fmt.Sprintf("$.environments[%d]", i)
		switch {
		case !slices.Contains(known, name):
			f.say(at, fmt.Sprintf("environments: unknown environment %q", name), yamlfile.Choose(name, known))
		case i >= len(known) || known[i] != name:
			f.say(at, fmt.Sprintf("environments: what reaches %s has passed every environment before it", name), "list the first ones of "+strings.Join(known, ", ")+", in that order")
			return // the rest only follows from it
		}
	}
}

// EnvironmentsOf are the environments that a plan passes, in order.
func EnvironmentsOf(p Plan, t *fleet.Topology) []fleet.Environment {
	if len(p.Environments) == 0 {
		return t.Environments
	}
	return slices.DeleteFunc(slices.Clone(t.Environments), func(e fleet.Environment) bool { return !slices.Contains(p.Environments, e.Name) })
}

func (f *fitter) requires() {
	for i, r := range f.plan.Requires {
		if _, ok := f.t.App(r.App); r.App != "" && !ok {
			f.say(fmt.Sprintf("$.requires[%d].app", i), fmt.Sprintf("requires: unknown app %q", r.App), yamlfile.Choose(r.App, namesOf(f.t.Apps, func(a fleet.App) string { return a.Name })))
		}
	}
}

func (f *fitter) resources() {
	for i, s := range f.plan.Resources.Image {
		f.kind(fmt.Sprintf("$.resources.image[%d].app", i), s.App, fleet.KindImage)
	}
	for i, s := range f.plan.Resources.Web {
		f.kind(fmt.Sprintf("$.resources.web[%d].app", i), s.App, fleet.KindWeb)
	}
	for i, m := range f.plan.Resources.Database {
		f.kind(fmt.Sprintf("$.resources.database[%d].app", i), m.App, fleet.KindDatabase)
	}
	for i, name := range f.plan.Apps {
		app, _ := f.t.App(name)
		if _, said := f.plan.Migration(name); app.Kind == fleet.KindDatabase && !said {
			f.say(fmt.Sprintf("$.apps[%d]", i), fmt.Sprintf("apps: %q is a database, and the plan does not say that the change is backward compatible", name),
				fmt.Sprintf("add resources: {database: [{app: %s, backward_compatible: true}]}", name))
		}
	}
}

func (f *fitter) kind(at, name string, kind fleet.Kind) {
	if app, ok := f.t.App(name); ok && app.Kind != kind {
		f.say(at, fmt.Sprintf("resources: %s: %q is of kind %s", kind, name, app.Kind), fmt.Sprintf("only apps of kind %s belong here", kind))
	}
}

// indicators: a plan may ask for more than the topology, never for less. A plan that was accepted stays so: where the topology
// has become stricter than it, the topology counts (fleet.Strictest).
func (f *fitter) indicators() {
	if f.doc == nil {
		return
	}
	for i, o := range f.plan.Indicators {
		if _, err := fleet.Tighten(f.t.Indicators, []fleet.Override{o}); err != nil {
			for why := range strings.Lines(err.Error()) {
				f.say(fmt.Sprintf("$.indicators[%d]", i), "indicators: "+strings.TrimSpace(why), "a plan can only make indicators of the topology stricter")
			}
		}
	}
}

func (f *fitter) bookings() {
	known := namesOf(f.t.Capacities, func(c fleet.Capacity) string { return c.Name })
	for i, b := range f.plan.Bookings {
		at := fmt.Sprintf("$.bookings[%d]", i)
		stock, ok := f.t.Capacity(b.Capacity)
		if !ok {
			f.say(at+".capacity", fmt.Sprintf("bookings: unknown capacity %q", b.Capacity), yamlfile.Choose(b.Capacity, known))
		} else if b.Servers > stock.Servers {
			f.say(at+".servers", fmt.Sprintf("bookings: %d servers of %q, which has %d", b.Servers, b.Capacity, stock.Servers), "book fewer, or ask DevOps for more")
		}
	}
}

// order: dependents go back before what they depend on, whatever a plan says.
func (f *fitter) order() {
	order := f.plan.Rollback.Order
	if len(order) == 0 || len(f.found) > 0 {
		return
	}
	waves, err := Waves(f.plan, f.t)
	if err != nil {
		return // whoever plans it says so
	}
	wave := map[string]int{}
	for i, w := range waves {
		for _, p := range w.Pools {
			for _, app := range p.Apps {
				wave[app] = i
			}
		}
	}
	for i := 1; i < len(order); i++ {
		if before, app := order[i-1], order[i]; wave[app] > wave[before] {
			f.say(fmt.Sprintf("$.rollback.order[%d]", i), fmt.Sprintf("rollback: order: %q goes back after %q, and was released after it", app, before),
				"let dependents go back first: the later a wave, the earlier its way back")
			return
		}
	}
}
