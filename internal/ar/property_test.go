package ar_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// drawYard draws a topology without circles.
func drawYard(t *rapid.T) *fleet.Topology {
	kinds := []fleet.Kind{fleet.KindImage, fleet.KindDatabase, fleet.KindWeb, fleet.KindJob, fleet.KindAPI, fleet.KindApp}
	n := rapid.IntRange(1, 10).Draw(t, "pools")
	names := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}[:n]).Draw(t, "names")
	density := rapid.IntRange(1, 6).Draw(t, "density")
	top := &fleet.Topology{Environments: []fleet.Environment{{Name: "FAT"}, {Name: "UAT"}, {Name: "PROD", Production: true}}}
	for i, name := range names {
		p := pool(name)
		for _, before := range names[:i] {
			if rapid.IntRange(1, density).Draw(t, "edge") == 1 {
				p.After = append(p.After, before)
			}
		}
		top.Pools = append(top.Pools, p)
		for k := range rapid.IntRange(1, 3).Draw(t, "apps") {
			top.Apps = append(top.Apps, app(fmt.Sprintf("%s%d", name, k), rapid.SampledFrom(kinds).Draw(t, "kind"), name))
		}
	}
	return top
}

// drawInput draws a topology, what runs on it, and Coaches that travel, some of which require each other.
func drawInput(t *rapid.T) ar.Input {
	top := drawYard(t)
	in := ar.Input{Topology: top, Running: ar.Running{}}
	requirement := func(label string) []rop.Requirement {
		if rapid.IntRange(1, 3).Draw(t, label+" requires") > 1 {
			return nil
		}
		app := rapid.SampledFrom(top.Apps).Draw(t, label+" what")
		return []rop.Requirement{{App: app.Name, Version: rapid.SampledFrom([]string{">=1", ">=2", "<2", ">=1 <3"}).Draw(t, label+" range")}}
	}
	for i := range top.Pools {
		p := &top.Pools[i]
		for _, env := range []string{"UAT", "PROD"} {
			site := fleet.Site{Environment: env}
			for n := range rapid.IntRange(1, 9).Draw(t, "servers") {
				site.Servers = append(site.Servers, fleet.Server{Name: fmt.Sprint(env, p.Name, n), Smoke: n == 0})
			}
			p.Sites = append(p.Sites, site)
		}
	}
	const coaches = 4
	byCoach := make([][]string, coaches)
	for _, a := range top.Apps {
		if rapid.Bool().Draw(t, "runs") {
			release := roller.AppRelease{App: a.Name, Version: "1.0.0", Coach: "old-1.1", Requires: requirement("old " + a.Name)}
			for _, env := range []string{"UAT", "PROD"} {
				site := fleet.SiteRef{Environment: env, Pool: a.Pool}
				in.Running[site] = in.Running[site].With(release)
			}
		}
		if c := rapid.IntRange(-1, coaches-1).Draw(t, "carried by"); c >= 0 {
			byCoach[c] = append(byCoach[c], a.Name)
		}
	}
	for c, apps := range byCoach {
		if len(apps) > 0 {
			one := coach(fmt.Sprintf("c%d-2.1", c), "2.0.0", apps)
			one.Requires = requirement(one.ID)
			in.Coaches = append(in.Coaches, one)
		}
	}
	return in
}

// walk plays an Itinerary: before each wave it asks of every stop whether what it needs runs, and after each wave of everything
// that runs whether what it requires still does.
func walk(t *rapid.T, in ar.Input, it ar.Itinerary) {
	for _, env := range []string{"UAT", "PROD"} {
		version := map[string]string{}
		requires := map[string][]rop.Requirement{}
		for site, r := range in.Running {
			if site.Environment == env {
				for _, a := range r.Apps {
					version[a.App], requires[a.App] = a.Version, a.Requires
				}
			}
		}
		broken := func(requires map[string][]rop.Requirement) map[string]bool {
			out := map[string]bool{}
			for app, needs := range requires {
				for _, r := range needs {
					if v, runs := version[r.App]; !runs || !ar.Admits(r, "", v) {
						out[app] = true
					}
				}
			}
			return out
		}
		already := broken(requires) // not this Train's doing
		carried := map[string]ar.Coach{}
		for _, c := range it.Coaches {
			carried[c.ID] = c
		}
		longest := 0
		for _, child := range it.Children {
			longest = max(longest, len(child.Waves))
		}
		for i := range longest {
			for _, child := range it.Children {
				if i >= len(child.Waves) {
					continue
				}
				for _, s := range child.Waves[i].Stops {
					for _, change := range s.Changes {
						version[change.App], requires[change.App] = change.Version, carried[change.Coach].Requires
						delete(already, change.App)
					}
				}
			}
			for app := range broken(requires) {
				if !already[app] {
					t.Fatalf("%s wave %d leaves %s without what it requires: %s", env, i+1, app, line(it))
				}
			}
		}
	}
}

