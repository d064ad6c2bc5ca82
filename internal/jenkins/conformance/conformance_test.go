package conformance

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"railyard/internal/jenkins"
)

// cases are grouped as the contract is; a name is a statement of it.
var cases = []struct {
	name string
	run  func(t *testing.T, x *target)
}{
	{"1 empty segments, trailing slashes and tokens after an action are served without redirect", pathsAreLenient},
	{"1 names are percent-encoded per segment, nested folders are /job/a/job/b", namesAreEncoded},
	{"1 bad credentials are 401 with WWW-Authenticate, also on public pages", badCredentials},
	{"1 errors are HTML for whoever sends no JSON Accept", errorsAreHTML},
	{"1 a user's mistake is 400 with the message in X-Error", mistakesAreXError},
	{"1 GET on a POST-only action is 405", getOnPostOnly},
	{"1 a user without permission is 403 with the permission's name", anonymousIsDenied},
	{"1 an API token needs no crumb; crumbIssuer gives field and value", tokenNeedsNoCrumb},
	{"1 a branch feature/x is named feature%2Fx and addressed as feature%252Fx; a scan has no queue item", branchNames},
	{"1 X-Jenkins is on API answers and not on 201", versionHeader},
	{"2 tree cuts lists by range, ignores unknown names, is 500 when malformed", treeQueries},
	{"2 a folder's tree reaches the builds of all jobs below it", nestedTree},
	{"2 depth 0 shows builds by number and url; a depth that is no number is 500", depthQueries},
	{"3 build of an unparameterised job is 201, the same N while queued", buildPlain},
	{"3 buildWithParameters is 201, and 303 to the same item when coalesced", buildCoalesced},
	{"3 build of a parameterised job needs json, has no defaults, and is 302 when coalesced", buildForm},
	{"3 buildWithParameters fills defaults, drops the undeclared and refuses an illegal choice", parameterRules},
	{"3 a disabled job is 409, an absent one 404", notBuildable},
	{"3 a queue item has class, why and a relative url, and the page of it is 404", queueItemShape},
	{"3 the live queue shows parameters and the URL of the job", queueList},
	{"3 an item that has left names its build, an unknown one is 404", leftItems},
	{"3 cancelItem is 204, 404 for the unknown, 500 for one that has left", cancelling},
	{"4 a build has queueId, result and parameters; permalinks lead to it", buildShape},
	{"4 progressiveText counts raw bytes and starts again beyond its end", progressiveText},
	{"4 stop, submitDescription, configSubmit, toggleLogKeep and doDelete are 302; a kept build is not deleted", buildActions},
	{"4 a Pipeline shows stages, and may have a result while it is building", stagesShow},
	{"4 error() is FAILURE; stop of a Pipeline is ABORTED; term and kill are 302", pipelinesEnd},
	{"4 a build that a newer one overtakes at a milestone is NOT_BUILT", milestones},
	{"5 createItem refuses duplicates and bad names with X-Error, bad XML with 500", creating},
	{"5 config.xml is rewritten, and read as ISO-8859-1 without a charset", configuring},
	{"5 enable and disable are idempotent 302; DELETE is 204", enabling},
	{"5 views are created, read, changed and deleted as XML", views},
	{"6 a pending input has an upper-cased id and its parameters; a settled one is 404", inputsShow},
	{"6 an input gets what is submitted and no defaults", inputsAnswered},
	{"7 a Jenkinsfile's parameters are the job's after its first build", jobsRewritten},
}

func TestContract(t *testing.T) {
	x := newTarget(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, x) })
	}
}

func pathsAreLenient(t *testing.T, x *target) {
	x.job(t, "paths", jobOptions{})
	for _, p := range []string{
		"//job/" + x.folder + "//job/paths/api/json", x.path("paths") + "/api/json/", x.path("paths") + "/api/json/api/json",
		"/api/json/", "//api/json",
	} {
		x.get(t, p).wantJSON(t)
	}
	x.get(t, x.path("paths")+"/config.xml/").want(t, http.StatusOK)
	x.get(t, x.path("paths")+"/a;b/api/json").want(t, http.StatusBadRequest)
}

