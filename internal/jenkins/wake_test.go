package jenkins_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

func TestWakingABuildThatWaits(t *testing.T) {
	proceed := make(chan struct{})
	var requests atomic.Int64
	count := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/job/") {
				requests.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	}
	s, c := pipelinePair(t, jenkinstest.Options{Middleware: count}, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		<-proceed // it has looked and does not ask yet
		for _, id := range []string{"deploy", "railyard-3"} {
			if _, err := r.Input(ctx, jenkinstest.Input{Step: id, ID: id, Message: "?", Submitter: "admin"}); err != nil {
				return jenkinstest.Aborted
			}
		}
		return jenkinstest.Success
	})
	run(t, c, "d1")
	until(t, c, "d1", 0, func(b jenkins.Build) bool { return b.Building })
	wake := func(number int64, milepost string) bool {
		t.Helper()
		settled, err := c.Wake(t.Context(), job, number, milepost)
		if err != nil {
			t.Fatal(err)
		}
		return settled
	}
	asks := func(id string) {
		t.Helper()
		eventually(t, "the input "+id, func() bool {
			pending, err := c.Inputs(t.Context(), job, 1)
			return err == nil && len(pending) == 1 && pending[0].ID == id
		})
	}
	requests.Store(0)
	if wake(1, "3") {
		t.Error("a build that runs and does not ask yet is settled")
	}
	if n := requests.Load(); n > 2 {
		t.Errorf("it took %d requests to see that a build does not ask, expected two", n)
	}
	close(proceed)
	asks("Deploy")
	if wake(1, "3") {
		t.Error("an input of somebody else is answered, or taken for ours")
	}
	if err := c.Proceed(t.Context(), job, 1, "Deploy", nil); err != nil {
		t.Fatal(err)
	}
	asks("Railyard-3")
	if !wake(1, "3") {
		t.Error("a build that knows the milepost is not settled")
	}
	asks("Railyard-3") // and goes on waiting
	requests.Store(0)
	if !wake(1, "4") {
		t.Error("a build that waits at an older milepost was not woken")
	}
	if n := requests.Load(); n > 4 {
		t.Errorf("waking it took %d requests, expected at most four", n)
	}
	if b := until(t, c, "d1", 0, done); b.Result != "SUCCESS" {
		t.Errorf("the woken build ended %s", b.Result)
	}
	if !wake(1, "5") || !wake(99, "5") {
		t.Error("a build that has ended, or that Jenkins does not know, is not settled")
	}
	if err := s.CreateJob("freestyle", jobXML("true")); err != nil {
		t.Fatal(err)
	}
	if settled, err := c.Wake(t.Context(), "freestyle", 1, "3"); err != nil || !settled {
		t.Errorf("a build of no Pipeline: %v, %v", settled, err)
	}
}

func TestWhoPressedAButton(t *testing.T) {
	s, c := pipelinePair(t, jenkinstest.Options{QuietPeriod: 0}, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		_, _ = r.Input(ctx, jenkinstest.Input{Step: "1", Message: "wait"}) // the test stops it
		return jenkinstest.Success
	})
	run(t, c, "d1")
	until(t, c, "d1", 0, func(b jenkins.Build) bool { return b.Building })
	p, err := c.Press(t.Context(), job, 1)
	if err != nil {
		t.Fatal(err)
	}
	if p.User != "admin" || p.Parameters[jenkins.DeploymentParam] != "d1" || !p.Building || !strings.Contains(p.Started, "admin") {
		t.Errorf("press = %+v", p)
	}
	_, err = c.Press(t.Context(), job, 7)
	wantError(t, err, jenkins.ErrNotFound)
	s.SetQuiet(true) // two requests become one build
	other := client(t, s.URL, "admin", "admin-token")
	for _, one := range []*jenkins.Controller{c, other} {
		run(t, one, "d2")
	}
	s.SetQuiet(false)
	until(t, c, "d2", 0, func(b jenkins.Build) bool { return b.Building })
	if p, err = c.Press(t.Context(), job, 2); err != nil || p.User != "" {
		t.Errorf("two requests in one build are a press of %q (%v); expected of nobody", p.User, err)
	}
}

func TestLinksToButtonsStandBelowTheDescription(t *testing.T) {
	got := jenkins.ButtonLinks("https://ci.example.org/jenkins/job/deliver/job/hotel-api/7/", "rail yard", "hotel-api-7.2", []string{"Resume", "Rollback"})
	want := "\nResume: https://ci.example.org/jenkins/job/rail%20yard/job/Resume/parambuild/?COACH=hotel-api-7.2" +
		"\nRollback: https://ci.example.org/jenkins/job/rail%20yard/job/Rollback/parambuild/?COACH=hotel-api-7.2"
	if got != want {
		t.Errorf("links:%s\nexpected:%s", got, want)
	}
	if got := jenkins.ButtonLinks("", "railyard", "c", []string{"Resume"}); got != "" {
		t.Errorf("links of a Jenkins without a root URL: %q", got)
	}
}

func TestAWakeUpWhoseReplyIsLostIsRepeated(t *testing.T) {
	var cut atomic.Bool
	lose := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/proceedEmpty") && cut.CompareAndSwap(true, false) {
				next.ServeHTTP(httptest.NewRecorder(), r) // it is done, and nobody hears of it
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	}
	_, c := pipelinePair(t, jenkinstest.Options{Middleware: lose}, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		for _, id := range []string{"railyard-3", "railyard-4"} {
			if _, err := r.Input(ctx, jenkinstest.Input{Step: id, ID: id, Message: "?"}); err != nil {
				return jenkinstest.Aborted
			}
		}
		return jenkinstest.Success
	})
	run(t, c, "d1")
	eventually(t, "the first input", func() bool {
		pending, err := c.Inputs(t.Context(), job, 1)
		return err == nil && len(pending) == 1
	})
	cut.Store(true)
	if settled, err := c.Wake(t.Context(), job, 1, "4"); err == nil || settled {
		t.Fatalf("a lost reply is %v, %v; expected an error", settled, err)
	}
	eventually(t, "the build that has seen milepost 4", func() bool {
		settled, err := c.Wake(t.Context(), job, 1, "4")
		return err == nil && settled
	})
	if b := until(t, c, "d1", 0, func(b jenkins.Build) bool { return b.Number > 0 }); b.Done() {
		t.Errorf("the build was woken twice and ended %s; at milepost 4 it had to go on waiting", b.Result)
	}
}
