package service

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/demo/balancer"
	"railyard/internal/demo/ports"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/server/api"
)

const driftTopology = `
environments:
  - name: PROD
    production: true
    strategy: {smoke: false, pattern: [50], pause: 0s, watch: 0s, step_timeout: 20s, drain_timeout: 1s, min_up: 50}
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
    restart: "echo {{.Server}} >>{{.Dir}}/restarts"
    smoke: [{path: /healthz}]
`

// driftYard is the real service over three servers behind a real HAProxy.
type driftYard struct {
	*Service
	t      *testing.T
	site   fleet.SiteRef
	socket string
	dirs   map[string]string // by server
	client *api.ClientWithResponses
}

func newDriftYard(t *testing.T) *driftYard {
	dir := t.TempDir()
	short, err := os.MkdirTemp("", "drift") // a unix socket's path may not be long
	fatal(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	y := &driftYard{t: t, site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, socket: filepath.Join(short, "lb"), dirs: map[string]string{}}

	pool := balancer.Pool{Environment: "PROD", Name: "hotel-api"}
	var lines strings.Builder
	for i := range 3 {
		app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(app.Close)
		name := fmt.Sprintf("hotel-%d", i+1)
		y.dirs[name] = filepath.Join(dir, name)
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
	y.serve(dir, fmt.Sprintf(driftTopology, y.socket, lines.String()))
	return y
}

// serve starts the service and ends it with the test.
func (y *driftYard) serve(dir, topology string) {
	t := y.t
	reserved := &ports.Set{}
	port, err := reserved.Take()
	fatal(t, err)
	file := filepath.Join(dir, "topology.yaml")
	fatal(t, os.WriteFile(file, []byte(topology), 0o600))
	t.Setenv("RAILYARD_TEST_TOKEN", "secret")
	cfg := Config{Listen: ports.Address(port), Topology: file, Audit: time.Second, Mirrors: filepath.Join(dir, "mirrors"),
		Tokens: []Token{{Person: "li.wei", Role: "operator", SBU: "*", Token: "env:RAILYARD_TEST_TOKEN"}}}
	cfg.defaults(dir)
	log := logrus.New()
	log.SetOutput(io.Discard)
	y.Service, err = open(t.Context(), cfg, log)
	fatal(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- y.run(ctx) }()
	t.Cleanup(func() {
		stop()
		for _, err := range []error{<-ended, y.close(), reserved.Close()} {
			if err != nil {
				t.Errorf("end the service: %v", err)
			}
		}
	})
	y.client, err = api.NewClientWithResponses(cfg.PublicURL+"/api/v1", api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer secret")
		return nil
	}))
	fatal(t, err)
	y.until("it answers", func() bool {
		_, err := y.client.ListBarsWithResponse(t.Context())
		return err == nil
	})
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits until something holds, looking after each commit and at least ten times a second.
func (y *driftYard) until(what string, holds func() bool) {
	y.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		changed := y.store.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-deadline.C:
			y.t.Fatalf("not in a minute: %s; the log says\n%s", what, strings.Join(y.told(""), "\n"))
		}
	}
}

// told lists the events about an object, or the last of all.
func (y *driftYard) told(object string) (all []string) {
	y.t.Helper()
	events, err := y.store.Events(context.Background(), store.EventFilter{Object: object, Newest: object == ""})
	fatal(y.t, err)
	for _, e := range events {
		all = append(all, strings.Join([]string{e.What, e.Server, e.Why, e.Actor}, " | "))
	}
	return all
}

// tells reports whether an event of the site begins so.
func (y *driftYard) tells(begins string) bool {
	return slices.ContainsFunc(y.told("site/PROD/hotel-api"), func(line string) bool { return strings.HasPrefix(line, begins) })
}

// pack publishes a package of hotel-api.
func (y *driftYard) pack() roller.AppRelease {
	return y.packed("1.4.2", tar.Header{Name: "VERSION"})
}

// packed publishes a package whose files hold its version. One without a type is a regular file.
func (y *driftYard) packed(version string, files ...tar.Header) roller.AppRelease {
	y.t.Helper()
	var tgz bytes.Buffer
	gz := gzip.NewWriter(&tgz)
	archive := tar.NewWriter(gz)
	for _, file := range files {
		file.Mode = 0o644
		if file.Typeflag == 0 {
			file.Typeflag, file.Size = tar.TypeReg, int64(len(version))
		}
		fatal(y.t, archive.WriteHeader(&file))
		if file.Typeflag == tar.TypeReg {
			_, err := archive.Write([]byte(version))
			fatal(y.t, err)
		}
	}
	fatal(y.t, archive.Close())
	fatal(y.t, gz.Close())
	digest, _, err := y.packages.Put(y.t.Context(), &tgz, 8<<20)
	fatal(y.t, err)
	return roller.AppRelease{App: "hotel-api", Package: digest, Version: version}
}

// release rolls a first version out.
func (y *driftYard) release() roller.AppRelease {
	app := y.pack()
	now := time.Now().UTC().Truncate(time.Microsecond)
	info, _ := y.topology.get().Site(y.site)
	fatal(y.t, y.store.AddRoll(y.t.Context(), roller.Roll{
		ID: "r-1", Kind: roller.Release, Site: y.site, Created: now, Author: event.Railyard, Changes: []roller.AppRelease{app}, Strategy: info.Strategy,
		Balanced: true, Stage: roller.Queued, StageSince: now, ProgressAt: now,
	}))
	y.done("r-1")
	return app
}

