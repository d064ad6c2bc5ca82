package jenkinstest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"railyard/internal/jenkins/jenkinstest"
)

const hold = `touch "$DIR/begun-$N"; while [ ! -e "$DIR/go" ]; do sleep 0.02; done`

func noon() *jenkinstest.ManualClock {
	return jenkinstest.NewManualClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
}

func class(o map[string]any) string {
	return strings.TrimPrefix(o["_class"].(string), "hudson.model.Queue$")
}

func TestTheQuietPeriodEndsAtTheNextTick(t *testing.T) {
	clock := noon()
	s := start(t, jenkinstest.Options{Clock: clock, QuietPeriod: 7 * time.Second})
	create(t, s, "j", jobXML("true", true))
	item := trigger(t, s, "j", "N=1")
	if o := object(t, s, item); class(o) != "WaitingItem" || o["why"] != "In the quiet period. Expires in 7.0 sec" ||
		o["timestamp"] != float64(clock.Now().Add(7*time.Second).UnixMilli()) {
		t.Errorf("item = %v", o)
	}
	clock.Advance(9 * time.Second) // due at 7 s, looked at every 5 s: not before 10 s
	if o := object(t, s, item); class(o) != "WaitingItem" {
		t.Errorf("after 9 s = %v, want it still waiting", o)
	}
	clock.Advance(time.Second)
	if result, _ := finished(t, s, "j", 1); result != "SUCCESS" {
		t.Errorf("result = %s", result)
	}
}

func TestAnEventMaintainsTheQueueBeforeTheTick(t *testing.T) {
	clock := noon()
	s := start(t, jenkinstest.Options{Clock: clock, QuietPeriod: time.Second})
	create(t, s, "j", jobXML("true", true))
	trigger(t, s, "j", "N=1")
	clock.Advance(2 * time.Second)
	trigger(t, s, "j", "N=2")
	finished(t, s, "j", 1)
}

func TestDelayIsSecondsWithAUnitAndMillisecondsWithout(t *testing.T) {
	clock := noon()
	s := start(t, jenkinstest.Options{Clock: clock})
	create(t, s, "j", jobXML("true", true))
	for params, want := range map[string]string{"N=1&delay=5sec": "Expires in 5.0 sec", "N=2&delay=5000": "Expires in 5.0 sec", "N=3&delay=90sec": "Expires in 1 min 30 sec"} {
		if why := object(t, s, trigger(t, s, "j", params))["why"]; !strings.Contains(why.(string), want) {
			t.Errorf("%s: why = %v, want %s", params, why, want)
		}
	}
	if a := post(t, s, "/job/j/buildWithParameters?delay=soon"); a.status != http.StatusInternalServerError {
		t.Errorf("delay=soon = %d, want 500", a.status)
	}
}

func TestAnEarlierDueTimeWinsWhenItemsCoalesce(t *testing.T) {
	clock := noon()
	s := start(t, jenkinstest.Options{Clock: clock})
	create(t, s, "j", jobXML("true", true))
	item := trigger(t, s, "j", "N=1&delay=60sec")
	if a := post(t, s, "/job/j/buildWithParameters?N=1&delay=20sec"); a.status != http.StatusSeeOther {
		t.Fatalf("second = %d, want 303", a.status)
	}
	if why := object(t, s, item)["why"]; why != "In the quiet period. Expires in 20 sec" {
		t.Errorf("why = %v", why)
	}
	var causes []any
	for _, a := range object(t, s, item)["actions"].([]any) {
		if c, ok := a.(map[string]any)["causes"].([]any); ok {
			causes = c
		}
	}
	if len(causes) != 2 {
		t.Errorf("causes = %v, want both", causes)
	}
}

