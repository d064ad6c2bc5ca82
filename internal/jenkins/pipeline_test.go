package jenkins_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

// pipelineXML is a Pipeline job with the deployment id as its only parameter.
const pipelineXML = `<flow-definition><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>RAILYARD_DEPLOYMENT</name></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>
<definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>x</script></definition></flow-definition>`

// pipelinePair is a stand-in whose builds of the Pipeline job are f, and a client.
func pipelinePair(t *testing.T, o jenkinstest.Options, f jenkinstest.EngineFunc) (*jenkinstest.Server, *jenkins.Controller) {
	t.Helper()
	o.Engine = f
	s := start(t, o)
	if err := s.CreateJob(job, []byte(pipelineXML)); err != nil {
		t.Fatal(err)
	}
	return s, client(t, s.URL, "admin", "admin-token")
}

func run(t *testing.T, c *jenkins.Controller, deployment string) {
	t.Helper()
	if _, err := c.Trigger(t.Context(), job, map[string]string{jenkins.DeploymentParam: deployment}); err != nil {
		t.Fatal(err)
	}
}

// inputs waits until build 1 asks something.
func inputs(t *testing.T, c *jenkins.Controller) []jenkins.Input {
	t.Helper()
	var all []jenkins.Input
	eventually(t, "an input", func() bool {
		var err error
		all, err = c.Inputs(t.Context(), job, 1)
		return err == nil && len(all) > 0
	})
	return all
}

// asking is a Pipeline that waits for one input and prints its answer.
func asking(parameters ...jenkinstest.Parameter) jenkinstest.EngineFunc {
	return func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		a, err := r.Input(ctx, jenkinstest.Input{Step: "1", ID: "deploy", Message: "Deploy?", Parameters: parameters})
		if err != nil {
			fmt.Fprintln(r, err)
			return jenkinstest.Aborted
		}
		fmt.Fprintf(r, "answer %v\n", a.Values)
		return jenkinstest.Success
	}
}

var twoParameters = []jenkinstest.Parameter{
	{Kind: "choice", Name: "WHERE", Choices: []string{"fat", "uat"}}, {Kind: "boolean", Name: "SURE", Default: "true"}, {Kind: "string", Name: "WHY", Default: "because"},
}

func TestInputsAreAnswered(t *testing.T) {
	cases := []struct {
		name       string
		parameters []jenkinstest.Parameter
		values     map[string]any
		says       string
	}{
		{"parameters are given", twoParameters, map[string]any{"WHERE": "uat", "SURE": false, "WHY": "x"}, "answer map[SURE:false WHERE:uat WHY:x]"},
		{"what is left out gets the default that Jenkins would not give it", twoParameters, map[string]any{"WHERE": "uat"}, "answer map[SURE:true WHERE:uat WHY:because]"},
		{"an input without parameters", nil, nil, "answer map[]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, ctl := pipelinePair(t, jenkinstest.Options{ContextPath: "/jenkins"}, asking(c.parameters...))
			run(t, ctl, "d1")
			in := inputs(t, ctl)[0]
			if in.ID != "Deploy" || in.Message != "Deploy?" || len(in.Parameters) != len(c.parameters) {
				t.Errorf("input = %+v", in)
			}
			if b := until(t, ctl, "d1", 0, func(b jenkins.Build) bool { return b.Building }); b.Done() {
				t.Errorf("a build that waits is done: %+v", b)
			}
			if err := ctl.Proceed(t.Context(), job, 1, in.ID, c.values); err != nil {
				t.Fatal(err)
			}
			until(t, ctl, "d1", 0, done)
			if text, _, _, _ := ctl.Log(t.Context(), job, 1, 0); !strings.Contains(string(text), c.says) {
				t.Errorf("console = %s\nwant %s", text, c.says)
			}
			wantError(t, ctl.Proceed(t.Context(), job, 1, in.ID, c.values), jenkins.ErrAnswered)
			wantError(t, ctl.Reject(t.Context(), job, 1, in.ID), jenkins.ErrAnswered)
		})
	}
}

