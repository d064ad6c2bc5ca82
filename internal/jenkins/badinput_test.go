package jenkins_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

// TestBadInputIsOneErrorThatSaysWhatToChange: the whole error, as a person reads it.
func TestBadInputIsOneErrorThatSaysWhatToChange(t *testing.T) {
	users := []jenkinstest.User{
		{Name: "admin", Token: "admin-token", Permissions: []string{"Overall/Administer"}},
		{Name: "railyard", Token: "t", Permissions: []string{"Overall/Read", "Job/Read"}},
	}
	maintenance := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>maintenance</html>"))
		})
	}
	trigger := func(name string) func(context.Context, *jenkins.Controller) error {
		return func(ctx context.Context, c *jenkins.Controller) error {
			_, err := c.Trigger(ctx, name, map[string]string{jenkins.DeploymentParam: "d1", "COMMIT": "abc"})
			return err
		}
	}
	cases := []struct {
		name        string
		o           jenkinstest.Options
		user, token string
		call        func(context.Context, *jenkins.Controller) error
		want        string
	}{
		{"a wrong token", jenkinstest.Options{}, "admin", "wrong", trigger("good"),
			"jenkins main: trigger good: GET /job/good/api/json: jenkins refused the credentials: check the user name and API token"},
		{"a permission is missing", jenkinstest.Options{}, "railyard", "t", trigger("good"),
			"jenkins main: trigger good: POST /job/good/buildWithParameters: railyard lacks the permission Job/Build: grant it in Jenkins (Manage Jenkins › Security, or the folder's permissions)"},
		{"the job is missing", jenkinstest.Options{}, "admin", "admin-token", trigger("absent"),
			"jenkins main: trigger absent: GET /job/absent/api/json: not found in jenkins: it does not exist, or the user lacks the permission to see it"},
		{"the job is disabled", jenkinstest.Options{}, "admin", "admin-token", trigger("off"),
			"jenkins main: trigger off: job off: it is disabled: enable the job in Jenkins"},
		{"the job lacks a parameter", jenkinstest.Options{}, "admin", "admin-token", trigger("bare"),
			"jenkins main: trigger bare: job bare: it does not declare the parameters COMMIT: tick “This project is parameterized” and add them as String parameters, or let Railyard write the job again"},
		{"a plugin for jobs is absent", jenkinstest.Options{Without: []string{"workflow-job"}}, "admin", "admin-token",
			func(ctx context.Context, c *jenkins.Controller) error {
				return c.Create(ctx, jenkins.Item{Name: "new"}, []byte(pipelineXML))
			},
			"jenkins main: create new: POST /createItem: jenkins answered 500: Oops! A problem occurred while processing the request. com.thoughtworks.xstream.mapper.CannotResolveClassException: flow-definition: its log has the reason; most likely a plugin is absent: install “Pipeline” (workflow-aggregator) in Manage Jenkins › Plugins"},
		{"a plugin for inputs is absent", jenkinstest.Options{Without: []string{"pipeline-rest-api"}}, "admin", "admin-token",
			func(ctx context.Context, c *jenkins.Controller) error {
				_, err := c.Inputs(ctx, "waits", 1)
				return err
			},
			"jenkins main: list the inputs of waits #1: wfapi: jenkins answered 404: the plugin “Pipeline: REST API” is absent: install pipeline-rest-api in Jenkins (Manage Jenkins › Plugins)"},
		{"HTML where JSON should be", jenkinstest.Options{Middleware: maintenance}, "admin", "admin-token", trigger("good"),
			`jenkins main: trigger good: GET /job/good/api/json: the answer does not come from jenkins' API: got "text/html" where application/json was expected: check the controller's URL and what stands in front of it`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.o.Users, c.o.Engine = users, asking()
			s := start(t, c.o)
			good := strings.Replace(pipelineXML, "</parameterDefinitions>",
				"<hudson.model.StringParameterDefinition><name>COMMIT</name></hudson.model.StringParameterDefinition></parameterDefinitions>", 1)
			if c.o.Without == nil || c.o.Without[0] != "workflow-job" {
				for name, xml := range map[string]string{
					"good": good, "bare": pipelineXML, "waits": pipelineXML, "off": strings.Replace(good, "<properties>", "<disabled>true</disabled><properties>", 1),
				} {
					if err := s.CreateJob(name, []byte(xml)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if strings.Contains(c.want, "waits #1") {
				admin := client(t, s.URL, "admin", "admin-token")
				if _, err := admin.Trigger(t.Context(), "waits", map[string]string{jenkins.DeploymentParam: "d1"}); err != nil {
					t.Fatal(err)
				}
				eventually(t, "its build", func() bool {
					_, _, _, err := admin.Log(t.Context(), "waits", 1, 0)
					return err == nil
				})
			}
			err := c.call(t.Context(), client(t, s.URL, c.user, c.token))
			if err == nil || err.Error() != c.want {
				t.Errorf("error:\n%v\nwant:\n%s", err, c.want)
			}
		})
	}
}
