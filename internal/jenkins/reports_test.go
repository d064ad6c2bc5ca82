package jenkins_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"railyard/internal/jenkins"
)

// reporting answers what Jenkins 2.4xx answers about builds of atp/hotel-api, to the trees that are asked for.
func reporting(t *testing.T) *jenkins.Controller {
	t.Helper()
	const job = "/job/atp/job/hotel-api"
	answers := map[string]string{
		job + "/api/json?builds": `{"_class":"hudson.model.FreeStyleProject","builds":[
			{"_class":"hudson.model.FreeStyleBuild","actions":[{},{"_class":"hudson.model.ParametersAction","parameters":[{"_class":"hudson.model.StringParameterValue","name":"RAILYARD_COACH","value":"hotel-api-7.3"}]}],"building":true,"number":9,"result":null,"url":"http://ci/job/atp/job/hotel-api/9/"},
			{"_class":"hudson.model.FreeStyleBuild","actions":[{"_class":"hudson.model.ParametersAction","parameters":[{"_class":"hudson.model.BooleanParameterValue","name":"FULL","value":true},{"_class":"hudson.model.StringParameterValue","name":"RAILYARD_COACH","value":"hotel-api-7.2"}]},{}],"building":false,"number":8,"result":"UNSTABLE","url":"http://ci/job/atp/job/hotel-api/8/"},
			{"_class":"hudson.model.FreeStyleBuild","actions":[{"_class":"hudson.model.ParametersAction","parameters":[{"_class":"hudson.model.StringParameterValue","name":"RAILYARD_COACH","value":"hotel-api-7.2"}]}],"building":false,"number":7,"result":"FAILURE","url":"http://ci/job/atp/job/hotel-api/7/"}]}`,
		job + "/8/api/json?artifacts": `{"_class":"hudson.model.FreeStyleBuild","artifacts":[{"relativePath":"dist/app.tar.gz"},{"relativePath":"reports/TEST-a b.xml"},{"relativePath":"reports/TEST-c.xml"},{"relativePath":"reports/sub/TEST-d.xml"}]}`,
		job + "/8/api/json?url":       `{"_class":"hudson.model.FreeStyleBuild","building":false,"result":"UNSTABLE","url":"http://ci/job/atp/job/hotel-api/8/"}`,
		job + "/8/testReport/api/json?passCount": `{"_class":"hudson.tasks.junit.TestResult","failCount":2,"passCount":41,"skipCount":1,"suites":[{"cases":[
			{"className":"BookingTest","errorDetails":null,"name":"book","status":"PASSED"},
			{"className":"BookingTest","errorDetails":"expected 200,\n got 500","name":"cancel","status":"REGRESSION"},
			{"className":"PayTest","errorDetails":null,"name":"pay","status":"FAILED"}]}]}`,
		job + "/8/artifact/reports/TEST-a b.xml": `<testsuite/>`,
		job + "/8/artifact/reports/TEST-c.xml":   `<testsuites/>`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Jenkins", "2.440.3")
		key := r.URL.Path
		if tree := r.URL.Query().Get("tree"); tree != "" {
			key += "?" + strings.FieldsFunc(tree, func(c rune) bool { return c == '[' || c == ',' })[0]
		}
		answer, ok := answers[key]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if strings.Contains(key, "api/json") {
			w.Header().Set("Content-Type", "application/json;charset=utf-8")
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	c, err := jenkins.New(jenkins.Config{Name: "main", URL: server.URL, User: "railyard", Token: "t"}, logrus.New())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReportsOfABuild(t *testing.T) {
	c := reporting(t)
	b, err := c.NewestWith(t.Context(), "atp/hotel-api", "RAILYARD_COACH", "hotel-api-7.2")
	if err != nil || b.Number != 8 || b.Building || b.Result != "UNSTABLE" {
		t.Errorf("newest %+v, %v", b, err)
	}
	if _, err := c.NewestWith(t.Context(), "atp/hotel-api", "RAILYARD_COACH", "hotel-api-9.9"); !errors.Is(err, jenkins.ErrNotFound) {
		t.Errorf("of no build: %v", err)
	}
	files, err := c.Artifacts(t.Context(), "atp/hotel-api", 8, []string{"reports/TEST-*.xml"})
	if err != nil || len(files) != 2 || string(files[0]) != "<testsuite/>" || string(files[1]) != "<testsuites/>" {
		t.Errorf("files %q, %v", files, err)
	}
	report, err := c.TestReport(t.Context(), "atp/hotel-api", 8)
	if err != nil || report.Passed != 41 || report.Failed != 2 || report.Skipped != 1 ||
		strings.Join(report.FailedTests, "; ") != "BookingTest.cancel: expected 200, got 500; PayTest.pay" {
		t.Errorf("report %+v, %v", report, err)
	}
	if _, err := c.TestReport(t.Context(), "atp/hotel-api", 7); !errors.Is(err, jenkins.ErrNotFound) {
		t.Errorf("of a build without tests: %v", err)
	}
	if b, err := c.Standing(t.Context(), "atp/hotel-api", 8); err != nil || b.Building || b.Result != "UNSTABLE" {
		t.Errorf("standing %+v, %v", b, err)
	}
}
