package ar_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// talk is the example of the talk: JobWS → public API → hotel API → hotel APP, with a database object and web resources.
// The flights are another cluster.
func talk() *fleet.Topology {
	t := &fleet.Topology{
		Digest:       "sha256:talk",
		Environments: []fleet.Environment{{Name: "FAT"}, {Name: "UAT"}, {Name: "PROD", Production: true}},
		Pools: []fleet.Pool{pool("hotel-db"), pool("hotel-web"), pool("jobws"), pool("public-api", "jobws"), pool("hotel-api", "public-api"),
			pool("hotel-app", "hotel-api"), pool("flight-api")},
	}
	kinds := map[string]fleet.Kind{"hotel-db": fleet.KindDatabase, "hotel-web": fleet.KindWeb, "jobws": fleet.KindJob, "hotel-app": fleet.KindApp}
	for i := range t.Pools {
		p := &t.Pools[i]
		kind := fleet.KindAPI
		if k, ok := kinds[p.Name]; ok {
			kind = k
		}
		t.Apps = append(t.Apps, app(p.Name, kind, p.Name))
		for _, env := range []string{"UAT", "PROD"} {
			site := fleet.Site{Environment: env, Balancer: fleet.Balancer{Driver: "haproxy"}}
			for n := range 6 {
				site.Servers = append(site.Servers, fleet.Server{Name: fmt.Sprintf("%s-%s-%d", env, p.Name, n), Smoke: n == 0 && env == "PROD"})
			}
			p.Sites = append(p.Sites, site)
		}
	}
	return t
}

// coach carries the apps it is given, at a version, requiring things like "public-api >=2" or "coach public-api-7".
func coach(id, version string, apps []string, requires ...string) ar.Coach {
	project := id[:strings.LastIndexByte(id, '-')]
	c := ar.Coach{ID: id, Project: project, SBU: "hotel", Repository: "hotel/hotel", Version: version, Packages: map[string]string{}}
	for _, a := range apps {
		c.Packages[a] = "sha256:" + a + version
	}
	for _, text := range requires {
		what, version, _ := strings.Cut(text, " ")
		r := rop.Requirement{App: what, Version: version}
		switch what {
		case "coach":
			r = rop.Requirement{Coach: version}
		case "project":
			r = rop.Requirement{Project: version}
		}
		c.Requires = append(c.Requires, r)
	}
	return c
}

// running puts Coaches on their sites in UAT and PROD, as if each had been released in turn.
func running(t *fleet.Topology, coaches ...ar.Coach) ar.Running {
	runs := ar.Running{}
	for _, c := range coaches {
		for name, digest := range c.Packages {
			a, _ := t.App(name)
			for _, env := range []string{"UAT", "PROD"} {
				site := fleet.SiteRef{Environment: env, Pool: a.Pool}
				runs[site] = runs[site].With(roller.AppRelease{App: name, Package: digest, Version: c.Version, Coach: c.ID, Requires: c.Requires})
			}
		}
	}
	return runs
}

// line writes an Itinerary as "child: pool+pool | pool / child: …".
func line(it ar.Itinerary) string {
	var children []string
	for _, c := range it.Children {
		var waves []string
		for _, w := range c.Waves {
			var pools []string
			for _, s := range w.Stops {
				pools = append(pools, s.Pool)
			}
			waves = append(waves, strings.Join(pools, "+"))
		}
		children = append(children, c.Name+": "+strings.Join(waves, " | "))
	}
	return strings.Join(children, " / ")
}

