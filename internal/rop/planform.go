package rop

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"railyard/internal/yamlfile"
)

// former tells what is wrong with a plan whatever the topology says.
type former struct {
	plan  Plan
	doc   *yamlfile.Document
	found yamlfile.Problems
}

func inForm(plan Plan, doc *yamlfile.Document) yamlfile.Problems {
	f := &former{plan: plan, doc: doc}
	f.identity()
	f.listed("$.apps", "apps", "app", plan.Apps)
	f.listed("$.environments", "environments", "environment", plan.Environments)
	f.requires()
	f.resources()
	f.indicators()
	f.window("$.window", "window", plan.Window)
	f.bookings()
	f.rollback()
	return f.found
}

func (f *former) say(path, what, fix string) {
	f.found = append(f.found, f.doc.Problem(path, what, fix))
}

// Names become parts of ids; a Coach's id is that of its project with its series behind.
var (
	projectName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	coachSeries = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}-[1-9][0-9]{0,8}$`)
)

const nameRule = "begin with a letter or digit; letters, digits, '.', '_' and '-', at most 63"

func (f *former) identity() {
	switch plan := f.plan; {
	case plan.Project == "":
		f.say("$.project", "project is missing", "name what is released, such as project: hotel-api")
	case !projectName.MatchString(plan.Project):
		f.say("$.project", fmt.Sprintf("project %q is not usable in ids", plan.Project), nameRule)
	}
	if f.plan.SBU == "" {
		f.say("$.sbu", "sbu is missing", "name the business unit, such as sbu: hotel")
	}
	if f.plan.Owner == "" {
		f.say("$.owner", "owner is missing", "name who answers for this release, such as owner: hotel-api-team")
	}
	if len(f.plan.Apps) == 0 {
		f.say("$.apps", "apps is missing, so nothing would travel", "list the apps of this repository that are released, such as [hotel-api]")
	}
	if f.plan.Version == "" {
		f.say("$.version", "version is missing", "write MAJOR.MINOR.PATCH, such as version: 1.4.2")
	} else if _, err := semver.StrictNewVersion(f.plan.Version); err != nil {
		f.say("$.version", fmt.Sprintf("version %q is no semantic version", f.plan.Version), "write MAJOR.MINOR.PATCH, such as 1.4.2, without a v")
	}
	if f.plan.Train != "" && !projectName.MatchString(f.plan.Train) {
		f.say("$.train", fmt.Sprintf("train %q is no name of a line", f.plan.Train), nameRule)
	}
}

// listed refuses empty and repeated entries of a list of names.
func (f *former) listed(path, field, what string, names []string) {
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		if strings.TrimSpace(name) == "" {
			f.say(at, field+": an entry is empty", "name "+article(what)+" or remove the entry")
		} else if slices.Contains(names[:i], name) {
			f.say(at, fmt.Sprintf("%s: %q is given twice", field, name), "keep one of the two")
		}
	}
}

func article(what string) string {
	if strings.ContainsRune("aeiou", rune(what[0])) {
		return "an " + what
	}
	return "a " + what
}

// indicators refuses what names no indicator, and an indicator named twice; whether a limit is stricter is the topology's to say.
func (f *former) indicators() {
	seen := map[string]bool{}
	for i, o := range f.plan.Indicators {
		at := fmt.Sprintf("$.indicators[%d].indicator", i)
		if o.Indicator == "" {
			f.say(at, "indicators: indicator is missing", "name one of the topology's, such as indicator: 5xx")
		} else if seen[o.Indicator] {
			f.say(at, fmt.Sprintf("indicators: %q is given twice", o.Indicator), "keep one of the two")
		}
		seen[o.Indicator] = true
	}
}

// window refuses a window that no time is in.
func (f *former) window(path, field string, w *Window) {
	switch {
	case w == nil:
	case w.From.IsZero():
		f.say(path+".from", field+": from is missing", "write when it begins, such as from: 2026-12-01T22:00:00+08:00")
	case w.To.IsZero():
		f.say(path+".to", field+": to is missing", "write when it ends, such as to: 2026-12-02T04:00:00+08:00")
	case !w.From.Before(w.To.Time):
		f.say(path+".to", fmt.Sprintf("%s: it ends at %s and begins at %s", field, w.To, w.From), "let it end after it begins")
	}
}

func (f *former) bookings() {
	for i, b := range f.plan.Bookings {
		at := fmt.Sprintf("$.bookings[%d]", i)
		if b.Capacity == "" {
			f.say(at+".capacity", "bookings: capacity is missing", "name the stock of servers, such as capacity: standard")
		}
		if b.Servers < 1 {
			f.say(at+".servers", fmt.Sprintf("bookings: %d servers", b.Servers), "book at least one, or remove the entry")
		}
		if b.Window == nil && f.plan.Window == nil {
			f.say(at, "bookings: there is no window, so nobody could have the servers after you", "add window: {from: …, to: …} to the booking or to the plan")
		}
		f.window(at+".window", "bookings: window", b.Window)
	}
}

// rollback: a plan without a way back is refused.
func (f *former) rollback() {
	r := f.plan.Rollback
	if !f.doc.Has("$.rollback") {
		f.say("$.rollback", "rollback is missing: a release without a way back is not planned", "add rollback: {to: previous, who: [release-engineer]}")
		return
	}
	switch {
	case r.To == "":
		f.say("$.rollback.to", "rollback: to is missing", "write to: previous, the last revision that completed")
	case r.To != RollbackToPrevious:
		f.say("$.rollback.to", fmt.Sprintf("rollback: to: unknown value %q", r.To), "write previous, the last revision that completed")
	}
	if len(r.Who) == 0 {
		f.say("$.rollback.who", "rollback: who is missing", "list the roles that may order it, such as [release-engineer]")
	}
	f.listed("$.rollback.who", "rollback: who", "role", r.Who)
	for i, role := range r.Who {
		if strings.TrimSpace(role) != "" && !slices.Contains(rollbackRoles, role) {
			f.say(fmt.Sprintf("$.rollback.who[%d]", i), fmt.Sprintf("rollback: who: %q is no role that may order a rollback", role), yamlfile.Choose(role, rollbackRoles))
		}
	}
	f.rollbackOrder()
}

// rollbackOrder: an order that leaves an app out would leave open when that one goes back.
func (f *former) rollbackOrder() {
	order := f.plan.Rollback.Order
	f.listed("$.rollback.order", "rollback: order", "app", order)
	for i, app := range order {
		if app != "" && !slices.Contains(f.plan.Apps, app) {
			f.say(fmt.Sprintf("$.rollback.order[%d]", i), fmt.Sprintf("rollback: order: %q does not travel in this plan", app), yamlfile.Choose(app, f.plan.Apps))
		}
	}
	for _, app := range f.plan.Apps {
		if len(order) > 0 && !slices.Contains(order, app) {
			f.say("$.rollback.order", fmt.Sprintf("rollback: order: it leaves %q out", app), "name every app of the plan, or remove order: the release order reversed is the default")
		}
	}
}

// rollbackRoles are the roles that can be given the right to roll back. A test holds them against internal/access.
var rollbackRoles = []string{"release-engineer", "operator", "admin"}

// RollbackRoles lists the roles that a rollback plan may name.
func RollbackRoles() []string { return slices.Clone(rollbackRoles) }
