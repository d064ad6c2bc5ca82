package provision

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/jenkins"
)

// Jobs makes the config.xml of the job that builds an app.
type Jobs func(app fleet.App) []byte

// Wanted lists what the topology asks of one controller: the job of every app
// that is built there, and at its top a view per SBU that has some.
func Wanted(t *fleet.Topology, controller string, jobs Jobs) []Want {
	var out []Want
	bySBU := map[string][]string{}
	for _, app := range t.Apps {
		if app.Jenkins.Controller != controller || app.Jenkins.Job == "" {
			continue
		}
		out = append(out, Want{jenkins.Item{Name: app.Jenkins.Job}, jobs(app)})
		bySBU[app.SBU] = append(bySBU[app.SBU], app.Jenkins.Job)
	}
	for _, sbu := range t.SBUs {
		if names := bySBU[sbu.Name]; len(names) > 0 {
			out = append(out, Want{jenkins.Item{Name: sbu.Name, View: true}, viewXML(sbu.Name, sbu.Title, names)})
		}
	}
	return out
}

// Controllers are the names of all controllers that the topology uses, in order.
func Controllers(t *fleet.Topology) []string {
	var out []string
	for _, app := range t.Apps {
		if c := app.Jenkins.Controller; c != "" && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}

// viewXML is a list view of jobs, wherever they lie.
func viewXML(name, title string, jobs []string) []byte {
	slices.Sort(jobs)
	var list strings.Builder
	for _, job := range slices.Compact(jobs) {
		fmt.Fprintf(&list, "<string>%s</string>", escape(job))
	}
	return fmt.Appendf(nil, `<hudson.model.ListView><name>%s</name><description>%s</description><filterExecutors>false</filterExecutors>`+
		`<filterQueue>false</filterQueue><properties class="hudson.model.View$PropertyList"/>`+
		`<jobNames><comparator class="java.lang.String$CaseInsensitiveComparator"/>%s</jobNames><jobFilters/>`+
		`<columns><hudson.views.StatusColumn/><hudson.views.JobColumn/><hudson.views.LastSuccessColumn/><hudson.views.LastFailureColumn/>`+
		`<hudson.views.LastDurationColumn/><hudson.views.BuildButtonColumn/></columns><recurse>true</recurse></hudson.model.ListView>`,
		escape(name), escape(title), list.String())
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // into memory
	return b.String()
}
