package jenkinstest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"railyard/internal/jenkins/jenkinstest"
)

// jobXML is a job with parameters DIR and N and one shell step.
func jobXML(script string, concurrent bool) []byte {
	return fmt.Appendf(nil, `<project><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>DIR</name></hudson.model.StringParameterDefinition>
<hudson.model.StringParameterDefinition><name>N</name></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><concurrentBuild>%v</concurrentBuild>
<builders><hudson.tasks.Shell><command>%s</command></hudson.tasks.Shell></builders></project>`, concurrent, html.EscapeString(script))
}

func start(t *testing.T, o jenkinstest.Options) *jenkinstest.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := jenkinstest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func create(t *testing.T, s *jenkinstest.Server, name string, xml []byte) {
	t.Helper()
	if err := s.CreateJob(name, xml); err != nil {
		t.Fatal(err)
	}
}

// call is one request; user "" is anonymous.
type call struct {
	method, path, user, secret, body string
	header                           http.Header
}

type answer struct {
	status int
	header http.Header
	body   string
}

var plainClient = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       20 * time.Second,
	// A POST on a connection from before a restart fails, and is not repeated.
	Transport: &http.Transport{DisableKeepAlives: true},
}

func send(t *testing.T, s *jenkinstest.Server, c call) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range c.header {
		r.Header[k] = v
	}
	if c.body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.user != "" {
		r.SetBasicAuth(c.user, c.secret)
	}
	res, err := plainClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

func get(t *testing.T, s *jenkinstest.Server, path string) answer {
	t.Helper()
	return send(t, s, call{method: http.MethodGet, path: path, user: "admin", secret: "admin-token"})
}

func post(t *testing.T, s *jenkinstest.Server, path string) answer {
	t.Helper()
	return send(t, s, call{method: http.MethodPost, path: path, user: "admin", secret: "admin-token"})
}

func object(t *testing.T, s *jenkinstest.Server, path string) map[string]any {
	t.Helper()
	a := get(t, s, path)
	var o map[string]any
	if err := json.Unmarshal([]byte(a.body), &o); a.status != http.StatusOK || err != nil {
		t.Fatalf("GET %s = %d, %v: %.300s", path, a.status, err, a.body)
	}
	return o
}

// trigger asks for a build with parameters and returns the queue item's path.
func trigger(t *testing.T, s *jenkinstest.Server, job, params string) string {
	t.Helper()
	a := post(t, s, "/job/"+job+"/buildWithParameters?"+params)
	if a.status != http.StatusCreated {
		t.Fatalf("trigger = %d: %.300s", a.status, a.body)
	}
	location := a.header.Get("Location")
	return strings.TrimSuffix(location[strings.Index(location, "/queue/"):], "/") + "/api/json"
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// finished waits for the end of a build and returns its result and console.
func finished(t *testing.T, s *jenkinstest.Server, job string, n int) (result, console string) {
	t.Helper()
	path := fmt.Sprintf("/job/%s/%d", job, n)
	eventually(t, "the end of "+path, func() bool {
		if get(t, s, path+"/api/json").status == http.StatusNotFound {
			return false
		}
		b := object(t, s, path+"/api/json")
		result, _ = b["result"].(string)
		return b["inProgress"] == false
	})
	return result, get(t, s, path+"/consoleText").body
}

func exists(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

func touch(t *testing.T, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pid reads a process id that a build wrote; 0 when it is not there yet.
func pid(path ...string) int {
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return n
}

// alive tells whether a process runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
