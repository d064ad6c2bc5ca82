package jenkins_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

// ledger is what Railyard's database is to the builds: it lets one build of a
// deployment work.
type ledger struct {
	mu    sync.Mutex
	build map[string]int64 // deployment → number
}

// begin tells whether the build is the one of its deployment; it may ask again.
func (l *ledger) begin(deployment string, number int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.build[deployment] == 0 {
		l.build[deployment] = number
	}
	return l.build[deployment] == number
}

// wantedResult is what the build of a deployment ends with.
func wantedResult(deployment string) jenkinstest.Result {
	all := []jenkinstest.Result{jenkinstest.Success, jenkinstest.Failure, jenkinstest.Unstable}
	return all[int(deployment[len(deployment)-1])%len(all)]
}

// begins is a Pipeline that begins as the shipped ones do: it asks whether it is
// the one, and ends NOT_BUILT if not.
func (l *ledger) begins(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
	if ctx.Err() != nil {
		return jenkinstest.Aborted
	}
	deployment := r.Env["RAILYARD_DEPLOYMENT"]
	if !l.begin(deployment, r.Number) {
		return jenkinstest.NotBuilt
	}
	return wantedResult(deployment)
}

const apps = 10 // that the deployments are of

func jobOf(deployment string) string { return "deliver/app" + deployment[len(deployment)-1:] }

// TestFiveHundredTriggersEachBuiltOnce: whatever happens to the connection, the
// queue, the sessions and the controller itself, every deployment is built once,
// duplicates end NOT_BUILT, and the result that is reported is the right one.
func TestFiveHundredTriggersEachBuiltOnce(t *testing.T) {
	const deployments = 500
	l := &ledger{build: map[string]int64{}}
	home := t.TempDir()
	o := jenkinstest.Options{Dir: home, Engine: jenkinstest.EngineFunc(l.begins)}
	s := start(t, o)
	for i := range apps {
		if err := s.CreateJob(fmt.Sprintf("deliver/app%d", i), []byte(pipelineXML)); err != nil {
			t.Fatal(err)
		}
	}
	o.Addr = strings.TrimPrefix(s.URL, "http://")
	proxy := newFaultProxy(t, o.Addr)
	ctl := client(t, proxy.url, "admin", "admin-password") // a session and a crumb, which a restart takes away
	ctl.SetSettle(20 * time.Millisecond)

	f := &follower{t: t, ctl: ctl, wanted: map[string]int64{}, results: map[string]string{}}
	mishaps := []func(){
		func() { must(t, s.Restart()) },
		func() { // kill -9
			must(t, s.Crash())
			s = start(t, o)
		},
		func() { // kill -9, and the queue is lost with everything in it
			s.SetQuiet(true)
			eventually(t, "something in the queue", func() bool { return f.done() || queued(t, s) > 0 })
			must(t, s.Crash())
			must(t, os.Remove(filepath.Join(home, "queue.json")))
			s = start(t, o)
		},
		func() { must(t, s.Restart()) },
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var oneAtATime sync.Mutex
	names := make(chan string)
	for range 16 {
		wg.Go(func() {
			for d := range names {
				f.trigger(ctx, d, 0)
			}
		})
	}
	wg.Go(func() { f.follow(ctx, deployments) })
	for i := range deployments {
		if i > 0 && i%(deployments/(len(mishaps)+1)) == 0 {
			mishap := mishaps[0]
			mishaps = mishaps[1:]
			wg.Go(func() {
				oneAtATime.Lock()
				defer oneAtATime.Unlock()
				mishap()
			})
		}
		names <- fmt.Sprintf("d%d", i)
	}
	close(names)
	wg.Wait()
	proxy.late.Wait()

	for i := range cuts {
		if proxy.used[i].Load() == 0 {
			t.Errorf("no trigger was cut %s", cuts[i].name)
		}
	}
	checkBuilds(t, s, f.results, deployments)
}

// checkBuilds looks at every build that there is.
func checkBuilds(t *testing.T, s *jenkinstest.Server, results map[string]string, deployments int) {
	t.Helper()
	worked, duplicates := map[string]string{}, 0
	for _, b := range allBuilds(t, s) {
		switch {
		case b.result == "NOT_BUILT":
			duplicates++
		case worked[b.deployment] != "":
			t.Errorf("%s was built twice", b.deployment)
		default:
			worked[b.deployment] = b.result
		}
	}
	for i := range deployments {
		d := fmt.Sprintf("d%d", i)
		if want := string(wantedResult(d)); worked[d] != want || results[d] != want {
			t.Errorf("%s: built %q, reported %q, want %q", d, worked[d], results[d], want)
		}
	}
	t.Logf("%d builds worked, %d duplicates ended NOT_BUILT", len(worked), duplicates)
}

// follower asks for builds and follows them, as the worker of the pipeline does:
// a deployment whose trigger has an unknown end, or that Jenkins does not show
// any more, is looked for before it is triggered again.
type follower struct {
	t   *testing.T
	ctl *jenkins.Controller

	mu      sync.Mutex
	wanted  map[string]int64  // deployment → queue id, of those that have no result yet
	results map[string]string // deployment → result
}

// trigger asks for a deployment until Jenkins has it.
func (f *follower) trigger(ctx context.Context, d string, queueID int64) {
	for known := queueID == 0; ctx.Err() == nil; known = false {
		if !known {
			b, err := f.ctl.Find(ctx, jenkins.Ask{Job: jobOf(d), Deployment: d, QueueID: queueID})
			if err == nil {
				f.note(d, b.QueueID)
				return
			}
			if !errors.Is(err, jenkins.ErrNotFound) {
				f.patient(ctx, err)
				continue
			}
		}
		id, err := f.ctl.Trigger(ctx, jobOf(d), map[string]string{jenkins.DeploymentParam: d})
		if err == nil {
			f.note(d, id)
			return
		}
		f.patient(ctx, err)
	}
}

// patient fails the test for anything but a Jenkins that is away.
func (f *follower) patient(ctx context.Context, err error) {
	select {
	case <-time.After(5 * time.Millisecond): // or it would ask a Jenkins that is away without end
	case <-ctx.Done():
	}
	if !errors.Is(err, jenkins.ErrUnreachable) && !errors.Is(err, context.DeadlineExceeded) {
		f.t.Errorf("%v, want nothing but ErrUnreachable", err)
	}
}

func (f *follower) note(d string, queueID int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted[d] = queueID
}

// follow polls until so many deployments have a result.
func (f *follower) follow(ctx context.Context, deployments int) {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	var jobs []string
	for i := range apps {
		jobs = append(jobs, fmt.Sprintf("deliver/app%d", i))
	}
	for ctx.Err() == nil {
		builds, err := f.ctl.Poll(ctx, jobs)
		if err == nil {
			for _, d := range f.learn(builds) {
				f.look(ctx, d)
			}
		}
		f.mu.Lock()
		n := len(f.results)
		f.mu.Unlock()
		if n == deployments {
			return
		}
		<-tick.C
	}
	f.t.Error("not every deployment has a result in time")
}

// learn takes results in and returns the deployments that a complete poll does not show.
func (f *follower) learn(builds []jenkins.Build) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	shown := map[string]bool{}
	for _, b := range builds {
		shown[b.Deployment] = true
		if _, wanted := f.wanted[b.Deployment]; wanted && b.Done() {
			f.results[b.Deployment] = b.Result
			delete(f.wanted, b.Deployment)
		}
	}
	var missing []string
	for d := range f.wanted {
		if !shown[d] {
			missing = append(missing, d)
		}
	}
	return missing
}

