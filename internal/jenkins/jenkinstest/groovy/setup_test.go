package groovy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"railyard/internal/jenkins/jenkinstest"
	"railyard/internal/jenkins/jenkinstest/groovy"
)

// jenkins is a stand-in that runs Jenkinsfiles.
type jenkins struct {
	t       *testing.T
	o       jenkinstest.Options
	s       *jenkinstest.Server
	engine  *groovy.Engine
	created int
}

// shared runs the Pipelines of all tests but those that end it: it takes a second to start.
var shared = sync.OnceValues(func() (*groovy.Engine, error) { return newEngine() })

func newEngine() (*groovy.Engine, error) {
	e, err := groovy.New(map[string]fs.FS{"railyard": library})
	if err != nil {
		return nil, err
	}
	return e, e.Warm()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if e, _ := shared(); e != nil {
		if err := e.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func start(t *testing.T) *jenkins {
	t.Helper()
	engine, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, engine)
}

func startWith(t *testing.T, engine *groovy.Engine) *jenkins {
	t.Helper()
	j := &jenkins{t: t, engine: engine, o: jenkinstest.Options{
		Dir: t.TempDir(), Engine: engine, RootURL: jenkinstest.RootURLAuto, Env: map[string]string{"GLOBAL": "everywhere"},
		Credentials: map[string]jenkinstest.Credential{"token": {Secret: "s3cr3t"}, "robot": {User: "robot", Secret: "pa55"}},
	}}
	j.boot()
	t.Cleanup(func() {
		if err := j.s.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func (j *jenkins) boot() {
	j.t.Helper()
	s, err := jenkinstest.Start(j.o)
	if err != nil {
		j.t.Fatal(err)
	}
	j.s, j.o.Addr = s, strings.TrimPrefix(s.URL, "http://")
}

func xmlText(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// begin makes a job of the script and starts a build of it.
func (j *jenkins) begin(script, properties string) (job string) {
	j.t.Helper()
	j.created++
	job = fmt.Sprintf("job%d", j.created)
	xml := fmt.Sprintf(`<flow-definition><properties>%s</properties><definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>%s</script><sandbox>true</sandbox></definition></flow-definition>`,
		properties, xmlText(script))
	if err := j.s.CreateJob(job, []byte(xml)); err != nil {
		j.t.Fatal(err)
	}
	j.post("/job/" + job + "/build")
	return job
}

func (j *jenkins) post(path string) { j.form(path, nil) }

func (j *jenkins) form(path string, form url.Values) {
	j.t.Helper()
	r, err := http.NewRequestWithContext(j.t.Context(), http.MethodPost, j.s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		j.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, body := j.do(r); status >= 400 {
		j.t.Fatalf("POST %s = %d: %.300s", path, status, body)
	}
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (j *jenkins) do(r *http.Request) (int, []byte) {
	j.t.Helper()
	r.SetBasicAuth("admin", "admin-token")
	answer, err := noRedirects.Do(r)
	if err != nil {
		j.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		j.t.Fatal(err)
	}
	return answer.StatusCode, body
}

func (j *jenkins) get(path string, into any) bool {
	j.t.Helper()
	r, err := http.NewRequestWithContext(j.t.Context(), http.MethodGet, j.s.URL+path, nil)
	if err != nil {
		j.t.Fatal(err)
	}
	status, body := j.do(r)
	if status != http.StatusOK {
		return false
	}
	if text, ok := into.(*string); ok {
		*text = string(body)
		return true
	}
	if err := json.Unmarshal(body, into); err != nil {
		j.t.Fatalf("GET %s: %v: %.300s", path, err, body)
	}
	return true
}

func (j *jenkins) eventually(what string, holds func() bool) {
	j.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			j.t.Fatalf("did not come: %s", what)
		}
	}
}

type buildJSON struct {
	Building            bool
	InProgress          bool
	Result, Description string
	DisplayName         string
}

// end waits for build 1 of the job.
func (j *jenkins) end(job string) (b buildJSON, console string) {
	j.t.Helper()
	j.eventually("the end of "+job, func() bool {
		b = buildJSON{}
		return j.get("/job/"+job+"/1/api/json", &b) && !b.Building && !b.InProgress
	})
	j.get("/job/"+job+"/1/consoleText", &console)
	return b, console
}

// asks waits for a pending input of build 1 and returns its id.
func (j *jenkins) asks(job string) string {
	j.t.Helper()
	var pending []struct{ ID string }
	j.eventually("an input of "+job, func() bool {
		return j.get("/job/"+job+"/1/wfapi/pendingInputActions", &pending) && len(pending) == 1
	})
	return pending[0].ID
}

func (j *jenkins) says(job, text string) {
	j.t.Helper()
	j.eventually(job+" says "+text, func() bool {
		var console string
		return j.get("/job/"+job+"/1/consoleText", &console) && strings.Contains(console, text)
	})
}
