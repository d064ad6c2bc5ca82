package jenkins_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

// loseReplies lets requests through and cuts the connection in place of the answer.
func loseReplies(lose func(*http.Request) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !lose(r) {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(httptest.NewRecorder(), r)
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				conn.Close()
			}
		})
	}
}

func isTrigger(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/buildWithParameters") }

func TestALostReplyIsReconciledByFind(t *testing.T) {
	for name, quiet := range map[string]bool{"while it is queued": true, "while it is built": false} {
		t.Run(name, func(t *testing.T) {
			s, ctl := pair(t, jenkinstest.Options{Middleware: loseReplies(isTrigger)}, "true")
			s.SetQuiet(quiet)
			_, err := ctl.Trigger(t.Context(), job, map[string]string{jenkins.DeploymentParam: "d1"})
			wantError(t, err, jenkins.ErrUnreachable)
			b, err := ctl.Find(t.Context(), jenkins.Ask{Job: job, Deployment: "d1"})
			if err != nil || b.QueueID == 0 || b.Queued != quiet {
				t.Fatalf("Find = %+v, %v, want the build that the lost reply was about", b, err)
			}
			s.SetQuiet(false)
			if b := until(t, ctl, "d1", 0, done); b.Number != 1 {
				t.Errorf("build = %+v, want the first", b)
			}
		})
	}
}

func TestARequestThatNeverArrivedIsNotFound(t *testing.T) {
	_, ctl := pair(t, jenkinstest.Options{Middleware: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isTrigger(r) {
				next.ServeHTTP(w, r)
			} else if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				conn.Close()
			}
		})
	}}, "true")
	_, err := ctl.Trigger(t.Context(), job, map[string]string{jenkins.DeploymentParam: "d1"})
	wantError(t, err, jenkins.ErrUnreachable)
	_, err = ctl.Find(t.Context(), jenkins.Ask{Job: job, Deployment: "d1"})
	wantError(t, err, jenkins.ErrNotFound)
}

func TestTriggerNeverRepeatsItself(t *testing.T) {
	var triggers atomic.Int64
	_, ctl := pair(t, jenkinstest.Options{Middleware: loseReplies(func(r *http.Request) bool {
		if isTrigger(r) {
			triggers.Add(1)
		}
		return isTrigger(r)
	})}, "true")
	_, err := ctl.Trigger(t.Context(), job, map[string]string{jenkins.DeploymentParam: "d1"})
	wantError(t, err, jenkins.ErrUnreachable)
	if n := triggers.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestFindSeesABuildThatHasLeftTheQueueAndDoesNotExistYet(t *testing.T) {
	left, create := make(chan int64), make(chan struct{})
	looked := make(chan struct{}, 10) // a look at the builds has been answered
	_, ctl := pair(t, jenkinstest.Options{
		BeforeExecutable: func(id int64) {
			left <- id
			<-create
		},
		Middleware: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				if strings.HasPrefix(r.URL.Query().Get("tree"), "allBuilds") {
					looked <- struct{}{}
				}
			})
		},
	}, "true")
	id := trigger(t, ctl, "d1", "")
	<-left
	b, err := ctl.Find(t.Context(), jenkins.Ask{Job: job, Deployment: "d1", QueueID: id})
	if err != nil || b.Number != 0 || b.Done() || !b.Queued {
		t.Errorf("by queue id = %+v, %v, want it on its way", b, err)
	}
	<-looked
	// Without the queue id there is nothing to see, so Find looks again.
	found := make(chan error)
	go func() {
		_, err := ctl.Find(t.Context(), jenkins.Ask{Job: job, Deployment: "d1"})
		found <- err
	}()
	<-looked
	close(create)
	if err := <-found; err != nil {
		t.Errorf("without queue id: %v", err)
	}
}

func TestOfTwoBuildsOfADeploymentTheFirstIsTheOne(t *testing.T) {
	dir := t.TempDir()
	_, ctl := pair(t, jenkinstest.Options{}, waitForGo)
	first := trigger(t, ctl, "d1", dir)
	eventually(t, "the first build", func() bool { return exists(dir, "begun-d1") })
	if second := trigger(t, ctl, "d1", dir); second == first {
		t.Fatal("a running build was coalesced with")
	}
	eventually(t, "the second build", func() bool {
		_, _, _, err := ctl.Log(t.Context(), job, 2, 0)
		return err == nil
	})
	if b := until(t, ctl, "d1", 0, func(jenkins.Build) bool { return true }); b.Number != 1 {
		t.Errorf("Find = #%d, want #1", b.Number)
	}
	builds, err := ctl.Poll(t.Context(), []string{job})
	if err != nil || len(builds) != 1 || builds[0].Number != 1 {
		t.Errorf("Poll = %+v, %v, want #1 only", builds, err)
	}
	touch(t, dir, "go")
	until(t, ctl, "d1", first, done)
}

