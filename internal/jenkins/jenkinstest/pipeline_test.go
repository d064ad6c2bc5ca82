package jenkinstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"railyard/internal/jenkins/jenkinstest"
)

// pipelineXML is a Pipeline job with its script in it.
func pipelineXML(script, properties string) []byte {
	return fmt.Appendf(nil, `<flow-definition><properties>%s</properties><definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>%s</script><sandbox>true</sandbox></definition></flow-definition>`, properties, script)
}

// withPipeline is a stand-in with one Pipeline job p whose builds are f.
func withPipeline(t *testing.T, o jenkinstest.Options, f jenkinstest.EngineFunc) *jenkinstest.Server {
	t.Helper()
	o.Engine = f
	s := start(t, o)
	create(t, s, "p", pipelineXML("the script", ""))
	return s
}

func build(t *testing.T, s *jenkinstest.Server) {
	t.Helper()
	if a := post(t, s, "/job/p/build"); a.status != http.StatusCreated {
		t.Fatalf("build = %d: %.300s", a.status, a.body)
	}
}

func list(t *testing.T, s *jenkinstest.Server, path string) []map[string]any {
	t.Helper()
	a := get(t, s, path)
	var o []map[string]any
	if err := json.Unmarshal([]byte(a.body), &o); a.status != http.StatusOK || err != nil {
		t.Fatalf("GET %s = %d, %v: %.300s", path, a.status, err, a.body)
	}
	return o
}

// asks waits until build 1 of p has a pending input.
func asks(t *testing.T, s *jenkinstest.Server) map[string]any {
	t.Helper()
	var all []map[string]any
	eventually(t, "a pending input", func() bool {
		if get(t, s, "/job/p/1/api/json").status != http.StatusOK {
			return false
		}
		all = list(t, s, "/job/p/1/wfapi/pendingInputActions")
		return len(all) == 1
	})
	return all[0]
}

func TestAPipelineShowsItsStagesAndItsResultWhileItRuns(t *testing.T) {
	proceed := make(chan struct{})
	s := withPipeline(t, jenkinstest.Options{ContextPath: "/jenkins"}, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		if r.Script != "the script" || r.Env["JOB_NAME"] != "p" || r.Env["BUILD_NUMBER"] != "1" || r.Env["WORKSPACE"] != "" {
			t.Errorf("run = %q, %v", r.Script, r.Env)
		}
		first := r.Stage("Compile")
		step := first.Step("Shell Script", "make")
		fmt.Fprintln(step, "compiling")
		step.End(nil)
		first.End(nil)
		second := r.Stage("Deploy")
		r.SetResult(jenkinstest.Unstable)
		r.SetDescription("half way")
		<-proceed
		second.End(errors.New("no such server"))
		return jenkinstest.Failure
	})
	build(t, s)
	eventually(t, "the result of the running build", func() bool {
		return get(t, s, "/job/p/1/api/json").status == 200 && object(t, s, "/job/p/1/api/json")["description"] == "half way"
	})
	b := object(t, s, "/job/p/1/api/json")
	if b["_class"] != "org.jenkinsci.plugins.workflow.job.WorkflowRun" || b["building"] != true || b["result"] != "UNSTABLE" || b["changeSets"] == nil {
		t.Errorf("running build = %v", b)
	}
	run := object(t, s, "/job/p/1/wfapi/describe?fullStages=true")
	if href := run["_links"].(map[string]any)["self"].(map[string]any)["href"]; href != "/jenkins/job/p/1/wfapi/describe" {
		t.Errorf("self = %v, want the path with its context path", href)
	}
	stages := run["stages"].([]any)
	if run["status"] != "IN_PROGRESS" || run["id"] != "1" || len(stages) != 2 || stages[0].(map[string]any)["status"] != "SUCCESS" ||
		stages[1].(map[string]any)["status"] != "IN_PROGRESS" {
		t.Errorf("run = %v", run)
	}
	node := stages[0].(map[string]any)["stageFlowNodes"].([]any)[0].(map[string]any)
	if node["parentNodes"].([]any)[0] != stages[0].(map[string]any)["id"] {
		t.Errorf("parents = %v, want strings", node["parentNodes"])
	}
	if log := object(t, s, fmt.Sprintf("/job/p/1/execution/node/%v/wfapi/log", node["id"])); log["text"] != "compiling\n" {
		t.Errorf("log of the step = %v", log)
	}
	close(proceed)
	if result, console := finished(t, s, "p", 1); result != "FAILURE" || !strings.Contains(console, "compiling\n") {
		t.Errorf("%s\n%s", result, console)
	}
	run = list(t, s, "/job/p/wfapi/runs")[0]
	last := run["stages"].([]any)[1].(map[string]any)
	if run["status"] != "FAILED" || last["status"] != "FAILED" || last["error"].(map[string]any)["message"] != "no such server" {
		t.Errorf("run = %v", run)
	}
}

