package server_test

import (
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/pipeline"
)

const trainDeployment = trainID + "-train-a1"

// rollingTrain is a Train that has departed, with its job and one roll under way.
func rollingTrain(t *testing.T) *yard {
	y := newYard(t)
	y.addTrain()
	claims, err := y.store.ClaimTrains(t.Context(), "worker", start, time.Minute)
	if err != nil || len(claims) != 1 {
		t.Fatalf("%d Trains, %v", len(claims), err)
	}
	train := claims[0].Train
	train.State, train.Environment, train.Reason = pipeline.TrainDelivering, "PROD", "rolling"
	train.Job = rop.Build{Attempt: 1, Deployment: trainDeployment, State: rop.BuildQueued, Controller: "main", Job: fleet.TrainJob}
	roll := roller.Roll{ID: trainID + "-PROD-hotel-api", Coach: trainID, Kind: roller.Release, Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"},
		Stage: roller.Rolling, Created: start}
	if err := y.store.SaveTrain(t.Context(), claims[0], pipeline.TrainSave{Train: train, NewRolls: []roller.Roll{roll}}); err != nil {
		t.Fatal(err)
	}
	return y
}

func TestTheBuildOfATrain(t *testing.T) {
	y := rollingTrain(t)
	path := "/deployments/" + trainDeployment
	says := func(who, method, path, body string, status int, text string) {
		t.Helper()
		kind := "application/json"
		if method == "PUT" {
			kind = "application/gzip"
		}
		got, answer := y.do(who, method, "/api/v1"+path, kind, strings.NewReader(body))
		if got != status || !strings.Contains(answer, text) {
			t.Errorf("%s %s: %d %s, expected %d with %q", method, path, got, answer, status, text)
		}
	}
	says("jenkins", "GET", path, "", 200, `"train":"`+trainID+`"`)
	says("jenkins", "POST", path+"/begin", `{"job":"train","number":3,"url":"http://jenkins.example/3/"}`, 200, trainID)
	says("jenkins", "POST", path+"/begin", `{"job":"train","number":4}`, 409, "#3")
	says("jenkins", "POST", path+"/begin", `{"job":"deliver/hotel-api","number":3}`, 409, "job")
	says("jenkins", "POST", "/deployments/"+trainID+"-train-a2/begin", `{"job":"train","number":4}`, 404, "no Coach and no Train")
	says("jenkins", "PUT", path+"/package", "bytes", 409, "builds nothing")
	says("engineer", "POST", path+"/brake", `{"reason":"r"}`, 403, "")
	says("jenkins", "POST", path+"/brake", `{"reason":"build 3 was aborted"}`, 200, trainID+"-PROD-hotel-api")
	says("engineer", "GET", "/trains/"+trainID, "", 200, `"job":{`)
}
