package service

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
	"railyard/internal/jenkins"
	"railyard/internal/roller"
	"railyard/internal/rollmon/source/junit"
	"railyard/internal/rop"
)

func TestWhichBuildsTestedACoach(t *testing.T) {
	const (
		own  = "/job/deliver/job/hotel-api"
		atp  = "/job/atp"
		runs = `{"building":true,"result":null,"url":"u"}`
	)
	answers := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Jenkins", "2.440.3")
		answer, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	log := logrus.New()
	log.SetOutput(io.Discard)
	c, err := jenkins.New(jenkins.Config{Name: "main", URL: server.URL, User: "railyard", Token: "t"}, log)
	fatal(t, err)
	topology := &fleet.Topology{Apps: []fleet.App{{Name: "hotel-api", Pool: "hotel-api", Jenkins: fleet.Jenkins{Controller: "main"}}, {Name: "jobws", Pool: "jobws"}}}
	coach := rop.Coach{ID: "hotel-api-7.2", Builds: []rop.Build{{App: "hotel-api", Controller: "main", Job: "deliver/hotel-api", Number: 7}, {App: "jobws", Controller: "main", Job: "deliver/jobws", Number: 3}}}
	reports := testReports{
		controllers: controllers{"main": {Controller: c}}, topology: func() *fleet.Topology { return topology },
		roll:  func(context.Context, string) (roller.Roll, error) { return roller.Roll{Coach: coach.ID}, nil },
		coach: func(context.Context, string) (rop.Coach, error) { return coach, nil },
	}
	ask := func(job string) string {
		builds, err := reports.builds(t.Context(), junit.Ask{Roll: "r-1", Pool: "hotel-api", Job: job})
		if err != nil {
			return "error: " + err.Error()
		}
		var words []string
		for _, b := range builds {
			w := b.Name
			if b.Running {
				w += " runs"
			}
			if b.Report != nil {
				w += fmt.Sprintf(" %d passed", b.Report.Passed)
			}
			words = append(words, w)
		}
		return strings.Join(words, ", ")
	}

	answers[own+"/7/api/json"] = runs
	if got, want := ask(""), "deliver/hotel-api #7 runs"; got != want {
		t.Errorf("its own build, before it published: %q, want %q", got, want)
	}
	answers[own+"/7/testReport/api/json"] = `{"passCount":41,"failCount":0,"skipCount":0,"suites":[]}`
	if got, want := ask(""), "deliver/hotel-api #7 41 passed"; got != want {
		t.Errorf("its own build, which runs until the verdict: %q, want %q", got, want)
	}
	if got := ask("atp"); got != "" {
		t.Errorf("a job that is not there: %q", got)
	}
	answers[atp+"/api/json"] = `{"builds":[{"number":9,"building":true,"actions":[{"parameters":[{"name":"RAILYARD_COACH","value":"hotel-api-7.2"}]}]}]}`
	answers[atp+"/9/api/json"] = runs
	if got, want := ask("atp"), "atp #9 runs"; got != want {
		t.Errorf("the job's build of this Coach: %q, want %q", got, want)
	}
	server.Close()
	if got := ask(""); !strings.HasPrefix(got, "error: jenkins main: ") {
		t.Errorf("a Jenkins that is away: %q", got)
	}
}
