package jenkinsfiles_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/jenkins"
	"railyard/jenkinsfiles"
)

func (y *yard) startTrain() jenkins.Ask {
	y.t.Helper()
	return y.trigger(map[string]string{"TRAIN": "hotel-line-3"})
}

func TestTrain(t *testing.T) {
	engine := pipelines(t)
	all := began + asked + "UAT\n" + asked + "PROD\n"
	cases := []struct {
		name    string
		prepare func(y *yard)
		result  string
		calls   string
		says    string
	}{
		{"a Train that arrived is a success", func(y *yard) { y.write("says-PROD", "PASSED end hotel-line-3: arrived: PROD runs hotel-api-7.2") },
			"SUCCESS", all, "arrived: PROD runs hotel-api-7.2"},
		{"a duplicate does nothing", func(y *yard) { y.write("begin", "4") }, "NOT_BUILT", began, "nothing to do"},
		{"a build that may not begin is a failure", func(y *yard) { y.write("begin", "1") }, "FAILURE", began, "did not let the build begin"},
		{"one that returned is a failure, with the reason", func(y *yard) { y.write("says-PROD", "FAILURE end hotel-line-3: returned PROD: 5xx 4.8 %") },
			"FAILURE", all, "ERROR: hotel-line-3: returned PROD: 5xx 4.8 %"},
		{"one that stopped in UAT is a failure, and PROD is not asked about", func(y *yard) { y.write("says-UAT", "FAILURE end hotel-line-3: stopped UAT: no Coach passed UAT") },
			"FAILURE", began + asked + "UAT\n", "no Coach passed UAT"},
		{"one that was cancelled is aborted", func(y *yard) { y.write("says-UAT", "ABORTED end hotel-line-3: cancelled: by person:li") },
			"ABORTED", began + asked + "UAT\n", "cancelled: by person:li"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			y := newYard(t, jenkinsfiles.Train(), engine)
			c.prepare(y)
			b, console := y.end(y.startTrain())
			if b.Result != c.result || !strings.Contains(console, c.says) {
				t.Errorf("result = %s, want %s with %q in\n%s", b.Result, c.result, c.says, console)
			}
			if diff := cmp.Diff(c.calls, y.calls()); diff != "" {
				t.Errorf("railyard was called otherwise:\n%s", diff)
			}
		})
	}
}

func TestATrainThatIsPausedKeepsItsJobWaiting(t *testing.T) {
	engine := pipelines(t)
	paused := func(t *testing.T) (*yard, func() (result, console string)) {
		y := newYard(t, jenkinsfiles.Train(), engine)
		return y, y.waitsIn("PROD", "hotel-line-3: delivering PROD: PROD/hotel-api rolling batch 2 of 3, paused: soft breach", y.startTrain)
	}
	t.Run("without an executor, until Railyard has a verdict", func(t *testing.T) {
		y, end := paused(t)
		var computers struct{ BusyExecutors int }
		y.get("/computer/api/json?tree=busyExecutors", &computers)
		if computers.BusyExecutors != 0 {
			t.Errorf("%d executors are busy", computers.BusyExecutors)
		}
		y.proceed("Railyard-4")
		y.eventually("another question", func() bool { return strings.Count(y.calls(), asked+"PROD") == 2 })
		y.write("says-PROD", "PASSED end hotel-line-3: arrived")
		y.proceed(y.asks(1))
		if result, console := end(); result != "SUCCESS" {
			t.Errorf("%s\n%s", result, console)
		}
	})
	t.Run("and aborting it asks for a brake", func(t *testing.T) {
		y, end := paused(t)
		y.as("li", "/job/deliver/1/stop", "")
		result, console := end()
		if result != "ABORTED" || !strings.HasSuffix(y.calls(), "brake --deployment d1 --reason build jenkins-deliver-1 was aborted\n") {
			t.Errorf("%s, called\n%s\n%s", result, y.calls(), console)
		}
	})
}