func (y *driftYard) done(roll string) roller.Roll {
	y.t.Helper()
	var r roller.Roll
	y.until(roll+" is done", func() bool {
		var err error
		r, err = y.store.Roll(context.Background(), roll)
		fatal(y.t, err)
		return r.Stage.Terminal() || r.Pause != nil
	})
	if r.Stage != roller.Done {
		y.t.Fatalf("%s is %s: %s, %+v", roll, r.Stage, r.Reason, r.Pause)
	}
	return r
}

// orderHAProxy does what a person does with socat.
func (y *driftYard) orderHAProxy(order string) {
	y.t.Helper()
	conn, err := net.Dial("unix", y.socket)
	fatal(y.t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, order+"\n")
	fatal(y.t, err)
	answer, err := io.ReadAll(conn)
	fatal(y.t, err)
	if text := strings.TrimSpace(string(answer)); text != "" {
		y.t.Fatalf("%s: HAProxy says %q", order, text)
	}
}

// switchByHand lets a server run what somebody put there.
func (y *driftYard) switchByHand(server, release string) {
	y.t.Helper()
	app := filepath.Join(y.dirs[server], "hotel-api")
	fatal(y.t, os.MkdirAll(filepath.Join(app, "releases", release), 0o755))
	fatal(y.t, os.Remove(filepath.Join(app, "current")))
	fatal(y.t, os.Symlink("releases/"+release, filepath.Join(app, "current")))
	fatal(y.t, os.WriteFile(filepath.Join(app, "running"), []byte(release+"\n"), 0o644))
}

// differs asks the API what differs on the site.
func (y *driftYard) differs() (all []string) {
	y.t.Helper()
	sites, err := y.client.ListSitesWithResponse(context.Background(), &api.ListSitesParams{})
	fatal(y.t, err)
	for _, site := range *sites.JSON200 {
		if site.Differences == nil {
			continue
		}
		for _, d := range *site.Differences {
			all = append(all, fmt.Sprintf("%s %s: %s, expected %s", *d.Server, d.Kind, d.Found, d.Expected))
		}
	}
	return all
}

func TestWhatPeopleChangedByHandIsToldAndMendedByASync(t *testing.T) {
	y := newDriftYard(t)
	app := y.release()
	before, err := y.store.SiteRevision(t.Context(), y.site)
	fatal(t, err)
	if got := y.told("site/PROD/hotel-api"); len(got) > 0 {
		t.Fatalf("told of a site on which nobody changed anything: %v", got)
	}

	y.orderHAProxy("set weight PROD_hotel-api/hotel-1 0%")
	y.switchByHand("hotel-2", "0123456789ab")
	y.until("both are shown", func() bool {
		return slices.Equal(y.differs(), []string{
			"hotel-1 pulled_out: weight 0, expected weight 100",
			fmt.Sprintf("hotel-2 other_revision: hotel-api 0123456789ab, expected hotel-api 1.4.2 (%s)", app.Name()),
		})
	})

	answer, err := y.client.SyncSiteWithResponse(t.Context(), "PROD", "hotel-api", api.SyncSiteJSONRequestBody{Reason: "tidy up"})
	fatal(t, err)
	if answer.JSON200 == nil {
		t.Fatalf("sync: %s %s", answer.Status(), answer.Body)
	}
	r := y.done(answer.JSON200.Id)
	y.until("an audit finds nothing any more", func() bool {
		return len(y.differs()) == 0 && y.tells("drift_gone | hotel-1") && y.tells("drift_gone | hotel-2")
	})
	for _, begins := range []string{"drift_found | hotel-1 | expected weight 100", "drift_found | hotel-2 | expected hotel-api 1.4.2", "sync_asked |  | tidy up | person:li.wei"} {
		if !y.tells(begins) {
			t.Errorf("told %q, expected %q…", y.told("site/PROD/hotel-api"), begins)
		}
	}
	if y.tells("drift_found | hotel-3") {
		t.Errorf("told of hotel-3, which nobody changed: %q", y.told("site/PROD/hotel-api"))
	}

	if r.Kind != roller.CatchUp {
		t.Errorf("the roll is a %s", r.Kind)
	}
	for _, line := range y.told("roll/" + r.ID) {
		if strings.Contains(line, "hotel-3") {
			t.Errorf("hotel-3 was as it should be, and yet: %s", line)
		}
	}
	after, err := y.store.SiteRevision(t.Context(), y.site)
	fatal(t, err)
	if after.ID != before.ID || after.Apps[0].Version != "1.4.2" {
		t.Errorf("the site's revision was %+v and is %+v", before, after)
	}
	// hotel-1 ran the right thing and was only put back; hotel-2 was restarted once more.
	for server, restarts := range map[string]int{"hotel-1": 1, "hotel-2": 2, "hotel-3": 1} {
		log, err := os.ReadFile(filepath.Join(y.dirs[server], "hotel-api", "restarts"))
		fatal(t, err)
		if n := strings.Count(string(log), "\n"); n != restarts {
			t.Errorf("%s was restarted %d times, expected %d", server, n, restarts)
		}
	}
	again, err := y.client.SyncSiteWithResponse(t.Context(), "PROD", "hotel-api", api.SyncSiteJSONRequestBody{Reason: "once more"})
	fatal(t, err)
	if again.StatusCode() != http.StatusConflict || !strings.Contains(string(again.Body), "nothing to catch up: all 3 servers") {
		t.Errorf("a second sync: %s %s", again.Status(), again.Body)
	}
}