func TestPropertiesOfPlans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		it, err := ar.Plan(in)
		if err != nil {
			var refused ar.Refusals
			if !errors.As(err, &refused) || len(it.Children) > 0 || len(refused) == 0 {
				t.Fatalf("refused with %v, and planned %s", err, line(it))
			}
			for _, r := range refused {
				if len(r.Coaches) == 0 || r.Fix == "" {
					t.Fatalf("a refusal that concerns nobody, or does not help: %+v", r)
				}
			}
			return
		}
		everyAppOnce(t, in, it)
		topologyOrder(t, in, it)
		walk(t, in, it)
		returnsInReverse(t, it)
		sameAgain(t, in, it)
		if len(in.Coaches) > 1 {
			uncoupled(t, in, it)
		}
	})
}

func everyAppOnce(t *rapid.T, in ar.Input, it ar.Itinerary) {
	var want, got []string
	for _, c := range in.Coaches {
		for a := range c.Packages {
			want = append(want, c.ID+" "+a)
		}
	}
	pools := map[string]bool{}
	for _, child := range it.Children {
		for _, w := range child.Waves {
			for _, s := range w.Stops {
				if pools[s.Pool] {
					t.Fatalf("pool %s is on the way twice: %s", s.Pool, line(it))
				}
				pools[s.Pool] = true
				for _, c := range s.Changes {
					got = append(got, c.Coach+" "+c.App)
				}
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Fatalf("apps %v travel, and %v are planned", want, got)
	}
}

func topologyOrder(t *rapid.T, in ar.Input, it ar.Itinerary) {
	at, of := map[string]int{}, map[string]string{}
	for _, child := range it.Children {
		for i, w := range child.Waves {
			for _, s := range w.Stops {
				at[s.Pool], of[s.Pool] = i, child.Name
			}
		}
	}
	for x := range at {
		for y := range at {
			if in.Topology.Before(x)[y] && (at[x] <= at[y] || of[x] != of[y]) {
				t.Fatalf("%s is after %s: %s", x, y, line(it))
			}
		}
	}
}

func returnsInReverse(t *rapid.T, it ar.Itinerary) {
	for _, child := range it.Children {
		back := child.WayBack("PROD")
		if len(back) != len(child.Waves) {
			t.Fatalf("%d waves there, %d back", len(child.Waves), len(back))
		}
		for i, w := range child.Waves {
			for j, s := range w.Stops {
				if got := back[len(back)-1-i][j].Pool; got != s.Pool {
					t.Fatalf("wave %d goes back as %s, not %s", i+1, got, s.Pool)
				}
			}
		}
	}
}

func sameAgain(t *rapid.T, in ar.Input, it ar.Itinerary) {
	shuffled := *in.Topology
	shuffled.Pools = rapid.Permutation(in.Topology.Pools).Draw(t, "pools")
	shuffled.Apps = rapid.Permutation(in.Topology.Apps).Draw(t, "apps")
	again, err := ar.Plan(ar.Input{Topology: &shuffled, Coaches: rapid.Permutation(in.Coaches).Draw(t, "coaches"), Running: in.Running})
	if err != nil || again.Digest != it.Digest {
		t.Fatalf("the order of the lists shows through: %v\n%s\n%s", err, line(it), line(again))
	}
	stored, err := json.Marshal(it)
	var read ar.Itinerary
	if err == nil {
		err = json.Unmarshal(stored, &read)
	}
	if err != nil || line(read) != line(it) {
		t.Fatalf("stored and read it is another: %v\n%s\n%s", err, line(it), line(read))
	}
}

// uncoupled: child Trains that the Coach has nothing to do with stay as they were.
func uncoupled(t *rapid.T, in ar.Input, it ar.Itinerary) {
	out := rapid.IntRange(0, len(in.Coaches)-1).Draw(t, "uncoupled")
	gone := in.Coaches[out].ID
	in.Coaches = slices.Delete(slices.Clone(in.Coaches), out, out+1)
	less, err := ar.Plan(in)
	if err != nil {
		return // somebody required it
	}
	for _, child := range it.Children {
		if slices.Contains(child.Coaches, gone) {
			continue
		}
		i := slices.IndexFunc(less.Children, func(c ar.Child) bool { return c.Name == child.Name })
		before, _ := json.Marshal(child)
		var now []byte
		if i >= 0 {
			now, _ = json.Marshal(less.Children[i])
		}
		if string(before) != string(now) {
			t.Fatalf("uncoupling %s changed child Train %s:\n%s\n%s", gone, child.Name, before, now)
		}
	}
}

func TestPropertiesOfGoingBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		it, err := ar.Plan(drawInput(t))
		if err != nil || len(it.Coaches) == 0 {
			return
		}
		failed := rapid.SampledFrom(it.Coaches).Draw(t, "failed").ID
		coach, dependents, train := it.GoBack(ar.PolicyCoach, failed), it.GoBack(ar.PolicyDependents, failed), it.GoBack(ar.PolicyTrain, failed)
		subset := func(a, b []string) bool {
			return !slices.ContainsFunc(a, func(id string) bool { return !slices.Contains(b, id) })
		}
		if !slices.Contains(coach, failed) || !subset(coach, dependents) || !subset(dependents, train) || len(train) != len(it.Coaches) {
			t.Fatalf("%s fails: coach %v, dependents %v, train %v", failed, coach, dependents, train)
		}
		for _, tie := range it.Ties {
			if tie.Kind != ar.TieAfter && slices.Contains(coach, tie.On) && !slices.Contains(coach, tie.Coach) {
				t.Fatalf("%s stays without %s: %s", tie.Coach, tie.On, tie.Why)
			}
		}
	})
}