func TestLeftItemsExpireAfterFiveMinutes(t *testing.T) {
	clock := noon()
	s := start(t, jenkinstest.Options{Clock: clock})
	create(t, s, "j", jobXML("true", true))
	item := trigger(t, s, "j", "N=1")
	finished(t, s, "j", 1)
	o := object(t, s, item)
	if class(o) != "LeftItem" || o["executable"].(map[string]any)["number"] != 1.0 || o["cancelled"] != false {
		t.Errorf("left item = %v", o)
	}
	clock.Advance(5*time.Minute - time.Second)
	object(t, s, item)
	clock.Advance(time.Second)
	if a := get(t, s, item); a.status != http.StatusNotFound {
		t.Errorf("after five minutes = %d, want 404", a.status)
	}
}

func TestALeftItemHasNoExecutableForAMoment(t *testing.T) {
	left, goOn := make(chan int64), make(chan struct{})
	s := start(t, jenkinstest.Options{BeforeExecutable: func(id int64) { left <- id; <-goOn }})
	create(t, s, "j", jobXML("true", true))
	item := trigger(t, s, "j", "N=1")
	<-left
	o := object(t, s, item)
	if class(o) != "LeftItem" || o["cancelled"] != false || o["executable"] != nil {
		t.Errorf("item = %v", o)
	}
	if a := get(t, s, "/job/j/1/api/json"); a.status != http.StatusNotFound {
		t.Errorf("build = %d, want 404", a.status)
	}
	close(goOn)
	finished(t, s, "j", 1)
}

func TestAJobWithoutConcurrentBuildsBlocks(t *testing.T) {
	dir := t.TempDir()
	s := start(t, jenkinstest.Options{})
	create(t, s, "j", jobXML(hold, false))
	trigger(t, s, "j", "N=1&DIR="+dir)
	eventually(t, "the first build", func() bool { return exists(dir, "begun-1") })
	item := trigger(t, s, "j", "N=2&DIR="+dir)
	o := object(t, s, item)
	if class(o) != "BlockedItem" || o["blocked"] != true || o["why"] != "Build #1 is already in progress (ETA: N/A)" {
		t.Errorf("item = %v", o)
	}
	if j := object(t, s, "/job/j/api/json"); j["inQueue"] != true || j["queueItem"] == nil || j["color"] != "notbuilt_anime" {
		t.Errorf("job: inQueue %v, queueItem %v, color %v", j["inQueue"], j["queueItem"], j["color"])
	}
	touch(t, dir, "go")
	finished(t, s, "j", 2)
}

func TestExecutorsLimitWhatRuns(t *testing.T) {
	dir := t.TempDir()
	s := start(t, jenkinstest.Options{})
	create(t, s, "j", jobXML(hold, true))
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		trigger(t, s, "j", "N="+n+"&DIR="+dir)
	}
	eventually(t, "four builds", func() bool {
		return exists(dir, "begun-1") && exists(dir, "begun-2") && exists(dir, "begun-3") && exists(dir, "begun-4")
	})
	if c := object(t, s, "/computer/api/json"); c["busyExecutors"] != 4.0 || c["totalExecutors"] != 4.0 {
		t.Errorf("busy %v of %v, want 4 of 4", c["busyExecutors"], c["totalExecutors"])
	}
	items := object(t, s, "/queue/api/json")["items"].([]any)
	if len(items) != 1 || class(items[0].(map[string]any)) != "BuildableItem" {
		t.Fatalf("queue = %v, want the fifth", items)
	}
	if why := items[0].(map[string]any)["why"]; why != "Waiting for next available executor" || exists(dir, "begun-5") {
		t.Errorf("why = %v", why)
	}
	touch(t, dir, "go")
	finished(t, s, "j", 5)
}

func TestQuietingDownAcceptsTriggersAndStartsNothing(t *testing.T) {
	s := start(t, jenkinstest.Options{})
	create(t, s, "j", jobXML("true", true))
	if a := post(t, s, "/quietDown"); a.status != http.StatusFound {
		t.Fatalf("quietDown = %d", a.status)
	}
	item := trigger(t, s, "j", "N=1")
	if o := object(t, s, item); o["why"] != "Jenkins is about to shut down" || object(t, s, "/api/json")["quietingDown"] != true {
		t.Errorf("item = %v", o)
	}
	post(t, s, "/cancelQuietDown")
	finished(t, s, "j", 1)
}