func namesAreEncoded(t *testing.T, x *target) {
	if _, err := x.client.EnsureJob(t.Context(), x.name("größe/hotel api"), []byte(jobOptions{}.xml())); err != nil {
		t.Fatal(err)
	}
	o := x.get(t, "/job/"+x.folder+"/job/gr%C3%B6%C3%9Fe/job/hotel%20api/api/json").wantJSON(t)
	if want := x.name("größe/hotel api"); o["fullName"] != want || o["name"] != "hotel api" {
		t.Errorf("fullName = %v, name = %v, want %s", o["fullName"], o["name"], want)
	}
	id, err := x.client.Trigger(t.Context(), x.name("größe/hotel api"), map[string]string{jenkins.DeploymentParam: "enc"})
	if err != nil {
		t.Fatal(err)
	}
	x.eventually(t, "its build", func() bool {
		b, err := x.client.Find(t.Context(), jenkins.Ask{Job: x.name("größe/hotel api"), Deployment: "enc", QueueID: id})
		return err == nil && b.Done()
	})
}

func badCredentials(t *testing.T, x *target) {
	wrong := *x
	wrong.token = "wrong"
	for _, p := range []string{"/api/json", "/login"} {
		a := wrong.get(t, p).want(t, http.StatusUnauthorized)
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("WWW-Authenticate = %q", a.header.Get("WWW-Authenticate"))
		}
	}
	wrong.post(t, x.path("")+"/createItem?name=x", "application/xml", "<project/>").want(t, http.StatusUnauthorized)
}

func errorsAreHTML(t *testing.T, x *target) {
	x.get(t, x.path("absent")+"/api/json").want(t, http.StatusNotFound).wantHTML(t)
	x.get(t, "/api/json?tree=a[").want(t, http.StatusInternalServerError).wantHTML(t)
}

func mistakesAreXError(t *testing.T, x *target) {
	a := x.post(t, x.path("")+"/createItem?name=a*b", "application/xml", "<project/>").want(t, http.StatusBadRequest)
	a.wantHTML(t)
	if a.header.Get("X-Error") == "" {
		t.Error("no X-Error")
	}
}

func getOnPostOnly(t *testing.T, x *target) {
	x.job(t, "getonly", jobOptions{})
	for _, action := range []string{"/build", "/disable", "/doDelete"} {
		x.get(t, x.path("getonly")+action).want(t, http.StatusMethodNotAllowed)
	}
}

func versionHeader(t *testing.T, x *target) {
	if x.get(t, "/api/json").want(t, http.StatusOK).header.Get("X-Jenkins") == "" {
		t.Error("no X-Jenkins on an API answer")
	}
	x.job(t, "version", jobOptions{})
	if v := x.post(t, x.path("version")+"/buildWithParameters", "", "").want(t, http.StatusCreated).header.Get("X-Jenkins"); v != "" {
		t.Errorf("X-Jenkins = %s on 201", v)
	}
	if v, err := x.client.Version(t.Context()); err != nil || v == "" {
		t.Errorf("Version = %q, %v", v, err)
	}
}

func treeQueries(t *testing.T, x *target) {
	x.job(t, "tree", jobOptions{})
	for i := range 3 {
		x.form(t, x.path("tree")+"/buildWithParameters", url.Values{"REF": {fmt.Sprint(i)}}).want(t, http.StatusCreated)
	}
	x.finished(t, "tree", 3)
	x.finished(t, "tree", 2)
	o := x.get(t, x.path("tree")+"/api/json?depth=7&tree=nothing,builds[number]{0,2}").wantJSON(t)
	delete(o, "_class")
	builds, ok := o["builds"].([]any)
	if !ok || len(o) != 1 || len(builds) != 2 {
		t.Fatalf("object = %v, want the two newest builds only", o)
	}
	if n := builds[0].(map[string]any)["number"]; n != 3.0 {
		t.Errorf("first = %v, want the newest", n)
	}
	all := x.get(t, x.path("tree")+"/api/json?tree=allBuilds[number]{1,}").wantJSON(t)["allBuilds"].([]any)
	if len(all) != 2 {
		t.Errorf("allBuilds from 1 on = %v", all)
	}
	x.get(t, x.path("tree")+"/api/json?tree=builds[number").want(t, http.StatusInternalServerError)
}

