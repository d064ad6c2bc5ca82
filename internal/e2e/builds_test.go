//go:build linux

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"railyard/internal/demo/apps"
	"railyard/server/api"
)

// replies can lose Jenkins' answer to a trigger.
type replies struct{ lose atomic.Int32 } // how many of the next

// middleware lets Jenkins do what it is asked, and then cuts the connection instead of answering.
func (r *replies) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasSuffix(req.URL.Path, "/buildWithParameters") || r.lose.Add(-1) < 0 {
			next.ServeHTTP(w, req)
			return
		}
		next.ServeHTTP(nowhere{http.Header{}}, req)
		panic(http.ErrAbortHandler)
	})
}

// nowhere is where a lost answer goes.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

// gate holds a build until it is opened.
type gate string

func newGate(t *testing.T, dir, name string) gate {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, syscall.Mkfifo(path, 0o600))
	return gate(path)
}

// build is a build.sh that waits for the gate and then builds.
func (g gate) build(t *testing.T, app string) map[string]string {
	t.Helper()
	files, err := apps.Source(app, apps.Options{Version: "1.0.0"})
	must(t, err)
	return map[string]string{"build.sh": strings.Replace(files["build.sh"], "set -eu\n", "set -eu\nread -r _ <'"+string(g)+"'\n", 1)}
}

func (g gate) open(t *testing.T) {
	t.Helper()
	pipe, err := os.OpenFile(string(g), os.O_RDWR, 0) // for reading too: then it opens before the build has come so far
	must(t, err)
	t.Cleanup(func() { must(t, pipe.Close()) })
	_, err = pipe.WriteString("\n")
	must(t, err)
}

func supersede(t *testing.T, y *town) {
	gate := newGate(t, y.Dir, "gate")
	first := y.deliver(t, apps.JobWS, change{files: gate.build(t, apps.JobWS)})
	y.until(t, first.Id, "its build", hasNumber)

	second := y.deliver(t, apps.JobWS, change{})
	if second.Series != first.Series || second.Candidate != first.Candidate+1 {
		t.Errorf("the second push is %s after %s, expected the next candidate of the same Coach", second.Id, first.Id)
	}
	y.ends(t, first.Id, "superseded")
	gate.open(t) // the running build may finish
	y.ends(t, second.Id, "released")

	b := y.buildEnds(t, first)
	if b.Result != "NOT_BUILT" || !strings.Contains(b.Description, "superseded by "+second.Id) {
		t.Errorf("the superseded build is %s and says %q, expected NOT_BUILT and by what it was superseded", b.Result, b.Description)
	}
	if c := y.coach(t, first.Id); c.State != "superseded" || len(c.Rolls) > 0 {
		t.Errorf("%s is %s and has %d rolls, expected none: its package is never promoted", c.Id, c.State, len(c.Rolls))
	}
	if b := y.buildEnds(t, second); b.Result != "SUCCESS" || !strings.Contains(b.Description, "released") {
		t.Errorf("the second build is %s and says %q, expected SUCCESS and that it is released", b.Result, b.Description)
	}
}

func brokenPlan(t *testing.T, y *town) {
	broken := y.deliver(t, apps.JobWS, change{plan: plan(apps.JobWS, "1.x")})
	const position = ".railyard/rop.yaml:5:10: "
	if broken.State != "failed" || !strings.HasPrefix(broken.Reason, position) {
		t.Errorf("%s is %s: %s; expected failed, at %s", broken.Id, broken.State, broken.Reason, position)
	}
	if shown := y.orders(t, "coach", "show", broken.Id); !strings.Contains(shown, position) {
		t.Errorf("railyard coach show does not name the position %s:\n%s", position, shown)
	}
	if len(broken.Builds) > 0 {
		t.Errorf("%s is built although its plan is broken: %+v", broken.Id, broken.Builds)
	}
	good := y.release(t, apps.JobWS)
	if good.Series != broken.Series || good.Candidate != broken.Candidate+1 {
		t.Errorf("the next push is %s after %s, expected the next candidate", good.Id, broken.Id)
	}
}

func jenkinsAway(t *testing.T, y *town) {
	must(t, y.Jenkins.Crash())
	c := y.deliver(t, apps.JobWS, change{})
	y.until(t, c.Id, "the second try to reach Jenkins", func(api.Coach) bool { return y.logged(t, c.Builds[0].Deployment, "trigger build") > 1 })
	if shown := y.orders(t, "coach", "show", c.Id); !strings.Contains(shown, "jenkins cannot be reached") || !strings.Contains(shown, "connection refused") {
		t.Errorf("railyard coach show does not say that Jenkins refuses connections:\n%s", shown)
	}
	must(t, y.StartJenkins())
	y.ends(t, c.Id, "released")
	if b := y.buildEnds(t, c); b.Result != "SUCCESS" {
		t.Errorf("the build is %s, expected SUCCESS", b.Result)
	}
}

func lostReply(r *replies) func(t *testing.T, y *town) {
	return func(t *testing.T, y *town) {
		r.lose.Store(1)
		c := y.deliver(t, apps.JobWS, change{})
		y.ends(t, c.Id, "released")
		if left := r.lose.Load(); left > 0 {
			t.Error("no reply was lost: nothing was tried")
		}
		if b := y.buildEnds(t, c); b.Result != "SUCCESS" {
			t.Errorf("the build is %s, expected SUCCESS", b.Result)
		}
		if n := y.logged(t, c.Builds[0].Deployment, "trigger build"); n != 1 {
			t.Errorf("%d tries to trigger were logged as failed, expected the lost one", n)
		}
	}
}

// logged counts the lines of the service's log that have both texts.
func (y *town) logged(t *testing.T, texts ...string) (n int) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(y.Dir, "railyard.log"))
	must(t, err)
	for line := range strings.Lines(string(log)) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

// hasNumber reports whether Jenkins runs the Coach's build.
func hasNumber(c api.Coach) bool { return len(c.Builds) == 1 && c.Builds[0].Number != nil }