func TestInput(t *testing.T) {
	users := []jenkinstest.User{
		{Name: "admin", Token: "admin-token", Permissions: []string{"Overall/Administer"}},
		{Name: "railyard", Token: "r", Permissions: []string{"Overall/Read", "Job/Read", "Job/Build"}},
		{Name: "li", Token: "l", Permissions: []string{"Overall/Read", "Job/Read", "Job/Build"}},
	}
	form := func(json string) string { return "json=" + strings.ReplaceAll(json, `"`, "%22") }
	const given = `{"parameter":[{"name":"WHERE","value":"uat"},{"name":"SURE","value":true}]}`
	cases := []struct {
		name, path, user, token, body string
		status                        int
		xError                        string
		says                          string // what the pipeline got
		result                        string
	}{
		{"parameters are given", "input/Deploy/proceed", "railyard", "r", form(given), 200, "", "map[SURE:true WHERE:uat] by railyard", "SUCCESS"},
		{"proceedEmpty gives none, not the defaults", "input/Deploy/proceedEmpty", "railyard", "r", "", 200, "", "map[] by railyard", "SUCCESS"},
		{"what is left out is not defaulted", "input/Deploy/proceed", "railyard", "r", form(`{"parameter":[{"name":"WHERE","value":"uat"}]}`), 200, "", "map[WHERE:uat] by railyard", "SUCCESS"},
		{"wfapi submits too", "wfapi/inputSubmit?inputId=Deploy", "railyard", "r", form(given), 200, "", "map[SURE:true WHERE:uat] by railyard", "SUCCESS"},
		{"an administrator may always", "input/Deploy/proceedEmpty", "admin", "admin-token", "", 200, "", "map[] by admin", "SUCCESS"},
		{"abort rejects", "input/Deploy/abort", "railyard", "r", "", 200, "", "Rejected by railyard", "ABORTED"},
		{"another user is 400 with X-Error", "input/Deploy/proceed", "li", "l", form(given), 400, "You need to be railyard to submit this.", "", ""},
		{"wfapi answers the same with 500", "wfapi/inputSubmit?inputId=Deploy", "li", "l", form(given), 500, "", "", ""},
		{"without json it is 400", "input/Deploy/proceed", "railyard", "r", "", 400, "This page expects a form submission but had only 0 fields", "", ""},
		{"an id is case-sensitive", "input/deploy/proceedEmpty", "railyard", "r", "", 404, "", "", ""},
		{"an unknown parameter is 500", "input/Deploy/proceed", "railyard", "r", form(`{"parameter":[{"name":"X","value":"uat"}]}`), 500, "", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := withPipeline(t, jenkinstest.Options{Users: users}, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
				a, err := r.Input(ctx, jenkinstest.Input{Step: "7", ID: "deploy", Message: "Deploy?", Submitter: "railyard", Parameters: []jenkinstest.Parameter{
					{Kind: "choice", Name: "WHERE", Choices: []string{"fat", "uat"}}, {Kind: "boolean", Name: "SURE", Default: "true"},
				}})
				if err != nil {
					fmt.Fprintln(r, err)
					return jenkinstest.Aborted
				}
				fmt.Fprintf(r, "%v by %s\n", a.Values, a.User)
				return jenkinstest.Success
			})
			build(t, s)
			in := asks(t, s)
			if in["id"] != "Deploy" || in["proceedUrl"] != "/job/p/1/wfapi/inputSubmit?inputId=Deploy" ||
				in["inputs"].([]any)[0].(map[string]any)["type"] != "ChoiceParameterDefinition" {
				t.Errorf("pending = %v", in)
			}
			if run := object(t, s, "/job/p/1/wfapi/describe"); run["status"] != "PAUSED_PENDING_INPUT" {
				t.Errorf("status = %v", run["status"])
			}
			a := send(t, s, call{method: http.MethodPost, path: "/job/p/1/" + c.path, user: c.user, secret: c.token, body: c.body})
			if a.status != c.status || a.header.Get("X-Error") != c.xError {
				t.Fatalf("%d, X-Error %q, want %d, %q", a.status, a.header.Get("X-Error"), c.status, c.xError)
			}
			if c.status != 200 {
				asks(t, s)
				return
			}
			result, console := finished(t, s, "p", 1)
			if result != c.result || !strings.Contains(console, c.says) {
				t.Errorf("%s\n%s", result, console)
			}
			if again := send(t, s, call{method: http.MethodPost, path: "/job/p/1/" + c.path, user: c.user, secret: c.token, body: c.body}); again.status != 404 && again.status != 500 {
				t.Errorf("the second answer = %d, want 404, or 500 of wfapi", again.status)
			}
		})
	}
}

