package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/fleet"
)

func declared() []fleet.Indicator {
	return []fleet.Indicator{
		{Name: "5xx", Hard: true, Warmup: fleet.Duration(20 * time.Second), Ratio: &fleet.RatioIndicator{Failures: "f", Attempts: "a", Limit: 1,
			Compare: &fleet.Compare{Against: []string{"control"}, Increase: 100, DeadZone: 0.5}}},
		{Name: "heap", Weight: 40, Value: &fleet.ValueIndicator{Query: "q", Max: new(700.0), Consecutive: 3}},
		{Name: "p99", Rank: &fleet.RankIndicator{Query: "q", Increase: 20}},
		{Name: "disk", Saturation: &fleet.SaturationIndicator{Query: "q", Full: 95, Horizon: fleet.Duration(time.Hour)}},
		{Name: "atp", Report: &fleet.ReportIndicator{MaxFailed: 2}},
	}
}

func TestAPlanMakesLimitsStricter(t *testing.T) {
	for _, c := range []struct {
		rule string
		ask  fleet.Override
		want func(all []fleet.Indicator)
	}{
		{"a smaller limit of a ratio", fleet.Override{Indicator: "5xx", Limit: new(0.5)}, func(all []fleet.Indicator) { all[0].Ratio.Limit = 0.5 }},
		{"the same limit again", fleet.Override{Indicator: "5xx", Limit: new(1.0), Hard: new(true)}, func([]fleet.Indicator) {}},
		{"a shorter warm-up", fleet.Override{Indicator: "5xx", Warmup: new(fleet.Duration(0))}, func(all []fleet.Indicator) { all[0].Warmup = 0 }},
		{"a smaller increase and dead zone", fleet.Override{Indicator: "5xx", Increase: new(50.0), DeadZone: new(0.1)},
			func(all []fleet.Indicator) { all[0].Ratio.Compare.Increase, all[0].Ratio.Compare.DeadZone = 50, 0.1 }},
		{"a heavier weight", fleet.Override{Indicator: "heap", Weight: new(100)}, func(all []fleet.Indicator) { all[1].Weight = 100 }},
		{"hard instead of soft", fleet.Override{Indicator: "heap", Hard: new(true)}, func(all []fleet.Indicator) { all[1].Hard, all[1].Weight = true, 100 }},
		{"a smallest value where there was none", fleet.Override{Indicator: "heap", Min: new(10.0)}, func(all []fleet.Indicator) { all[1].Value.Min = new(10.0) }},
		{"fewer bad measurements in a row, and a total where there was none", fleet.Override{Indicator: "heap", Consecutive: new(1), Total: new(5)},
			func(all []fleet.Indicator) { all[1].Value.Consecutive, all[1].Value.Total = 1, 5 }},
		{"a smaller increase of a rank", fleet.Override{Indicator: "p99", Increase: new(5.0)}, func(all []fleet.Indicator) { all[2].Rank.Increase = 5 }},
		{"a longer horizon", fleet.Override{Indicator: "disk", Horizon: new(fleet.Duration(2 * time.Hour))},
			func(all []fleet.Indicator) { all[3].Saturation.Horizon = fleet.Duration(2 * time.Hour) }},
		{"fewer failed and more passed tests", fleet.Override{Indicator: "atp", MaxFailed: new(0), MinPassed: new(40)},
			func(all []fleet.Indicator) { all[4].Report.MaxFailed, all[4].Report.MinPassed = 0, 40 }},
	} {
		t.Run(c.rule, func(t *testing.T) {
			has, want := declared(), declared()
			for n := range want { // what an override writes where the file says nothing
				if want[n].Name == c.ask.Indicator && want[n].Weight == 0 {
					want[n].Weight = fleet.FullWeight
				}
				if want[n].Name == c.ask.Indicator && want[n].Report != nil {
					want[n].Report.MinPassed = 1
				}
			}
			c.want(want)
			got, err := fleet.Tighten(has, []fleet.Override{c.ask})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(declared(), has); diff != "" {
				t.Errorf("the topology's own indicators were changed: %s", diff)
			}
		})
	}
}

