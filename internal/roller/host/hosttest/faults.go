package hosttest

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"railyard/internal/roller"
)

// wantUntouched fails if the machine got anything of a refused revision.
func (m *machine) wantUntouched(t *testing.T, old roller.Revision) {
	t.Helper()
	m.wantRunning(t, old.Apps...)
	m.wantRestarts(t, "api", 1)
	m.wantReleases(t, old)
	if left, _ := filepath.Glob(m.path("*", "incoming", "*")); len(left) > 0 {
		t.Errorf("the machine got %v", left)
	}
}

func wrongDigest(t *testing.T, m *machine) {
	old, next := m.revision(t, "1.0"), m.revision(t, "2.0")
	m.mustSwitch(t, old)
	other, err := os.ReadFile(filepath.Join(m.packages.Dir, old.Apps[0].Package))
	if err != nil {
		t.Fatal(err)
	}
	m.packages.put(t, next.Apps[0].Package, other)
	wantError(t, m.doSwitch(t, next), true, m.Fixture.Server.Name, "api", next.Apps[0].Package, old.Apps[0].Package)
	m.wantUntouched(t, old)
}

func escapes(t *testing.T, m *machine) {
	old := m.revision(t, "1.0")
	m.mustSwitch(t, old)
	outside := filepath.Join(t.TempDir(), "outside")
	bad := map[string][]entry{
		"a path upwards":       {{name: "../../outside", content: "x"}},
		"an absolute path":     {{name: outside, content: "x"}},
		"a link upwards":       {{name: "sub", link: "../../.."}, {name: "sub/outside", content: "x"}},
		"an absolute link":     {{name: "sub", link: filepath.Dir(outside)}, {name: "sub/outside", content: "x"}},
		"a path hidden inside": {{name: "a/../../outside", content: "x"}},
	}
	for name, entries := range bad {
		release := old.Apps[0]
		release.Package = m.packages.add(t, entries...)
		err := m.doSwitch(t, old.With(release))
		wantError(t, err, true, m.Fixture.Server.Name, "api", "unsafe path")
		if t.Failed() {
			t.Fatalf("%s: %v", name, err)
		}
		m.wantUntouched(t, old)
	}
	release := old.Apps[0]
	release.Config = m.packages.add(t, bad["a path upwards"]...)
	wantError(t, m.doSwitch(t, old.With(release)), true, m.Fixture.Server.Name, "api", "unsafe path")
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a file was written outside")
	}
}

func missingPackage(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	r.Apps[1].Package = "sha256:" + strings.Repeat("0", 64)
	wantError(t, m.doSwitch(t, r), true, m.Fixture.Server.Name, "web", r.Apps[1].Package)
	m.wantRunning(t) // all apps change together, or none
}

func foreignApp(t *testing.T, m *machine) {
	r := m.revision(t, "1.0").With(m.release(t, "mail", "1.0"))
	wantError(t, m.doSwitch(t, r), true, m.Fixture.Server.Name, "mail")
	m.wantRunning(t)
}

func restartFails(t *testing.T, m *machine) {
	old, next := m.revision(t, "1.0"), m.revision(t, "2.0")
	m.mustSwitch(t, old)
	m.write(t, "", "web", "broken")
	wantError(t, m.doSwitch(t, next), false, m.Fixture.Server.Name, "restart web", "code 3", "port 8080 is taken")
	m.wantRunning(t, next.Apps[0]) // web: nobody knows
	m.remove(t, "web", "broken")
	m.mustSwitch(t, next)
	m.wantRunning(t, next.Apps...)
	m.wantRestarts(t, "api", 2)
}

func restartHangs(t *testing.T, m *machine) {
	old, next := m.revision(t, "1.0"), m.revision(t, "2.0")
	m.mustSwitch(t, next)
	m.mustSwitch(t, old)
	m.holdRestarts(t, "api") // and nobody lets go
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	wantError(t, m.Host.Switch(ctx, m.Machine, next), false, m.Fixture.Server.Name, "restart api", "did not return")
	m.wantRunning(t)
	m.remove(t, "api", "gate")
	m.mustSwitch(t, next)
	m.wantRunning(t, next.Apps...)
}

func daemon(t *testing.T, m *machine) {
	for i := range m.Apps { // an app that does not redirect its output, and lives on
		m.Apps[i].Restart = `sleep 300 & echo $! >>'{{.Dir}}/pids'`
	}
	r := m.revision(t, "1.0")
	t.Cleanup(func() {
		for _, app := range []string{"api", "web"} {
			text, err := os.ReadFile(m.path(app, "pids"))
			if err != nil {
				t.Error(err)
			}
			for _, line := range strings.Fields(string(text)) {
				pid, err := strconv.Atoi(line)
				if err == nil {
					err = syscall.Kill(pid, syscall.SIGKILL)
				}
				if err != nil {
					t.Errorf("end the app: %v", err)
				}
			}
		}
	})
	for _, revision := range []roller.Revision{r, m.revision(t, "2.0")} {
		m.mustSwitch(t, revision)
		m.wantRunning(t, revision.Apps...)
	}
}

func damagedUpload(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	m.write(t, "half a pack", "api", "incoming", strings.TrimPrefix(r.Apps[0].Package, "sha256:"))
	m.mustSwitch(t, r)
	m.wantRunning(t, r.Apps...)
	m.wantFile(t, "1.0", "api", "current", "VERSION")
}

func halfRelease(t *testing.T, m *machine) {
	r := m.revision(t, "1.0")
	m.write(t, "0.", "api", "releases", r.Apps[0].Name(), "VERSION")
	m.write(t, "rest of a switch that lost its power", "api", "releases", ".new", "VERSION")
	m.mustSwitch(t, r)
	m.wantRunning(t, r.Apps...)
	m.wantFile(t, "1.0", "api", "current", "VERSION")
	m.wantReleases(t, r)
}

// fullDisk gives another process a machine whose disk holds two small releases and not a large one. The disk is a real
// one, in memory, mounted where only that process sees it.
func fullDisk(t *testing.T, m *machine) {
	old, next := m.revision(t, "1.0"), m.revision(t, "2.0")
	noise := make([]byte, 3<<19)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
	next.Apps[1].Package = m.packages.add(t, entry{name: "VERSION", content: "2.0"}, entry{name: "noise", content: string(noise)})
	next = roller.NewRevision(next.Apps...)
	if err := os.MkdirAll(m.path(), 0o755); err != nil {
		t.Fatal(err)
	}
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-Urm"
	}
	cmd := m.elsewhere(t, old, next, old)
	cmd.Args = append([]string{"unshare", flags, "/bin/sh", "-c", `mount -t tmpfs -o size=1m none "$1" && exec "$2"`, "sh", m.path()}, cmd.Args...)
	var err error
	if cmd.Path, err = exec.LookPath("unshare"); err != nil {
		t.Fatal(err)
	}
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var got []outcome
	if err := json.Unmarshal(text, &got); err != nil || len(got) != 3 {
		t.Fatalf("%v: %s", err, text)
	}
	if got[0].Error != "" || got[2].Error != "" {
		t.Errorf("the old release: %q, and again: %q; want no errors", got[0].Error, got[2].Error)
	}
	if said := got[1].Error; got[1].Permanent || !strings.Contains(said, m.Fixture.Server.Name) || !strings.Contains(said, "fetch web") && !strings.Contains(said, "unpack web") {
		t.Errorf("error %q, permanent %v; want one that names server, step and app and may pass", said, got[1].Permanent)
	}
	if !got[1].State.Runs(old) {
		t.Errorf("running = %v with the disk full, want the old release", got[1].State.Running)
	}
}