func TestPlan(t *testing.T) {
	one := func(pool string) []string { return []string{pool} }
	for _, tc := range []struct {
		rule    string
		running []ar.Coach
		coaches []ar.Coach
		want    string
	}{
		{
			"the talk's example goes in the order of its resources and pools, whichever Coaches bring them", nil,
			[]ar.Coach{coach("hotel-2.1", "2.0.0", []string{"hotel-app", "hotel-db", "hotel-web"}), coach("hotel-api-1.1", "2.0.0", one("hotel-api")),
				coach("public-api-1.1", "2.0.0", one("public-api")), coach("jobws-1.1", "2.0.0", one("jobws"))},
			"hotel-api: hotel-db | hotel-web | jobws | public-api | hotel-api | hotel-app",
		},
		{
			"pools that have nothing to do with each other are child Trains of their own", nil,
			[]ar.Coach{coach("a-1.1", "1.0.0", one("flight-api")), coach("b-1.1", "1.0.0", one("hotel-app")), coach("c-1.1", "1.0.0", one("jobws"))},
			"flight-api: flight-api / hotel-app: jobws | hotel-app",
		},
		{
			"a Coach waits for what it requires, when what runs is too old",
			[]ar.Coach{coach("flight-1.1", "1.0.0", one("flight-api"))},
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", one("hotel-api"), "flight-api >=2"), coach("flight-2.1", "2.0.0", one("flight-api"))},
			"flight-api: flight-api | hotel-api",
		},
		{
			"what runs already and stays good enough orders nothing",
			[]ar.Coach{coach("flight-1.1", "2.0.0", one("flight-api"))},
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", one("hotel-api"), "flight-api >=2"), coach("flight-2.1", "2.1.0", one("flight-api"))},
			"flight-api: flight-api / hotel-api: hotel-api",
		},
		{
			"what does not accept the new version is replaced before it comes",
			[]ar.Coach{coach("hotel-api-1.1", "1.0.0", one("hotel-api"), "flight-api <2"), coach("flight-1.1", "1.0.0", one("flight-api"))},
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", one("hotel-api"), "flight-api >=1 <3"), coach("flight-2.1", "2.0.0", one("flight-api"))},
			"flight-api: hotel-api | flight-api",
		},
		{
			"a required Coach comes first, whichever candidate of it travels", nil,
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", one("hotel-api"), "coach flight-2"), coach("flight-2.3", "2.0.0", one("flight-api"))},
			"flight-api: flight-api | hotel-api",
		},
		{
			"a Coach that was released satisfies who requires it, and so does a later one of its project",
			[]ar.Coach{coach("flight-3.1", "2.0.0", one("flight-api"))},
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", one("hotel-api"), "coach flight-2", "project flight")},
			"hotel-api: hotel-api",
		},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			top := talk()
			it, err := ar.Plan(ar.Input{Topology: top, Coaches: tc.coaches, Running: running(top, tc.running...)})
			if err != nil {
				t.Fatal(err)
			}
			if got := line(it); got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestPlanRefusesAndNamesBothSides(t *testing.T) {
	for _, tc := range []struct {
		rule    string
		change  func(*fleet.Topology)
		running []ar.Coach
		coaches []ar.Coach
		want    string
	}{
		{
			"two Coaches that release the same app", nil, nil,
			[]ar.Coach{coach("a-1.1", "1.0.0", []string{"jobws"}), coach("b-1.1", "1.0.0", []string{"jobws"})},
			`app "jobws" is released by a-1.1 and by b-1.1; uncouple one of the two, or take the app out of one plan`,
		},
		{
			"an app that moved to another SBU",
			func(top *fleet.Topology) { top.Apps[2].SBU = "platform" }, nil,
			[]ar.Coach{coach("a-1.1", "1.0.0", []string{"jobws"})},
			`a-1.1 is a Coach of SBU "hotel" and releases app "jobws", which the topology now gives to SBU "platform"; push a plan with sbu: platform, or give the app back in the topology`,
		},
		{
			"an app that moved to another repository",
			func(top *fleet.Topology) { top.Apps[2].Repository = "platform/jobws" }, nil,
			[]ar.Coach{coach("a-1.1", "1.0.0", []string{"jobws"})},
			`a-1.1 is of repository hotel/hotel and releases app "jobws", which the topology now builds from platform/jobws; plan it there, or correct the topology`,
		},
		{
			"a pool that is not in the topology",
			func(top *fleet.Topology) { top.Apps[2].Pool = "gone" }, nil,
			[]ar.Coach{coach("a-1.1", "1.0.0", []string{"jobws"})},
			`a-1.1 releases app "jobws", whose pool "gone" is not in the topology; add the pool to the topology`,
		},
		{
			"pools that wait for each other",
			func(top *fleet.Topology) { top.Pools[2].After = []string{"hotel-app"} }, nil,
			[]ar.Coach{coach("a-1.1", "1.0.0", []string{"jobws"}), coach("b-1.1", "1.0.0", []string{"hotel-app"})},
			"the pools wait for each other in a circle, hotel-app behind hotel-app: the topology has hotel-app after hotel-app; take back one of these relations, or uncouple one of b-1.1",
		},
		{
			"a requirement against the order of pools", nil,
			[]ar.Coach{coach("hotel-app-1.1", "1.0.0", []string{"hotel-app"})},
			[]ar.Coach{coach("public-2.1", "2.0.0", []string{"public-api"}, "hotel-app >=2"), coach("hotel-app-2.1", "2.0.0", []string{"hotel-app"})},
			"the pools wait for each other in a circle, hotel-app behind public-api behind hotel-app: the topology has hotel-app after public-api; " +
				"public-2.1 requires hotel-app >=2, which hotel-app-2.1 brings; take back one of these relations, or uncouple one of hotel-app-2.1, public-2.1",
		},
		{
			"a version that nobody brings", nil, []ar.Coach{coach("flight-1.1", "1.0.0", []string{"flight-api"})},
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", []string{"hotel-api"}, "flight-api >=2")},
			"hotel-api-2.1 requires flight-api >=2, and UAT runs 1.0.0 of flight-1.1; couple a Coach that brings it, or release it before",
		},
		{
			"something that runs nowhere", nil, nil,
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", []string{"hotel-api"}, "flight-api >=2")},
			"hotel-api-2.1 requires flight-api >=2, and UAT runs none of it; couple a Coach that brings it, or release it before",
		},
		{
			"requirements that contradict each other", nil, nil,
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", []string{"hotel-api"}, "flight-api <2"), coach("flight-2.1", "2.0.0", []string{"flight-api"})},
			"hotel-api-2.1 requires flight-api <2, and flight-2.1 brings 2.0.0; widen the range, or uncouple one of the two",
		},
		{
			"a version that something running does not accept", nil,
			[]ar.Coach{coach("hotel-api-1.1", "1.0.0", []string{"hotel-api"}, "flight-api <2"), coach("flight-1.1", "1.0.0", []string{"flight-api"})},
			[]ar.Coach{coach("flight-2.1", "2.0.0", []string{"flight-api"})},
			"flight-2.1 brings 2.0.0, and hotel-api 1.0.0, which runs in UAT, requires flight-api <2; release a version of hotel-api that accepts both first, or keep flight-2.1 out\n" +
				"flight-2.1 brings 2.0.0, and hotel-api 1.0.0, which runs in PROD, requires flight-api <2; release a version of hotel-api that accepts both first, or keep flight-2.1 out",
		},
		{
			"a step that no order takes: the old accepts only the old, the new only the new", nil,
			[]ar.Coach{coach("hotel-api-1.1", "1.0.0", []string{"hotel-api"}, "flight-api <2"), coach("flight-1.1", "1.0.0", []string{"flight-api"})},
			[]ar.Coach{coach("hotel-api-2.1", "2.0.0", []string{"hotel-api"}, "flight-api >=2"), coach("flight-2.1", "2.0.0", []string{"flight-api"})},
			"the pools wait for each other in a circle, flight-api behind hotel-api behind flight-api: hotel-api 1.0.0, which runs in UAT, requires flight-api <2, until hotel-api-2.1 replaces it; " +
				"hotel-api-2.1 requires flight-api >=2, which flight-2.1 brings; take back one of these relations, or uncouple one of flight-2.1, hotel-api-2.1",
		},
		{
			"a rollback order that takes away what others stand on", nil, nil,
			[]ar.Coach{func() ar.Coach {
				c := coach("all-1.1", "1.0.0", []string{"jobws", "hotel-app"})
				c.Rollback.Order = []string{"jobws", "hotel-app"}
				return c
			}()},
			"the plan of all-1.1 takes jobws back before hotel-app, and jobws is rolled before hotel-app, so what depends on it would lose it; turn the two around in rollback: order",
		},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			top := talk()
			runs := running(top, tc.running...)
			if tc.change != nil {
				tc.change(top)
			}
			it, err := ar.Plan(ar.Input{Topology: top, Coaches: tc.coaches, Running: runs})
			var refused ar.Refusals
			if !errors.As(err, &refused) || err.Error() != tc.want {
				t.Errorf("\ngot  %v\nwant %s", err, tc.want)
			}
			if diff := cmp.Diff(ar.Itinerary{}, it); diff != "" {
				t.Errorf("half-planned: %s", diff)
			}
		})
	}
}