func depthQueries(t *testing.T, x *target) {
	x.job(t, "depth", jobOptions{})
	x.post(t, x.path("depth")+"/buildWithParameters", "", "").want(t, http.StatusCreated)
	x.finished(t, "depth", 1)
	keys := func(depth string) []string {
		b := x.get(t, x.path("depth")+"/api/json"+depth).wantJSON(t)["builds"].([]any)[0].(map[string]any)
		var out []string
		for _, k := range []string{"number", "url", "result"} {
			if _, ok := b[k]; ok {
				out = append(out, k)
			}
		}
		return out
	}
	if got := keys(""); !reflect.DeepEqual(got, []string{"number", "url"}) {
		t.Errorf("depth 0 shows %v", got)
	}
	if got := keys("?depth=1"); !reflect.DeepEqual(got, []string{"number", "url", "result"}) {
		t.Errorf("depth 1 shows %v", got)
	}
	x.get(t, "/api/json?depth=x").want(t, http.StatusInternalServerError)
}

func buildPlain(t *testing.T, x *target) {
	x.job(t, "plain", jobOptions{plain: true, quiet: 600})
	first := x.post(t, x.path("plain")+"/build", "", "").want(t, http.StatusCreated).item(t)
	if again := x.post(t, x.path("plain")+"/build", "", "").want(t, http.StatusCreated).item(t); again != first {
		t.Errorf("second = %s, want %s", again, first)
	}
	x.form(t, "/queue/cancelItem?id="+last(first), nil).want(t, http.StatusNoContent)
}

func last(path string) string { return path[strings.LastIndex(path, "/")+1:] }

func buildCoalesced(t *testing.T, x *target) {
	x.job(t, "coalesced", jobOptions{quiet: 600})
	trigger := x.path("coalesced") + "/buildWithParameters"
	values := url.Values{"RAILYARD_DEPLOYMENT": {"c1"}}
	first := x.form(t, trigger, values).want(t, http.StatusCreated).item(t)
	if again := x.form(t, trigger, values).want(t, http.StatusSeeOther).item(t); again != first {
		t.Errorf("second = %s, want %s", again, first)
	}
	if byQuery := x.post(t, trigger+"?"+values.Encode(), "", "").want(t, http.StatusSeeOther).item(t); byQuery != first {
		t.Errorf("by query = %s, want %s", byQuery, first)
	}
	other := x.form(t, trigger, url.Values{"RAILYARD_DEPLOYMENT": {"c2"}}).want(t, http.StatusCreated).item(t)
	if other == first {
		t.Error("another parameter was coalesced")
	}
	for range 2 {
		id, err := x.client.Trigger(t.Context(), x.name("coalesced"), map[string]string{"RAILYARD_DEPLOYMENT": "c1"})
		if err != nil || fmt.Sprint(id) != last(first) {
			t.Errorf("the client's trigger = %d, %v, want %s", id, err, last(first))
		}
	}
	for _, item := range []string{first, other} {
		x.form(t, "/queue/cancelItem?id="+last(item), nil).want(t, http.StatusNoContent)
	}
}

func buildForm(t *testing.T, x *target) {
	x.job(t, "form", jobOptions{quiet: 600})
	x.post(t, x.path("form")+"/build", "", "").want(t, http.StatusBadRequest)
	values := url.Values{"json": {`{"parameter":[{"name":"REF","value":"v1"}]}`}}
	item := x.form(t, x.path("form")+"/build", values).want(t, http.StatusCreated).item(t)
	x.form(t, x.path("form")+"/build", values).want(t, http.StatusFound)
	if got := x.parameters(t, item+"/api/json"); !reflect.DeepEqual(got, map[string]any{"REF": "v1"}) {
		t.Errorf("parameters = %v, want REF only", got)
	}
	x.form(t, "/queue/cancelItem?id="+last(item), nil).want(t, http.StatusNoContent)
}

// parameters of a build or queue item, in their JSON types.
func (x *target) parameters(t *testing.T, path string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, a := range x.get(t, path).wantJSON(t)["actions"].([]any) {
		all, _ := a.(map[string]any)["parameters"].([]any)
		for _, p := range all {
			p := p.(map[string]any)
			out[p["name"].(string)] = p["value"]
		}
	}
	return out
}

