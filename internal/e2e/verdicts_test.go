//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"railyard/internal/rollmon"
	"railyard/internal/verdict"
	"railyard/server/api"
)

// judgedAgain checks that the verdict on a Coach that was rolled back is kept with its numbers, and that under a limit that
// nothing exceeds it would have passed.
func (y *town) judgedAgain(t *testing.T, c api.Coach) {
	t.Helper()
	var verdicts api.Verdicts
	must(t, json.Unmarshal([]byte(y.orders(t, "verdict", c.Id, "--json")), &verdicts))
	kept := false
	for _, r := range verdicts.Rolls {
		for _, v := range r.Verdicts {
			for _, f := range v.Findings {
				kept = kept || f.Outcome == string(verdict.Hard) && f.P != nil && f.Limit != nil && f.Samples != nil
			}
		}
	}
	if !kept {
		t.Errorf("no hard breach with its numbers is kept: %+v", verdicts.Rolls)
	}

	topology := y.orders(t, "topology", "show")
	changed := filepath.Join(t.TempDir(), "changed.yaml")
	loose := strings.ReplaceAll(topology, "limit: 1", "limit: 50")
	must(t, os.WriteFile(changed, []byte(loose), 0o600))
	var again []struct{ Looks []rollmon.Replayed }
	must(t, json.Unmarshal([]byte(y.orders(t, "replay", c.Id, "--topology", changed, "--json")), &again))
	differs := false
	for _, r := range again {
		for _, l := range r.Looks {
			differs = differs || l.Was.Outcome == verdict.Hard && l.Now.Outcome != verdict.Hard
		}
	}
	if !differs {
		t.Errorf("under a limit of 50 %% the breach is one too: %+v", again)
	}
}
