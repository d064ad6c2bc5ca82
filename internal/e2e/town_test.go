//go:build linux

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/gitserver"
	"railyard/internal/demo/yard"
	"railyard/server/api"
)

// town is a yard in which many pushes are made one after the other.
type town struct {
	*yard.Yard
	pushes map[string]int // application → how often it was pushed; the last push's minor version
}

// branch is the release branch that is pushed to.
const branch = "release/1.0"

// patience bounds whatever a healthy yard does within a few seconds. It is long because the machine may be busy.
const patience = 60 * time.Second

func openTown(t *testing.T, o yard.Options) *town {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the yard did not open in time"))
	defer cancel()
	o.Dir, o.Railyard = shortDir(t), railyard
	y, err := yard.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.Close(); err != nil {
			t.Error(err)
		}
	})
	return &town{Yard: y, pushes: map[string]int{}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until ok, and ends the test with what was last seen when that takes too long.
func eventually(t *testing.T, what string, look func() (seen string, ok bool)) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		seen, ok := look()
		if ok {
			return
		}
		select {
		case <-limit.C:
			t.Fatalf("waited %s for %s; last seen: %s", patience, what, seen)
		case <-tick.C:
		}
	}
}

// change is what a push has besides the next version.
type change struct {
	options apps.Options
	plan    string            // "" = a good one
	files   map[string]string // written over the application's
	branch  string            // "" = branch
}

// push pushes the next version of an application with the real git, and returns the commit.
func (y *town) push(t *testing.T, app string, c change) string {
	t.Helper()
	y.pushes[app]++
	c.options.Version = fmt.Sprintf("1.%d.0", y.pushes[app])
	c.options.Plan = c.plan
	if c.plan == "" {
		c.options.Plan = plan(app, c.options.Version)
	}
	files, err := apps.Source(app, c.options)
	must(t, err)
	files["test.sh"] = "#!/bin/sh\n" // what the applications test themselves is not tested here
	maps.Copy(files, c.files)
	pushed, err := y.Git.Push(t.Context(), gitserver.Change{
		Repository: yard.Repository(app), Branch: cmp.Or(c.branch, branch), Author: "developer", Message: app + " " + c.options.Version, Files: files,
	})
	must(t, err)
	return pushed.Commit
}

func plan(app, version string) string {
	return fmt.Sprintf("project: %s\nsbu: hotel\nowner: %s-team\napps: [%s]\nversion: %s\n"+
		"rollback: {to: previous, who: [release-engineer]}\n", app, app, app, version)
}

// deliver pushes the next version and returns its Coach.
func (y *town) deliver(t *testing.T, app string, c change) api.Coach {
	t.Helper()
	return y.coachOf(t, app, y.push(t, app, c))
}

// coachOf waits until the commit is a Coach.
func (y *town) coachOf(t *testing.T, project, commit string) (coach api.Coach) {
	t.Helper()
	eventually(t, "a Coach of commit "+commit, func() (string, bool) {
		all := y.coaches(t, project)
		for _, c := range all {
			if c.Commit == commit {
				coach = c
				return "", true
			}
		}
		return fmt.Sprintf("%d others", len(all)), false
	})
	return coach
}

func (y *town) coaches(t *testing.T, project string) []api.Coach {
	t.Helper()
	answer, err := y.API.ListCoachesWithResponse(t.Context(), &api.ListCoachesParams{Project: &project})
	must(t, err)
	if answer.JSON200 == nil {
		t.Fatalf("list coaches: %s", answer.Body)
	}
	return *answer.JSON200
}

func (y *town) coach(t *testing.T, id string) api.Coach {
	t.Helper()
	answer, err := y.API.GetCoachWithResponse(t.Context(), id, &api.GetCoachParams{})
	must(t, err)
	if answer.JSON200 == nil {
		t.Fatalf("get coach %s: %s", id, answer.Body)
	}
	return *answer.JSON200
}

// until waits until something holds of the Coach. A Coach that has ended otherwise ends the wait at once.
func (y *town) until(t *testing.T, id, what string, holds func(api.Coach) bool) (c api.Coach) {
	t.Helper()
	eventually(t, id+": "+what, func() (string, bool) {
		c = y.coach(t, id)
		words := fmt.Sprintf("%s %s: %s", c.State, deref(c.Environment), c.Reason)
		if !holds(c) && c.Ended {
			t.Fatalf("%s: waited for %s, but it has ended: %s", id, what, words)
		}
		return words, holds(c)
	})
	return c
}

// ends waits for the Coach's end and checks its state.
func (y *town) ends(t *testing.T, id, state string) api.Coach {
	t.Helper()
	c := y.until(t, id, "its end", func(c api.Coach) bool { return c.Ended })
	if c.State != state {
		t.Fatalf("%s ended %s (%s), expected %s", id, c.State, c.Reason, state)
	}
	return c
}

// release pushes the next version and waits until it is released.
func (y *town) release(t *testing.T, app string) api.Coach {
	t.Helper()
	return y.ends(t, y.deliver(t, app, change{}).Id, "released")
}

// untilRoll waits until something holds of the Coach's roll in production.
func (y *town) untilRoll(t *testing.T, coach, what string, holds func(api.Roll) bool) (roll api.Roll) {
	t.Helper()
	y.until(t, coach, what, func(c api.Coach) bool {
		for _, r := range c.Rolls {
			if r.Environment == "PROD" && holds(r) {
				roll = r
				return true
			}
		}
		return false
	})
	return roll
}

func inStage(stage string) func(api.Roll) bool {
	return func(r api.Roll) bool { return r.Stage == stage }
}

