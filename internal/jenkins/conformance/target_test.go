package conformance

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
	"railyard/internal/jenkins/jenkinstest/groovy"
)

var (
	flagURL   = flag.String("jenkins-url", "", "controller to test; a stand-in when empty")
	flagUser  = flag.String("jenkins-user", "", "its user")
	flagToken = flag.String("jenkins-token", "", "the user's API token")
	flagGit   = flag.String("jenkins-git", "", "a repository that the controller can clone, with a branch feature/x and a Jenkinsfile in it")
)

// target is a controller under test, and a folder in it for the cases.
type target struct {
	url, user, token string
	folder           string
	client           *jenkins.Controller
	http             *http.Client // follows no redirect
}

func newTarget(t *testing.T) *target {
	t.Helper()
	x := &target{
		url: *flagURL, user: *flagUser, token: *flagToken, folder: "railyard-conformance-" + strings.ToLower(rand.Text()[:8]),
		http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if x.url == "" {
		pipelines, err := groovy.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := pipelines.Close(); err != nil {
				t.Error(err)
			}
		})
		s, err := jenkinstest.Start(jenkinstest.Options{Dir: t.TempDir(), ContextPath: "/jenkins", RootURL: "http://ci.example.org/jenkins/", Engine: pipelines})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		u := jenkinstest.DefaultUsers()[0]
		x.url, x.user, x.token = s.URL, u.Name, u.Token
	}
	x.url = strings.TrimSuffix(x.url, "/")
	log := logrus.New()
	log.SetOutput(io.Discard)
	var err error
	if x.client, err = jenkins.New(jenkins.Config{Name: "target", URL: x.url, User: x.user, Token: x.token}, log); err != nil {
		t.Fatal(err)
	}
	x.post(t, "/createItem?name="+x.folder, "application/xml", folderXML).want(t, http.StatusOK)
	t.Cleanup(func() { x.must(t, context.Background(), http.MethodPost, x.path("")+"/doDelete", "", "") })
	return x
}

const folderXML = `<com.cloudbees.hudson.plugins.folder.Folder><description/><properties/></com.cloudbees.hudson.plugins.folder.Folder>`

// path is the URL path of a job in the folder; "" is the folder itself.
func (x *target) path(job string) string {
	p := "/job/" + x.folder
	if job != "" {
		p += "/job/" + url.PathEscape(job)
	}
	return p
}

func (x *target) name(job string) string { return x.folder + "/" + job }

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
	asked  string
}

func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("%s = %d, want %d\n%.300s", a.asked, a.status, status, a.body)
	}
	return a
}

// wantJSON reads the body as an object.
func (a answer) wantJSON(t *testing.T) map[string]any {
	t.Helper()
	a.want(t, http.StatusOK)
	var o map[string]any
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		t.Fatalf("%s: %v in %.300s", a.asked, err, a.body)
	}
	return o
}

func (a answer) wantHTML(t *testing.T) {
	t.Helper()
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("%s is %s, want HTML", a.asked, a.header.Get("Content-Type"))
	}
}

func (x *target) must(t *testing.T, ctx context.Context, method, path, contentType, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, x.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(x.user, x.token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := x.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text), method + " " + path}
}

func (x *target) get(t *testing.T, path string) answer {
	t.Helper()
	return x.must(t, t.Context(), http.MethodGet, path, "", "")
}

func (x *target) post(t *testing.T, path, contentType, body string) answer {
	t.Helper()
	return x.must(t, t.Context(), http.MethodPost, path, contentType, body)
}

func (x *target) form(t *testing.T, path string, values url.Values) answer {
	t.Helper()
	return x.post(t, path, "application/x-www-form-urlencoded", values.Encode())
}

// jobOptions are deviations from a job that takes parameters and builds at once.
type jobOptions struct {
	plain  bool // without parameters
	serial bool // one build at a time
	quiet  int  // seconds of quiet period
	script string
}

func (o jobOptions) xml() string {
	params := `<properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>RAILYARD_DEPLOYMENT</name><defaultValue/></hudson.model.StringParameterDefinition>
<hudson.model.StringParameterDefinition><name>REF</name><defaultValue>main</defaultValue></hudson.model.StringParameterDefinition>
<hudson.model.BooleanParameterDefinition><name>DRY</name><defaultValue>false</defaultValue></hudson.model.BooleanParameterDefinition>
<hudson.model.ChoiceParameterDefinition><name>ENV</name><choices class="java.util.Arrays$ArrayList"><a class="string-array"><string>fat</string><string>uat</string></a></choices></hudson.model.ChoiceParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>`
	if o.plain {
		params = "<properties/>"
	}
	if o.script == "" {
		o.script = "true"
	}
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<project>%s<scm class="hudson.scm.NullSCM"/><quietPeriod>%d</quietPeriod><disabled>false</disabled><triggers/><concurrentBuild>%v</concurrentBuild>
<builders><hudson.tasks.Shell><command>%s</command><unstableReturn>3</unstableReturn></hudson.tasks.Shell></builders><publishers/><buildWrappers/></project>`,
		params, o.quiet, !o.serial, html.EscapeString(o.script))
}

// job creates a job in the folder.
func (x *target) job(t *testing.T, name string, o jobOptions) {
	t.Helper()
	x.post(t, x.path("")+"/createItem?name="+url.QueryEscape(name), "application/xml;charset=utf-8", o.xml()).want(t, http.StatusOK)
}

// item is the path of the queue item that an answer's Location leads to.
func (a answer) item(t *testing.T) string {
	t.Helper()
	to, err := url.Parse(a.header.Get("Location"))
	at := strings.Index(to.Path, "/queue/item/")
	if err != nil || !to.IsAbs() || at < 0 {
		t.Fatalf("%s leads to %q, want an absolute …/queue/item/N/", a.asked, a.header.Get("Location"))
	}
	return strings.TrimSuffix(to.Path[at:], "/")
}

// finished waits for build n of a job to end, and returns its JSON.
func (x *target) finished(t *testing.T, job string, n int) map[string]any {
	t.Helper()
	var b map[string]any
	x.eventually(t, fmt.Sprintf("the end of %s #%d", job, n), func() bool {
		a := x.get(t, fmt.Sprintf("%s/%d/api/json", x.path(job), n))
		if a.status == http.StatusNotFound {
			return false
		}
		b = a.wantJSON(t)
		return b["building"] == false && b["inProgress"] == false
	})
	return b
}

func (x *target) eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// repository is the URL of a git repository with a branch feature/x.
func (x *target) repository(t *testing.T) string {
	t.Helper()
	if *flagGit != "" {
		return *flagGit
	}
	if *flagURL != "" {
		t.Fatal("this case needs -jenkins-git: a repository that the controller can clone, with a branch feature/x and a Jenkinsfile in it")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Jenkinsfile"), []byte(failing), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "feature/x"}, {"add", "."}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x"},
	} {
		if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return dir
}
