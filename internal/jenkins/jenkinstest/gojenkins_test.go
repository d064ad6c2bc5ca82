package jenkinstest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bndr/gojenkins"

	"railyard/internal/jenkins/jenkinstest"
)

// library is the unmodified gojenkins, logged in with a token or a password.
func library(t *testing.T, s *jenkinstest.Server, secret string) *gojenkins.Jenkins {
	t.Helper()
	j, err := gojenkins.CreateJenkins(&http.Client{}, s.URL, "admin", secret).Init(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestGojenkinsDrivesTheStandIn(t *testing.T) {
	for name, secret := range map[string]string{"with an API token": "admin-token", "with a password and crumbs": "admin-password"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, jenkinstest.Options{ContextPath: "/jenkins"})
			j := library(t, s, secret)
			if j.Version != "2.452" {
				t.Errorf("version = %q", j.Version)
			}
			if _, err := j.CreateJob(t.Context(), "<"+"com.cloudbees.hudson.plugins.folder.Folder/>", "f"); err != nil {
				t.Fatal(err)
			}
			if _, err := j.CreateJobInFolder(t.Context(), string(jobXML("echo n is $N", true)), "j", "f"); err != nil {
				t.Fatal(err)
			}
			job, err := j.GetJob(t.Context(), "j", "f")
			if err != nil {
				t.Fatal(err)
			}
			id, err := job.InvokeSimple(t.Context(), map[string]string{"N": "7"})
			if err != nil || id != 1 {
				t.Fatalf("queue id = %d, %v", id, err)
			}
			b, err := j.GetBuildFromQueueID(t.Context(), job, id)
			if err != nil {
				t.Fatal(err)
			}
			finished(t, s, "f/job/j", 1)
			if _, err := b.Poll(t.Context()); err != nil || b.GetResult() != "SUCCESS" || b.Raw.QueueID != id || b.GetParameters()[1].Value != "7" {
				t.Errorf("build = %+v, %v", b.Raw, err)
			}
			if !strings.Contains(b.GetConsoleOutput(t.Context()), "\nn is 7\n") {
				t.Error("the console does not come through")
			}
			part, err := b.GetConsoleOutputFromIndex(t.Context(), 0)
			if err != nil || part.HasMoreText || part.Offset <= int64(len(part.Content)) {
				t.Errorf("progressive console = %+v, %v", part, err)
			}
			var builds struct{ Builds []struct{ Number int64 } }
			if err := job.GetBuildsFields(t.Context(), []string{"number"}, &builds); err != nil || len(builds.Builds) != 1 {
				t.Errorf("builds = %+v, %v", builds, err)
			}
			if err := job.UpdateConfig(t.Context(), string(jobXML("true", false))); err != nil {
				t.Error(err)
			}
			if conf, err := job.GetConfig(t.Context()); err != nil || !strings.HasPrefix(conf, "<?xml version='1.1'") {
				t.Errorf("config = %.40s, %v", conf, err)
			}
		})
	}
}

// The pitfalls of gojenkins have to show here as they do on a real controller:
// a stand-in that is kinder would let code pass that fails there.
func TestGojenkinsPitfalls(t *testing.T) {
	setup := func(t *testing.T, o jenkinstest.Options) (*jenkinstest.Server, *gojenkins.Jenkins, *gojenkins.Job) {
		t.Helper()
		s := start(t, o)
		create(t, s, "j", jobXML("true", true))
		j := library(t, s, "admin-token")
		job, err := j.GetJob(t.Context(), "j")
		if err != nil {
			t.Fatal(err)
		}
		return s, j, job
	}
	html := func(t *testing.T, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "invalid character '<'") {
			t.Errorf("error = %v, want the HTML page that the redirect leads to", err)
		}
	}
	t.Run("1 successful actions return an error, because the redirect is followed to HTML", func(t *testing.T) {
		s, j, job := setup(t, jenkinstest.Options{})
		trigger(t, s, "j", "N=1")
		finished(t, s, "j", 1)
		b, err := job.GetBuild(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		html(t, b.SetDescription(t.Context(), "done"))
		if d := object(t, s, "/job/j/1/api/json")["description"]; d != "done" {
			t.Errorf("description = %v", d)
		}
		_, err = job.Disable(t.Context())
		html(t, err)
		_, err = job.Enable(t.Context())
		html(t, err)
		_, err = j.CreateFolder(t.Context(), "f")
		html(t, err)
		if f := object(t, s, "/job/f/api/json"); f["_class"] != "com.cloudbees.hudson.plugins.folder.Folder" {
			t.Errorf("folder = %v", f)
		}
		_, err = job.Delete(t.Context())
		html(t, err)
	})
	t.Run("2 GetConfig of an absent job is the error page and no error", func(t *testing.T) {
		_, j, _ := setup(t, jenkinstest.Options{})
		if page, err := j.GetJobObj(t.Context(), "absent").GetConfig(t.Context()); err != nil || !strings.Contains(page, "Oops!") {
			t.Errorf("%.80s, %v", page, err)
		}
	})
	t.Run("6 whatever is queued makes a trigger return 0 without a request", func(t *testing.T) {
		s, _, job := setup(t, jenkinstest.Options{})
		s.SetQuiet(true)
		trigger(t, s, "j", "N=1")
		if id, err := job.InvokeSimple(t.Context(), map[string]string{"N": "2"}); id != 0 || err != nil {
			t.Errorf("queue id = %d, %v", id, err)
		}
		if items := object(t, s, "/queue/api/json")["items"].([]any); len(items) != 1 {
			t.Errorf("queue = %v", items)
		}
	})
	t.Run("11 another root URL breaks GetBuild", func(t *testing.T) {
		s, _, job := setup(t, jenkinstest.Options{RootURL: "https://ci.example.org"})
		trigger(t, s, "j", "N=1")
		finished(t, s, "j", 1)
		if b, err := job.GetBuild(t.Context(), 1); err == nil {
			t.Errorf("build = %+v", b.Raw)
		}
	})
	t.Run("13 a cancelled item is reported as not cancelled", func(t *testing.T) {
		s, j, _ := setup(t, jenkinstest.Options{})
		s.SetQuiet(true)
		item := trigger(t, s, "j", "N=1")
		q, err := j.GetQueue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := q.Tasks()[0].Cancel(t.Context()); ok || err != nil {
			t.Errorf("Cancel = %v, %v", ok, err)
		}
		if object(t, s, item)["cancelled"] != true {
			t.Error("it was not cancelled")
		}
	})
}