func TestASiteIsLaidOutAsItWillBeRolled(t *testing.T) {
	top := talk()
	top.Environments[2].Strategy = fleet.Strategy{Pattern: []int{10, 40, 50}, MinUp: new(int)}
	*top.Environments[2].Strategy.MinUp = 50
	top.Environments[2].Strategy.Baking = &fleet.Baking{Weight: 25, Time: fleet.Duration(5 * time.Minute)}
	before := coach("jobws-1.1", "1.0.0", []string{"jobws"})
	it, err := ar.Plan(ar.Input{Topology: top, Coaches: []ar.Coach{coach("jobws-2.1", "2.0.0", []string{"jobws"})}, Running: running(top, before)})
	if err != nil {
		t.Fatal(err)
	}
	site, _ := it.Children[0].Waves[0].Stops[0].Site("PROD")
	got := fmt.Sprintf("%d servers, %d smoke, batches %v, %d stay up, from %s, baking %d %%", site.Servers, site.Smoke, site.Batches, site.MinUp, site.From[0].Version, site.Strategy.BakingWeight)
	if want := "6 servers, 1 smoke, batches [2 3], 3 stay up, from 1.0.0, baking 25 %"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhoGoesBack(t *testing.T) {
	top := talk()
	runs := running(top, coach("flight-1.1", "1.0.0", []string{"flight-api"}))
	it, err := ar.Plan(ar.Input{Topology: top, Running: runs, Coaches: []ar.Coach{
		coach("flight-2.1", "2.0.0", []string{"flight-api"}),
		coach("public-2.1", "2.0.0", []string{"public-api"}),
		coach("hotel-2.1", "2.0.0", []string{"hotel-api"}, "flight-api >=2"),
		coach("front-2.1", "2.0.0", []string{"hotel-app"}),
		coach("web-2.1", "2.0.0", []string{"hotel-web"}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		policy ar.Policy
		failed string
		want   string
	}{
		{ar.PolicyCoach, "flight-2.1", "flight-2.1 hotel-2.1"},
		{ar.PolicyCoach, "hotel-2.1", "hotel-2.1"},
		{ar.PolicyDependents, "hotel-2.1", "front-2.1 hotel-2.1"},
		{ar.PolicyDependents, "public-2.1", "front-2.1 hotel-2.1 public-2.1"},
		{ar.PolicyDependents, "front-2.1", "front-2.1"},
		{ar.PolicyTrain, "web-2.1", "flight-2.1 front-2.1 hotel-2.1 public-2.1 web-2.1"},
	} {
		if got := strings.Join(it.GoBack(tc.policy, tc.failed), " "); got != tc.want {
			t.Errorf("%s fails under policy %s: %s go back, want %s", tc.failed, tc.policy, got, tc.want)
		}
	}
}

func TestCoachesWithAppsOnOnePoolGoBackTogether(t *testing.T) {
	top := talk()
	top.Apps = append(top.Apps, app("hotel-search", fleet.KindAPI, "hotel-api"))
	it, err := ar.Plan(ar.Input{Topology: top, Coaches: []ar.Coach{coach("a-1.1", "1.0.0", []string{"hotel-api"}), coach("b-1.1", "1.0.0", []string{"hotel-search"})}})
	if err != nil {
		t.Fatal(err)
	}
	if stops := it.Children[0].Waves[0].Stops; len(stops) != 1 || !slices.Equal(stops[0].Coaches(), []string{"a-1.1", "b-1.1"}) {
		t.Errorf("the pool's apps do not travel together: %+v", stops)
	}
	if got := it.GoBack(ar.PolicyCoach, "b-1.1"); !slices.Equal(got, []string{"a-1.1", "b-1.1"}) {
		t.Errorf("%v go back", got)
	}
}

func pool(name string, after ...string) fleet.Pool {
	return fleet.Pool{Name: name, SBU: "hotel", After: after}
}

func app(name string, kind fleet.Kind, pool string) fleet.App {
	return fleet.App{Name: name, Kind: kind, SBU: "hotel", Pool: pool, Repository: "hotel/hotel"}
}
