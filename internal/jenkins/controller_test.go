package jenkins_test

import (
	"strings"
	"testing"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

func TestFollowABuildFromTriggerToResult(t *testing.T) {
	cases := []struct{ name, script, result string }{
		{"exit 0 is SUCCESS", "echo fine", "SUCCESS"},
		{"exit 1 is FAILURE", "exit 1", "FAILURE"},
		{"the exit code of unstableReturn is UNSTABLE", "exit 3", "UNSTABLE"},
		{"a command that fails on the way is FAILURE, because of sh -e", "false\necho not reached", "FAILURE"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, ctl := pair(t, jenkinstest.Options{ContextPath: "/jenkins", RootURL: "https://ci.example.org/other/"}, c.script)
			id := trigger(t, ctl, "d1", "")
			b := until(t, ctl, "d1", id, done)
			if b.Result != c.result || b.Number != 1 || b.QueueID != id || b.Building {
				t.Errorf("build = %+v, want number 1, queue id %d, %s", b, id, c.result)
			}
			if want := "https://ci.example.org/other/job/deliver/job/hotel%20api/1/"; b.URL != want {
				t.Errorf("url = %s, want %s (from the root URL, which is not our address)", b.URL, want)
			}
		})
	}
}

func TestFourBuildsRunAtOnceAndTheFifthWaits(t *testing.T) {
	dir := t.TempDir()
	_, ctl := pair(t, jenkinstest.Options{}, waitForGo)
	ids := map[string]int64{}
	for _, d := range []string{"d1", "d2", "d3", "d4", "d5"} {
		ids[d] = trigger(t, ctl, d, dir)
	}
	eventually(t, "four builds that run at the same time", func() bool {
		return exists(dir, "begun-d1") && exists(dir, "begun-d2") && exists(dir, "begun-d3") && exists(dir, "begun-d4")
	})
	fifth, err := ctl.Find(t.Context(), jenkins.Ask{Job: job, Deployment: "d5"})
	if err != nil {
		t.Fatal(err)
	}
	if !fifth.Queued || fifth.Why != "Waiting for next available executor" || exists(dir, "begun-d5") {
		t.Errorf("fifth = %+v, want it in the queue", fifth)
	}
	touch(t, dir, "go")
	for d, id := range ids {
		if b := until(t, ctl, d, id, done); b.Result != "SUCCESS" {
			t.Errorf("%s ended %s", d, b.Result)
		}
	}
}

func TestSameDeploymentTwiceWhileQueuedIsOneQueueItem(t *testing.T) {
	s, ctl := pair(t, jenkinstest.Options{}, "echo once")
	s.SetQuiet(true)
	first := trigger(t, ctl, "d1", "")
	if second := trigger(t, ctl, "d1", ""); second != first {
		t.Errorf("second trigger = queue item %d, want %d", second, first)
	}
	if other := trigger(t, ctl, "d2", ""); other == first {
		t.Error("another deployment was coalesced with the first")
	}
	s.SetQuiet(false)
	one, two := until(t, ctl, "d1", first, done), until(t, ctl, "d2", 0, done)
	if one.Number+two.Number != 1+2 {
		t.Errorf("builds #%d and #%d, want #1 and #2 in any order", one.Number, two.Number)
	}
}

func TestStopAbortsABuildWithAllItsProcesses(t *testing.T) {
	dir := t.TempDir()
	_, ctl := pair(t, jenkinstest.Options{}, "sleep 1000 &\n"+`echo $! > "$DIR/pid"`+"\n"+waitForGo)
	id := trigger(t, ctl, "d1", dir)
	eventually(t, "the build's process", func() bool { return exists(dir, "begun-d1") })
	running := until(t, ctl, "d1", id, func(b jenkins.Build) bool { return b.Number > 0 })
	if running.Done() || !running.Building {
		t.Errorf("running build = %+v", running)
	}
	if err := ctl.Stop(t.Context(), job, running.Number); err != nil {
		t.Fatal(err)
	}
	if b := until(t, ctl, "d1", id, done); b.Result != "ABORTED" {
		t.Errorf("result = %s, want ABORTED", b.Result)
	}
	if err := ctl.Stop(t.Context(), job, running.Number); err != nil {
		t.Errorf("stop of a finished build = %v, want success as Jenkins says", err)
	}
	if alive(t, dir, "pid") {
		t.Error("a process of the stopped build is still there")
	}
}

func TestDescription(t *testing.T) {
	_, ctl := pair(t, jenkinstest.Options{}, "true")
	id := trigger(t, ctl, "d1", "")
	b := until(t, ctl, "d1", id, done)
	const text = `released to PROD: 4 of 4 servers <b>&ü`
	if err := ctl.Describe(t.Context(), job, b.Number, text); err != nil {
		t.Fatal(err)
	}
	if b := until(t, ctl, "d1", id, done); b.Description != text {
		t.Errorf("description = %q, want %q", b.Description, text)
	}
}

func TestConsoleComesInIncrements(t *testing.T) {
	dir := t.TempDir()
	_, ctl := pair(t, jenkinstest.Options{Secrets: map[string]string{"RAILYARD_TOKEN": "s3cr3t"}},
		waitForGo+"\necho token $RAILYARD_TOKEN")
	id := trigger(t, ctl, "d1", dir)
	eventually(t, "the build", func() bool { return exists(dir, "begun-d1") })
	n := until(t, ctl, "d1", id, func(b jenkins.Build) bool { return b.Number > 0 }).Number
	first, next, more, err := ctl.Log(t.Context(), job, n, 0)
	if err != nil || !more || !strings.Contains(string(first), "begun d1") {
		t.Fatalf("first = %q, more %v, %v", first, more, err)
	}
	if int64(len(first)) >= next {
		t.Errorf("next = %d for %d bytes: notes that were cut out must be counted", next, len(first))
	}
	if !strings.HasPrefix(string(first), "Started by user admin\n") {
		t.Errorf("the console begins %.40q", first)
	}
	touch(t, dir, "go")
	until(t, ctl, "d1", id, done)
	all := string(first)
	for more {
		var part []byte
		if part, next, more, err = ctl.Log(t.Context(), job, n, next); err != nil {
			t.Fatal(err)
		}
		all += string(part)
	}
	if !strings.HasSuffix(all, "Finished: SUCCESS\n") || strings.Count(all, "begun d1") != 2 {
		t.Errorf("console = %q, want each line once and the end", all)
	}
	if strings.Contains(all, "s3cr3t") || !strings.Contains(all, "token ****") {
		t.Errorf("console = %q, want the secret masked", all)
	}
}
