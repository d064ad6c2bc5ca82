package jenkins_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

const job = "deliver/hotel api" // a folder, and a name that has to be escaped

// jobXML is a freestyle job with the deployment parameter and one shell step.
func jobXML(script string) []byte {
	return fmt.Appendf(nil, `<project><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>RAILYARD_DEPLOYMENT</name></hudson.model.StringParameterDefinition>
<hudson.model.StringParameterDefinition><name>DIR</name></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><concurrentBuild>true</concurrentBuild>
<builders><hudson.tasks.Shell><command>%s</command><unstableReturn>3</unstableReturn></hudson.tasks.Shell></builders></project>`, html.EscapeString(script))
}

// waitForGo is a script that says it is there and goes on when it is told to.
const waitForGo = `echo begun $RAILYARD_DEPLOYMENT
touch "$DIR/begun-$RAILYARD_DEPLOYMENT"
while [ ! -e "$DIR/go" ]; do sleep 0.02; done
echo done`

func start(t *testing.T, o jenkinstest.Options) *jenkinstest.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := jenkinstest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the stand-in: %v", err)
		}
	})
	return s
}

func silent() logrus.FieldLogger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}

func client(t *testing.T, url, user, token string) *jenkins.Controller {
	t.Helper()
	c, err := jenkins.New(jenkins.Config{Name: "main", URL: url, User: user, Token: token, Timeout: 10 * time.Second}, silent())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pair is a stand-in with one job and a client with an API token.
func pair(t *testing.T, o jenkinstest.Options, script string) (*jenkinstest.Server, *jenkins.Controller) {
	t.Helper()
	s := start(t, o)
	if err := s.CreateJob(job, jobXML(script)); err != nil {
		t.Fatal(err)
	}
	return s, client(t, s.URL, "admin", "admin-token")
}

func trigger(t *testing.T, c *jenkins.Controller, deployment, dir string) int64 {
	t.Helper()
	id, err := c.Trigger(t.Context(), job, map[string]string{jenkins.DeploymentParam: deployment, "DIR": dir})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// until asks for a deployment until it is as wanted; a Jenkins that is away is
// waited for.
func until(t *testing.T, c *jenkins.Controller, deployment string, queueID int64, want func(jenkins.Build) bool) jenkins.Build {
	t.Helper()
	var last jenkins.Build
	eventually(t, fmt.Sprintf("deployment %s", deployment), func() bool {
		b, err := c.Find(t.Context(), jenkins.Ask{Job: job, Deployment: deployment, QueueID: queueID})
		if err != nil && !errors.Is(err, jenkins.ErrUnreachable) {
			t.Fatal(err)
		}
		last = b
		return err == nil && want(b)
	})
	return last
}

func done(b jenkins.Build) bool { return b.Done() }

// eventually waits for a condition on real processes.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func exists(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

func touch(t *testing.T, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error = %v, want one that is %q", err, target)
	}
}

// alive tells whether the process whose id is in a file is still running.
func alive(t *testing.T, path ...string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(text)), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