func TestARestartResumesAPipeline(t *testing.T) {
	for name, end := range map[string]func(*jenkinstest.Server) error{
		"after a restart": (*jenkinstest.Server).Restart, "after a crash": (*jenkinstest.Server).Crash,
	} {
		t.Run(name, func(t *testing.T) {
			dir, home := t.TempDir(), t.TempDir()
			o := jenkinstest.Options{Dir: home}
			script := fmt.Sprintf("echo ran >> %s/ran; while [ ! -e %s/go ]; do sleep 0.02; done; echo end", dir, dir)
			engine := jenkinstest.EngineFunc(func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
				n, err := r.Node(ctx)
				if err != nil {
					return jenkinstest.Aborted
				}
				defer n.Release()
				code, _, err := r.Sh(ctx, jenkinstest.Shell{Step: "1", Script: script, Dir: n.Workspace, Out: r})
				if err != nil || code != 0 {
					fmt.Fprintf(r, "exit %d, %v\n", code, err)
					return jenkinstest.Failure
				}
				n.Release()
				if _, err := r.Input(ctx, jenkinstest.Input{Step: "2", ID: "go", Message: "Go?"}); err != nil {
					return jenkinstest.Aborted
				}
				return jenkinstest.Success
			})
			s := withPipeline(t, o, engine)
			build(t, s)
			eventually(t, "the script", func() bool { return exists(dir, "ran") })
			if err := end(s); err != nil {
				t.Fatal(err)
			}
			if name == "after a crash" {
				o.Engine = engine
				s = start(t, o)
			}
			if b := object(t, s, "/job/p/1/api/json"); b["building"] != true || b["result"] != nil {
				t.Errorf("after the restart: %v", b)
			}
			touch(t, dir, "go")
			asks(t, s)
			if a := object(t, s, "/computer/api/json"); a["busyExecutors"] != 0.0 {
				t.Errorf("busy executors while it waits = %v, want none", a["busyExecutors"])
			}
			if a := post(t, s, "/job/p/1/input/Go/proceedEmpty"); a.status != 200 {
				t.Fatalf("proceed = %d", a.status)
			}
			result, console := finished(t, s, "p", 1)
			if result != "SUCCESS" || strings.Count(console, "+ echo ran") != 1 || !strings.Contains(console, "\nend\n") ||
				!strings.Contains(console, "Resuming build at ") {
				t.Errorf("%s\n%s", result, console)
			}
		})
	}
}

func TestStopAndKillEndAPipeline(t *testing.T) {
	for action, says := range map[string]string{"stop": "Aborted by admin", "term": "Aborted by admin", "kill": "Hard kill!"} {
		t.Run(action, func(t *testing.T) {
			dir := t.TempDir()
			s := withPipeline(t, jenkinstest.Options{}, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
				_, _, err := r.Sh(ctx, jenkinstest.Shell{Step: "1", Dir: dir, Out: r, Script: fmt.Sprintf("sleep 1000 & echo $! > %s/pid; wait", dir)})
				fmt.Fprintln(r, err)
				return jenkinstest.Aborted
			})
			build(t, s)
			eventually(t, "the script", func() bool { return pid(dir, "pid") > 0 })
			if a := post(t, s, "/job/p/1/"+action); a.status != http.StatusFound {
				t.Fatalf("%s = %d", action, a.status)
			}
			if result, console := finished(t, s, "p", 1); result != "ABORTED" || !strings.Contains(console, says) {
				t.Errorf("%s\n%s", result, console)
			}
			if alive(pid(dir, "pid")) {
				t.Error("its process is still there")
			}
		})
	}
}

func TestANewerBuildSupersedesAnOlderOne(t *testing.T) {
	wait := func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		if r.Number == 2 {
			return jenkinstest.Success
		}
		_, err := r.Input(ctx, jenkinstest.Input{Step: "1", ID: "go", Message: "Go?"})
		var i *jenkinstest.Interrupt
		if !errors.As(err, &i) {
			return jenkinstest.Failure
		}
		fmt.Fprintln(r, i.Cause)
		return i.Result
	}
	for name, c := range map[string]struct {
		properties string
		engine     jenkinstest.EngineFunc
	}{
		"by a milestone": {"", func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
			if r.Number == 2 && r.Milestone(1) != nil {
				return jenkinstest.Failure
			}
			return wait(ctx, r)
		}},
		"by abortPrevious": {`<org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty><abortPrevious>true</abortPrevious></org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty>`, wait},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, jenkinstest.Options{Engine: c.engine})
			create(t, s, "p", pipelineXML("x", c.properties))
			build(t, s)
			asks(t, s)
			build(t, s)
			if result, console := finished(t, s, "p", 1); result != "NOT_BUILT" || !strings.Contains(console, "Superseded by #2") {
				t.Errorf("%s\n%s", result, console)
			}
			if result, _ := finished(t, s, "p", 2); result != "SUCCESS" {
				t.Errorf("the newer one ended %s", result)
			}
		})
	}
}

