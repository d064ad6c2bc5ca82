//go:build linux

package service

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"railyard/internal/demo/balancer"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/server/api"
)

const faultTopology = `
environments:
  - name: PROD
    production: true
    strategy: {smoke: false, pattern: [34], pause: 0s, watch: 0s, step_timeout: 3s, drain_timeout: 1s, min_up: 50, progress: 8s}
sbus: [{name: hotel, title: Hotel}]
repositories: [{name: hotel/hotel-api, clone: "https://git.example/hotel/hotel-api.git", branches: [release/*]}]
pools:
  - name: hotel-api
    sbu: hotel
    sites:
      - environment: PROD
        balancer: {driver: haproxy, address: "unix:%s", backend: PROD_hotel-api}
        host: {driver: local}
        servers:
%s
apps:
  - name: hotel-api
    kind: api
    sbu: hotel
    pool: hotel-api
    repository: hotel/hotel-api
    jenkins: {controller: main, job: deliver/hotel-api}
    restart: "echo {{.Server}} >>{{.Dir}}/restarts; if test -e {{.Dir}}/dies; then kill -9 $$; fi; while test -e {{.Dir}}/hangs; do sleep 0.1; done"
    smoke: [{path: /healthz}]
`

// faultYard is the real service over three servers behind a real HAProxy, whose socket it reaches through a line that can lie,
// hang and go away.
type faultYard struct {
	*driftYard
	line  *line
	sick  [3]atomic.Bool // the balancer's check of the server fails
	rolls int
}

func newFaultYard(t *testing.T) *faultYard {
	dir := t.TempDir()
	short, err := os.MkdirTemp("", "fault") // a unix socket's path may not be long
	fatal(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	y := &faultYard{driftYard: &driftYard{t: t, site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, socket: filepath.Join(short, "lb"), dirs: map[string]string{}}}
	pool := balancer.Pool{Environment: "PROD", Name: "hotel-api"}
	var lines strings.Builder
	for i := range y.sick {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if y.sick[i].Load() && r.UserAgent() == "" { // HAProxy says no name, the smoke test does
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		t.Cleanup(app.Close)
		name := fmt.Sprintf("hotel-%d", i+1)
		y.dirs[name] = filepath.Join(dir, name)
		fatal(t, os.MkdirAll(y.dirs[name], 0o755))
		pool.Servers = append(pool.Servers, balancer.Server{Name: name, Address: app.Listener.Addr().String()})
		fmt.Fprintf(&lines, "          - {name: %s, address: %q, dir: %s}\n", name, app.Listener.Addr(), y.dirs[name])
	}
	lb, err := balancer.Start(t.Context(), balancer.Options{Dir: dir, Socket: y.socket, Pools: []balancer.Pool{pool}})
	fatal(t, err)
	t.Cleanup(func() {
		if err := lb.Close(); err != nil {
			t.Errorf("end HAProxy: %v", err)
		}
	})
	y.line = &line{path: filepath.Join(short, "line"), to: y.socket}
	fatal(t, y.line.open())
	t.Cleanup(y.line.close)
	y.serve(dir, fmt.Sprintf(faultTopology, y.line.path, lines.String()))
	return y
}

// line passes orders on to HAProxy's socket, one a connection, as the driver sends them.
type line struct {
	path, to string
	mode     atomic.Value // func(order string) (passes bool); nil = all do

	mu       sync.Mutex
	listener net.Listener
	held     []net.Conn
}

func (l *line) open() error {
	listener, err := net.Listen("unix", l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.listener = listener
	l.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.serve(conn)
		}
	}()
	return nil
}

// close makes the socket go away.
func (l *line) close() {
	l.release()
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.listener.Close()
}

func (l *line) serve(conn net.Conn) {
	order, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		_ = conn.Close()
		return
	}
	if mode, ok := l.mode.Load().(func(string) string); ok && mode != nil {
		switch mode(order) {
		case "hang":
			l.mu.Lock()
			l.held = append(l.held, conn)
			l.mu.Unlock()
			return
		case "lie":
			_, order, _ = strings.Cut(order, ";") // what is asked along with the order is answered, the order is not carried out
		}
	}
	defer conn.Close()
	up, err := net.Dial("unix", l.to)
	if err != nil {
		return
	}
	defer up.Close()
	if _, err := io.WriteString(up, order); err == nil {
		_, _ = io.Copy(conn, up)
	}
}

// behave sets what becomes of orders: "" passes one on, "lie" does not carry it out and does not say so, "hang" never answers.
// What hangs is let go.
func (l *line) behave(mode func(order string) string) {
	l.mode.Store(mode)
	l.release()
}

