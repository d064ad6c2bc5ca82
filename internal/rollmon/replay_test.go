package rollmon_test

import (
	"slices"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// heapLook is a look at a heap of 800 under a limit, in a topology with other indicators.
func heapLook(limit float64) rollmon.Look {
	r := rollmon.Record{
		Question:   verdict.Question{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Roll: "r-1", Stage: "baking", Exposed: []string{"hotel-api-1"}, Since: since},
		Indicators: []fleet.Indicator{value("heap", true, limit)},
		Samples:    rollmon.Samples{"heap": {Source: "prometheus", Servers: map[string]rollmon.Sample{"hotel-api-1": {Value: new(800.0)}}}},
		At:         since.Add(time.Minute),
	}
	return rollmon.Look{Record: r, Verdict: r.Judge()}
}

func replayTopology(indicators ...fleet.Indicator) *fleet.Topology {
	return &fleet.Topology{
		Environments: []fleet.Environment{{Name: "PROD", Production: true}},
		Pools:        []fleet.Pool{{Name: "hotel-api", Traffic: true, Sites: []fleet.Site{{Environment: "PROD"}}}},
		Indicators:   indicators,
	}
}

func TestReplayJudgesWhatWasMeasuredUnderOtherLimits(t *testing.T) {
	other := value("heap", true, 700)
	other.Value.Query = "another"
	soft := value("heap", false, 700)
	elsewhere := value("heap", true, 700)
	elsewhere.Stages = []string{"watch"}
	pooled := value("heap", true, 700)
	pooled.Scope = fleet.ScopePool
	for _, c := range []struct {
		rule                  string
		indicators            []fleet.Indicator
		want                  verdict.Outcome
		unmeasured, requeried []string
	}{
		{"the same limit gives the same verdict", []fleet.Indicator{value("heap", true, 900)}, verdict.Pass, nil, nil},
		{"a stricter limit would have rolled back", []fleet.Indicator{value("heap", true, 700)}, verdict.Hard, nil, nil},
		{"a soft one would have stopped", []fleet.Indicator{soft}, verdict.Soft, nil, nil},
		{"one that is not judged in this stage is not judged", []fleet.Indicator{elsewhere}, verdict.Pass, nil, nil},
		{"one that was not read then is left out and named", []fleet.Indicator{value("heap", true, 900), value("load", true, 1)}, verdict.Pass, []string{"load"}, nil},
		{"nothing that was read is no pass", []fleet.Indicator{value("load", true, 1)}, verdict.NoData, []string{"load"}, nil},
		{"another query is named", []fleet.Indicator{other}, verdict.Hard, nil, []string{"heap"}},
		{"another scope asks something else", []fleet.Indicator{pooled}, verdict.NoData, []string{"heap"}, nil},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := rollmon.Replay(heapLook(900), replayTopology(c.indicators...))
			if got.Was.Outcome != verdict.Pass || got.Now.Outcome != c.want || got.Differs() != (c.want != verdict.Pass) {
				t.Errorf("was %s, now %s: %s; want %s", got.Was.Outcome, got.Now.Outcome, got.Now.Reason, c.want)
			}
			if !slices.Equal(got.Unmeasured, c.unmeasured) || !slices.Equal(got.Requeried, c.requeried) {
				t.Errorf("unmeasured %v, requeried %v", got.Unmeasured, got.Requeried)
			}
		})
	}
}