func TestARejectedInputAbortsTheBuild(t *testing.T) {
	_, ctl := pipelinePair(t, jenkinstest.Options{}, asking())
	run(t, ctl, "d1")
	if err := ctl.Reject(t.Context(), job, 1, inputs(t, ctl)[0].ID); err != nil {
		t.Fatal(err)
	}
	if b := until(t, ctl, "d1", 0, done); b.Result != "ABORTED" {
		t.Errorf("result = %s", b.Result)
	}
}

func TestInputsThatCannotBeAnsweredSayWhatToChange(t *testing.T) {
	users := append(jenkinstest.DefaultUsers(), jenkinstest.User{Name: "guest", Token: "g", Permissions: []string{"Overall/Read", "Job/Read"}})
	cases := []struct {
		name    string
		without []string
		user    []string // name and token
		id      string
		values  map[string]any
		says    string
	}{
		{"the plugin is absent", []string{"pipeline-rest-api"}, []string{"admin", "admin-token"}, "Deploy", nil, "install pipeline-rest-api"},
		{"the user may not answer", nil, []string{"guest", "g"}, "Deploy", nil, "make this user the submitter of the input step"},
		{"a value that is no choice", nil, []string{"admin", "admin-token"}, "Deploy", map[string]any{"WHERE": "prod"}, `"prod" is none of its choices fat, uat`},
		{"a parameter that it does not have", nil, []string{"admin", "admin-token"}, "Deploy", map[string]any{"X": "1"}, "it has no parameter X"},
		{"an id as the step was given it", nil, []string{"admin", "admin-token"}, "deploy", nil, "not pending"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, admin := pipelinePair(t, jenkinstest.Options{Without: c.without, Users: users}, asking(twoParameters...))
			run(t, admin, "d1")
			until(t, admin, "d1", 0, func(b jenkins.Build) bool { return b.Building })
			if c.without == nil {
				inputs(t, admin)
			}
			err := client(t, s.URL, c.user[0], c.user[1]).Proceed(t.Context(), job, 1, c.id, c.values)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), job+" #1") {
				t.Errorf("error = %v, want one with %q", err, c.says)
			}
		})
	}
	t.Run("a freestyle build", func(t *testing.T) {
		_, ctl := pair(t, jenkinstest.Options{}, "true")
		run(t, ctl, "d1")
		until(t, ctl, "d1", 0, done)
		if _, err := ctl.Inputs(t.Context(), job, 1); err == nil || !strings.Contains(err.Error(), "it is no Pipeline") {
			t.Errorf("error = %v", err)
		}
	})
}

func TestARunningPipelineWithAResultIsNotDone(t *testing.T) {
	proceed := make(chan struct{})
	_, ctl := pipelinePair(t, jenkinstest.Options{}, func(_ context.Context, r *jenkinstest.Run) jenkinstest.Result {
		r.SetResult(jenkinstest.Unstable)
		<-proceed
		return jenkinstest.Failure
	})
	run(t, ctl, "d1")
	if b := until(t, ctl, "d1", 0, func(b jenkins.Build) bool { return b.Result != "" }); b.Result != "UNSTABLE" || b.Done() {
		t.Errorf("running = %+v, want UNSTABLE and not done", b)
	}
	close(proceed)
	if b := until(t, ctl, "d1", 0, done); b.Result != "FAILURE" {
		t.Errorf("result = %s, want the worse one", b.Result)
	}
}

func TestAPipelineIsFollowedThroughARestart(t *testing.T) {
	s, ctl := pipelinePair(t, jenkinstest.Options{}, asking())
	run(t, ctl, "d1")
	in := inputs(t, ctl)[0]
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if b := until(t, ctl, "d1", 0, func(jenkins.Build) bool { return true }); !b.Building || b.Done() {
		t.Errorf("after the restart = %+v, want it running", b)
	}
	inputs(t, ctl)
	if err := ctl.Proceed(t.Context(), job, 1, in.ID, nil); err != nil {
		t.Fatal(err)
	}
	if b := until(t, ctl, "d1", 0, done); b.Result != "SUCCESS" || b.Number != 1 {
		t.Errorf("end = %+v", b)
	}
}

