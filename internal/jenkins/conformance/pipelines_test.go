package conformance

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"railyard/internal/jenkins"
)

// pipeline creates a Pipeline job in the folder and starts its first build.
func (x *target) pipeline(t *testing.T, name, script string) {
	t.Helper()
	x.post(t, x.path("")+"/createItem?name="+name, "application/xml;charset=utf-8", fmt.Sprintf(`<flow-definition><properties/>`+
		`<definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>%s</script><sandbox>true</sandbox></definition>`+
		`<triggers/><disabled>false</disabled></flow-definition>`, html.EscapeString(script))).want(t, http.StatusOK)
	x.post(t, x.path(name)+"/build?delay=0sec", "", "").want(t, http.StatusCreated)
}

// wfapi reads JSON of the Pipeline REST API.
func wfapi[T any](t *testing.T, x *target, path string) T {
	t.Helper()
	a := x.get(t, path).want(t, http.StatusOK)
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%s: %v in %.300s", a.asked, err, a.body)
	}
	return v
}

// asked waits for the one pending input of build 1 of a job.
func (x *target) asked(t *testing.T, name string) map[string]any {
	t.Helper()
	var all []map[string]any
	x.eventually(t, "an input of "+name, func() bool {
		if x.get(t, x.path(name)+"/1/api/json").status == http.StatusNotFound {
			return false
		}
		all = wfapi[[]map[string]any](t, x, x.path(name)+"/1/wfapi/pendingInputActions")
		return len(all) == 1
	})
	return all[0]
}

func stagesShow(t *testing.T, x *target) {
	x.pipeline(t, "staged", staged)
	x.asked(t, "staged")
	b := x.get(t, x.path("staged")+"/1/api/json").wantJSON(t)
	if b["_class"] != "org.jenkinsci.plugins.workflow.job.WorkflowRun" || b["building"] != true || b["result"] != "UNSTABLE" || b["changeSets"] == nil {
		t.Errorf("while it waits: %v, building %v, result %v", b["_class"], b["building"], b["result"])
	}
	found, err := x.client.Poll(t.Context(), []string{x.name("staged")})
	if err != nil || len(found) != 0 {
		t.Errorf("Poll = %+v, %v, want nothing: no build carries a deployment", found, err)
	}
	run := wfapi[map[string]any](t, x, x.path("staged")+"/1/wfapi/describe?fullStages=true")
	stages, _ := run["stages"].([]any)
	if run["status"] != "PAUSED_PENDING_INPUT" || run["id"] != "1" || len(stages) != 2 {
		t.Fatalf("run = %v", run)
	}
	first, second := stages[0].(map[string]any), stages[1].(map[string]any)
	if first["name"] != "Compile" || first["status"] != "SUCCESS" || second["status"] != "PAUSED_PENDING_INPUT" {
		t.Errorf("stages = %v (%v), %v (%v)", first["name"], first["status"], second["name"], second["status"])
	}
	self := run["_links"].(map[string]any)["self"].(map[string]any)["href"].(string)
	if !strings.HasPrefix(self, "/") || !strings.HasSuffix(self, "/job/"+x.folder+"/job/staged/1/wfapi/describe") {
		t.Errorf("self = %s, want a path with the context path", self)
	}
	for _, n := range first["stageFlowNodes"].([]any) {
		for _, parent := range n.(map[string]any)["parentNodes"].([]any) {
			if _, ok := parent.(string); !ok {
				t.Errorf("parent = %v, want a string", parent)
			}
		}
	}
	x.post(t, x.path("staged")+"/1/input/Go/proceedEmpty", "", "").want(t, http.StatusOK)
	if b := x.finished(t, "staged", 1); b["result"] != "UNSTABLE" {
		t.Errorf("result = %v", b["result"])
	}
	if runs := wfapi[[]map[string]any](t, x, x.path("staged")+"/wfapi/runs"); len(runs) != 1 || runs[0]["status"] != "UNSTABLE" {
		t.Errorf("runs = %v", runs)
	}
}

