package machines

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
)

const (
	machine = "PROD/hotel-api-1"
	app     = "hotel-api"
	// A release that tells what it was given, then runs until it is told to end.
	tells = `echo "$PORT $SERVER_NAME $APP $ENVIRONMENT $RELEASE $EXTRA $PWD"; exec sleep 300`
)

// yard is one machine with one application.
type yard struct {
	*Supervisor
	t   *testing.T
	dir string
}

func newYard(t *testing.T, change func(*Options), releases ...string) yard {
	t.Helper()
	y := yard{t: t, dir: t.TempDir()}
	for i, script := range releases {
		y.release(fmt.Sprintf("r%d", i+1), script)
	}
	if len(releases) > 0 {
		y.link("r1")
	}
	opts := Options{
		SocketDir: y.dir,
		Machines: []Machine{{Environment: "PROD", Server: "hotel-api-1", Dir: filepath.Join(y.dir, "m"), Services: []Service{
			{App: app, Port: 20431, Env: map[string]string{"EXTRA": "more"}},
		}}},
	}
	if change != nil {
		change(&opts)
	}
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	y.Supervisor = s
	return y
}

func (y yard) release(revision, script string) {
	y.t.Helper()
	dir := filepath.Join(y.dir, "m", app, "releases", revision)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		y.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		y.t.Fatal(err)
	}
}

// link moves "current" as a deployment does.
func (y yard) link(revision string) {
	y.t.Helper()
	current := filepath.Join(y.dir, "m", app, "current")
	if err := os.Symlink("releases/"+revision, current+".new"); err != nil {
		y.t.Fatal(err)
	}
	if err := os.Rename(current+".new", current); err != nil {
		y.t.Fatal(err)
	}
}

func (y yard) restart() {
	y.t.Helper()
	if err := y.Restart(y.t.Context(), machine, app); err != nil {
		y.t.Fatal(err)
	}
}

// now is the state of the service.
func (y yard) now() Status {
	y.t.Helper()
	status, err := y.Status(machine, app)
	if err != nil {
		y.t.Fatal(err)
	}
	return status
}

func (y yard) log() string {
	out, _ := os.ReadFile(filepath.Join(y.dir, "m", app+".log"))
	return string(out)
}

func (y yard) eventually(what string, condition func() bool) {
	y.t.Helper()
	ctx, cancel := context.WithTimeout(y.t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			y.t.Fatalf("waited 10 s for: %s", what)
		case <-tick.C:
		}
	}
}

// procState is the kernel's letter for the process: "S" sleeping, "T" stopped, "" gone.
func procState(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return after[:1]
}

func TestAReleaseSeesItsMachine(t *testing.T) {
	y := newYard(t, nil, tells)
	want := "20431 hotel-api-1 hotel-api PROD r1 more " + filepath.Join(y.dir, "m", app, "releases", "r1")
	y.eventually("the release's greeting", func() bool { return strings.TrimSpace(y.log()) == want })
}

func TestAMachineWithoutACurrentReleaseRunsNothing(t *testing.T) {
	y := newYard(t, nil)
	if got := y.now(); got.Running {
		t.Errorf("status %+v, want nothing running", got)
	}
	if err := y.Restart(t.Context(), machine, app); !errors.Is(err, ErrNoRelease) {
		t.Errorf("restart: %v, want ErrNoRelease", err)
	}
	y.release("r1", tells)
	y.link("r1")
	y.restart()
	if got := y.now(); !got.Running || got.Revision != "r1" {
		t.Errorf("status after the first release %+v, want r1 running", got)
	}
}

func TestMovingTheLinkChangesNothingUntilTheRestart(t *testing.T) {
	y := newYard(t, nil, tells, tells)
	before := y.now()
	y.link("r2")
	if got := y.now(); got != before {
		t.Errorf("status after moving the link %+v, want %+v", got, before)
	}
	y.restart()
	got := y.now()
	if got.Revision != "r2" || got.PID == before.PID {
		t.Errorf("status after the restart %+v, want r2 in a new process", got)
	}
	if procState(before.PID) != "" {
		t.Errorf("the old process %d still exists", before.PID)
	}
	starts := y.Starts(machine, app)
	if len(starts) != 2 || starts[0].Reason != Boot || starts[1].Reason != Restart || starts[1].Revision != "r2" {
		t.Errorf("starts %+v, want r1 at boot and r2 on restart", starts)
	}
}

