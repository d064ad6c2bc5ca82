package provision_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
	"railyard/internal/jenkins/provision"
)

// pipeline is a config.xml whose script says what it is given.
func pipeline(script string) []byte {
	return fmt.Appendf(nil, `<flow-definition><description>Delivers.</description><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.ChoiceParameterDefinition><name>ENV</name><choices class="java.util.Arrays$ArrayList"><a class="string-array"><string>fat</string><string>uat</string></a></choices></hudson.model.ChoiceParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>
<definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>%s</script><sandbox>true</sandbox></definition></flow-definition>`, script)
}

type world struct {
	server *jenkinstest.Server
	client *jenkins.Controller
	writes int
}

func start(t *testing.T, o jenkinstest.Options) *world {
	t.Helper()
	w := &world{}
	o.Dir = t.TempDir()
	o.Middleware = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.writes++
			}
			next.ServeHTTP(rw, r)
		})
	}
	var err error
	if w.server, err = jenkinstest.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
	})
	log := logrus.New()
	log.SetOutput(io.Discard)
	if w.client, err = jenkins.New(jenkins.Config{Name: "main", URL: w.server.URL, User: "admin", Token: "admin-token"}, log); err != nil {
		t.Fatal(err)
	}
	return w
}

// sync compares, applies and returns what was shown.
func (w *world) sync(t *testing.T, wanted []provision.Want, adopted ...string) string {
	t.Helper()
	changes, err := provision.Compare(t.Context(), w.client, wanted, adopted)
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	provision.Show(&shown, changes)
	if err := provision.Apply(t.Context(), w.client, changes); err != nil {
		t.Fatal(err)
	}
	return shown.String()
}

func wants(script string) []provision.Want {
	return provision.Wanted(&fleet.Topology{
		SBUs: []fleet.SBU{{Name: "hotel", Title: "Hotel / 酒店"}, {Name: "flight", Title: "Flight"}},
		Apps: []fleet.App{
			{Name: "web", SBU: "hotel", Jenkins: fleet.Jenkins{Controller: "main", Job: "deliver/hotel/web"}},
			{Name: "api", SBU: "hotel", Jenkins: fleet.Jenkins{Controller: "main", Job: "deliver/hotel/api"}},
			{Name: "air", SBU: "flight", Jenkins: fleet.Jenkins{Controller: "flights", Job: "deliver/air"}},
		},
	}, "main", func(app fleet.App) []byte { return pipeline(script + " " + app.Name) })
}

func TestTheSecondRunHasNothingToDo(t *testing.T) {
	w := start(t, jenkinstest.Options{})
	if got, want := w.sync(t, wants("one")), "+ deliver\n+ deliver/hotel\n+ deliver/hotel/api\n+ deliver/hotel/web\n+ view hotel\n= 0 as they should be\n"; got != want {
		t.Errorf("first run:\n%s\nwant:\n%s", got, want)
	}
	w.writes = 0
	if got, want := w.sync(t, wants("one")), "= 5 as they should be\n"; got != want || w.writes != 0 {
		t.Errorf("second run, %d writes:\n%s", w.writes, got)
	}
}

