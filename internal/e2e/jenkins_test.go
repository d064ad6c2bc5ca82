package e2e

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"railyard/server/api"
)

// asEngineer posts to Jenkins as the release engineer, who has a user there.
func (y *town) asEngineer(t *testing.T, path string, form url.Values) {
	t.Helper()
	token, err := os.ReadFile(y.TokenFile(""))
	must(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, y.Jenkins.URL+path, strings.NewReader(form.Encode()))
	must(t, err)
	request.SetBasicAuth("release-engineer", strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultTransport.RoundTrip(request)
	must(t, err)
	defer answer.Body.Close()
	if answer.StatusCode >= 400 {
		body, _ := io.ReadAll(answer.Body) // for the message only
		t.Fatalf("POST %s: %s: %.300s", path, answer.Status, body)
	}
}

// press presses a button in Jenkins and waits until it has done its work.
func (y *town) press(t *testing.T, button, coach, reason string) {
	t.Helper()
	y.asEngineer(t, "/job/railyard/job/"+button+"/buildWithParameters", url.Values{"COACH": {coach}, "REASON": {reason}})
	var b jenkinsBuild
	eventually(t, "the end of the button "+button, func() (string, bool) {
		var j struct {
			LastBuild *jenkinsBuild `json:"lastBuild"`
		}
		get(t, y.Jenkins.URL+"/job/railyard/job/"+button+"/api/json?tree=lastBuild[number,building,result]", &j)
		if j.LastBuild == nil {
			return "in the queue", false
		}
		b = *j.LastBuild
		return "it runs", !b.Building && b.Result != ""
	})
	if b.Result != "SUCCESS" {
		t.Errorf("the button %s ended %s", button, b.Result)
	}
}

// abort stops the Coach's build in Jenkins.
func (y *town) abort(t *testing.T, c api.Coach) {
	t.Helper()
	b := y.builtOnce(t, c)
	y.asEngineer(t, "/job/deliver/job/"+c.Builds[0].App+"/"+strconv.FormatInt(b.Number, 10)+"/stop", nil)
	if b := y.buildEnds(t, c); b.Result != "ABORTED" {
		t.Errorf("the aborted build is %s", b.Result)
	}
}