func TestARestartWaitsForTheGracefulEnd(t *testing.T) {
	y := newYard(t, nil, `trap 'echo ended; exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
	y.eventually("the process is ready", func() bool { return strings.Contains(y.log(), "ready") })
	y.restart()
	if !strings.Contains(y.log(), "ended") {
		t.Errorf("the new process started before the old one had ended by itself; log: %q", y.log())
	}
}

func TestAProcessThatDoesNotEndIsKilledAfterTheGracePeriod(t *testing.T) {
	y := newYard(t, func(o *Options) { o.Grace = 100 * time.Millisecond },
		`trap '' TERM; echo ready; while :; do sleep 300; done`, tells)
	y.eventually("the process is ready", func() bool { return strings.Contains(y.log(), "ready") })
	stubborn := y.now().PID
	y.link("r2")
	y.restart()
	if procState(stubborn) != "" || y.now().Revision != "r2" {
		t.Errorf("old process %q, status %+v; want it gone and r2 running", procState(stubborn), y.now())
	}
}

func TestAProcessThatDiesIsStartedAgain(t *testing.T) {
	y := newYard(t, nil, tells)
	first := y.now()
	if err := y.Kill(machine, app); err != nil {
		t.Fatal(err)
	}
	y.eventually("a new process", func() bool { got := y.now(); return got.Running && got.PID != first.PID })
	starts := y.Starts(machine, app)
	if got := starts[len(starts)-1]; got.Reason != Died {
		t.Errorf("last start %+v, want reason %q", got, Died)
	}
}

func TestAStoppedServiceStaysDown(t *testing.T) {
	y := newYard(t, nil, tells)
	pid := y.now().PID
	if err := y.Stop(t.Context(), machine, app); err != nil {
		t.Fatal(err)
	}
	if got := y.now(); got.Running || procState(pid) != "" {
		t.Errorf("status %+v, process %q; want nothing", got, procState(pid))
	}
	if err := y.Kill(machine, app); !errors.Is(err, ErrNotRunning) {
		t.Errorf("kill: %v, want ErrNotRunning", err)
	}
	y.restart()
	if starts := y.Starts(machine, app); len(starts) != 2 {
		t.Errorf("%d starts, want the boot and the restart only: %+v", len(starts), starts)
	}
}

func TestAFrozenProcessKeepsItsPlaceUntilItIsThawed(t *testing.T) {
	y := newYard(t, nil, tells)
	pid := y.now().PID
	if err := y.Freeze(machine, app); err != nil {
		t.Fatal(err)
	}
	y.eventually("the process stands still", func() bool { return procState(pid) == "T" })
	if err := y.Thaw(machine, app); err != nil {
		t.Fatal(err)
	}
	y.eventually("the process goes on", func() bool { return procState(pid) == "S" })
	if got := y.now().PID; got != pid {
		t.Errorf("pid %d, want still %d", got, pid)
	}
}

func TestADeploymentRestartsWithTheServiceScript(t *testing.T) {
	y := newYard(t, nil, tells, tells)
	y.link("r2")
	command := strings.NewReplacer("{{.Dir}}", filepath.Join(y.dir, "m"), "{{.App}}", app).Replace(RestartCommand)
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	var got Status
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("answer %q: %v", out, err)
	}
	if !got.Running || got.Revision != "r2" {
		t.Errorf("answer %+v, want r2 running", got)
	}
}

func TestTheServiceScriptFailsWhereTheMachineRefuses(t *testing.T) {
	y := newYard(t, nil)
	out, err := exec.Command(filepath.Join(y.dir, "m", "service"), "restart", app).CombinedOutput()
	if err == nil || !strings.Contains(string(out), ErrNoRelease.Error()) {
		t.Errorf("restart without a release: %v, %q; want a failure that says why", err, out)
	}
}

func TestTheControlSocketAnswersWithHTTPCodes(t *testing.T) {
	y := newYard(t, nil, tells)
	for _, c := range []struct {
		rule, method, path, want string
	}{
		{"status", "GET", "/status/hotel-api", "200"},
		{"stop", "POST", "/stop/hotel-api", "200"},
		{"an unknown application is not found", "POST", "/restart/nothing", "404"},
		{"a restart must be a POST", "GET", "/restart/hotel-api", "405"},
	} {
		out, err := exec.Command("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", y.Socket(machine),
			"-X", c.method, "http://machine"+c.path).CombinedOutput()
		if err != nil || string(out) != c.want {
			t.Errorf("%s: %s %v, want %s", c.rule, out, err, c.want)
		}
	}
}

func TestCloseLeavesNeitherProcessNorSocket(t *testing.T) {
	y := newYard(t, nil, tells)
	pid := y.now().PID
	if err := y.Freeze(machine, app); err != nil {
		t.Fatal(err)
	}
	if err := y.Close(); err != nil {
		t.Fatal(err)
	}
	if procState(pid) != "" {
		t.Errorf("process %d is left", pid)
	}
	if _, err := os.Stat(y.Socket(machine)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket %s: %v, want it removed", y.Socket(machine), err)
	}
	if err := y.Restart(t.Context(), machine, app); !errors.Is(err, ErrNotRunning) {
		t.Errorf("restart of a closed machine: %v, want ErrNotRunning", err)
	}
}

func TestASocketPathThatUnixCannotHoldIsRefused(t *testing.T) {
	_, err := Start(t.Context(), Options{
		SocketDir: "/" + strings.Repeat("d", 100),
		Machines:  []Machine{{Environment: "PROD", Server: "hotel-api-1", Dir: t.TempDir()}},
	})
	if err == nil || !strings.Contains(err.Error(), "choose a shorter SocketDir") {
		t.Errorf("error %v, want advice on SocketDir", err)
	}
}
