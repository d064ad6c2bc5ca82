package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"railyard/internal/jenkins"
)

func buildShape(t *testing.T, x *target) {
	x.job(t, "shape", jobOptions{script: `test "$REF" != bad || exit 1`})
	x.get(t, x.path("shape")+"/lastBuild/api/json").want(t, http.StatusNotFound)
	item := x.form(t, x.path("shape")+"/buildWithParameters", url.Values{"DRY": {"true"}}).want(t, http.StatusCreated).item(t)
	b := x.finished(t, "shape", 1)
	for k, want := range map[string]any{
		"number": 1.0, "id": "1", "result": "SUCCESS", "displayName": "#1", "keepLog": false, "description": nil,
		"queueId": number(t, last(item)),
	} {
		if b[k] != want {
			t.Errorf("%s = %v, want %v", k, b[k], want)
		}
	}
	if got := x.parameters(t, x.path("shape")+"/1/api/json"); got["DRY"] != true || got["REF"] != "main" {
		t.Errorf("parameters = %v, want their JSON types kept", got)
	}
	x.form(t, x.path("shape")+"/buildWithParameters", url.Values{"REF": {"bad"}}).want(t, http.StatusCreated)
	x.finished(t, "shape", 2)
	for permalink, want := range map[string]float64{
		"lastBuild": 2, "lastCompletedBuild": 2, "lastSuccessfulBuild": 1, "lastStableBuild": 1, "lastFailedBuild": 2, "lastUnsuccessfulBuild": 2,
	} {
		if n := x.get(t, x.path("shape")+"/"+permalink+"/api/json").wantJSON(t)["number"]; n != want {
			t.Errorf("%s = %v, want %v", permalink, n, want)
		}
	}
	if color := x.get(t, x.path("shape")+"/api/json").wantJSON(t)["color"]; color != "red" {
		t.Errorf("color = %v, want red", color)
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func progressiveText(t *testing.T, x *target) {
	x.job(t, "log", jobOptions{script: "echo hello"})
	x.post(t, x.path("log")+"/buildWithParameters", "", "").want(t, http.StatusCreated)
	x.finished(t, "log", 1)
	log := func(start string) answer {
		return x.get(t, x.path("log")+"/1/logText/progressiveText?start="+start).want(t, http.StatusOK)
	}
	all := log("0")
	size := all.header.Get("X-Text-Size")
	if !strings.Contains(all.body, "hello\n") || !strings.HasSuffix(all.body, "Finished: SUCCESS\n") {
		t.Errorf("log = %q", all.body)
	}
	if float64(len(all.body)) >= number(t, size) {
		t.Errorf("X-Text-Size = %s for %d bytes: it counts notes that were cut out", size, len(all.body))
	}
	if more := all.header.Get("X-More-Data"); more != "" {
		t.Errorf("X-More-Data = %s after the end", more)
	}
	if end := log(size); end.body != "" || end.header.Get("X-Text-Size") != size {
		t.Errorf("at the end: %q, %s", end.body, end.header.Get("X-Text-Size"))
	}
	if again := log("99999999"); again.body != all.body {
		t.Errorf("beyond the end: %q, want everything again", again.body)
	}
	if whole := x.get(t, x.path("log")+"/1/consoleText"); whole.body != all.body {
		t.Errorf("consoleText = %q", whole.body)
	}
}

func buildActions(t *testing.T, x *target) {
	x.job(t, "actions", jobOptions{script: "sleep 600"})
	id, err := x.client.Trigger(t.Context(), x.name("actions"), map[string]string{jenkins.DeploymentParam: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	ask := jenkins.Ask{Job: x.name("actions"), Deployment: "a1", QueueID: id}
	x.eventually(t, "the build's console", func() bool {
		text, _, more, err := x.client.Log(t.Context(), ask.Job, 1, 0)
		return err == nil && more && strings.Contains(string(text), "sleep 600")
	})
	if b, err := x.client.Find(t.Context(), ask); err != nil || !b.Building || b.Done() || b.Result != "" {
		t.Errorf("running = %+v, %v", b, err)
	}
	build := x.path("actions") + "/1"
	x.post(t, build+"/stop", "", "").want(t, http.StatusFound)
	if b := x.finished(t, "actions", 1); b["result"] != "ABORTED" {
		t.Errorf("result = %v, want ABORTED", b["result"])
	}
	x.post(t, build+"/stop", "", "").want(t, http.StatusFound)
	if err := x.client.Describe(t.Context(), ask.Job, 1, "größer <b>"); err != nil {
		t.Error(err)
	}
	if b, err := x.client.Find(t.Context(), ask); err != nil || b.Description != "größer <b>" || b.Result != "ABORTED" {
		t.Errorf("described = %+v, %v", b, err)
	}
	x.form(t, build+"/configSubmit", url.Values{"json": {`{"displayName":"hotel 1.2","description":"d"}`}}).want(t, http.StatusFound)
	x.post(t, build+"/toggleLogKeep", "", "").want(t, http.StatusFound)
	b := x.get(t, build+"/api/json").wantJSON(t)
	if b["displayName"] != "hotel 1.2" || b["description"] != "d" || b["keepLog"] != true {
		t.Errorf("build = %v, %v, %v", b["displayName"], b["description"], b["keepLog"])
	}
	if a := x.post(t, build+"/doDelete", "", "").want(t, http.StatusBadRequest); a.header.Get("X-Error") == "" && a.body == "" {
		t.Error("a kept build gives no reason")
	}
	x.post(t, build+"/toggleLogKeep", "", "").want(t, http.StatusFound)
	x.post(t, build+"/doDelete", "", "").want(t, http.StatusFound)
	x.get(t, build+"/api/json").want(t, http.StatusNotFound)
}

func creating(t *testing.T, x *target) {
	create := func(name, contentType, body string) answer {
		return x.post(t, x.path("")+"/createItem?name="+url.QueryEscape(name), contentType, body)
	}
	xml := jobOptions{}.xml()
	create("made", "text/xml", xml).want(t, http.StatusOK)
	for name, a := range map[string]answer{
		"duplicate":      create("made", "application/xml", xml),
		"bad name":       create("a/b", "application/xml", xml),
		"no name":        create("", "application/xml", xml),
		"no type header": create("untyped", "", xml),
	} {
		if a.status != http.StatusBadRequest || a.header.Get("X-Error") == "" {
			t.Errorf("%s: %d, X-Error %q", name, a.status, a.header.Get("X-Error"))
		}
	}
	create("broken", "application/xml", "<project>").want(t, http.StatusInternalServerError)
	create("unknown", "application/xml", "<no.such.Class/>").want(t, http.StatusInternalServerError)
	x.form(t, x.path("")+"/createItem", url.Values{
		"name": {"byform"}, "mode": {"com.cloudbees.hudson.plugins.folder.Folder"},
	}).want(t, http.StatusFound)
}

func configuring(t *testing.T, x *target) {
	const name = "configured"
	job := x.name(name)
	xml := jobOptions{script: "echo größe"}.xml()
	for i, want := range []bool{true, false, false} {
		changed, err := x.client.EnsureJob(t.Context(), job, []byte(xml))
		if err != nil || changed != want {
			t.Errorf("EnsureJob %d = %v, %v, want changed %v", i+1, changed, err, want)
		}
	}
	stored := x.get(t, x.path(name)+"/config.xml").want(t, http.StatusOK).body
	if stored == xml || !strings.Contains(stored, "echo größe") {
		t.Errorf("config.xml = %s", stored)
	}
	x.post(t, x.path(name)+"/config.xml", "application/xml", xml).want(t, http.StatusOK)
	if got := x.get(t, x.path(name)+"/config.xml").body; !strings.Contains(got, "echo grÃ¶Ã\u009fe") {
		t.Errorf("without a charset: %s", got)
	}
	if changed, err := x.client.EnsureJob(t.Context(), job, []byte(xml)); err != nil || !changed {
		t.Errorf("EnsureJob of a changed job = %v, %v, want it written again", changed, err)
	}
	x.post(t, x.path(name)+"/config.xml", "text/plain", xml).want(t, http.StatusInternalServerError)
}

func enabling(t *testing.T, x *target) {
	x.job(t, "enabled", jobOptions{})
	for _, action := range []string{"disable", "disable", "enable", "enable"} {
		x.post(t, x.path("enabled")+"/"+action, "", "").want(t, http.StatusFound)
		buildable := x.get(t, x.path("enabled")+"/api/json").wantJSON(t)["buildable"]
		if buildable != (action == "enable") {
			t.Errorf("after %s buildable = %v", action, buildable)
		}
	}
	x.must(t, t.Context(), http.MethodDelete, x.path("enabled")+"/", "", "").want(t, http.StatusNoContent)
	x.get(t, fmt.Sprintf("%s/api/json", x.path("enabled"))).want(t, http.StatusNotFound)
}
