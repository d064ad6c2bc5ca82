package hosttest

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// patience bounds every wait.
const patience = 30 * time.Second

// machine is a fixture with what the rules ask of it.
type machine struct {
	Fixture
	roller.Machine
	packages *Packages
}

func newMachine(t *testing.T, f Fixture, p *Packages) *machine {
	m := &machine{Fixture: f, packages: p}
	m.Machine = roller.Machine{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel"}, Server: f.Server}
	for _, app := range []string{"api", "web"} {
		m.Apps = append(m.Apps, fleet.App{Name: app, Restart: restartCommand, Keep: 3})
	}
	return m
}

// release packs a version of an app.
func (m *machine) release(t *testing.T, app, version string) roller.AppRelease {
	t.Helper()
	return roller.AppRelease{
		App: app, Version: version,
		Package: m.packages.add(t, entry{name: "VERSION", content: version}, entry{name: "bin/start", content: "#!/bin/sh\n"},
			entry{name: "start", link: "bin/start"}),
		Config: m.packages.add(t, entry{name: "app.conf", content: "of " + app + " " + version}),
	}
}

// revision packs a version of both apps.
func (m *machine) revision(t *testing.T, version string) roller.Revision {
	t.Helper()
	return roller.NewRevision(m.release(t, "api", version), m.release(t, "web", version))
}

func (m *machine) path(parts ...string) string {
	return filepath.Join(append([]string{m.Fixture.Server.Dir}, parts...)...)
}

func (m *machine) bounded(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}

func (m *machine) doSwitch(t *testing.T, r roller.Revision) error {
	ctx, cancel := m.bounded(t)
	defer cancel()
	return m.Host.Switch(ctx, m.Machine, r)
}

func (m *machine) mustSwitch(t *testing.T, r roller.Revision) {
	t.Helper()
	if err := m.doSwitch(t, r); err != nil {
		t.Fatal(err)
	}
}

// wantRunning compares what the driver observes.
func (m *machine) wantRunning(t *testing.T, releases ...roller.AppRelease) {
	t.Helper()
	want := map[string]string{}
	for _, r := range releases {
		want[r.App] = r.Name()
	}
	ctx, cancel := m.bounded(t)
	defer cancel()
	got, err := m.Host.Observe(ctx, m.Machine)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got.Running, want) {
		t.Errorf("running = %v, want %v", got.Running, want)
	}
}

// log returns the lines of an app's log that begin with prefix.
func (m *machine) log(t *testing.T, app, prefix string) []string {
	t.Helper()
	text, err := os.ReadFile(m.path(app, "log"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// wantRestarts compares how many restarts of the app began and ended so far.
func (m *machine) wantRestarts(t *testing.T, app string, want int) {
	t.Helper()
	if began, ended := len(m.log(t, app, "begin")), len(m.log(t, app, "restarted")); began != want || ended != want {
		t.Errorf("%d restarts of %s began and %d ended, want %d", began, app, ended, want)
	}
}

func (m *machine) wantFile(t *testing.T, want string, parts ...string) {
	t.Helper()
	got, err := os.ReadFile(m.path(parts...))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s = %q, want %q", filepath.Join(parts...), got, want)
	}
}

func (m *machine) write(t *testing.T, content string, parts ...string) {
	t.Helper()
	path := m.path(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) remove(t *testing.T, parts ...string) {
	t.Helper()
	if err := os.Remove(m.path(parts...)); err != nil {
		t.Fatal(err)
	}
}

// holdRestarts makes the app's next restarts wait. The function it returns lets one go, and later ones too.
func (m *machine) holdRestarts(t *testing.T, app string) (letGo func()) {
	t.Helper()
	gate := m.path(app, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		f, err := os.OpenFile(gate, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		// Removed first: the one that holds it open is the only one that waits.
		if err := os.Remove(gate); err != nil {
			t.Error(err)
		}
		if _, err := f.WriteString("go\n"); err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { f.Close() }) // open until then: a closed FIFO forgets what was not read
	}
}

// until waits until the condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// wantError checks that the error is, or is not, permanent, and that it names all the words.
func wantError(t *testing.T, err error, permanent bool, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	if errors.Is(err, roller.ErrPermanent) != permanent {
		t.Errorf("error %q: permanent is %v, want %v", err, !permanent, permanent)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not name %q", err, word)
		}
	}
}
