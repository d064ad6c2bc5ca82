package fleet_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/fleet"
)

const example = "../../docs/examples/topology.yaml"

func loadExample(t *testing.T) *fleet.Topology {
	t.Helper()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	topology, err := fleet.Load("topology.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(data)); topology.Digest != want {
		t.Errorf("digest %s, want %s", topology.Digest, want)
	}
	return topology
}

func TestTheExampleLoads(t *testing.T) {
	topology := loadExample(t)
	want := []string{"jobws", "public-api", "hotel-api", "hotel-app"}
	if diff := cmp.Diff(want, topology.PoolOrder()); diff != "" {
		t.Errorf("PoolOrder: %s", diff)
	}
}

func TestWhatAFileLeavesOutIsFilledIn(t *testing.T) {
	topology := loadExample(t)
	app, _ := topology.App("public-api")
	if app.Keep != 5 || app.Jenkins.Controller != "main" {
		t.Errorf("keep %d, controller %q", app.Keep, app.Jenkins.Controller)
	}
	if c := app.Smoke[0]; c.Status != 200 || c.Timeout.D() != 2*time.Second {
		t.Errorf("check %+v", c)
	}
	if c := app.Smoke[1]; c.Timeout.D() != 5*time.Second {
		t.Errorf("check %+v", c)
	}
	repo, _ := topology.Repository("platform/jobws")
	if repo.Plan != ".railyard/rop.yaml" {
		t.Errorf("plan %q", repo.Plan)
	}
	site, _ := topology.Site(fleet.SiteRef{Environment: "PROD", Pool: "public-api"})
	if a, b := site.Site.Servers[0].Member, site.Site.Servers[3].Member; a != "public-api-1" || b != "papi4" {
		t.Errorf("members %q, %q", a, b)
	}
}