func inputsShow(t *testing.T, x *target) {
	x.pipeline(t, "shown", asking)
	in := x.asked(t, "shown")
	fields := in["inputs"].([]any)
	choice, _ := fields[0].(map[string]any)
	if in["id"] != "Deploy" || in["message"] != "Deploy?" || len(fields) != 2 || choice["name"] != "WHERE" || choice["type"] != "ChoiceParameterDefinition" {
		t.Errorf("input = %v", in)
	}
	if to := in["proceedUrl"].(string); !strings.HasSuffix(to, "/1/wfapi/inputSubmit?inputId=Deploy") {
		t.Errorf("proceedUrl = %s", to)
	}
	if got, err := x.client.Inputs(t.Context(), x.name("shown"), 1); err != nil || len(got) != 1 || len(got[0].Parameters) != 2 || got[0].Parameters[1].Default != true {
		t.Errorf("the client's view = %+v, %v", got, err)
	}
	x.post(t, x.path("shown")+"/1/input/deploy/proceedEmpty", "", "").want(t, http.StatusNotFound)
	x.post(t, x.path("shown")+"/1/input/Deploy/proceed", "", "").want(t, http.StatusBadRequest)
	x.get(t, x.path("shown")+"/1/input/Deploy/proceedEmpty").want(t, http.StatusMethodNotAllowed)
	x.form(t, x.path("shown")+"/1/wfapi/inputSubmit?inputId=Nobody", url.Values{"json": {`{"parameter":[]}`}}).want(t, http.StatusInternalServerError)
	x.post(t, x.path("shown")+"/1/input/Deploy/abort", "", "").want(t, http.StatusOK)
	if b := x.finished(t, "shown", 1); b["result"] != "ABORTED" {
		t.Errorf("result = %v, want ABORTED", b["result"])
	}
	x.post(t, x.path("shown")+"/1/input/Deploy/abort", "", "").want(t, http.StatusNotFound)
	if rest := wfapi[[]any](t, x, x.path("shown")+"/1/wfapi/pendingInputActions"); len(rest) != 0 {
		t.Errorf("still pending: %v", rest)
	}
}

func inputsAnswered(t *testing.T, x *target) {
	const all = `{"parameter":[{"name":"WHERE","value":"uat"},{"name":"SURE","value":false}]}`
	answers := []struct {
		name, says string
		answer     func(build string)
	}{
		{"all", "WHERE=uat SURE=false", func(build string) {
			x.form(t, build+"/input/Deploy/proceed", url.Values{"json": {all}}).want(t, http.StatusOK)
		}},
		{"empty", "nothing", func(build string) { x.post(t, build+"/input/Deploy/proceedEmpty", "", "").want(t, http.StatusOK) }},
		{"some", "only uat", func(build string) {
			x.form(t, build+"/input/Deploy/proceed", url.Values{"json": {`{"parameter":[{"name":"WHERE","value":"uat"}]}`}}).want(t, http.StatusOK)
		}},
		{"wfapi", "WHERE=uat SURE=false", func(build string) {
			x.form(t, build+"/wfapi/inputSubmit?inputId=Deploy", url.Values{"json": {all}}).want(t, http.StatusOK)
		}},
	}
	for _, a := range answers {
		x.pipeline(t, "answer-"+a.name, asking)
		x.asked(t, "answer-"+a.name)
		a.answer(x.path("answer-"+a.name) + "/1")
		if b := x.finished(t, "answer-"+a.name, 1); b["description"] != a.says || b["result"] != "SUCCESS" {
			t.Errorf("%s: %v, %v, want %s", a.name, b["result"], b["description"], a.says)
		}
	}
	x.pipeline(t, "answer-client", asking)
	x.asked(t, "answer-client")
	if err := x.client.Proceed(t.Context(), x.name("answer-client"), 1, "Deploy", map[string]any{"WHERE": "uat"}); err != nil {
		t.Fatal(err)
	}
	if b := x.finished(t, "answer-client", 1); b["description"] != "WHERE=uat SURE=true" {
		t.Errorf("the client's answer = %v, want the default where nothing was given", b["description"])
	}
}

func pipelinesEnd(t *testing.T, x *target) {
	x.pipeline(t, "failing", failing)
	if b := x.finished(t, "failing", 1); b["result"] != "FAILURE" {
		t.Errorf("error() = %v", b["result"])
	}
	x.pipeline(t, "sleeping", sleeping)
	x.eventually(t, "the sleep", func() bool { return x.get(t, x.path("sleeping")+"/1/api/json").status == http.StatusOK })
	x.post(t, x.path("sleeping")+"/1/stop", "", "").want(t, http.StatusFound)
	if b := x.finished(t, "sleeping", 1); b["result"] != "ABORTED" {
		t.Errorf("stop = %v", b["result"])
	}
	for _, action := range []string{"term", "kill"} {
		x.post(t, x.path("sleeping")+"/1/"+action, "", "").want(t, http.StatusFound)
	}
}