func TestAJenkinsfileRewritesItsJob(t *testing.T) {
	repo := t.TempDir()
	git(t, repo, "init", "-q", "-b", "main")
	writeFile(t, filepath.Join(repo, "ci", "Jenkinsfile"), "from the repository")
	git(t, repo, "add", ".")
	git(t, repo, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x")
	s := start(t, jenkinstest.Options{Engine: jenkinstest.EngineFunc(func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		err := r.Configure(jenkinstest.Properties{DisableConcurrentBuilds: true, Parameters: []jenkinstest.Parameter{
			{Kind: "string", Name: "REF", Default: "main"}, {Kind: "choice", Name: "ENV", Choices: []string{"fat", "uat"}}, {Kind: "boolean", Name: "DRY", Default: "true"},
		}})
		fmt.Fprintf(r, "%s, %v, %v\n", r.Script, r.Params(), err)
		return jenkinstest.Success
	})})
	create(t, s, "p", fmt.Appendf(nil, `<flow-definition><definition class="org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition"><scm class="hudson.plugins.git.GitSCM"><userRemoteConfigs><hudson.plugins.git.UserRemoteConfig><url>%s</url></hudson.plugins.git.UserRemoteConfig></userRemoteConfigs><branches><hudson.plugins.git.BranchSpec><name>*/main</name></hudson.plugins.git.BranchSpec></branches></scm><scriptPath>ci/Jenkinsfile</scriptPath></definition></flow-definition>`, repo))
	if a := post(t, s, "/job/p/buildWithParameters"); a.status != http.StatusInternalServerError {
		t.Errorf("buildWithParameters before the first build = %d, want 500: it has no parameters yet", a.status)
	}
	build(t, s)
	if result, console := finished(t, s, "p", 1); result != "SUCCESS" || !strings.Contains(console, "from the repository, map[DRY:true ENV:fat REF:main], <nil>") {
		t.Errorf("%s\n%s", result, console)
	}
	if a := post(t, s, "/job/p/buildWithParameters?ENV=uat"); a.status != http.StatusCreated {
		t.Errorf("buildWithParameters afterwards = %d", a.status)
	}
	finished(t, s, "p", 2)
	var revision map[string]any
	for _, a := range object(t, s, "/job/p/1/api/json?depth=1")["actions"].([]any) {
		if r, ok := a.(map[string]any)["lastBuiltRevision"]; ok {
			revision = r.(map[string]any)
		}
	}
	if head := git(t, repo, "rev-parse", "HEAD"); revision["SHA1"] != head {
		t.Errorf("revision = %v, want %s", revision, head)
	}
	if conf := get(t, s, "/job/p/config.xml").body; !strings.Contains(conf, "<string>uat</string>") || !strings.Contains(conf, "DisableConcurrentBuilds") {
		t.Errorf("config.xml = %s", conf)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if j := object(t, s, "/job/p/api/json"); j["concurrentBuild"] != false || len(j["property"].([]any)) != 1 {
		t.Errorf("after a restart: %v", j)
	}
}

func TestMultibranchJobsHaveEncodedNames(t *testing.T) {
	repo := t.TempDir()
	git(t, repo, "init", "-q", "-b", "feature/x")
	writeFile(t, filepath.Join(repo, "Jenkinsfile"), "of the branch")
	git(t, repo, "add", ".")
	git(t, repo, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x")
	s := start(t, jenkinstest.Options{Engine: jenkinstest.EngineFunc(func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		fmt.Fprintln(r, r.Job, r.Env["BRANCH_NAME"], r.Script)
		return jenkinstest.Success
	})})
	create(t, s, "repo", fmt.Appendf(nil, `<org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject><sources><data><jenkins.branch.BranchSource><source class="jenkins.plugins.git.GitSCMSource"><remote>%s</remote></source></jenkins.branch.BranchSource></data></sources><factory><scriptPath>Jenkinsfile</scriptPath></factory></org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject>`, repo))
	if a := post(t, s, "/job/repo/build"); a.status != http.StatusFound {
		t.Fatalf("scan = %d, want 302", a.status)
	}
	const path = "repo/job/feature%252Fx"
	result, console := finished(t, s, path, 1)
	if result != "SUCCESS" || !strings.Contains(console, "repo/feature%2Fx feature/x of the branch") {
		t.Errorf("%s\n%s", result, console)
	}
	if j := object(t, s, "/job/"+path+"/api/json"); j["name"] != "feature%2Fx" || j["fullName"] != "repo/feature%2Fx" ||
		!strings.HasSuffix(j["url"].(string), "/job/"+path+"/") {
		t.Errorf("job = %v, %v, %v", j["name"], j["fullName"], j["url"])
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
