package jenkins_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

func TestARestartIsNeverTheEndOfABuildThatGoesOn(t *testing.T) {
	dir := t.TempDir()
	var ctl *jenkins.Controller
	seen := map[jenkinstest.Phase]error{}
	var queuedInQuiet int64
	s, ctl := pair(t, jenkinstest.Options{Executors: 1, OnPhase: func(p jenkinstest.Phase) {
		builds, err := ctl.Poll(t.Context(), []string{job})
		seen[p] = err
		for _, b := range builds {
			if b.Done() && p != jenkinstest.PhaseReady {
				t.Errorf("in phase %q %s is done", p, b.Deployment)
			}
		}
		if p == jenkinstest.PhaseQuiet {
			id, err := ctl.Trigger(t.Context(), job, map[string]string{jenkins.DeploymentParam: "d3", "DIR": dir})
			if err != nil {
				t.Errorf("trigger while quieting down: %v, want it accepted", err)
			}
			queuedInQuiet = id
		}
	}}, waitForGo)
	first := trigger(t, ctl, "d1", dir)
	eventually(t, "the first build", func() bool { return exists(dir, "begun-d1") })
	second := trigger(t, ctl, "d2", dir)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []jenkinstest.Phase{jenkinstest.PhaseRestarting, jenkinstest.PhaseUnreachable, jenkinstest.PhaseStarting} {
		if !errors.Is(seen[p], jenkins.ErrUnreachable) {
			t.Errorf("poll while %q = %v, want ErrUnreachable", p, seen[p])
		}
	}
	if seen[jenkinstest.PhaseQuiet] != nil || seen[jenkinstest.PhaseReady] != nil {
		t.Errorf("polls = %v", seen)
	}
	if b := until(t, ctl, "d1", first, done); b.Result != "ABORTED" {
		t.Errorf("the running freestyle build ended %s, want ABORTED", b.Result)
	}
	touch(t, dir, "go")
	for d, id := range map[string]int64{"d2": second, "d3": queuedInQuiet} {
		if b := until(t, ctl, d, id, done); b.Result != "SUCCESS" || b.QueueID != id {
			t.Errorf("%s = %+v, want SUCCESS with queue id %d", d, b, id)
		}
	}
}

func TestACrashKeepsQueueAndBuilds(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	s, ctl := pair(t, jenkinstest.Options{Dir: home, Executors: 1}, waitForGo)
	touch(t, dir, "go")
	finished := trigger(t, ctl, "d1", dir)
	until(t, ctl, "d1", finished, done)
	dir2 := t.TempDir()
	trigger(t, ctl, "d2", dir2)
	eventually(t, "the second build", func() bool { return exists(dir2, "begun-d2") })
	third := trigger(t, ctl, "d3", dir2)
	if err := s.Crash(); err != nil {
		t.Fatal(err)
	}
	_, err := ctl.Poll(t.Context(), []string{job})
	wantError(t, err, jenkins.ErrUnreachable)

	touch(t, dir2, "go")
	again := start(t, jenkinstest.Options{Dir: home, Executors: 1})
	ctl = client(t, again.URL, "admin", "admin-token")
	for _, want := range []struct {
		deployment, result string
		number             int64
	}{{"d1", "SUCCESS", 1}, {"d2", "FAILURE", 2}, {"d3", "SUCCESS", 3}} {
		b := until(t, ctl, want.deployment, 0, done)
		if b.Result != want.result || b.Number != want.number {
			t.Errorf("%s = #%d %s, want #%d %s", want.deployment, b.Number, b.Result, want.number, want.result)
		}
	}
	if b := until(t, ctl, "d3", third, done); b.QueueID != third {
		t.Errorf("d3 has queue id %d, want the one from before the crash, %d", b.QueueID, third)
	}
	if next := trigger(t, ctl, "d4", dir2); next <= third {
		t.Errorf("a queue id after the crash is %d: %d was given out before", next, third)
	}
	until(t, ctl, "d4", 0, done)
	if text, _, more, err := ctl.Log(t.Context(), job, 2, 0); err != nil || more || len(text) == 0 {
		t.Errorf("the console of the build that was cut off = %q, more %v, %v", text, more, err)
	}
}

func TestPasswordUsersGetACrumbAndANewOneAfterARestart(t *testing.T) {
	var crumbs atomic.Int64
	s := start(t, jenkinstest.Options{Middleware: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/crumbIssuer/api/json" {
				crumbs.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	}})
	ctl := client(t, s.URL, "admin", "admin-password")
	for round := range 2 {
		// Reads through gojenkins, writes through it, and actions of our own.
		if _, err := ctl.EnsureJob(t.Context(), job, jobXML(fmt.Sprintf("echo %d", round))); err != nil {
			t.Fatal(err)
		}
		d := fmt.Sprintf("d%d", round)
		id := trigger(t, ctl, d, "")
		b := until(t, ctl, d, id, done)
		if err := ctl.Describe(t.Context(), job, b.Number, "x"); err != nil {
			t.Fatal(err)
		}
		if n := crumbs.Load(); n != int64(round+1) {
			t.Errorf("%d crumbs in %d sessions", n, round+1)
		}
		if round == 0 {
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