func milestones(t *testing.T, x *target) {
	x.pipeline(t, "superseded", superseding)
	x.asked(t, "superseded")
	x.post(t, x.path("superseded")+"/build?delay=0sec", "", "").want(t, http.StatusCreated)
	if b := x.finished(t, "superseded", 2); b["result"] != "SUCCESS" {
		t.Errorf("the newer build = %v", b["result"])
	}
	if b := x.finished(t, "superseded", 1); b["result"] != "NOT_BUILT" {
		t.Errorf("the older build = %v, want NOT_BUILT", b["result"])
	}
}

func jobsRewritten(t *testing.T, x *target) {
	x.pipeline(t, "declaring", declaring)
	x.finished(t, "declaring", 1)
	x.form(t, x.path("declaring")+"/buildWithParameters?delay=0sec", url.Values{"REF": {"v2"}}).want(t, http.StatusCreated)
	x.finished(t, "declaring", 2)
	if got := x.parameters(t, x.path("declaring")+"/2/api/json"); got["REF"] != "v2" {
		t.Errorf("parameters of the second build = %v", got)
	}
	if conf := x.get(t, x.path("declaring")+"/config.xml").body; !strings.Contains(conf, "hudson.model.StringParameterDefinition") {
		t.Errorf("config.xml = %s", conf)
	}
}

func branchNames(t *testing.T, x *target) {
	repo := x.repository(t)
	x.post(t, x.path("")+"/createItem?name=repo", "application/xml", fmt.Sprintf(`<org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject>`+
		`<sources class="jenkins.branch.MultiBranchProject$BranchSourceList"><data><jenkins.branch.BranchSource><source class="jenkins.plugins.git.GitSCMSource">`+
		`<id>r</id><remote>%s</remote><traits><jenkins.plugins.git.traits.BranchDiscoveryTrait/></traits></source></jenkins.branch.BranchSource></data></sources>`+
		`<factory class="org.jenkinsci.plugins.workflow.multibranch.WorkflowBranchProjectFactory"><scriptPath>Jenkinsfile</scriptPath></factory>`+
		`</org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject>`, html.EscapeString(repo))).want(t, http.StatusOK)
	if to := x.post(t, x.path("repo")+"/build?delay=0", "", "").want(t, http.StatusFound).header.Get("Location"); strings.Contains(to, "/queue/item/") {
		t.Errorf("a scan leads to %s, want no queue item", to)
	}
	branch := x.path("repo") + "/job/feature%252Fx"
	x.eventually(t, "the branch's job", func() bool { return x.get(t, branch+"/api/json").status == http.StatusOK })
	j := x.get(t, branch+"/api/json").wantJSON(t)
	if j["name"] != "feature%2Fx" || j["fullName"] != x.name("repo/feature%2Fx") {
		t.Errorf("name = %v, fullName = %v", j["name"], j["fullName"])
	}
	if _, err := x.client.Poll(t.Context(), []string{x.name("repo/feature%2Fx")}); err != nil {
		t.Errorf("the client's poll = %v", err)
	}
}

func nestedTree(t *testing.T, x *target) {
	for _, name := range []string{"deep/a", "deep/b/c"} {
		if _, err := x.client.EnsureJob(t.Context(), x.name(name), []byte(jobOptions{}.xml())); err != nil {
			t.Fatal(err)
		}
		if _, err := x.client.Trigger(t.Context(), x.name(name), map[string]string{jenkins.DeploymentParam: name}); err != nil {
			t.Fatal(err)
		}
	}
	jobs := []string{x.name("deep/a"), x.name("deep/b/c"), x.name("deep/absent"), x.name("elsewhere/job")}
	x.eventually(t, "both results", func() bool {
		builds, err := x.client.Poll(t.Context(), jobs)
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, b := range builds {
			if b.Done() && b.Result == "SUCCESS" && b.Job == x.name(b.Deployment) {
				done++
			}
		}
		return done == 2
	})
	o := x.get(t, x.path("deep")+"/api/json?tree=jobs[fullName,allBuilds[number]{0,1},jobs[fullName,allBuilds[number]{0,1}]]").wantJSON(t)
	if text := fmt.Sprint(o); !strings.Contains(text, x.name("deep/b/c")) || !strings.Contains(text, "number:1") {
		t.Errorf("tree = %v", o)
	}
}

