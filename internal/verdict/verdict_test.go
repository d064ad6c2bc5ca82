package verdict_test

import (
	"testing"

	"railyard/internal/verdict"
)

func TestABriefVerdictHasTheWorstFindingsFirst(t *testing.T) {
	v := verdict.Verdict{Outcome: verdict.Hard}
	for range 5000 {
		v.Findings = append(v.Findings, verdict.Finding{Outcome: verdict.Pass})
	}
	v.Findings[17].Outcome, v.Findings[4000].Outcome, v.Findings[4999].Outcome = verdict.Abstain, verdict.Soft, verdict.Hard
	b := v.Brief()
	if len(b.Findings)+b.Left != 5000 || len(b.Findings) > 100 {
		t.Errorf("%d findings and %d left, of 5000", len(b.Findings), b.Left)
	}
	if b.Findings[0].Outcome != verdict.Hard || b.Findings[1].Outcome != verdict.Soft || b.Findings[2].Outcome != verdict.Pass {
		t.Errorf("the first are %v", b.Findings[:3])
	}
	if len(v.Findings) != 5000 || v.Findings[0].Outcome != verdict.Pass {
		t.Error("the verdict itself was changed")
	}
	if again := b.Brief(); again.Left != b.Left || len(again.Findings) != len(b.Findings) {
		t.Errorf("a brief verdict became briefer: %d and %d left", len(again.Findings), again.Left)
	}
}

func TestEveryOutcomeHasItsPlace(t *testing.T) {
	order := []verdict.Outcome{verdict.Abstain, verdict.Pass, verdict.Warn, verdict.Pending, verdict.NoTraffic, verdict.NoData, verdict.SourceDown, verdict.Soft, verdict.Hard}
	for i, better := range order {
		for _, worse := range order[i:] {
			if verdict.Worse(better, worse) != worse || verdict.Worse(worse, better) != worse {
				t.Errorf("%s is not worse than %s", worse, better)
			}
		}
	}
	if verdict.Worse("nonsense", verdict.Pending) != "nonsense" || verdict.Worse("nonsense", verdict.SourceDown) != verdict.SourceDown {
		t.Error("an unknown outcome does not count as no data")
	}
}