// look looks for one deployment, and triggers it again when it is lost.
func (f *follower) look(ctx context.Context, d string) {
	f.mu.Lock()
	queueID := f.wanted[d]
	f.mu.Unlock()
	b, err := f.ctl.Find(ctx, jenkins.Ask{Job: jobOf(d), Deployment: d, QueueID: queueID})
	switch {
	case errors.Is(err, jenkins.ErrNotFound):
		f.trigger(ctx, d, queueID)
	case err == nil:
		f.learn([]jenkins.Build{b})
	}
}

func (f *follower) done() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.wanted) == 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

type seenBuild struct{ deployment, result string }

// ask reads JSON from the stand-in itself, without proxy and client.
func ask(t *testing.T, s *jenkinstest.Server, path string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("admin", "admin-token")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return // it is away
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Error(err)
		}
	}
}

func queued(t *testing.T, s *jenkinstest.Server) int {
	var q struct{ Items []any }
	ask(t, s, "/queue/api/json", &q)
	return len(q.Items)
}

// allBuilds waits until nothing is queued or running and returns every build.
func allBuilds(t *testing.T, s *jenkinstest.Server) []seenBuild {
	t.Helper()
	type build struct {
		InProgress bool
		Result     string
		Actions    []struct {
			Parameters []struct{ Name, Value string }
		}
	}
	var builds []build
	eventually(t, "an idle Jenkins", func() bool {
		var folder struct{ Jobs []struct{ AllBuilds []build } }
		ask(t, s, "/job/deliver/api/json?tree=jobs[allBuilds[inProgress,result,actions[parameters[name,value]]]]", &folder)
		builds = nil
		for _, j := range folder.Jobs {
			builds = append(builds, j.AllBuilds...)
		}
		return !slices.ContainsFunc(builds, func(b build) bool { return b.InProgress }) && queued(t, s) == 0
	})
	var out []seenBuild
	for _, b := range builds {
		for _, a := range b.Actions {
			for _, p := range a.Parameters {
				if p.Name == jenkins.DeploymentParam {
					out = append(out, seenBuild{p.Value, b.Result})
				}
			}
		}
	}
	return out
}