func tokenNeedsNoCrumb(t *testing.T, x *target) {
	a := x.get(t, "/crumbIssuer/api/json")
	if a.status != http.StatusNotFound { // CSRF protection is off
		o := a.wantJSON(t)
		if o["crumbRequestField"] != "Jenkins-Crumb" || o["crumb"] == "" {
			t.Errorf("crumb = %v", o)
		}
	}
	x.job(t, "crumbless", jobOptions{})
	x.post(t, x.path("crumbless")+"/disable", "", "").want(t, http.StatusFound)
}

func anonymousIsDenied(t *testing.T, x *target) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, x.url+x.path("")+"/config.xml", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := x.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden || res.Header.Get("X-Required-Permission") == "" {
		t.Errorf("anonymous config.xml = %d, X-Required-Permission %q, want 403 with the permission's name", res.StatusCode, res.Header.Get("X-Required-Permission"))
	}
}

func queueList(t *testing.T, x *target) {
	x.job(t, "listed", jobOptions{quiet: 600})
	item := x.form(t, x.path("listed")+"/buildWithParameters", url.Values{"RAILYARD_DEPLOYMENT": {"l1"}}).want(t, http.StatusCreated).item(t)
	found := false
	for _, i := range x.get(t, "/queue/api/json").wantJSON(t)["items"].([]any) {
		i := i.(map[string]any)
		if fmt.Sprintf("%.0f", i["id"]) == last(item) {
			found = true
			if to := i["task"].(map[string]any)["url"].(string); !strings.HasSuffix(to, "/job/"+x.folder+"/job/listed/") {
				t.Errorf("task.url = %s", to)
			}
		}
	}
	if !found {
		t.Errorf("%s is not in the queue", item)
	}
	builds, err := x.client.Poll(t.Context(), []string{x.name("listed")})
	if err != nil || len(builds) != 1 || builds[0].Deployment != "l1" || !builds[0].Queued {
		t.Errorf("Poll = %+v, %v", builds, err)
	}
	x.form(t, "/queue/cancelItem?id="+last(item), nil).want(t, http.StatusNoContent)
}

func leftItems(t *testing.T, x *target) {
	x.job(t, "left", jobOptions{})
	item := x.form(t, x.path("left")+"/buildWithParameters", url.Values{"RAILYARD_DEPLOYMENT": {"l1"}}).want(t, http.StatusCreated).item(t)
	x.finished(t, "left", 1)
	o := x.get(t, item+"/api/json").wantJSON(t)
	executable, _ := o["executable"].(map[string]any)
	if o["_class"] != "hudson.model.Queue$LeftItem" || executable["number"] != 1.0 || o["cancelled"] != false {
		t.Errorf("left item = %v", o)
	}
	x.get(t, "/queue/item/999999999/api/json").want(t, http.StatusNotFound)
}

func views(t *testing.T, x *target) {
	const view = `<hudson.model.ListView><name>v</name><jobNames><comparator class="java.lang.String$CaseInsensitiveComparator"/></jobNames><jobFilters/><columns/><includeRegex>%s</includeRegex><recurse>true</recurse></hudson.model.ListView>`
	x.job(t, "viewed", jobOptions{})
	create := x.path("") + "/createView?name=v"
	x.post(t, create, "application/xml;charset=utf-8", fmt.Sprintf(view, "viewed")).want(t, http.StatusOK)
	if a := x.post(t, create, "application/xml;charset=utf-8", fmt.Sprintf(view, "viewed")).want(t, http.StatusBadRequest); a.header.Get("X-Error") == "" {
		t.Error("a duplicate has no X-Error")
	}
	shown := func() string { return fmt.Sprint(x.get(t, x.path("")+"/view/v/api/json").wantJSON(t)["jobs"]) }
	if !strings.Contains(shown(), "viewed") {
		t.Errorf("the view shows %s", shown())
	}
	x.post(t, x.path("")+"/view/v/config.xml", "application/xml;charset=utf-8", fmt.Sprintf(view, "none")).want(t, http.StatusOK)
	if strings.Contains(shown(), "viewed") {
		t.Errorf("the changed view shows %s", shown())
	}
	if conf := x.get(t, x.path("")+"/view/v/config.xml").want(t, http.StatusOK).body; !strings.Contains(conf, "<includeRegex>none</includeRegex>") {
		t.Errorf("config.xml = %s", conf)
	}
	x.post(t, x.path("")+"/view/v/doDelete", "", "").want(t, http.StatusFound)
	x.get(t, x.path("")+"/view/v/api/json").want(t, http.StatusNotFound)
}
