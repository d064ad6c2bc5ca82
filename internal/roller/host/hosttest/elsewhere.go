package hosttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"railyard/internal/roller"
)

// elsewhereRole makes a test binary play the Railyard that is killed.
const elsewhereRole = "RAILYARD_HOSTTEST_SWITCH"

// errand is what that process is to do.
type errand struct {
	Machine   roller.Machine
	Revisions []roller.Revision // to switch to, one after another
	Packages  string            // directory
	Extra     string
}

// outcome is what it says of each switch.
type outcome struct {
	Error     string
	Permanent bool
	State     roller.HostState // afterwards
}

// Main runs a package's tests, or an errand when the suite started this test binary for one. It does not return.
func Main(m *testing.M, newHost func(p *Packages, extra string) (roller.Host, error)) {
	if os.Getenv(elsewhereRole) == "" {
		os.Exit(m.Run())
	}
	if err := runErrand(newHost); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runErrand(newHost func(p *Packages, extra string) (roller.Host, error)) error {
	var e errand
	if err := json.NewDecoder(os.Stdin).Decode(&e); err != nil {
		return err
	}
	host, err := newHost(&Packages{Dir: e.Packages}, e.Extra)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var said []outcome
	for _, r := range e.Revisions {
		var o outcome
		if err := host.Switch(ctx, e.Machine, r); err != nil {
			o.Error, o.Permanent = err.Error(), errors.Is(err, roller.ErrPermanent)
		}
		if o.State, err = host.Observe(ctx, e.Machine); err != nil {
			return err
		}
		said = append(said, o)
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

// elsewhere is the command of a process with an errand.
func (m *machine) elsewhere(t *testing.T, revisions ...roller.Revision) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(errand{Machine: m.Machine, Revisions: revisions, Packages: m.packages.Dir, Extra: m.Extra})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])                                                //nolint:gosec // this test binary
	cmd.Env = append(os.Environ(), elsewhereRole+"=1", "GORACE=atexit_sleep_ms=0") // a race-checked process would linger
	cmd.Stdin = bytes.NewReader(text)
	return cmd
}

// switchElsewhere starts a switch in a process group of its own. The function it returns kills the group without warning.
func (m *machine) switchElsewhere(t *testing.T, r roller.Revision) (kill func()) {
	t.Helper()
	cmd := m.elsewhere(t, r)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Errorf("kill the other Railyard: %v; it said %s", err, said.String())
		}
		_ = cmd.Wait() // its end was our doing
	})
	t.Cleanup(kill)
	return kill
}