func parameterRules(t *testing.T, x *target) {
	x.job(t, "params", jobOptions{quiet: 600})
	trigger := x.path("params") + "/buildWithParameters"
	item := x.form(t, trigger, url.Values{"DRY": {"TRUE"}, "UNDECLARED": {"x"}}).want(t, http.StatusCreated).item(t)
	want := map[string]any{"RAILYARD_DEPLOYMENT": "", "REF": "main", "DRY": true, "ENV": "fat"}
	if got := x.parameters(t, item+"/api/json"); !reflect.DeepEqual(got, want) {
		t.Errorf("parameters = %v, want %v", got, want)
	}
	x.form(t, trigger, url.Values{"ENV": {"prod"}}).want(t, http.StatusInternalServerError)
	x.form(t, trigger, url.Values{"REF": {"a", "b"}}).want(t, http.StatusInternalServerError)
	x.form(t, "/queue/cancelItem?id="+last(item), nil).want(t, http.StatusNoContent)

	_, err := x.client.Trigger(t.Context(), x.name("params"), map[string]string{jenkins.DeploymentParam: "p", "UNDECLARED": "x"})
	if refused := new(jenkins.RefusedError); !errors.As(err, &refused) || !strings.Contains(err.Error(), "UNDECLARED") {
		t.Errorf("the client's trigger with an undeclared parameter = %v, want a refusal that names it", err)
	}
}

func notBuildable(t *testing.T, x *target) {
	x.job(t, "off", jobOptions{})
	x.post(t, x.path("off")+"/disable", "", "").want(t, http.StatusFound)
	x.post(t, x.path("off")+"/buildWithParameters", "", "").want(t, http.StatusConflict)
	x.post(t, x.path("absent")+"/build", "", "").want(t, http.StatusNotFound)
}

func queueItemShape(t *testing.T, x *target) {
	x.job(t, "item", jobOptions{quiet: 600})
	item := x.form(t, x.path("item")+"/buildWithParameters", url.Values{"REF": {"q"}}).want(t, http.StatusCreated).item(t)
	o := x.get(t, item+"/api/json").wantJSON(t)
	if o["_class"] != "hudson.model.Queue$WaitingItem" || !strings.HasPrefix(o["why"].(string), "In the quiet period. Expires in ") {
		t.Errorf("_class = %v, why = %v", o["_class"], o["why"])
	}
	if o["url"] != strings.TrimPrefix(item, "/")+"/" || !strings.Contains(o["params"].(string), "\nREF=q") {
		t.Errorf("url = %v, params = %q", o["url"], o["params"])
	}
	x.get(t, item+"/").want(t, http.StatusNotFound)
	found, err := x.client.Find(t.Context(), jenkins.Ask{Job: x.name("item"), Deployment: "none"})
	if !errors.Is(err, jenkins.ErrNotFound) {
		t.Errorf("Find = %+v, %v, want ErrNotFound", found, err)
	}
	x.form(t, "/queue/cancelItem?id="+last(item), nil).want(t, http.StatusNoContent)
}

func cancelling(t *testing.T, x *target) {
	x.job(t, "cancel", jobOptions{quiet: 600})
	id, err := x.client.Trigger(t.Context(), x.name("cancel"), map[string]string{jenkins.DeploymentParam: "x1"})
	if err != nil {
		t.Fatal(err)
	}
	ask := jenkins.Ask{Job: x.name("cancel"), Deployment: "x1", QueueID: id}
	if b, err := x.client.Find(t.Context(), ask); err != nil || !b.Queued || b.QueueID != id {
		t.Errorf("queued = %+v, %v", b, err)
	}
	if err := x.client.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if b, err := x.client.Find(t.Context(), ask); err != nil || !b.Cancelled || !b.Done() {
		t.Errorf("cancelled = %+v, %v", b, err)
	}
	item := fmt.Sprintf("/queue/item/%d/api/json", id)
	o := x.get(t, item).wantJSON(t)
	if o["_class"] != "hudson.model.Queue$LeftItem" || o["cancelled"] != true || o["executable"] != nil || o["why"] != nil {
		t.Errorf("left item = %v", o)
	}
	x.form(t, fmt.Sprintf("/queue/cancelItem?id=%d", id), nil).want(t, http.StatusInternalServerError)
	x.form(t, "/queue/cancelItem?id=999999999", nil).want(t, http.StatusNotFound)
}