func TestAPlanIsRefusedWhatIsLooser(t *testing.T) {
	hour := fleet.Duration(time.Hour)
	for _, c := range []struct {
		ask  fleet.Override
		want string
	}{
		{fleet.Override{Indicator: "5xx", Limit: new(2.0)}, `indicator "5xx": limit: 2 is looser than the topology's 1`},
		{fleet.Override{Indicator: "5xx", Limit: new(-1.0)}, `indicator "5xx": limit: -1 is negative`},
		{fleet.Override{Indicator: "5xx", Hard: new(false)}, `indicator "5xx": hard: false is looser than the topology's true`},
		{fleet.Override{Indicator: "5xx", Warmup: &hour}, `indicator "5xx": warmup: 1h is looser than the topology's 20s`},
		{fleet.Override{Indicator: "5xx", Max: new(3.0)}, `indicator "5xx": max: 3, but a ratio has no such limit`},
		{fleet.Override{Indicator: "heap", Weight: new(10)}, `indicator "heap": weight: 10 is looser than the topology's 40`},
		{fleet.Override{Indicator: "heap", Weight: new(200)}, `indicator "heap": weight: 200 is more than 100 percent`},
		{fleet.Override{Indicator: "heap", Max: new(800.0)}, `indicator "heap": max: 800 is looser than the topology's 700`},
		{fleet.Override{Indicator: "heap", Increase: new(1.0)}, `indicator "heap": increase: 1, but a value has no such limit`},
		{fleet.Override{Indicator: "p99", Hard: new(true)}, `indicator "p99": hard: true, but a rank test is for soft indicators`},
		{fleet.Override{Indicator: "disk", Full: new(99.0)}, `indicator "disk": full: 99 is looser than the topology's 95`},
		{fleet.Override{Indicator: "disk", Horizon: new(fleet.Duration(time.Minute))}, `indicator "disk": horizon: 1m is looser than the topology's 1h`},
		{fleet.Override{Indicator: "atp", MinPassed: new(0)}, `indicator "atp": min_passed: 0 is looser than the topology's 1`},
		{fleet.Override{Indicator: "5XX"}, `indicator "5XX": the topology declares no such indicator; known: 5xx, heap, p99, disk, atp`},
	} {
		has := declared()
		got, err := fleet.Tighten(has, []fleet.Override{{Indicator: "heap", Consecutive: new(2)}, c.ask})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.ask, err, c.want)
		}
		if diff := cmp.Diff(declared(), got); diff != "" {
			t.Errorf("refused, but applied in part: %s", diff)
		}
	}
}

// A plan was accepted under the topology of its day; the limits of a roll are the stricter ones of both all the same.
func TestWhatBecameLooserThanTheTopologyIsPassedOver(t *testing.T) {
	has := declared()
	want := declared()
	want[0].Weight, want[0].Warmup = fleet.FullWeight, 0
	got := fleet.Strictest(has, []fleet.Override{{Indicator: "5xx", Limit: new(5.0), Warmup: new(fleet.Duration(0))}, {Indicator: "gone", Max: new(1.0)}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(declared(), has); diff != "" {
		t.Errorf("the topology's own indicators were changed: %s", diff)
	}
}

func TestIndicatorsOfAKindJudgeThePoolsThatHostSuchApps(t *testing.T) {
	topology := &fleet.Topology{
		Pools:      []fleet.Pool{{Name: "hotel-api"}, {Name: "hotel-app"}},
		Apps:       []fleet.App{{Name: "hotel-api", Pool: "hotel-api", Kind: fleet.KindAPI}, {Name: "hotel-app", Pool: "hotel-app", Kind: fleet.KindApp}},
		Indicators: []fleet.Indicator{{Name: "of-apis", Kinds: []fleet.Kind{fleet.KindAPI, fleet.KindJob}}, {Name: "of-all"}},
	}
	for pool, want := range map[string][]string{"hotel-api": {"of-apis", "of-all"}, "hotel-app": {"of-all"}} {
		var got []string
		for _, i := range topology.IndicatorsFor(fleet.SiteRef{Environment: "PROD", Pool: pool}, "baking") {
			got = append(got, i.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", pool, diff)
		}
	}
}
