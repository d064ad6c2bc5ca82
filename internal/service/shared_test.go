package service

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"railyard/internal/demo/balancer"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/server/api"
)

const sharedTopology = `
environments:
  - name: PROD
    production: true
    strategy: {smoke: false, pattern: [50], pause: 0s, watch: 0s, step_timeout: 5s, drain_timeout: 1s, min_up: 50, progress: 5s}
sbus: [{name: hotel, title: Hotel}]
repositories: [{name: hotel/hotel-api, clone: "https://git.example/hotel/hotel-api.git", branches: [release/*]}]
pools:
%s
apps:
  - {name: hotel-api, kind: api, sbu: hotel, pool: hotel-api, repository: hotel/hotel-api, jenkins: {job: deliver/hotel-api},
     restart: "echo {{.Server}} >>{{.Dir}}/restarts", smoke: [{path: /healthz}]}
  - {name: hotel-web, kind: web, sbu: hotel, pool: hotel-web, repository: hotel/hotel-api, jenkins: {job: deliver/hotel-web},
     restart: "echo {{.Server}} >>{{.Dir}}/restarts", smoke: [{path: /healthz}]}
`

// newSharedYard is the real service over two pools behind a real HAProxy: hotel-api on box-1, box-2 and api-3, hotel-web on
// box-1 and box-2 as well.
func newSharedYard(t *testing.T) *driftYard {
	dir := t.TempDir()
	short, err := os.MkdirTemp("", "shared") // a unix socket's path may not be long
	fatal(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	y := &driftYard{t: t, site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, socket: filepath.Join(short, "lb"), dirs: map[string]string{}}
	var pools []balancer.Pool
	var text strings.Builder
	for name, servers := range map[string][]string{"hotel-api": {"box-1", "box-2", "api-3"}, "hotel-web": {"box-1", "box-2"}} {
		pool := balancer.Pool{Environment: "PROD", Name: name}
		fmt.Fprintf(&text, "  - name: %s\n    sbu: hotel\n    sites:\n      - environment: PROD\n"+
			"        balancer: {driver: haproxy, address: \"unix:%s\", backend: PROD_%s}\n        host: {driver: local}\n        servers:\n", name, y.socket, name)
		for _, server := range servers {
			app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			t.Cleanup(app.Close)
			y.dirs[server] = filepath.Join(dir, server)
			pool.Servers = append(pool.Servers, balancer.Server{Name: server, Address: app.Listener.Addr().String()})
			fmt.Fprintf(&text, "          - {name: %s, address: %q, dir: %s, shared: %v}\n", server, app.Listener.Addr(), y.dirs[server], strings.HasPrefix(server, "box"))
		}
		pools = append(pools, pool)
	}
	lb, err := balancer.Start(t.Context(), balancer.Options{Dir: dir, Socket: y.socket, Pools: pools})
	fatal(t, err)
	t.Cleanup(func() {
		if err := lb.Close(); err != nil {
			t.Errorf("end HAProxy: %v", err)
		}
	})
	y.serve(dir, fmt.Sprintf(sharedTopology, text.String()))
	return y
}

// held asks the API which roll holds a pool.
func (y *driftYard) held(pool string) string {
	y.t.Helper()
	sites, err := y.client.ListSitesWithResponse(context.Background(), &api.ListSitesParams{})
	fatal(y.t, err)
	for _, site := range *sites.JSON200 {
		if site.Pool == pool && site.Lock != nil {
			return site.Lock.Roll + ": " + site.Lock.Reason
		}
	}
	return ""
}

func TestARollOfASharedServerHoldsBothPoolsAndTheFloorOfBoth(t *testing.T) {
	y := newSharedYard(t)
	info, _ := y.topology.get().Site(y.site)
	r := roller.NewRoll(info, roller.Release, "r-1", time.Now().UTC().Truncate(time.Microsecond))
	r.Changes = []roller.AppRelease{y.pack()}
	if len(r.Shares) != 1 || r.Shares[0].Site.Pool != "hotel-web" || r.Shares[0].MinUp != 1 {
		t.Fatalf("the roll shares %+v", r.Shares)
	}
	y.until("HAProxy calls everything up", func() bool { return y.up("hotel-web") == 2 && y.up("hotel-api") == 3 })

	// One of the two machines is out in hotel-web: the other one has to stay, also in hotel-api.
	y.orderHAProxy("set server PROD_hotel-web/box-2 state maint")
	fatal(t, y.store.AddRoll(t.Context(), r))
	y.until("the roll hangs at box-1", func() bool {
		return y.pausedFor("r-1", "it is shared with PROD/hotel-web, where 0 are in rotation beside it, and 1 must stay")
	})
	for _, pool := range []string{"hotel-api", "hotel-web"} {
		if got := y.held(pool); got != "r-1: roll of PROD/hotel-api" {
			t.Errorf("%s is held by %q", pool, got)
		}
	}
	if y.up("hotel-api") < 2 {
		t.Errorf("%d are in rotation in hotel-api, the floor is 2", y.up("hotel-api"))
	}

	y.orderHAProxy("set server PROD_hotel-web/box-2 state ready")
	y.until("box-2 is back", func() bool { return y.up("hotel-web") == 2 })
	answer, err := y.client.CommandRollWithResponse(t.Context(), "r-1", api.CommandRollJSONRequestBody{Command: api.Resume, Reason: "box-2 is back"})
	fatal(t, err)
	if answer.JSON202 == nil {
		t.Fatalf("resume: %s", answer.Body)
	}
	y.until("it goes on", func() bool { return !y.pausedFor("r-1", "") })
	y.done("r-1")
	if held := y.held("hotel-api") + y.held("hotel-web"); held != "" {
		t.Errorf("still held: %s", held)
	}
	for _, server := range []string{"box-1", "box-2", "api-3"} {
		log, err := os.ReadFile(filepath.Join(y.dirs[server], "hotel-api", "restarts"))
		fatal(t, err)
		if n := strings.Count(string(log), "\n"); n != 1 {
			t.Errorf("%s was restarted %d times", server, n)
		}
		if _, err := os.Stat(filepath.Join(y.dirs[server], "hotel-web")); !os.IsNotExist(err) {
			t.Errorf("%s: the other pool's application was touched: %v", server, err)
		}
	}
}

// up counts a pool's servers in rotation, as the API shows them.
func (y *driftYard) up(pool string) (n int) {
	y.t.Helper()
	sites, err := y.client.ListSitesWithResponse(context.Background(), &api.ListSitesParams{})
	fatal(y.t, err)
	for _, site := range *sites.JSON200 {
		for _, s := range site.Servers {
			if site.Pool == pool && s.Rotation == api.In {
				n++
			}
		}
	}
	return n
}

func (y *driftYard) pausedFor(roll, why string) bool {
	y.t.Helper()
	r, err := y.store.Roll(context.Background(), roll)
	fatal(y.t, err)
	return r.Pause != nil && strings.Contains(r.Pause.Reason, why)
}
