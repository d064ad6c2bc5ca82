package rop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

func planOf(t *fleet.Topology) rop.Plan {
	plan := rop.Plan{Project: "p"}
	for _, a := range t.Apps {
		plan.Apps = append(plan.Apps, a.Name)
	}
	return plan
}

// show writes waves as "pool:app,app pool | pool".
func show(waves []rop.Wave) string {
	var out []string
	for _, w := range waves {
		var pools []string
		for _, p := range w.Pools {
			pools = append(pools, p.Pool+":"+strings.Join(p.Apps, ","))
		}
		out = append(out, strings.Join(pools, " "))
	}
	return strings.Join(out, " | ")
}

func TestWaves(t *testing.T) {
	const image, database, web, job, api, front = fleet.KindImage, fleet.KindDatabase, fleet.KindWeb, fleet.KindJob, fleet.KindAPI, fleet.KindApp
	for _, tc := range []struct {
		rule  string
		pools []fleet.Pool
		apps  []fleet.App
		plan  []string // nil = every app
		want  string
	}{
		{
			"the talk's pools go in their order, a database object and web resources first",
			[]fleet.Pool{pool("hotel-app", "hotel-api"), pool("hotel-api", "public-api"), pool("public-api", "jobws"), pool("jobws"), pool("db"), pool("web")},
			[]fleet.App{app("a5", front, "hotel-app"), app("a4", api, "hotel-api"), app("a3", api, "public-api"), app("a2", job, "jobws"), app("a1", web, "web"), app("a0", database, "db")},
			nil, "db:a0 | web:a1 | jobws:a2 | public-api:a3 | hotel-api:a4 | hotel-app:a5",
		},
		{
			"all apps of the plan in a pool travel together",
			[]fleet.Pool{pool("p")}, []fleet.App{app("b", api, "p"), app("a", api, "p"), app("c", api, "p")},
			[]string{"c", "a"}, "p:a,c",
		},
		{
			"pools that have nothing to do with each other share a wave",
			[]fleet.Pool{pool("y"), pool("x")}, []fleet.App{app("b", api, "y"), app("a", job, "x")}, nil, "x:a y:b",
		},
		{
			"after reaches over pools that are not in the plan",
			[]fleet.Pool{pool("a", "m"), pool("m", "n"), pool("n", "z"), pool("z")},
			[]fleet.App{app("a", api, "a"), app("m", api, "m"), app("n", api, "n"), app("z", api, "z")},
			[]string{"a", "z"}, "z:z | a:a",
		},
		{
			"after wins over the order of kinds",
			[]fleet.Pool{pool("pictures", "shop"), pool("shop")},
			[]fleet.App{app("i", image, "pictures"), app("s", front, "shop")}, nil, "shop:s | pictures:i",
		},
		{
			"kinds order what after leaves open, also behind a relation",
			[]fleet.Pool{pool("base"), pool("site", "base"), pool("free")},
			[]fleet.App{app("b", job, "base"), app("s", web, "site"), app("f", api, "free")}, nil, "base:b | site:s | free:f",
		},
		{
			"where after and kinds together go in a circle, after holds and the earliest kind goes first",
			[]fleet.Pool{pool("a", "b"), pool("b"), pool("c")},
			[]fleet.App{app("a", image, "a"), app("b", front, "b"), app("c", api, "c")}, nil, "c:c | b:b | a:a",
		},
		{
			"a pool of several kinds travels with the latest of them",
			[]fleet.Pool{pool("mixed"), pool("web"), pool("api")},
			[]fleet.App{app("m1", web, "mixed"), app("m2", front, "mixed"), app("w", web, "web"), app("x", api, "api")}, nil, "web:w | api:x | mixed:m1,m2",
		},
		{"a plan of nothing has no waves", nil, nil, nil, ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			topology := &fleet.Topology{Pools: tc.pools, Apps: tc.apps}
			plan := planOf(topology)
			if tc.plan != nil {
				plan.Apps = tc.plan
			}
			waves, err := rop.Waves(plan, topology)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(waves); got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestWavesRefuses(t *testing.T) {
	for _, tc := range []struct {
		rule     string
		topology fleet.Topology
		apps     []string
		want     string
	}{
		{"an app that is not in the topology", fleet.Topology{}, []string{"x"},
			`split the plan of p by pool: app "x" is not in the topology; correct the plan's apps, or add it to the topology`},
		{"a pool that is not in the topology", fleet.Topology{Apps: []fleet.App{app("x", fleet.KindAPI, "gone")}}, []string{"x"},
			`split the plan of p by pool: pool "gone" of app "x" is not in the topology; add it there`},
		{"an app named twice", fleet.Topology{Pools: []fleet.Pool{pool("p")}, Apps: []fleet.App{app("x", fleet.KindAPI, "p")}}, []string{"x", "x"},
			`split the plan of p by pool: app "x" is in it twice; keep one of the two`},
		{"a circle", fleet.Topology{Pools: []fleet.Pool{pool("p", "m"), pool("m", "q"), pool("q", "p")},
			Apps: []fleet.App{app("x", fleet.KindAPI, "p"), app("y", fleet.KindAPI, "q")}}, []string{"x", "y"},
			"order the pools of p: the topology's `after` goes in a circle among p; remove one of the relations"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			waves, err := rop.Waves(rop.Plan{Project: "p", Apps: tc.apps}, &tc.topology)
			if err == nil || err.Error() != tc.want || waves != nil {
				t.Errorf("got  %v, %v\nwant %s", waves, err, tc.want)
			}
		})
	}
}

func TestReturnOrderIsTheReverseAndLeavesTheWavesAlone(t *testing.T) {
	waves := []rop.Wave{{Pools: []rop.PoolCoach{{Pool: "a"}}}, {Pools: []rop.PoolCoach{{Pool: "b"}, {Pool: "c"}}}}
	back := rop.ReturnOrder(waves)
	if show(back) != "b: c: | a:" || show(waves) != "a: | b: c:" {
		t.Errorf("back %s, waves %s", show(back), show(waves))
	}
}

// drawYard draws a topology without circles. With tidy kinds, no pool is after one of a later kind, and its pools hold
// apps of one kind.
func drawYard(t *rapid.T, tidy bool) *fleet.Topology {
	kinds := []fleet.Kind{fleet.KindImage, fleet.KindDatabase, fleet.KindWeb, fleet.KindJob, fleet.KindAPI, fleet.KindApp}
	n := rapid.IntRange(1, 10).Draw(t, "pools")
	names := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}[:n]).Draw(t, "names")
	density := rapid.IntRange(1, 6).Draw(t, "density")
	top := &fleet.Topology{}
	least := 0
	for i, name := range names {
		p := pool(name)
		for _, before := range names[:i] {
			if rapid.IntRange(1, density).Draw(t, "edge") == 1 {
				p.After = append(p.After, before)
			}
		}
		top.Pools = append(top.Pools, p)
		if tidy {
			least = rapid.IntRange(least, len(kinds)-1).Draw(t, "kind")
		}
		for k := range rapid.IntRange(1, 3).Draw(t, "apps") {
			kind := kinds[least]
			if !tidy {
				kind = rapid.SampledFrom(kinds).Draw(t, "kind")
			}
			top.Apps = append(top.Apps, app(fmt.Sprintf("%s%d", name, k), kind, name))
		}
	}
	return top
}