func TestLookups(t *testing.T) {
	topology := loadExample(t)
	byHand := *topology // as tests of other packages put one together
	byHand = fleet.Topology{Environments: byHand.Environments, SBUs: byHand.SBUs, Repositories: byHand.Repositories,
		Pools: byHand.Pools, Apps: byHand.Apps, Indicators: byHand.Indicators}
	for how, topology := range map[string]*fleet.Topology{"loaded": topology, "put together by hand": &byHand} {
		t.Run(how, func(t *testing.T) {
			for name, found := range map[string]bool{"PROD": true, "prod": false, "": false} {
				if _, ok := topology.Environment(name); ok != found {
					t.Errorf("Environment(%q) %v", name, ok)
				}
			}
			if sbu, ok := topology.SBU("hotel"); !ok || sbu.Title != "Hotel / 酒店" {
				t.Errorf("SBU %+v %v", sbu, ok)
			}
			if _, ok := topology.Pool("hotel"); ok {
				t.Error("a pool that is not there was found")
			}
			if apps := topology.AppsOf("hotel-api"); len(apps) != 1 || apps[0].Name != "hotel-api" {
				t.Errorf("AppsOf %+v", apps)
			}
			if _, ok := topology.Site(fleet.SiteRef{Environment: "DEV", Pool: "hotel-api"}); ok {
				t.Error("a site that is not there was found")
			}
			site, ok := topology.Site(fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"})
			if !ok || len(site.Site.Servers) != 4 || !site.Environment.Production || site.Pool.Name != "hotel-api" || len(site.Apps) != 1 {
				t.Errorf("Site %+v %v", site, ok)
			}
			if diff := cmp.Diff([]string{"jobws", "public-api", "hotel-api", "hotel-app"}, topology.PoolOrder()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFollows(t *testing.T) {
	topology := loadExample(t)
	for _, tc := range []struct {
		repository, branch string
		want               bool
	}{
		{"hotel/hotel", "release/1.4", true},
		{"hotel/hotel", "hotfix/1.4.1", true},
		{"hotel/hotel", "release/1.4/fix", false},
		{"hotel/hotel", "main", false},
		{"platform/jobws", "hotfix/1", false},
		{"hotel/unknown", "release/1.4", false},
	} {
		if got := topology.Follows(tc.repository, tc.branch); got != tc.want {
			t.Errorf("Follows(%s, %s) = %v", tc.repository, tc.branch, got)
		}
	}
}

func TestIndicatorsFor(t *testing.T) {
	topology := loadExample(t)
	for _, tc := range []struct{ environment, pool, stage, want string }{
		{"PROD", "hotel-api", "baking", "5xx p99 load heap db-connections alive ready"},
		{"PROD", "hotel-api", "smoke", "load db-connections alive ready"},
		{"PROD", "jobws", "rolling", "alive ready"},
		{"UAT", "public-api", "rolling", "load heap alive ready"},
		{"FAT", "jobws", "rolling", "alive ready"},
	} {
		var names []string
		for _, i := range topology.IndicatorsFor(fleet.SiteRef{Environment: tc.environment, Pool: tc.pool}, tc.stage) {
			names = append(names, i.Name)
		}
		if got := strings.Join(names, " "); got != tc.want {
			t.Errorf("%s/%s %s: %s, want %s", tc.environment, tc.pool, tc.stage, got, tc.want)
		}
	}
}

func TestStrategyFor(t *testing.T) {
	topology := loadExample(t)
	production := fleet.Resolved{
		Smoke: true, BakingWeight: 25, BakingTime: 5 * time.Minute, Pattern: []int{10, 40, 50}, Pause: 30 * time.Second,
		Watch: 2 * time.Minute, MinUpPercent: 50, DrainTimeout: 30 * time.Second, StepTimeout: time.Minute,
		Progress: 5 * time.Minute, DoubtBound: 2 * time.Minute, OnFailure: fleet.OnFailurePause,
	}
	with := func(r fleet.Resolved, change func(*fleet.Resolved)) fleet.Resolved { change(&r); return r }
	test := with(fleet.Default(false), func(r *fleet.Resolved) { r.Pattern, r.MinUpPercent, r.Pause, r.Watch = []int{100}, 0, 0, 0 })
	for _, tc := range []struct {
		rule, environment, pool string
		want                    fleet.Resolved
	}{
		{"the environment's values stand over the defaults", "PROD", "public-api", production},
		{"the site's values stand over the environment's", "PROD", "hotel-api", with(production, func(r *fleet.Resolved) {
			r.Pattern, r.MinUpPercent = []int{25}, 75
		})},
		{"a site without balancer and smoke servers neither bakes nor has a smoke stage", "PROD", "jobws", with(production, func(r *fleet.Resolved) {
			r.Smoke, r.BakingWeight, r.BakingTime = false, 0, 0
		})},
		{"an explicit 0s is not a default", "FAT", "jobws", test},
		{"a merged mapping is overridden field by field", "UAT", "public-api", with(test, func(r *fleet.Resolved) { r.Pause = 10 * time.Second })},
		{"an unknown site gets its environment's", "UAT", "nowhere", with(test, func(r *fleet.Resolved) { r.Pause = 10 * time.Second })},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got := topology.StrategyFor(fleet.SiteRef{Environment: tc.environment, Pool: tc.pool})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDefault(t *testing.T) {
	want := fleet.Resolved{
		Pattern: []int{25}, Pause: 30 * time.Second, Watch: 2 * time.Minute, MinUpPercent: 50, DrainTimeout: 30 * time.Second,
		StepTimeout: time.Minute, Progress: 5 * time.Minute, DoubtBound: 2 * time.Minute, OnFailure: fleet.OnFailureRollback,
	}
	if diff := cmp.Diff(want, fleet.Default(false)); diff != "" {
		t.Error(diff)
	}
	if got := fleet.Default(true).OnFailure; got != fleet.OnFailurePause {
		t.Errorf("in production an exhausted budget does %q", got)
	}
}

func TestTheFloorIsRoundedUp(t *testing.T) {
	for _, tc := range []struct{ percent, servers, want int }{
		{50, 4, 2}, {50, 5, 3}, {50, 1, 1}, {0, 7, 0}, {100, 7, 7}, {1, 1000, 10}, {1, 1001, 11}, {67, 3, 3}, {66, 3, 2},
	} {
		if got := (fleet.Resolved{MinUpPercent: tc.percent}).Floor(tc.servers); got != tc.want {
			t.Errorf("%d %% of %d = %d, want %d", tc.percent, tc.servers, got, tc.want)
		}
	}
}

func TestParseSiteRef(t *testing.T) {
	for text, good := range map[string]bool{"PROD/hotel-api": true, "PROD": false, "/hotel-api": false, "PROD/": false, "": false} {
		ref, err := fleet.ParseSiteRef(text)
		if (err == nil) != good || good && ref.String() != text {
			t.Errorf("%q: %v %v", text, ref, err)
		}
	}
}

func TestDurationIsWrittenAsItIsRead(t *testing.T) {
	for text, want := range map[string]string{"90s": "1m30s", "0s": "0s", "0": "0s", "5m": "5m", "2h": "2h", "61m": "1h1m", "5": "", "-1s": "", "soon": ""} {
		var d fleet.Duration
		err := d.UnmarshalText([]byte(text))
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if out, _ := d.MarshalText(); err == nil && string(out) != want {
			t.Errorf("%q reads as %s, want %s", text, out, want)
		}
	}
}

// A topology of the size the service is built for loads in a few seconds.
func BenchmarkLoadTenThousandServers(b *testing.B) {
	var f strings.Builder
	f.WriteString("environments: [{name: PROD, production: true, strategy: {}}]\nsbus: [{name: s, title: S}]\npools:\n")
	for p := range 500 {
		fmt.Fprintf(&f, "- name: pool-%d\n  sbu: s\n  sites:\n  - environment: PROD\n    balancer: {driver: haproxy, address: \"unix:/run/h.sock\", backend: b%d}\n    host: {driver: ssh}\n    servers:\n", p, p)
		for s := range 20 {
			fmt.Fprintf(&f, "    - {name: pool-%d-%d, address: \"10.%d.%d.%d:80\", dir: /srv/railyard}\n", p, s, p/250, p%250, s)
		}
	}
	f.WriteString("apps: []\nrepositories: []\n")
	data := []byte(f.String())
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := fleet.Load("big.yaml", data); err != nil {
			b.Fatal(err)
		}
	}
}

func TestASharedServerMakesNeighboursOfItsSites(t *testing.T) {
	data, err := os.ReadFile("testdata/shared.yaml")
	if err != nil {
		t.Fatal(err)
	}
	topology, err := fleet.Load("topology.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	for site, want := range map[string]string{"PROD/hotel-api": "PROD/jobs", "PROD/jobs": "PROD/hotel-api", "UAT/public-api": ""} {
		ref, err := fleet.ParseSiteRef(site)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := topology.Site(ref)
		var names []string
		for _, n := range info.Neighbours {
			names = append(names, n.Ref.String())
			if n.Strategy.MinUpPercent != topology.StrategyFor(n.Ref).MinUpPercent || len(n.Site.Servers) == 0 {
				t.Errorf("%s beside %s: %+v", n.Ref, site, n)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("neighbours of %s: %q, expected %q", site, got, want)
		}
	}
}

func TestAnSBUMayHaveAJenkinsOfItsOwn(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "{name: hotel, title", "{name: hotel, controller: hotels, title", 1)
	text = strings.Replace(text, "jenkins: {job: deliver/hotel-app}", "jenkins: {job: deliver/hotel-app, controller: other}", 1)
	topology, err := fleet.Load("topology.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"public-api": "main", "hotel-api": "hotels", "hotel-app": "other"} {
		if app, _ := topology.App(name); app.Jenkins.Controller != want {
			t.Errorf("%s is built on %q, want %q", name, app.Jenkins.Controller, want)
		}
	}
}
