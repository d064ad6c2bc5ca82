package main

import (
	"testing"

	"railyard/server/api"
)

func TestTheOutcomeOfATrain(t *testing.T) {
	uat, prod := api.Stage{Name: "UAT"}, api.Stage{Name: "PROD"}
	train := func(state, environment string, stages ...api.Stage) api.Train {
		t := api.Train{Id: "hotel-line-3", State: state, Environment: &environment, Reason: "so it stands", Stages: stages}
		if t.Ended = state != "delivering"; t.Ended {
			t.Verdict = new("so it ended")
		}
		return t
	}
	cases := []struct {
		rule  string
		train api.Train
		stage string
		want  string
	}{
		{"while it rolls, the build waits", train("delivering", "UAT", uat), "UAT", "WAIT 1 hotel-line-3: delivering UAT: so it stands"},
		{"a stage is passed when the next one has begun", train("delivering", "PROD", uat, prod), "UAT", "PASSED 2 hotel-line-3: UAT is passed"},
		{"production is passed when it has arrived", train("arrived", "PROD", uat, prod), "PROD", "PASSED end hotel-line-3: so it ended"},
		{"one that returned is a failure", train("returned", "PROD", uat, prod), "PROD", "FAILURE end hotel-line-3: returned PROD: so it ended"},
		{"one that stopped is a failure", train("stopped", "UAT", uat), "UAT", "FAILURE end hotel-line-3: stopped UAT: so it ended"},
		{"one that was cancelled is aborted", train("cancelled", ""), "UAT", "ABORTED end hotel-line-3: cancelled: so it ended"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			if got := standingOfTrain(c.train).outcome(c.stage); got != c.want {
				t.Errorf("%q, expected %q", got, c.want)
			}
		})
	}
}
