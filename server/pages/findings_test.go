package pages

import (
	"testing"

	"railyard/internal/verdict"
	"railyard/server/api"
)

func TestAPageShowsTheWorstFindingsOfMany(t *testing.T) {
	var all []api.Finding
	for range 5000 {
		all = append(all, api.Finding{Outcome: string(verdict.Pass)})
	}
	all[17].Outcome, all[4000].Outcome, all[4999].Outcome = string(verdict.Abstain), string(verdict.Soft), string(verdict.Hard)
	shown := worst(all)
	if len(shown) != shownFindings || shown[0].Outcome != string(verdict.Hard) || shown[1].Outcome != string(verdict.Soft) || shown[2].Outcome != string(verdict.Pass) {
		t.Errorf("%d findings are shown, first %+v", len(shown), shown[:3])
	}
	if all[0].Outcome != string(verdict.Pass) {
		t.Error("the verdict's own findings were sorted")
	}
}
