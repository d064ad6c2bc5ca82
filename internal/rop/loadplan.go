package rop

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"railyard/internal/fleet"
	"railyard/internal/yamlfile"
)

// MaxPlanSize is how many bytes of a plan file are read; whoever may push may write one.
const MaxPlanSize = 64 << 10

// RollbackToPrevious returns to the last revision that completed; it is what Rollback.To can be.
const RollbackToPrevious = "previous"

var projectName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// LoadPlan reads a plan file by itself, without a topology. name is what messages call the file. The error is a
// yamlfile.Problems with every mistake.
func LoadPlan(name string, data []byte) (Plan, error) {
	if len(data) > MaxPlanSize {
		return Plan{}, yamlfile.Problems{{File: name, What: fmt.Sprintf("the plan has %d bytes; at most %d are read", len(data), MaxPlanSize), Fix: "shorten it"}}
	}
	doc, err := yamlfile.Parse(name, data)
	if err != nil {
		return Plan{}, err
	}
	var plan Plan
	if err := doc.Decode(&plan); err != nil {
		return Plan{}, err
	}
	if err := inForm(plan, doc).Err(); err != nil {
		return Plan{}, err
	}
	return plan, nil
}

// Check tells what in a plan does not fit the topology, as the plan of a repository. The error is a yamlfile.Problems with
// every mistake. name and data are the file the plan was read from, for the positions; of a plan that has no file any
// more, data is nil and the problems have none.
func Check(name string, data []byte, plan Plan, t *fleet.Topology, repository string) error {
	var doc *yamlfile.Document
	if data != nil {
		var err error
		if doc, err = yamlfile.Parse(name, data); err != nil {
			return err
		}
	}
	return check(plan, doc, t, repository).Err()
}

// inForm tells what is wrong with a plan whatever the topology says.
func inForm(plan Plan, doc *yamlfile.Document) (found yamlfile.Problems) {
	say := func(path, what, fix string) { found = append(found, doc.Problem(path, what, fix)) }
	switch {
	case plan.Project == "":
		say("$.project", "project is missing", "name what is released, such as project: hotel-api")
	case !projectName.MatchString(plan.Project):
		say("$.project", fmt.Sprintf("project %q is not usable in ids", plan.Project), "begin with a letter or digit; letters, digits, '.', '_' and '-', at most 63")
	}
	if plan.SBU == "" {
		say("$.sbu", "sbu is missing", "name the business unit, such as sbu: hotel")
	}
	if plan.Owner == "" {
		say("$.owner", "owner is missing", "name who answers for this release, such as owner: hotel-api-team")
	}
	if len(plan.Apps) == 0 {
		say("$.apps", "apps is missing, so nothing would travel", "list the apps of this repository that are released, such as [hotel-api]")
	}
	for i, app := range plan.Apps {
		at := fmt.Sprintf("$.apps[%d]", i)
		if app == "" {
			say(at, "apps: an entry is empty", "name an app or remove the entry")
		} else if slices.Contains(plan.Apps[:i], app) {
			say(at, fmt.Sprintf("apps: %q is given twice", app), "keep one of the two")
		}
	}
	if plan.Version == "" {
		say("$.version", "version is missing", "write MAJOR.MINOR.PATCH, such as version: 1.4.2")
	} else if _, err := semver.StrictNewVersion(plan.Version); err != nil {
		say("$.version", fmt.Sprintf("version %q is no semantic version", plan.Version), "write MAJOR.MINOR.PATCH, such as 1.4.2, without a v")
	}
	return append(found, rollbackInForm(plan.Rollback, doc)...)
}

// rollbackInForm: a plan without a way back is refused.
func rollbackInForm(r Rollback, doc *yamlfile.Document) (found yamlfile.Problems) {
	say := func(path, what, fix string) { found = append(found, doc.Problem(path, what, fix)) }
	if !doc.Has("$.rollback") {
		say("$.rollback", "rollback is missing: a release without a way back is not planned", "add rollback: {to: previous, who: [release-engineer]}")
		return found
	}
	switch {
	case r.To == "":
		say("$.rollback.to", "rollback: to is missing", "write to: previous, the last revision that completed")
	case r.To != RollbackToPrevious:
		say("$.rollback.to", fmt.Sprintf("rollback: to: unknown value %q", r.To), "write previous, the last revision that completed")
	}
	if len(r.Who) == 0 {
		say("$.rollback.who", "rollback: who is missing", "list the roles that may order it, such as [release-engineer]")
	}
	for i, role := range r.Who {
		at := fmt.Sprintf("$.rollback.who[%d]", i)
		if strings.TrimSpace(role) == "" {
			say(at, "rollback: who: an entry is empty", "name a role or remove the entry")
		} else if slices.Contains(r.Who[:i], role) {
			say(at, fmt.Sprintf("rollback: who: %q is given twice", role), "keep one of the two")
		}
	}
	return found
}

func check(plan Plan, doc *yamlfile.Document, t *fleet.Topology, repository string) (found yamlfile.Problems) {
	say := func(path, what, fix string) { found = append(found, doc.Problem(path, what, fix)) }
	if _, ok := t.Repository(repository); !ok {
		say("$.project", fmt.Sprintf("the topology has no repository %q", repository), "ask DevOps to add it to the topology's repositories")
	}
	if _, ok := t.SBU(plan.SBU); !ok {
		var known []string
		for _, sbu := range t.SBUs {
			known = append(known, sbu.Name)
		}
		say("$.sbu", fmt.Sprintf("sbu: unknown SBU %q", plan.SBU), yamlfile.Choose(plan.SBU, known))
	}
	var here []string // the apps of this repository
	for _, app := range t.Apps {
		if app.Repository == repository {
			here = append(here, app.Name)
		}
	}
	for i, name := range plan.Apps {
		at := fmt.Sprintf("$.apps[%d]", i)
		app, ok := t.App(name)
		switch {
		case !ok:
			say(at, fmt.Sprintf("apps: unknown app %q", name), yamlfile.Choose(name, here))
		case app.Repository != repository:
			say(at, fmt.Sprintf("apps: %q is built from repository %s, not from %s", name, app.Repository, repository), "plan it there; "+belonging(here))
		case app.SBU != plan.SBU:
			say(at, fmt.Sprintf("apps: %q belongs to SBU %q, the plan to SBU %q", name, app.SBU, plan.SBU),
				fmt.Sprintf("set sbu: %s, or give the apps of each SBU a plan of their own", app.SBU))
		}
	}
	return found
}

func belonging(apps []string) string {
	if len(apps) == 0 {
		return "no app is built from this repository"
	}
	return "built from this repository: " + strings.Join(apps, ", ")
}