func (l *line) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.held {
		_ = conn.Close()
	}
	l.held = nil
}

func honest(string) string { return "" }

// roll orders a release and returns its id.
func (y *faultYard) roll(app roller.AppRelease) string {
	y.t.Helper()
	info, _ := y.topology.get().Site(y.site)
	y.rolls++
	r := roller.NewRoll(info, roller.Release, fmt.Sprintf("r-%d", y.rolls), time.Now().UTC().Truncate(time.Microsecond))
	r.Changes = []roller.AppRelease{app}
	fatal(y.t, y.store.AddRoll(y.t.Context(), r))
	return r.ID
}

func (y *faultYard) state(roll string) roller.Roll {
	y.t.Helper()
	r, err := y.store.Roll(context.Background(), roll)
	fatal(y.t, err)
	return r
}

// paused waits until the roll is paused for a cause, and returns why.
func (y *faultYard) paused(roll string, cause roller.Cause) string {
	y.t.Helper()
	y.until(fmt.Sprintf("%s is paused for %s", roll, cause), func() bool { p := y.state(roll).Pause; return p != nil && p.Cause == cause })
	return y.state(roll).Pause.Reason
}

// fails checks that the event log tells of one server that failed at a step, and why.
func (y *faultYard) fails(roll, server, step, why string) {
	y.t.Helper()
	var failed []event.Event
	for _, e := range y.events(roll) {
		if e.What == "server_failed" {
			failed = append(failed, e)
		}
	}
	if len(failed) != 1 || failed[0].Server != server || failed[0].From != step || !strings.Contains(failed[0].Why, why) {
		y.t.Errorf("the log tells of failures %+v; expected one of %s at %s: %s", failed, server, step, why)
	}
}

func (y *faultYard) events(roll string) []event.Event {
	y.t.Helper()
	events, err := y.store.Events(context.Background(), store.EventFilter{Object: "roll/" + roll})
	fatal(y.t, err)
	return events
}

func (y *faultYard) order(roll string, command api.CommandRollJSONBodyCommand) {
	y.t.Helper()
	answer, err := y.client.CommandRollWithResponse(context.Background(), roll, api.CommandRollJSONRequestBody{Command: command, Reason: "looked at it"})
	fatal(y.t, err)
	if answer.JSON202 == nil {
		y.t.Fatalf("%s of %s: %s", command, roll, answer.Body)
	}
	y.until(fmt.Sprintf("%s is obeyed", command), func() bool {
		for _, e := range y.events(roll) {
			if e.What == "command_"+string(command) {
				return true
			}
		}
		return false
	})
}

// only checks that no other server than these was restarted since the count was taken, and that at least two are in rotation.
func (y *faultYard) only(before map[string]int, servers ...string) {
	y.t.Helper()
	for server, n := range y.restarts() {
		if n != before[server] && !strings.Contains(strings.Join(servers, " "), server) {
			y.t.Errorf("%s was restarted %d times", server, n-before[server])
		}
	}
	if up := y.up("hotel-api"); up < 2 {
		y.t.Errorf("%d are in rotation, the floor is 2", up)
	}
}

func (y *faultYard) restarts() map[string]int {
	y.t.Helper()
	n := map[string]int{}
	for server, dir := range y.dirs {
		log, err := os.ReadFile(filepath.Join(dir, "hotel-api", "restarts"))
		if !errors.Is(err, os.ErrNotExist) {
			fatal(y.t, err)
		}
		n[server] = strings.Count(string(log), "\n")
	}
	return n
}

// back rolls back, and checks that nothing was lost: every server is in rotation on what it ran before.
func (y *faultYard) back(roll string, old roller.AppRelease) {
	y.t.Helper()
	y.order(roll, api.Emergency)
	y.until(roll+" came back", func() bool { return y.state(roll).Stage == roller.RolledBack })
	y.allOn(old)
}

func (y *faultYard) allOn(app roller.AppRelease) {
	y.t.Helper()
	y.until("every server in rotation", func() bool { return y.up("hotel-api") == 3 })
	for server, dir := range y.dirs {
		running, err := os.ReadFile(filepath.Join(dir, "hotel-api", "running"))
		fatal(y.t, err)
		if strings.TrimSpace(string(running)) != app.Name() {
			y.t.Errorf("%s runs %s, expected %s", server, running, app.Name())
		}
	}
}

func TestBadInputAndFaultsEndToEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		inOwnMounts(t)
		return
	}
	y := newFaultYard(t)
	old := y.packed("1.0.0", tar.Header{Name: "VERSION"})
	y.until("HAProxy calls everything up", func() bool { return y.up("hotel-api") == 3 })
	y.done(y.roll(old))
	n := 0
	next := func() roller.AppRelease {
		n++
		return y.packed(fmt.Sprintf("2.%d.0", n), tar.Header{Name: "VERSION"})
	}
	cases := []struct {
		rule string
		test func(t *testing.T)
	}{
		{"a package with another digest is refused before anything runs, and rolls when it is mended", func(*testing.T) {
			app, before := next(), y.restarts()
			mend := y.damage(app)
			id := y.roll(app)
			why := y.paused(id, roller.CauseBudget)
			y.fails(id, "hotel-1", "switch", "sha256")
			y.says(why, "hotel-1 (switch: ", "retry them, resume without them, or roll back")
			y.only(before)
			mend()
			y.order(id, api.Retry)
			y.done(id)
			y.allOn(app)
			old = app
		}},
		{"a path that leads upwards is not unpacked", func(t *testing.T) { y.escapes(t, old, tar.Header{Name: "../../../evil"}) }},
		{"an absolute path is not unpacked", func(t *testing.T) {
			y.escapes(t, old, tar.Header{Name: filepath.Join(filepath.Dir(y.dirs["hotel-1"]), "evil")})
		}},
		{"a link that leads out is not unpacked", func(t *testing.T) {
			y.escapes(t, old, tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(y.dirs["hotel-1"])}, tar.Header{Name: "out/evil"})
		}},
		{"a full disk leaves the server out, with what it ran, and the others alone", func(t *testing.T) {
			app, before := next(), y.restarts()
			release := y.fillDisk(t, "hotel-1")
			id := y.roll(app)
			why := y.paused(id, roller.CauseBudget)
			y.fails(id, "hotel-1", "switch", "no space left on device")
			y.says(why, "hotel-1 (switch: not done in 3s: ")
			y.only(before)
			release()
			y.order(id, api.Retry)
			y.done(id)
			y.allOn(app)
			old = app
		}},
		{"a server that dies in the middle of its switch is left out, and comes back with the old revision", func(*testing.T) {
			app, before := next(), y.restarts()
			dies := filepath.Join(y.dirs["hotel-1"], "hotel-api", "dies")
			fatal(y.t, os.WriteFile(dies, nil, 0o600))
			id := y.roll(app)
			y.says(y.paused(id, roller.CauseBudget), "hotel-1 (switch: not done in 3s: ")
			y.fails(id, "hotel-1", "switch", "restart")
			y.only(before, "hotel-1")
			fatal(y.t, os.Remove(dies))
			y.back(id, old)
		}},
		{"a check that never turns good leaves the server out", func(*testing.T) {
			app, before := next(), y.restarts()
			y.sick[0].Store(true)
			y.until("HAProxy calls hotel-1 down", func() bool { return y.up("hotel-api") == 2 }) // so it goes first: the floor spares no other
			id := y.roll(app)
			y.says(y.paused(id, roller.CauseBudget), "hotel-1 (pull in: the balancer says DOWN")
			y.fails(id, "hotel-1", "pull_in", "not done in 3s")
			y.only(before, "hotel-1")
			y.sick[0].Store(false)
			y.back(id, old)
		}},
		{"a balancer that says it did what it did not: no server is switched in rotation, and the roll says where it hangs", func(*testing.T) {
			before := y.restarts()
			y.line.behave(func(order string) string {
				if strings.HasPrefix(order, "set server") {
					return "lie"
				}
				return ""
			})
			id := y.roll(next())
			y.says(y.paused(id, roller.CauseProgress), `hotel-1 has been at "pull_out"`)
			y.only(before)
			y.line.behave(honest)
			y.back(id, old)
		}},
		{"a socket that goes away in the middle of a roll stops it, and it goes on when it is back", func(*testing.T) {
			app := next()
			id := y.roll(app)
			y.until("the middle", func() bool { return y.state(id).Batch == 2 })
			y.line.close()
			y.says(y.paused(id, roller.CauseProgress), "the balancer does not answer: ")
			before := y.restarts()
			fatal(y.t, y.line.open())
			y.until("it is seen again", func() bool { return y.up("hotel-api") >= 2 })
			y.only(before)
			y.order(id, api.Resume)
			y.done(id)
			y.allOn(app)
			old = app
		}},
		{"a brake holds while a server hangs in its switch", func(*testing.T) {
			hangs := filepath.Join(y.dirs["hotel-1"], "hotel-api", "hangs")
			fatal(y.t, os.WriteFile(hangs, nil, 0o600))
			before := y.restarts()
			id := y.roll(next())
			y.until("hotel-1 hangs", func() bool { return y.restarts()["hotel-1"] > before["hotel-1"] })
			y.brakes(id)
			fatal(y.t, os.Remove(hangs))
			y.stays(id, before, "hotel-1")
			y.back(id, old)
		}},
		{"a brake holds while the balancer hangs", func(*testing.T) {
			before := y.restarts()
			id := y.roll(next())
			y.until("the middle", func() bool { return y.state(id).Batch == 2 })
			y.line.behave(func(string) string { return "hang" })
			y.brakes(id)
			y.line.behave(honest)
			y.stays(id, before, "hotel-1", "hotel-2")
			y.back(id, old)
		}},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			y.t = t
			c.test(t)
		})
		y.t = t
	}
}

