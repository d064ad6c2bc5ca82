package hosttest

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"railyard/internal/roller"
)

func untouched(t *testing.T, m *machine) { m.wantRunning(t) }

func first(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	m.mustSwitch(t, r)
	m.wantRunning(t, r.Apps...)
	for _, a := range r.Apps {
		m.wantFile(t, "1.0", a.App, "current", "VERSION")
		m.wantFile(t, "#!/bin/sh\n", a.App, "current", "start")
		m.wantFile(t, "of "+a.App+" 1.0", a.App, "current", "config", "app.conf")
		m.wantFile(t, a.Name()+"\n", a.App, "running")
		if target, err := os.Readlink(m.path(a.App, "current")); err != nil || target != "releases/"+a.Name() {
			t.Errorf("current → %q, %v, want the relative releases/%s", target, err, a.Name())
		}
		want := "restarted releases/" + a.Name() + " of " + a.App + " on " + m.Fixture.Server.Name
		if got := m.log(t, a.App, "restarted"); len(got) != 1 || got[0] != want {
			t.Errorf("log = %q, want one %q", got, want)
		}
		if left, err := os.ReadDir(m.path(a.App, "incoming")); err != nil || len(left) > 0 {
			t.Errorf("incoming = %v, %v, want it empty", left, err)
		}
		info, err := os.Stat(m.path(a.App, "current", "bin", "start"))
		if err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("bin/start is %v, %v, want it executable", info, err)
		}
	}
}

func repeated(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	m.mustSwitch(t, r)
	opens := m.packages.Opens.Load()
	for range 3 {
		m.mustSwitch(t, r)
	}
	m.wantRunning(t, r.Apps...)
	m.wantRestarts(t, "api", 1)
	m.wantRestarts(t, "web", 1)
	if got := m.packages.Opens.Load(); got != opens {
		t.Errorf("%d packages were opened again", got-opens)
	}
}

func onlyChanged(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	m.mustSwitch(t, r)
	next := r.With(m.release(t, "web", "2.0"))
	m.mustSwitch(t, next)
	m.wantRunning(t, next.Apps...)
	m.wantRestarts(t, "api", 1)
	m.wantRestarts(t, "web", 2)
	m.wantFile(t, "2.0", "web", "current", "VERSION")
}

func goingBack(t *testing.T, m *machine) {
	old, bad := m.revision(t, "1.0"), m.revision(t, "2.0")
	m.mustSwitch(t, old)
	m.mustSwitch(t, bad)
	opens := m.packages.Opens.Load()
	m.mustSwitch(t, old)
	m.wantRunning(t, old.Apps...)
	m.wantRestarts(t, "api", 3)
	if got := m.packages.Opens.Load(); got != opens {
		t.Errorf("%d packages were opened to go back", got-opens)
	}
}

func atomicLink(t *testing.T, m *machine) {
	revisions := []roller.Revision{m.revision(t, "1.0"), m.revision(t, "2.0")}
	m.mustSwitch(t, revisions[0])
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := os.ReadFile(m.path("api", "current", "VERSION")); err != nil {
				failed <- err
				return
			}
		}
	}()
	for i := range 6 {
		m.mustSwitch(t, revisions[(i+1)%2])
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Errorf("a reader found no release: %v", err)
	}
}

func cutOff(t *testing.T, m *machine) {
	old, next := m.revision(t, "1.0"), m.revision(t, "2.0")
	m.mustSwitch(t, old)
	letGo := m.holdRestarts(t, "api")
	kill := m.switchElsewhere(t, next)
	until(t, "the restart begins", func() bool { return len(m.log(t, "api", "begin")) == 2 })
	kill()
	m.wantRunning(t) // all links have moved and no restart has ended: nobody knows
	again := make(chan error, 1)
	go func() { again <- m.doSwitch(t, next) }()
	letGo()
	if err := <-again; err != nil {
		t.Fatal(err)
	}
	m.wantRunning(t, next.Apps...)
	m.wantRestarts(t, "api", 2)
	m.wantRestarts(t, "web", 2)
}

func twoAtOnce(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- m.doSwitch(t, r) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	m.wantRunning(t, r.Apps...)
	m.wantRestarts(t, "api", 1)
	m.wantRestarts(t, "web", 1)
}

func twoDifferent(t *testing.T, m *machine) {
	a, b := m.revision(t, "1.0"), m.revision(t, "2.0")
	m.mustSwitch(t, m.revision(t, "0.9"))
	errs := make(chan error, 2)
	for _, r := range []roller.Revision{a, b} {
		go func() { errs <- m.doSwitch(t, r) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	state, err := m.Host.Observe(t.Context(), m.Machine)
	if err != nil || state.Runs(a) == state.Runs(b) {
		t.Errorf("running = %v, %v, want all of %s or all of %s", state, err, a.ID, b.ID)
	}
	m.wantRestarts(t, "api", 3)
}

func unknownMarker(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	restarts := 1
	m.mustSwitch(t, r)
	for _, marker := range []string{"", "\n", "other\n", "a b c\n", "\x00\xff\n"} {
		m.write(t, marker, "api", "running")
		m.wantRunning(t, r.Apps[1])
		m.mustSwitch(t, r)
		restarts++
		m.wantRunning(t, r.Apps...)
		m.wantRestarts(t, "api", restarts)
	}
	m.wantRestarts(t, "web", 1)
}

func movedLink(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	m.mustSwitch(t, r)
	m.remove(t, "api", "current")
	if err := os.Symlink("/nowhere", m.path("api", "current")); err != nil {
		t.Fatal(err)
	}
	m.wantRunning(t, r.Apps[1])
	m.mustSwitch(t, r)
	m.wantRunning(t, r.Apps...)
	m.wantFile(t, "1.0", "api", "current", "VERSION")
	m.wantRestarts(t, "api", 2)
}

func prune(t *testing.T, m *machine) { // Keep is 3
	var all []roller.Revision
	for i := range 5 {
		all = append(all, m.revision(t, strconv.Itoa(i)))
		m.mustSwitch(t, all[i])
	}
	m.wantReleases(t, all[2], all[3], all[4])
	m.mustSwitch(t, all[2]) // now the last used
	next := m.revision(t, "5")
	m.mustSwitch(t, next)
	m.wantReleases(t, all[2], all[4], next)
}

func (m *machine) wantReleases(t *testing.T, revisions ...roller.Revision) {
	t.Helper()
	want := map[string]bool{}
	for _, r := range revisions {
		want[r.Apps[0].Name()] = true
	}
	kept, err := filepath.Glob(m.path("api", "releases", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range kept {
		if !want[filepath.Base(path)] {
			t.Errorf("release %s was kept", filepath.Base(path))
		}
	}
	if len(kept) != len(want) {
		t.Errorf("%d releases were kept: %v, want %v", len(kept), kept, want)
	}
}

func cancelled(t *testing.T, m *machine) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Host.Observe(ctx, m.Machine); err == nil {
		t.Error("Observe with a canceled context succeeded")
	}
	wantError(t, m.Host.Switch(ctx, m.Machine, m.revision(t, "1.0")), false, m.Fixture.Server.Name)
	m.wantRunning(t)
}