func TestPollNeedsOneRequestPerJobAndOneForTheQueue(t *testing.T) {
	const running = 120 // more than a page
	var requests atomic.Int64
	dir := t.TempDir()
	s, ctl := pair(t, jenkinstest.Options{Executors: running, Middleware: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			next.ServeHTTP(w, r)
		})
	}}, `while [ ! -e "$DIR/go" ]; do sleep 0.2; done`)
	for i := range running {
		trigger(t, ctl, fmt.Sprintf("d%d", i), dir)
	}
	s.SetQuiet(true)
	trigger(t, ctl, "queued", dir)
	poll := func(ctl *jenkins.Controller) map[string]jenkins.Build {
		t.Helper()
		builds, err := ctl.Poll(t.Context(), []string{job, "absent"})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]jenkins.Build{}
		for _, b := range builds {
			if b.Job != job {
				t.Errorf("build of job %q", b.Job)
			}
			out[b.Deployment] = b
		}
		return out
	}
	eventually(t, "all builds", func() bool { return len(poll(ctl)) == running+1 })
	if n := len(poll(client(t, s.URL, "admin", "admin-token"))); n != running+1 {
		t.Errorf("the first poll of a new client sees %d of %d", n, running+1)
	}
	requests.Store(0)
	state := poll(ctl)
	if n := requests.Load(); n != 3 { // queue, job, absent job
		t.Errorf("%d requests for %d builds, want 3", n, running)
	}
	if q := state["queued"]; !q.Queued || q.Why != "Jenkins is about to shut down" || q.Done() {
		t.Errorf("queued = %+v", q)
	}
	if b := state["d0"]; !b.Building || b.Done() {
		t.Errorf("oldest = %+v, want it running", b)
	}
	touch(t, dir, "go")
	eventually(t, "all results", func() bool {
		state := poll(ctl)
		for i := range running {
			if state[fmt.Sprintf("d%d", i)].Result != "SUCCESS" {
				return false
			}
		}
		return true
	})
}

// scripted answers GETs of api/json with fixed texts.
func scripted(t *testing.T, queue, builds string) *jenkins.Controller {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		out := bufio.NewWriter(w)
		defer out.Flush()
		if strings.HasPrefix(r.URL.Path, "/queue/") {
			fmt.Fprint(out, queue)
			return
		}
		fmt.Fprint(out, builds)
	}))
	t.Cleanup(srv.Close)
	return client(t, srv.URL, "u", "t")
}

func TestDone(t *testing.T) {
	const action = `"actions":[{},{"parameters":[{"name":"RAILYARD_DEPLOYMENT","value":"d1"}]}]`
	cases := []struct {
		name, build string
		done        bool
	}{
		{"a result while it is building is not final", `{"number":7,"building":true,"inProgress":true,"result":"UNSTABLE",` + action + `}`, false},
		{"a build that is finishing is not done", `{"number":7,"building":false,"inProgress":true,"result":"SUCCESS",` + action + `}`, false},
		{"not building without a result is not done", `{"number":7,"building":false,"result":null,` + action + `}`, false},
		{"not building with a result is done", `{"number":7,"building":false,"inProgress":false,"result":"FAILURE",` + action + `}`, true},
		{"versions without inProgress are understood", `{"number":7,"building":false,"result":"SUCCESS","queueId":-1,` + action + `}`, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctl := scripted(t, `{"items":[]}`, `{"allBuilds":[`+c.build+`]}`)
			b, err := ctl.Find(t.Context(), jenkins.Ask{Job: "j", Deployment: "d1"})
			if err != nil || b.Done() != c.done || b.Number != 7 || b.QueueID != 0 {
				t.Errorf("build = %+v, %v, want Done %v", b, err, c.done)
			}
		})
	}
}

func TestPollOfOneBrokenJobStillTellsOfTheOthers(t *testing.T) {
	s, ctl := pair(t, jenkinstest.Options{Middleware: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/job/broken/") {
				http.Error(w, "<h1>Oops!</h1>", http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	}}, "true")
	if err := s.CreateJob("broken", jobXML("true")); err != nil {
		t.Fatal(err)
	}
	id := trigger(t, ctl, "d1", "")
	until(t, ctl, "d1", id, done)
	builds, err := ctl.Poll(t.Context(), []string{"broken", job})
	if len(builds) != 1 || builds[0].Deployment != "d1" {
		t.Errorf("builds = %+v, want d1", builds)
	}
	var refused *jenkins.RefusedError
	if !errors.As(err, &refused) || refused.Status != 500 || !strings.Contains(err.Error(), "poll broken") || jenkins.IsRefusal(err) {
		t.Errorf("error = %v, want the 500 of the broken job, not taken for a refusal", err)
	}
}

func TestTheResultIsThatOfTheBuildThatWorkedHoweverFarDownItIs(t *testing.T) {
	_, ctl := pipelinePair(t, jenkinstest.Options{}, func(_ context.Context, r *jenkinstest.Run) jenkinstest.Result {
		if d := r.Env["RAILYARD_DEPLOYMENT"]; d == "twice" && r.Number > 1 || d == "superseded" {
			return jenkinstest.NotBuilt
		}
		return jenkinstest.Success
	})
	run(t, ctl, "twice")
	until(t, ctl, "twice", 0, done)
	for i := range 70 {
		run(t, ctl, fmt.Sprintf("d%d", i))
	}
	eventually(t, "all of them", func() bool {
		builds, err := ctl.Poll(t.Context(), []string{job})
		return err == nil && len(builds) > 0 && !slices.ContainsFunc(builds, func(b jenkins.Build) bool { return !b.Done() })
	})
	run(t, ctl, "twice")
	run(t, ctl, "superseded")
	until(t, ctl, "superseded", 0, done)
	eventually(t, "the duplicate's end", func() bool {
		_, _, more, err := ctl.Log(t.Context(), job, 72, 0)
		return err == nil && !more
	})
	for range 2 {
		results := map[string]string{}
		builds, err := ctl.Poll(t.Context(), []string{job})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range builds {
			results[b.Deployment] = b.Result
		}
		if results["twice"] != "SUCCESS" || results["superseded"] != "NOT_BUILT" {
			t.Errorf("Poll = %v, %v, want SUCCESS and NOT_BUILT", results["twice"], results["superseded"])
		}
	}
	if b := until(t, ctl, "twice", 0, done); b.Number != 1 || b.Result != "SUCCESS" {
		t.Errorf("Find = %+v, want the first build", b)
	}
}
