package exec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/roller/host/hosttest"
	"railyard/internal/roller/host/local"
	"railyard/internal/script"
)

var _ roller.Host = (*Host)(nil)

// driverRole makes the test binary play the user's program.
const driverRole = "RAILYARD_EXEC_TEST_DRIVER"

func TestMain(m *testing.M) {
	if os.Getenv(driverRole) != "" {
		os.Exit(drive())
	}
	hosttest.Main(m, func(p *hosttest.Packages, program string) (roller.Host, error) { return New(program, p) })
}

// drive is a driver for this machine, written as a user would: it deploys from the files it is given and asks for others.
func drive() int {
	var r request
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.Seconds*float64(time.Second)))
	defer cancel()
	store := &given{files: r.Files}
	host := local.New(store)
	m := roller.Machine{Server: fleet.Server{Name: r.Machine.Server, Dir: r.Machine.Dir}}
	for _, a := range r.Machine.Apps {
		m.Apps = append(m.Apps, fleet.App{Name: a.Name, Restart: a.Restart, Keep: a.Keep})
	}
	var answer any
	var err error
	if r.Do == "observe" {
		var state roller.HostState
		state, err = host.Observe(ctx, m)
		answer = map[string]any{"running": state.Running}
	} else {
		err = host.Switch(ctx, m, r.Revision.plain())
		answer = map[string]any{"done": true}
		if errors.Is(err, errNeeded) {
			answer, err = map[string]any{"need": r.Revision.digests(r.Files)}, nil
		}
	}
	switch {
	case errors.Is(err, roller.ErrPermanent):
		fmt.Fprintln(os.Stderr, err)
		return script.CodePermanent
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		return 1
	}
	return 0
}

func (r *revision) plain() roller.Revision {
	plain := roller.Revision{ID: r.ID}
	for _, a := range r.Apps {
		plain.Apps = append(plain.Apps, roller.AppRelease{App: a.App, Package: a.Package, Config: a.Config, Version: a.Version, Commit: a.Commit})
	}
	return plain
}

// digests are those of the revision that were not given.
func (r *revision) digests(files map[string]string) []string {
	var need []string
	for _, a := range r.Apps {
		for _, digest := range []string{a.Package, a.Config} {
			if digest != "" && files[digest] == "" {
				need = append(need, digest)
			}
		}
	}
	return need
}

var errNeeded = errors.New("not given")

// given is a package store of the files that came with the request.
type given struct{ files map[string]string }

func (g *given) Open(_ context.Context, digest string) (io.ReadCloser, int64, error) {
	f, err := os.Open(g.files[digest])
	if err != nil {
		return nil, 0, errNeeded
	}
	return f, 0, nil
}

func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "driver")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func newHost(t *testing.T, path string, p *hosttest.Packages) *Host {
	t.Helper()
	h, err := New(path, p)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAProgramCanBeAHost(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := program(t, "export GORACE=atexit_sleep_ms=0 "+driverRole+"=1\nexec '"+self+"'")
	hosttest.Run(t, func(t *testing.T, p *hosttest.Packages) hosttest.Fixture {
		server := fleet.Server{Name: "hotel-1", Address: "127.0.0.1:18001", Dir: t.TempDir() + "/srv"}
		return hosttest.Fixture{Host: newHost(t, path, p), Server: server, Extra: path}
	})
}

func TestThePromptsOfAProgramAreWhatTheDocumentationSays(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, program(t, "cat >"+dir+`/request; echo '{"done":true}'`), hosttest.NewPackages(t))
	m := roller.Machine{
		Site:   fleet.SiteRef{Environment: "PROD", Pool: "hotel"},
		Server: fleet.Server{Name: "hotel-1", Address: "10.0.0.7:8080", Dir: "/srv/railyard"},
		Apps:   []fleet.App{{Name: "hotel-api", Restart: "systemctl restart {{.App}}", Keep: 5}},
	}
	digest := "sha256:" + strings.Repeat("9f86d081", 8)
	r := roller.Revision{ID: "15bec73df315", Apps: []roller.AppRelease{{App: "hotel-api", Package: digest, Version: "1.4.2", Commit: "8ca5f638"}}}
	if err := h.Switch(t.Context(), m, r); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(dir + "/request")
	want := `{"do":"switch","seconds":300,"machine":{"environment":"PROD","pool":"hotel","server":"hotel-1","address":"10.0.0.7:8080","dir":"/srv/railyard",` +
		`"apps":[{"name":"hotel-api","restart":"systemctl restart {{.App}}","port":0,"keep":5}]},"revision":{"id":"15bec73df315","apps":[{"app":"hotel-api",` +
		`"package":"` + digest + `","config":"","version":"1.4.2","commit":"8ca5f638","name":"9f86d0819f86"}]}}`
	if err != nil || string(got) != want {
		t.Errorf("request\n%s\nwant\n%s\n%v", got, want, err)
	}
}

func TestFailuresOfAProgramHaveTheirKind(t *testing.T) {
	tests := []struct {
		name, text string
		is, not    error
		want       string
	}{
		{"unreachable", "echo 'no route' >&2; exit 69", roller.ErrUnreachable, roller.ErrPermanent, "no route"},
		{"permanent", "echo 'no such image' >&2; exit 65", roller.ErrPermanent, roller.ErrUnreachable, "no such image"},
		{"no answer in time", "sleep 60", roller.ErrUnreachable, roller.ErrPermanent, "deadline"},
		{"nothing said", "echo '{}'", nil, roller.ErrPermanent, "answered"},
		{"needs what is not there", `echo '{"need":["sha256:0"]}'`, roller.ErrPermanent, roller.ErrUnreachable, "no package of this revision"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			h := newHost(t, program(t, tt.text), hosttest.NewPackages(t))
			m := roller.Machine{Server: fleet.Server{Name: "hotel-1"}}
			err := h.Switch(ctx, m, roller.Revision{ID: "r", Apps: []roller.AppRelease{{App: "api"}}})
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || errors.Is(err, tt.not) ||
				!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "hotel-1") {
				t.Errorf("error %v, want %v with %q", err, tt.is, tt.want)
			}
			if _, err := h.Observe(ctx, m); err == nil {
				t.Error("Observe believed it")
			}
		})
	}
	if _, err := New("bin/driver", nil); err == nil {
		t.Error("a relative path was accepted")
	}
}
