//go:build linux

// Package e2e proves the main job on the real thing: the railyard program, real processes behind a real HAProxy, a real
// Prometheus, real SQL, real git, and builds that are real processes.
package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"railyard/internal/store/mariadbtest"
)

var (
	railyard   string // the program under test
	crashserve string // the same service, which kills itself where it is told
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rye")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	railyard, crashserve = filepath.Join(dir, "railyard"), filepath.Join(dir, "crashserve")
	for target, source := range map[string]string{railyard: "railyard/cmd/railyard", crashserve: "railyard/internal/e2e/crashserve"} {
		if out, err := exec.Command("go", "build", "-tags", "nomsgpack", "-o", target, source).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", source, err, out)
			return 1
		}
	}
	return mariadbtest.Run(m)
}

// shortDir is a temporary directory with a short path, because sockets live below it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ry")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestTheStoryEndsAsItShould(t *testing.T) {
	t.Parallel() // in a yard of its own
	report := filepath.Join(t.TempDir(), "report.json")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 9*time.Minute, errors.New("the story took more than nine minutes"))
	defer cancel()
	cmd := exec.CommandContext(ctx, railyard, "demo", "--once", "--report", report)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("railyard demo --once: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	var told struct {
		Pushes []struct {
			Name           string           `json:"name"`
			Verdict        string           `json:"verdict"`
			Requests       int64            `json:"requests"`
			FailedRequests int64            `json:"failed_requests"`
			ServersExposed int              `json:"servers_exposed"`
			FailedByServer map[string]int64 `json:"failed_by_server"`
			Stages         []struct {
				Name    string  `json:"name"`
				Seconds float64 `json:"seconds"`
			} `json:"stages"`
		} `json:"pushes"`
		Train struct {
			State          string            `json:"state"`
			Planned        []string          `json:"planned"`
			Forward        []string          `json:"forward"`
			Failed         string            `json:"failed"`
			Back           []string          `json:"back"`
			Kept           []string          `json:"kept"`
			Riders         map[string]string `json:"riders"`
			FailedRequests int64             `json:"failed_requests"`
		} `json:"train"`
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatal(err)
	}
	if len(told.Pushes) != 3 {
		t.Fatalf("%d pushes in the report, expected 3", len(told.Pushes))
	}
	good, bad, broken := told.Pushes[0], told.Pushes[1], told.Pushes[2]
	for i, verdict := range []string{"released", "rolled_back", "stopped_in_fat"} {
		if told.Pushes[i].Verdict != verdict {
			t.Errorf("%s: %s, expected %s", told.Pushes[i].Name, told.Pushes[i].Verdict, verdict)
		}
	}
	if good.Requests == 0 || good.FailedRequests != 0 || good.ServersExposed != 5 {
		t.Errorf("the good push: %d of %d requests failed, %d servers exposed; expected 0 failed and 5 exposed", good.FailedRequests, good.Requests, good.ServersExposed)
	}
	if bad.FailedRequests == 0 || bad.ServersExposed != 1 {
		t.Errorf("the bad push: %d requests failed, %d servers exposed; expected some failures, from one server", bad.FailedRequests, bad.ServersExposed)
	}
	if len(bad.FailedByServer) != 1 || bad.FailedByServer["prod-hotel-api-1"] == 0 {
		t.Errorf("the bad push: requests failed on %v, expected only on the smoke server", bad.FailedByServer)
	}
	if broken.FailedRequests != 0 || broken.ServersExposed != 0 {
		t.Errorf("the broken push: %d requests failed, %d servers exposed; expected none", broken.FailedRequests, broken.ServersExposed)
	}
	var stages []string
	for _, s := range good.Stages {
		stages = append(stages, s.Name)
	}
	if got, expected := strings.Join(stages, " "), "build FAT approval UAT smoke baking rolling watch"; got != expected {
		t.Errorf("stages of the good push: %s, expected %s", got, expected)
	}
	train := told.Train
	for what, is := range map[string][2]string{
		"state":   {train.State, "returned"},
		"planned": {strings.Join(train.Planned, ", "), "hotel-db, hotel-web, jobws, public-api, hotel-api, hotel-app"},
		"forward": {strings.Join(train.Forward, ", "), "hotel-db, hotel-web, jobws"},
		"failed":  {train.Failed, "jobws"},
		"back":    {strings.Join(train.Back, ", "), "hotel-web"},
		"kept":    {strings.Join(train.Kept, ", "), "hotel-db"},
		"jobws":   {train.Riders["jobws"], "went_back"},
	} {
		if is[0] != is[1] {
			t.Errorf("the Train's %s: %s, expected %s", what, is[0], is[1])
		}
	}
	if train.FailedRequests != 0 {
		t.Errorf("%d of the visitors' requests failed while the Train went there and back", train.FailedRequests)
	}
}
