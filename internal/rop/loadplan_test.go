package rop_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"railyard/internal/fleet"
	"railyard/internal/rop"
	"railyard/internal/yamlfile"
)

var update = flag.Bool("update", false, "write the goldens")

func pool(name string, after ...string) fleet.Pool {
	return fleet.Pool{Name: name, SBU: "hotel", After: after}
}

func app(name string, kind fleet.Kind, pool string) fleet.App {
	return fleet.App{Name: name, Kind: kind, SBU: "hotel", Pool: pool, Repository: "hotel/hotel"}
}

// yard is the topology the plans of the tests are for.
func yard() *fleet.Topology {
	t := &fleet.Topology{
		SBUs:         []fleet.SBU{{Name: "hotel"}, {Name: "search"}, {Name: "platform"}},
		Repositories: []fleet.Repository{{Name: "hotel/hotel"}, {Name: "platform/public-api"}},
		Pools: []fleet.Pool{
			pool("public-api"), pool("hotel-api", "public-api"), pool("search"), pool("hotel-db"), pool("hotel-web"), pool("hotel-img"),
		},
		Apps: []fleet.App{
			app("public-api", fleet.KindAPI, "public-api"), app("hotel-api", fleet.KindAPI, "hotel-api"),
			app("hotel-search", fleet.KindAPI, "search"), app("hotel-db", fleet.KindDatabase, "hotel-db"),
			app("hotel-web", fleet.KindWeb, "hotel-web"), app("hotel-img", fleet.KindImage, "hotel-img"),
		},
		Environments: []fleet.Environment{{Name: "FAT"}, {Name: "UAT"}, {Name: "PROD", Production: true}},
		Capacities:   []fleet.Capacity{{Name: "standard", Servers: 20}},
		Indicators: []fleet.Indicator{
			{Name: "5xx", Hard: true, Ratio: &fleet.RatioIndicator{Limit: 1}},
			{Name: "heap", Value: &fleet.ValueIndicator{Max: new(700.0)}},
		},
	}
	t.Apps[0].Repository = "platform/public-api"
	t.Apps[2].SBU = "search"
	return t
}

func good(t testing.TB) []byte { return read(t, "testdata/good.yaml") }

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// load reads a plan and checks it against the yard.
func load(name string, data []byte) (rop.Plan, error) {
	plan, err := rop.LoadPlan(name, data)
	if err != nil {
		return rop.Plan{}, err
	}
	if err := rop.CheckBranch(name, data, plan, "release/1.4"); err != nil {
		return plan, err
	}
	return plan, rop.Check(name, data, plan, yard(), "hotel/hotel")
}

func TestAGoodPlanIsRead(t *testing.T) {
	want := rop.Plan{
		Project: "hotel-api", SBU: "hotel", Owner: "hotel-api-team", Apps: []string{"hotel-api"}, Version: "1.4.2",
		Rollback: rop.Rollback{To: "previous", Who: []string{"release-engineer"}},
	}
	alone, err := rop.LoadPlan("rop.yaml", good(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, alone); diff != "" {
		t.Error(diff)
	}
	if _, err := load("rop.yaml", good(t)); err != nil {
		t.Error(err)
	}
}

func TestAPlanMaySayEverything(t *testing.T) {
	plan, err := load("rop.yaml", read(t, "testdata/full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) rop.Moment {
		var m rop.Moment
		if err := m.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	want := rop.Plan{
		Project: "hotel", SBU: "hotel", Owner: "hotel-team", Apps: []string{"hotel-db", "hotel-web", "hotel-img", "hotel-api"}, Version: "1.4.2",
		Branch: "release/1.4", Environments: []string{"FAT", "UAT", "PROD"},
		Requires: []rop.Requirement{{App: "public-api", Version: ">=2.1.0 <3.0.0"}, {Project: "search", Version: "^1.2"}, {Coach: "payment-7"}},
		Resources: rop.Resources{
			Image: []rop.Slot{{App: "hotel-img", KeepDays: 30}}, Web: []rop.Slot{{App: "hotel-web", KeepDays: 14}},
			Database: []rop.Migration{{App: "hotel-db", BackwardCompatible: true, Destructive: []string{"DROP COLUMN rooms.legacy"}}},
		},
		Indicators: []fleet.Override{{Indicator: "5xx", Limit: new(0.5), Warmup: new(fleet.Duration(0))}, {Indicator: "heap", Hard: new(true)}},
		Window:     &rop.Window{From: at("2026-12-01T14:00:00Z"), To: at("2026-12-01T20:00:00Z")},
		Bookings: []rop.Booking{
			{Capacity: "standard", Servers: 4},
			{Capacity: "standard", Servers: 2, Window: &rop.Window{From: at("2026-12-24T00:00:00Z"), To: at("2026-12-27T00:00:00Z")}},
		},
		Train: "hotel-line", Draft: true,
		Rollback: rop.Rollback{To: "previous", Order: []string{"hotel-api", "hotel-web", "hotel-img", "hotel-db"}, Who: []string{"release-engineer", "operator"}},
	}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Error(diff)
	}
}

// Each broken file is testdata/good.yaml (or full.yaml) with the mistake that its name and its first line tell; its golden is the whole message.
func TestABrokenPlanIsRefusedWithItsMistake(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = load(".railyard/rop.yaml", data)
			if err == nil {
				t.Fatal("accepted")
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAStoredPlanIsCheckedWithoutPositions(t *testing.T) {
	plan, err := rop.LoadPlan("rop.yaml", good(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := rop.Check("", nil, plan, yard(), "hotel/hotel"); err != nil {
		t.Fatalf("a good plan: %v", err)
	}
	err = rop.Check("", nil, plan, yard(), "platform/public-api")
	const want = `apps: "hotel-api" is built from repository hotel/hotel, not from platform/public-api; plan it there; built from this repository: public-api`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	err = rop.Check("", nil, plan, yard(), "hotel/gone")
	var found yamlfile.Problems
	if !errors.As(err, &found) || len(found) != 2 || !strings.HasPrefix(found[0].Error(), `the topology has no repository "hotel/gone"`) {
		t.Errorf("got %v", err)
	}
}

func TestALargePlanIsRefusedUnread(t *testing.T) {
	_, err := rop.LoadPlan("rop.yaml", []byte(strings.Repeat("#", rop.MaxPlanSize+1)))
	if err == nil || err.Error() != "rop.yaml: the plan has 65537 bytes; at most 65536 are read; shorten it" {
		t.Errorf("got %v", err)
	}
}

func TestNoDamageToAPlanPanics(t *testing.T) {
	files := []string{string(good(t)), string(read(t, "testdata/full.yaml"))}
	rapid.Check(t, func(t *rapid.T) {
		original := rapid.SampledFrom(files).Draw(t, "file")
		from := rapid.IntRange(0, len(original)-1).Draw(t, "from")
		to := min(len(original), from+rapid.IntRange(0, 30).Draw(t, "length"))
		with := rapid.SampledFrom([]string{"", "x", "~", "[]", "{}", "0", "\n", " ", "'", ": ", "- ", "\x00"}).Draw(t, "with")
		plan, err := load("rop.yaml", []byte(original[:from]+with+original[to:]))
		if err == nil && (plan.Project == "" || len(plan.Apps) == 0 || plan.Rollback.To == "" || len(plan.Rollback.Who) == 0) {
			t.Fatalf("accepted %+v", plan)
		}
	})
}
