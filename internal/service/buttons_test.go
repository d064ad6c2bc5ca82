package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/access"
	"railyard/internal/jenkins/jenkinstest"
	"railyard/jenkinsfiles"
	"railyard/pipeline"
	"railyard/server"
)

// TestWhatCountsAsAPress asks a Jenkins about builds that different users have started.
func TestWhatCountsAsAPress(t *testing.T) {
	ended := make(chan struct{})
	jenkins, err := jenkinstest.Start(jenkinstest.Options{
		Dir: t.TempDir(),
		Users: []jenkinstest.User{
			{Name: "railyard", Token: "railyard-token", Permissions: []string{"Overall/Administer"}},
			{Name: "lwei", Token: "lwei-token", Permissions: []string{"Overall/Administer"}},
			{Name: "wang", Token: "wang-token", Permissions: []string{"Overall/Administer"}},
		},
		Engine: jenkinstest.EngineFunc(func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
			if r.Job == "railyard/Resume" {
				return jenkinstest.Success // at once
			}
			select {
			case <-ended:
			case <-ctx.Done():
			}
			return jenkinstest.Success
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(ended)
		if err := jenkins.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, definition := range jenkinsfiles.Buttons() {
		for _, folder := range []string{"railyard/", "elsewhere/"} {
			if err := jenkins.CreateJob(folder+name, definition); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("TEST_JENKINS_TOKEN", "railyard-token")
	configs := []Jenkins{{Name: "main", URL: jenkins.URL, User: "railyard", Token: "env:TEST_JENKINS_TOKEN", People: map[string]string{"lwei": "li.wei"}}}
	log := logrus.New()
	log.SetOutput(io.Discard)
	controllers, err := newControllers(configs, log)
	if err != nil {
		t.Fatal(err)
	}
	b := buttons{controllers, configs}

	press := func(user, job string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			jenkins.URL+"/job/"+strings.ReplaceAll(job, "/", "/job/")+"/buildWithParameters?COACH=hotel-api-7.2&REASON=odd&MODE=emergency", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(user, user+"-token")
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		ends := job == "railyard/Resume"
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
			p, err := controllers["main"].Press(t.Context(), job, 1)
			if err == nil && p.Building != ends {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s was not built: %v", job, err)
			}
		}
	}
	press("lwei", "railyard/Rollback")
	press("wang", "railyard/Brake")
	press("lwei", "railyard/Resume")
	press("lwei", "elsewhere/Brake")

	got, err := b.pressed(t.Context(), "", "railyard/Rollback", 1)
	expected := server.Press{Key: "main/railyard/Rollback #1", Button: "rollback", Person: "li.wei", Coach: "hotel-api-7.2", Reason: "odd", Mode: "emergency"}
	if err != nil || got != expected {
		t.Errorf("press = %+v (%v), expected %+v", got, err, expected)
	}
	for _, c := range []struct {
		rule, controller, job string
		number                int64
		target                error
		says                  string
	}{
		{"a user whom nobody has named", "main", "railyard/Brake", 1, access.ErrDenied, `Jenkins' user "wang" is nobody here: name the person under jenkins.people`},
		{"a build that has ended", "", "railyard/Resume", 1, access.ErrDenied, "it has ended"},
		{"a job of another folder", "", "elsewhere/Brake", 1, access.ErrDenied, "only jobs of the folder railyard are buttons"},
		{"a controller that is not configured", "other", "railyard/Brake", 1, access.ErrDenied, `no Jenkins controller "other"`},
		{"a build that is not there", "", "railyard/Brake", 9, pipeline.ErrNotFound, "not found"},
	} {
		if _, err := b.pressed(t.Context(), c.controller, c.job, c.number); !errors.Is(err, c.target) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected %q", c.rule, err, c.says)
		}
	}
}
