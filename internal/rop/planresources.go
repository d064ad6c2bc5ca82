package rop

import (
	"fmt"
	"slices"
	"strings"

	"railyard/internal/yamlfile"
)

// resources checks what is said of each kind; whether the apps are of that kind is the topology's to say.
func (f *former) resources() {
	said := map[string]string{} // app → where it was named first
	f.slots("image", f.plan.Resources.Image, said)
	f.slots("web", f.plan.Resources.Web, said)
	for i, m := range f.plan.Resources.Database {
		at := fmt.Sprintf("$.resources.database[%d]", i)
		f.resource(at, "database", m.App, said)
		if !m.BackwardCompatible {
			f.say(at+".backward_compatible", fmt.Sprintf("resources: database: %q is not declared backward compatible, and a change to a database is not taken back", m.App),
				"make the change in steps that what runs now can live with, and write backward_compatible: true")
		}
		f.listed(at+".destructive", "resources: database: destructive", "statement", m.Destructive)
	}
}

func (f *former) slots(kind string, slots []Slot, said map[string]string) {
	for i, s := range slots {
		at := fmt.Sprintf("$.resources.%s[%d]", kind, i)
		f.resource(at, kind, s.App, said)
		if s.KeepDays < 1 || s.KeepDays > maxKeepDays {
			f.say(at+".keep_days", fmt.Sprintf("resources: %s: keep_days: %d", kind, s.KeepDays), fmt.Sprintf("write 1 to %d: how many days the versions before stay", maxKeepDays))
		}
	}
}

// maxKeepDays bounds what a plan may ask of the servers' disks.
const maxKeepDays = 365

func (f *former) resource(at, kind, app string, said map[string]string) {
	switch {
	case app == "":
		f.say(at+".app", "resources: "+kind+": app is missing", "name an app of the plan: "+strings.Join(f.plan.Apps, ", "))
	case !slices.Contains(f.plan.Apps, app):
		f.say(at+".app", fmt.Sprintf("resources: %s: %q does not travel in this plan", kind, app), yamlfile.Choose(app, f.plan.Apps))
	case said[app] != "":
		f.say(at+".app", fmt.Sprintf("resources: %s: %q is given twice, also as %s", kind, app, said[app]), "keep one of the two")
	}
	said[app] = kind
}
