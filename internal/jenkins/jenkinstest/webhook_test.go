package jenkinstest_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"railyard/internal/jenkins/jenkinstest"
)

func TestGenericWebhook(t *testing.T) {
	s := start(t, jenkinstest.Options{})
	create(t, s, "f/j", []byte(`<project><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>ref</name></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><triggers><org.jenkinsci.plugins.gwt.GenericTrigger>
<genericVariables><org.jenkinsci.plugins.gwt.GenericVariable><key>ref</key><value>$.push.ref</value></org.jenkinsci.plugins.gwt.GenericVariable></genericVariables>
<regexpFilterText>$ref</regexpFilterText><regexpFilterExpression>^release/</regexpFilterExpression><token>T</token></org.jenkinsci.plugins.gwt.GenericTrigger></triggers>
<builders><hudson.tasks.Shell><command>echo built $ref</command></hudson.tasks.Shell></builders></project>`))
	cases := []struct {
		name, token, body string
		status            int
		triggered         any // of the job; nil: there is none
	}{
		{"what the filter lets through is triggered, without crumb or user", "T", `{"push":{"ref":"release/1"}}`, 200, true},
		{"what the filter rejects is 200 too", "T", `{"push":{"ref":"main"}}`, 200, false},
		{"a token of no job is 404", "U", `{}`, 404, nil},
		{"what is no JSON is 500", "T", `{`, 500, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := send(t, s, call{method: http.MethodPost, path: "/generic-webhook-trigger/invoke?token=" + c.token, body: c.body,
				header: http.Header{"Content-Type": {"application/json"}}})
			var o struct {
				Message string
				Jobs    map[string]map[string]any
			}
			if err := json.Unmarshal([]byte(a.body), &o); err != nil || a.status != c.status || o.Message == "" {
				t.Fatalf("%d, %v: %s", a.status, err, a.body)
			}
			if got := o.Jobs["f/j"]["triggered"]; got != c.triggered {
				t.Errorf("triggered = %v, want %v", got, c.triggered)
			}
		})
	}
	if result, console := finished(t, s, "f/job/j", 1); result != "SUCCESS" {
		t.Errorf("%s\n%s", result, console)
	}
}
