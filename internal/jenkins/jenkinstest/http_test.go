package jenkinstest_test

import (
	"net/http"
	"strings"
	"testing"

	"railyard/internal/jenkins/jenkinstest"
)

func TestCrumbs(t *testing.T) {
	s := start(t, jenkinstest.Options{})
	create(t, s, "j", []byte("<project/>"))
	crumb := func() (string, string) {
		a := send(t, s, call{method: http.MethodGet, path: "/crumbIssuer/api/json", user: "admin", secret: "admin-password"})
		_, rest, _ := strings.Cut(a.body, `"crumb":"`)
		value, _, _ := strings.Cut(rest, `"`)
		cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
		return value, cookie
	}
	build := func(secret string, header http.Header, query string) answer {
		return send(t, s, call{method: http.MethodPost, path: "/job/j/build?" + query, user: "admin", secret: secret, header: header})
	}
	value, cookie := crumb()
	if !strings.HasPrefix(cookie, "JSESSIONID.") || value == "" {
		t.Fatalf("crumb %q, cookie %q", value, cookie)
	}
	cases := []struct {
		name   string
		answer answer
		status int
	}{
		{"an API token needs no crumb", build("admin-token", nil, ""), http.StatusCreated},
		{"a password without crumb is 403", build("admin-password", nil, ""), http.StatusForbidden},
		{"a crumb without its session's cookie is 403", build("admin-password", http.Header{"Jenkins-Crumb": {value}}, ""), http.StatusForbidden},
		{"a crumb with its session is accepted", build("admin-password", http.Header{"Jenkins-Crumb": {value}, "Cookie": {cookie}}, ""), http.StatusCreated},
		{"it may come in the query", build("admin-password", http.Header{"Cookie": {cookie}}, "Jenkins-Crumb="+value), http.StatusCreated},
		{"bare cookie attributes are ignored", build("admin-password", http.Header{"Jenkins-Crumb": {value}, "Cookie": {cookie + "; Path=/; HttpOnly"}}, ""), http.StatusCreated},
		{"bad credentials are 401 before any crumb is looked at", build("wrong", nil, ""), http.StatusUnauthorized},
	}
	for _, c := range cases {
		if c.answer.status != c.status {
			t.Errorf("%s: %d", c.name, c.answer.status)
		}
	}
	if !strings.Contains(cases[1].answer.body, "No valid crumb was included in the request") {
		t.Errorf("403 = %s", cases[1].answer.body)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if a := build("admin-password", http.Header{"Jenkins-Crumb": {value}, "Cookie": {cookie}}, ""); a.status != http.StatusForbidden {
		t.Errorf("a crumb from before the restart: %d, want 403", a.status)
	}
	if _, again := crumb(); strings.HasPrefix(again, cookie[:strings.Index(cookie, "=")]) {
		t.Errorf("the session's cookie is still called %s", again)
	}
}

func TestWithoutCSRFProtectionThereIsNoCrumbIssuer(t *testing.T) {
	s := start(t, jenkinstest.Options{DisableCrumbs: true})
	create(t, s, "j", []byte("<project/>"))
	if a := get(t, s, "/crumbIssuer/api/json"); a.status != http.StatusNotFound {
		t.Errorf("crumbIssuer = %d, want 404", a.status)
	}
	if a := send(t, s, call{method: http.MethodPost, path: "/job/j/build", user: "admin", secret: "admin-password"}); a.status != http.StatusCreated {
		t.Errorf("POST = %d", a.status)
	}
}

func TestAnonymousIsForbiddenUnlessAllowedToRead(t *testing.T) {
	closed := start(t, jenkinstest.Options{})
	a := send(t, closed, call{method: http.MethodGet, path: "/api/json"})
	if a.status != http.StatusForbidden || a.header.Get("X-You-Are-Authenticated-As") != "anonymous" ||
		a.header.Get("X-Required-Permission") != "hudson.model.Hudson.Read" || a.header.Get("WWW-Authenticate") != "" || a.header.Get("X-Jenkins") == "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	open := start(t, jenkinstest.Options{AnonymousRead: true})
	create(t, open, "j", []byte("<project/>"))
	if a := send(t, open, call{method: http.MethodGet, path: "/job/j/api/json"}); a.status != http.StatusOK {
		t.Errorf("read = %d", a.status)
	}
	if a := send(t, open, call{method: http.MethodPost, path: "/job/j/build"}); a.status != http.StatusForbidden {
		t.Errorf("build = %d", a.status)
	}
}

func TestPagesShowAPersonWhatThereIs(t *testing.T) {
	s := start(t, jenkinstest.Options{ContextPath: "/jenkins"})
	create(t, s, "deliver/hotel", jobXML("echo '<b>hello</b>'", true))
	trigger(t, s, "deliver/job/hotel", "N=%3Ci%3E")
	finished(t, s, "deliver/job/hotel", 1)
	send(t, s, call{method: http.MethodPost, path: "/job/deliver/job/hotel/1/submitDescription", user: "admin", secret: "admin-token", body: "description=released"})
	for path, want := range map[string][]string{
		"/":                                {"deliver", `href="/jenkins/job/deliver/"`},
		"/job/deliver/":                    {"hotel", "blue"},
		"/job/deliver/job/hotel/":          {"#1", "SUCCESS", "released", `href="/jenkins/job/deliver/job/hotel/1/console"`},
		"/job/deliver/job/hotel/1/":        {"SUCCESS", "released", "&lt;i&gt;"},
		"/job/deliver/job/hotel/1/console": {"&lt;b&gt;hello&lt;/b&gt;", "Finished: SUCCESS"},
	} {
		a := get(t, s, path)
		for _, w := range want {
			if a.status != http.StatusOK || !strings.Contains(a.body, w) {
				t.Errorf("%s = %d, no %q in\n%s", path, a.status, w, a.body)
			}
		}
		if strings.Contains(a.body, "<i>") || strings.Contains(a.body, "<b>hello") {
			t.Errorf("%s shows text as markup", path)
		}
	}
}

func TestURLsComeFromTheRootURLAndLocationsFromTheRequest(t *testing.T) {
	s := start(t, jenkinstest.Options{ContextPath: "/jenkins", RootURL: "https://ci.example.org/jenkins"})
	create(t, s, "j", []byte("<project/>"))
	if u := object(t, s, "/job/j/api/json")["url"]; u != "https://ci.example.org/jenkins/job/j/" {
		t.Errorf("url = %v", u)
	}
	a := send(t, s, call{method: http.MethodPost, path: "/job/j/build", user: "admin", secret: "admin-token",
		header: http.Header{"X-Forwarded-Host": {"proxy.example.org"}, "X-Forwarded-Proto": {"https"}}})
	if l := a.header.Get("Location"); l != "https://proxy.example.org/jenkins/queue/item/1/" {
		t.Errorf("Location = %s", l)
	}
	plain := start(t, jenkinstest.Options{})
	create(t, plain, "j", []byte("<project/>"))
	if u := object(t, plain, "/job/j/api/json")["url"]; u != plain.URL+"/job/j/" {
		t.Errorf("without root URL: %v", u)
	}
	if u := object(t, plain, "/api/json")["url"]; u != nil {
		t.Errorf("root url = %v, want null", u)
	}
	outside := &jenkinstest.Server{URL: strings.TrimSuffix(s.URL, "/jenkins")}
	if a := get(t, outside, "/api/json"); a.status != http.StatusNotFound {
		t.Errorf("outside the context path = %d, want 404", a.status)
	}
}

func TestRestartPhases(t *testing.T) {
	got := map[jenkinstest.Phase]int{}
	var s *jenkinstest.Server
	s = start(t, jenkinstest.Options{OnPhase: func(p jenkinstest.Phase) {
		if p == jenkinstest.PhaseUnreachable {
			if res, err := http.Get(s.URL); err == nil {
				res.Body.Close()
				t.Error("connected while it is away")
			}
			return
		}
		a := get(t, s, "/api/json")
		got[p] = a.status
		if a.status == http.StatusServiceUnavailable && (a.header.Get("X-Jenkins") != "" || !strings.Contains(a.body, "Please wait while Jenkins is")) {
			t.Errorf("%s: %v %s", p, a.header, a.body)
		}
	}})
	before := get(t, s, "/api/json").header.Get("X-Jenkins-Session")
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	want := map[jenkinstest.Phase]int{
		jenkinstest.PhaseQuiet: 200, jenkinstest.PhaseRestarting: 503, jenkinstest.PhaseStarting: 503, jenkinstest.PhaseReady: 200,
	}
	for p, status := range want {
		if got[p] != status {
			t.Errorf("%s = %d, want %d", p, got[p], status)
		}
	}
	if get(t, s, "/api/json").header.Get("X-Jenkins-Session") == before {
		t.Error("X-Jenkins-Session is the same after a restart")
	}
}

func TestAPipelineIsStoredAndItsBuildFailsClearly(t *testing.T) {
	s := start(t, jenkinstest.Options{})
	create(t, s, "p", []byte(`<flow-definition><definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>echo 'x'</script></definition></flow-definition>`))
	if j := object(t, s, "/job/p/api/json"); j["_class"] != "org.jenkinsci.plugins.workflow.job.WorkflowJob" || j["disabled"] != false {
		t.Errorf("job = %v", j)
	}
	if a := post(t, s, "/job/p/build"); a.status != http.StatusCreated {
		t.Fatalf("build = %d", a.status)
	}
	result, console := finished(t, s, "p", 1)
	if result != "FAILURE" || !strings.Contains(console, "no pipeline engine is configured") {
		t.Errorf("%s\n%s", result, console)
	}
}

func TestDeletingAJobEndsItsBuilds(t *testing.T) {
	dir := t.TempDir()
	s := start(t, jenkinstest.Options{Executors: 1})
	create(t, s, "f/j", jobXML(`echo $$ > "$DIR/pid"; `+hold, true))
	trigger(t, s, "f/job/j", "N=1&DIR="+dir)
	eventually(t, "the build", func() bool { return pid(dir, "pid") > 0 })
	item := trigger(t, s, "f/job/j", "N=2&DIR="+dir)
	if a := post(t, s, "/job/f/doDelete"); a.status != http.StatusFound {
		t.Fatalf("doDelete = %d", a.status)
	}
	if a := get(t, s, "/job/f/job/j/api/json"); a.status != http.StatusNotFound {
		t.Errorf("job = %d", a.status)
	}
	if o := object(t, s, item); o["cancelled"] != true {
		t.Errorf("queued item = %v, want it cancelled", o)
	}
	eventually(t, "the end of its process", func() bool { return !alive(pid(dir, "pid")) })
	create(t, s, "f/j", jobXML("true", true))
	trigger(t, s, "f/job/j", "N=1")
	finished(t, s, "f/job/j", 1)
}