func TestRenameKeepsTheDescriptionAndKeepTogglesOnlyWhatDiffers(t *testing.T) {
	var toggles int
	_, ctl := pair(t, jenkinstest.Options{Middleware: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/toggleLogKeep") {
				toggles++
			}
			next.ServeHTTP(w, r)
		})
	}}, "true")
	run(t, ctl, "d1")
	until(t, ctl, "d1", 0, done)
	for _, step := range []error{
		ctl.Describe(t.Context(), job, 1, "größer"), ctl.Rename(t.Context(), job, 1, "hotel-api 1.2"),
		ctl.Keep(t.Context(), job, 1, true), ctl.Keep(t.Context(), job, 1, true),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if b := until(t, ctl, "d1", 0, done); b.Description != "größer" || b.Name != "hotel-api 1.2" || !b.Kept {
		t.Errorf("build = %+v", b)
	}
	if toggles != 1 {
		t.Errorf("%d toggles, want 1", toggles)
	}
	if err := ctl.Keep(t.Context(), job, 1, false); err != nil {
		t.Fatal(err)
	}
	if b := until(t, ctl, "d1", 0, done); b.Kept {
		t.Error("still kept")
	}
}

func TestAConsoleIsFollowedToItsEndThroughARestart(t *testing.T) {
	begun := make(chan struct{}, 2)
	s, ctl := pipelinePair(t, jenkinstest.Options{}, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		if !r.Resumed {
			fmt.Fprintln(r, "first line")
		}
		begun <- struct{}{}
		if !r.Resumed {
			<-ctx.Done()
			return ""
		}
		fmt.Fprintln(r, "last line")
		return jenkinstest.Success
	})
	run(t, ctl, "d1")
	<-begun
	var text bytes.Buffer
	end := make(chan error, 1)
	go func() {
		_, err := ctl.Console(t.Context(), job, 1, 0, &text)
		end <- err
	}()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	for _, once := range []string{"Started by user admin\n", "first line\n", "Resuming build at", "last line\n", "Finished: SUCCESS\n"} {
		if strings.Count(text.String(), once) != 1 {
			t.Errorf("%q is there %d times, want once:\n%s", once, strings.Count(text.String(), once), text.String())
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := ctl.Console(ctx, job, 1, 0, &text); err == nil {
		t.Error("a cancelled follow has no error")
	}
}

func TestMultibranchJobsAreNamedAsJenkinsNamesThem(t *testing.T) {
	var paths []string
	s := start(t, jenkinstest.Options{Middleware: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			paths = append(paths, r.URL.EscapedPath())
			next.ServeHTTP(w, r)
		})
	}})
	ctl := client(t, s.URL, "admin", "admin-token")
	_, err := ctl.Find(t.Context(), jenkins.Ask{Job: "repo/feature%2Fx", Deployment: "d1"})
	wantError(t, err, jenkins.ErrNotFound)
	if all := strings.Join(paths, " "); !strings.Contains(all, "/job/repo/job/feature%252Fx/api/json") {
		t.Errorf("asked %s", all)
	}
}

func TestAMissingPluginIsNamed(t *testing.T) {
	s := start(t, jenkinstest.Options{Without: []string{"workflow-job"}})
	_, err := client(t, s.URL, "admin", "admin-token").EnsureJob(t.Context(), "x", []byte(pipelineXML))
	var refused *jenkins.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "install “Pipeline” (workflow-aggregator)") {
		t.Errorf("error = %v", err)
	}
}

func TestANodeStepWaitsInTheQueueAndIsNoBuild(t *testing.T) {
	proceed := make(chan struct{})
	s, ctl := pipelinePair(t, jenkinstest.Options{Executors: 1}, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		n, err := r.Node(ctx)
		if err != nil {
			return jenkinstest.Aborted
		}
		defer n.Release()
		<-proceed
		return jenkinstest.Success
	})
	run(t, ctl, "d1")
	run(t, ctl, "d2")
	eventually(t, "the second node step in the queue", func() bool { return queued(t, s) == 1 })
	builds, err := ctl.Poll(t.Context(), []string{job})
	if err != nil || len(builds) != 2 || !builds[0].Building || !builds[1].Building {
		t.Errorf("Poll = %+v, %v, want two builds that run", builds, err)
	}
	close(proceed)
	until(t, ctl, "d1", 0, done)
	until(t, ctl, "d2", 0, done)
	if n := queued(t, s); n != 0 {
		t.Errorf("%d items are left in the queue", n)
	}
}