func (y *faultYard) says(text string, parts ...string) {
	y.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			y.t.Errorf("%q does not say %q", text, part)
		}
	}
}

// brakes brakes a roll, and checks how long that takes to be stored as a pause.
func (y *faultYard) brakes(roll string) {
	y.t.Helper()
	asked := time.Now()
	y.order(roll, api.Brake)
	y.paused(roll, roller.CauseBrake)
	y.t.Logf("paused %s after it was asked", time.Since(asked).Round(time.Millisecond))
}

// stays checks that nothing goes on under a brake although everything answers again: the roll is looked at a few times more, and
// no other server was restarted.
func (y *faultYard) stays(roll string, before map[string]int, servers ...string) {
	y.t.Helper()
	saved := len(y.events(roll))
	looks := 0
	y.until("a few looks", func() bool { looks++; return looks > 15 })
	y.only(before, servers...)
	for _, e := range y.events(roll)[saved:] {
		if e.What == "server_pulled_out" || e.What == "server_drained" {
			y.t.Errorf("under the brake: %+v", e)
		}
	}
}

// escapes rolls a package that wants to write somewhere else, and takes it back.
func (y *faultYard) escapes(t *testing.T, old roller.AppRelease, files ...tar.Header) {
	t.Helper()
	before := y.restarts()
	id := y.roll(y.packed("evil "+t.Name(), files...))
	y.says(y.paused(id, roller.CauseBudget), "hotel-1 (switch: ")
	y.fails(id, "hotel-1", "switch", "unsafe path")
	y.only(before)
	for _, dir := range []string{filepath.Dir(y.dirs["hotel-1"]), y.dirs["hotel-1"], filepath.Join(y.dirs["hotel-1"], "hotel-api"),
		filepath.Join(y.dirs["hotel-1"], "hotel-api", "releases")} {
		if _, err := os.Lstat(filepath.Join(dir, "evil")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s/evil was written: %v", dir, err)
		}
	}
	y.back(id, old)
}

// damage changes the bytes of a package in the package store, and returns what puts them right.
func (y *faultYard) damage(app roller.AppRelease) (mend func()) {
	y.t.Helper()
	hexPart := strings.TrimPrefix(app.Package, "sha256:")
	var file string
	fatal(y.t, filepath.WalkDir(filepath.Dir(y.dirs["hotel-1"]), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, hexPart[2:]) && !strings.HasSuffix(path, ".attrs") {
			file = path
		}
		return err
	}))
	whole, err := os.ReadFile(file)
	fatal(y.t, err)
	fatal(y.t, os.WriteFile(file, append(whole[:len(whole)-1:len(whole)-1], whole[len(whole)-1]^1), 0o600))
	return func() { fatal(y.t, os.WriteFile(file, whole, 0o600)) }
}

// fillDisk mounts a small real disk over a server's directory for its applications, which is full, and returns what makes room.
func (y *faultYard) fillDisk(t *testing.T, server string) (release func()) {
	t.Helper()
	dir := filepath.Join(y.dirs[server], "hotel-api")
	kept := dir + ".kept"
	fatal(t, os.Rename(dir, kept))
	fatal(t, os.Mkdir(dir, 0o755))
	fatal(t, syscall.Mount("none", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	if out, err := exec.Command("cp", "-a", kept+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	fatal(t, err)
	_, err = io.Copy(ballast, io.LimitReader(zeros{}, 1<<20))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	fatal(t, ballast.Close())
	return func() {
		fatal(t, os.Remove(ballast.Name()))
		if out, err := exec.Command("cp", "-a", dir+"/.", kept).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		fatal(t, syscall.Unmount(dir, syscall.MNT_DETACH))
		fatal(t, os.Remove(dir))
		fatal(t, os.Rename(kept, dir))
	}
}

// inOwnMounts runs a test again where it may mount: as root of a user namespace of its own.
func inOwnMounts(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	fatal(t, err)
	if out, err := exec.Command("unshare", "-Urm", self, "-test.run=^"+t.Name()+"$").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