func drawPlan(t *rapid.T, top *fleet.Topology) rop.Plan {
	plan := rop.Plan{Project: "p"}
	for _, a := range top.Apps {
		if rapid.Bool().Draw(t, "travels") {
			plan.Apps = append(plan.Apps, a.Name)
		}
	}
	return plan
}

// after reports whether pool is after other over any number of pools.
func after(top *fleet.Topology, pool, other string) bool {
	p, _ := top.Pool(pool)
	return slices.ContainsFunc(p.After, func(b string) bool { return b == other || after(top, b, other) })
}

var rank = map[fleet.Kind]int{fleet.KindWeb: 1, fleet.KindJob: 2, fleet.KindAPI: 2, fleet.KindApp: 3}

func latest(top *fleet.Topology, c rop.PoolCoach) int {
	r := 0
	for _, name := range c.Apps {
		a, _ := top.App(name)
		r = max(r, rank[a.Kind])
	}
	return r
}

func TestPropertiesOfWaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tidy := rapid.Bool().Draw(t, "tidy")
		top := drawYard(t, tidy)
		plan := drawPlan(t, top)
		waves, err := rop.Waves(plan, top)
		if err != nil {
			t.Fatal(err)
		}
		var travelling []string
		at := map[string]int{}
		coaches := map[string]rop.PoolCoach{}
		for i, w := range waves {
			if len(w.Pools) == 0 {
				t.Fatalf("wave %d is empty", i)
			}
			for _, c := range w.Pools {
				if _, twice := at[c.Pool]; twice {
					t.Fatalf("pool %s is in two waves: %s", c.Pool, show(waves))
				}
				at[c.Pool], coaches[c.Pool] = i, c
				travelling = append(travelling, c.Apps...)
				for _, name := range c.Apps {
					if a, _ := top.App(name); a.Pool != c.Pool {
						t.Fatalf("app %s travels to pool %s", name, c.Pool)
					}
				}
			}
		}
		slices.Sort(travelling)
		if want := slices.Sorted(slices.Values(plan.Apps)); !slices.Equal(travelling, want) {
			t.Fatalf("apps %v travel, planned %v", travelling, want)
		}
		for x, i := range at {
			for y, j := range at {
				switch {
				case after(top, x, y) && i <= j:
					t.Fatalf("%s is after %s: %s", x, y, show(waves))
				case tidy && !after(top, y, x) && latest(top, coaches[x]) < latest(top, coaches[y]) && i >= j:
					t.Fatalf("%s is of an earlier kind than %s: %s", x, y, show(waves))
				case i == j && latest(top, coaches[x]) != latest(top, coaches[y]):
					t.Fatalf("%s and %s of one wave are of different kinds: %s", x, y, show(waves))
				}
			}
		}
		shuffled := &fleet.Topology{Pools: rapid.Permutation(top.Pools).Draw(t, "pools"), Apps: rapid.Permutation(top.Apps).Draw(t, "apps")}
		plan.Apps = rapid.Permutation(plan.Apps).Draw(t, "plan")
		again, err := rop.Waves(plan, shuffled)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(waves, again); diff != "" {
			t.Fatalf("the order of the lists shows through: %s", diff)
		}
	})
}