// pausedFor waits for a pause of the given cause.
func pausedFor(cause string) func(api.Roll) bool {
	return func(r api.Roll) bool { return r.Pause != nil && r.Pause.Cause == cause }
}

// events are the rows of the log about an object, oldest first.
func (y *town) events(t *testing.T, object string) []api.Event {
	t.Helper()
	limit := 1000
	answer, err := y.API.ListEventsWithResponse(t.Context(), &api.ListEventsParams{Object: &object, Limit: &limit})
	must(t, err)
	if answer.JSON200 == nil {
		t.Fatalf("events of %s: %s", object, answer.Body)
	}
	return *answer.JSON200
}

// run runs the railyard command line as a person ("" = the release engineer).
func (y *town) run(t *testing.T, person string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, railyard, args...)
	cmd.Env = []string{"RAILYARD_URL=" + y.URL, "RAILYARD_TOKEN_FILE=" + y.TokenFile(person)}
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// orders runs a command that has to succeed, and returns what it printed.
func (y *town) orders(t *testing.T, args ...string) string {
	t.Helper()
	out, code := y.run(t, "", args...)
	if code != 0 {
		t.Fatalf("railyard %s: exit code %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

// jenkinsBuild is a build as Jenkins shows it.
type jenkinsBuild struct {
	Number      int64  `json:"number"`
	Building    bool   `json:"building"`
	Result      string `json:"result"` // not the last word while Building
	Description string `json:"description"`
	Actions     []struct {
		Parameters []struct{ Name, Value string } `json:"parameters"`
	} `json:"actions"`
}

// builds asks Jenkins for all builds of an application's job, by deployment id.
func (y *town) builds(t *testing.T, app string) map[string][]jenkinsBuild {
	t.Helper()
	return buildsOf(t, y.Jenkins.URL+"/job/deliver/job/"+app)
}

// buildsOf asks Jenkins for all builds of the job at an address, by deployment id.
func buildsOf(t *testing.T, job string) map[string][]jenkinsBuild {
	t.Helper()
	var j struct {
		AllBuilds []jenkinsBuild `json:"allBuilds"`
	}
	get(t, job+"/api/json?tree=allBuilds[number,building,result,description,actions[parameters[name,value]]]", &j)
	all := map[string][]jenkinsBuild{}
	for _, b := range j.AllBuilds {
		for _, a := range b.Actions {
			for _, p := range a.Parameters {
				if p.Name == "RAILYARD_DEPLOYMENT" {
					all[p.Value] = append(all[p.Value], b)
				}
			}
		}
	}
	return all
}

// builtOnce checks that Jenkins has built the Coach's one deployment exactly once, and returns the build.
func (y *town) builtOnce(t *testing.T, c api.Coach) jenkinsBuild {
	t.Helper()
	if len(c.Builds) != 1 {
		t.Fatalf("%s has %d deployments, expected one", c.Id, len(c.Builds))
	}
	builds := y.builds(t, c.Builds[0].App)[c.Builds[0].Deployment]
	if len(builds) != 1 {
		t.Fatalf("%s was built %d times, expected once: %+v", c.Builds[0].Deployment, len(builds), builds)
	}
	return builds[0]
}

// buildEnds waits for the end of the Coach's one build.
func (y *town) buildEnds(t *testing.T, c api.Coach) (b jenkinsBuild) {
	t.Helper()
	eventually(t, "the end of the build of "+c.Id, func() (string, bool) {
		b = y.builtOnce(t, c)
		return "it runs", !b.Building && b.Result != ""
	})
	return b
}

// console is what the build of a Coach wrote.
func (y *town) console(t *testing.T, c api.Coach) string {
	t.Helper()
	answer, err := http.Get(deref(c.Builds[0].Url) + "consoleText")
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return string(text)
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer answer.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(answer.Body)
	must(t, err)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", url, answer.Status, body.String())
	}
	must(t, json.Unmarshal(body.Bytes(), into))
}

// noVisitorFailed checks that no request failed from a moment until now, and that there were some.
func (y *town) noVisitorFailed(t *testing.T, from time.Time) {
	t.Helper()
	to := time.Now()
	// The counters of a second are complete when there are some of a later one.
	eventually(t, "visitors", func() (string, bool) {
		return "none", y.Load.Window(to.Add(time.Second), to.Add(time.Minute)).Requests > 0
	})
	totals := y.Load.Window(from.Add(time.Second), to) // what failed before may be of the same second
	if totals.Requests == 0 || totals.Failed > 0 {
		failures := y.Load.Failures()
		t.Errorf("%d of %d requests failed, expected none of many; the last: %+v", totals.Failed, totals.Requests, failures[max(0, len(failures)-5):])
	}
}

// tell shows, of a failure, what the service said last: its log and the event log.
func (y *town) tell(t *testing.T) {
	t.Helper()
	text, _ := os.ReadFile(y.Dir + "/railyard.log") // best effort
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	t.Logf("the service's log ends with:\n%s", strings.Join(lines[max(0, len(lines)-15):], "\n"))
	limit := 60
	answer, err := y.API.ListEventsWithResponse(t.Context(), &api.ListEventsParams{Limit: &limit})
	if err != nil || answer.JSON200 == nil {
		return
	}
	var rows strings.Builder
	for _, e := range *answer.JSON200 {
		fmt.Fprintf(&rows, "%s %s %s %s %s→%s %s: %s\n", e.At.Format("05.000"), e.Actor, e.Object, e.What, deref(e.From), deref(e.To), deref(e.Server), e.Why)
	}
	t.Logf("the event log ends with:\n%s", rows.String())
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