func TestWhatDiffersIsShownAndWritten(t *testing.T) {
	w := start(t, jenkinstest.Options{})
	w.sync(t, wants("line one\nline two"))
	got := w.sync(t, wants("line one\nline 2"))
	for _, part := range []string{"~ deliver/hotel/api\n    definition/script:\n", "      -line two api\n", "      +line 2 api\n", "= 3 as they should be\n"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
	if got := w.sync(t, wants("line one\nline 2")); got != "= 5 as they should be\n" {
		t.Errorf("afterwards:\n%s", got)
	}
}

func TestWhatRailyardDidNotWriteIsLeftAloneUntilItIsAdopted(t *testing.T) {
	w := start(t, jenkinstest.Options{})
	if err := w.server.CreateJob("deliver/hotel/api", []byte("<project><description>ours</description></project>")); err != nil {
		t.Fatal(err)
	}
	if err := w.server.CreateJob("deliver/hotel/web", pipeline("theirs")); err != nil {
		t.Fatal(err)
	}
	got := w.sync(t, wants("one"))
	if !strings.Contains(got, "! deliver/hotel/api is there, but Railyard did not write it: left alone (--adopt deliver/hotel/api takes it over)\n") ||
		!strings.Contains(got, "! deliver/hotel/web") || w.writes != 1 {
		t.Errorf("%d writes, want the view only:\n%s", w.writes, got)
	}
	got = w.sync(t, wants("one"), "deliver/hotel/web")
	if !strings.Contains(got, "~ deliver/hotel/web") || !strings.Contains(got, "! deliver/hotel/api") {
		t.Errorf("adopted:\n%s", got)
	}
	if got := w.sync(t, wants("two")); !strings.Contains(got, "~ deliver/hotel/web") {
		t.Errorf("an adopted job is Railyard's from then on:\n%s", got)
	}
}

func TestFoldersOfOthersAreUsedAsTheyAre(t *testing.T) {
	w := start(t, jenkinstest.Options{})
	if err := w.server.CreateJob("deliver/other", pipeline("theirs")); err != nil {
		t.Fatal(err)
	}
	if got := w.sync(t, wants("one")); strings.Contains(got, "+ deliver\n") || !strings.Contains(got, "+ deliver/hotel/api") {
		t.Errorf("shown:\n%s", got)
	}
}

func TestAPropertyThatAJenkinsfileAddedIsNoDifference(t *testing.T) {
	w := start(t, jenkinstest.Options{})
	w.sync(t, wants("one"))
	doc, err := w.client.Config(t.Context(), jenkins.Item{Name: "deliver/hotel/api"})
	if err != nil {
		t.Fatal(err)
	}
	added := strings.Replace(string(doc.Bytes()), "<properties>",
		"<properties><org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty/>", 1)
	if err := w.client.Update(t.Context(), jenkins.Item{Name: "deliver/hotel/api"}, []byte(added)); err != nil {
		t.Fatal(err)
	}
	if got := w.sync(t, wants("one")); got != "= 5 as they should be\n" {
		t.Errorf("shown:\n%s", got)
	}
}

func TestErrorsSayWhatToChange(t *testing.T) {
	users := []jenkinstest.User{{Name: "admin", Token: "admin-token", Permissions: []string{"Overall/Read", "Job/Read", "Job/ExtendedRead"}}}
	for name, c := range map[string]struct {
		o    jenkinstest.Options
		says string
	}{
		"a plugin is absent":        {jenkinstest.Options{Without: []string{"cloudbees-folder"}}, "install “Folders” (cloudbees-folder)"},
		"a permission is missing":   {jenkinstest.Options{Users: users}, "admin lacks the permission Job/Create: grant it in Jenkins"},
		"what Jenkins did not keep": {jenkinstest.Options{Drops: []string{"sandbox"}}, "Jenkins keeps definition/sandbox otherwise: the plugin for it is absent"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, c.o)
			changes, err := provision.Compare(t.Context(), w.client, wants("one"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := provision.Apply(t.Context(), w.client, changes); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error = %v, want one with %q", err, c.says)
			}
		})
	}
}

func TestAJobThatSomebodyTakesOverMeanwhileIsLeftAlone(t *testing.T) {
	w := start(t, jenkinstest.Options{})
	w.sync(t, wants("one"))
	changes, err := provision.Compare(t.Context(), w.client, wants("two"), nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs := jenkins.Item{Name: "deliver/hotel/api"}
	if err := w.client.Update(t.Context(), theirs, pipeline("theirs")); err != nil {
		t.Fatal(err)
	}
	if err := provision.Apply(t.Context(), w.client, changes); err == nil || !strings.Contains(err.Error(), "deliver/hotel/api is not Railyard's any more") {
		t.Errorf("error = %v", err)
	}
	if doc, err := w.client.Config(t.Context(), theirs); err != nil || !strings.Contains(string(doc.Bytes()), "theirs") {
		t.Errorf("their job was overwritten: %v", err)
	}
}
