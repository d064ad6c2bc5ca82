package pages

import (
	"slices"

	"railyard/internal/verdict"
	"railyard/server/api"
)

// shownFindings are as many as a page shows of one verdict: a batch of 500 servers has thousands.
const shownFindings = 40

// worst lists the findings that a page shows, the worst first, otherwise in their order.
func worst(all []api.Finding) []api.Finding {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b api.Finding) int {
		x, y := verdict.Outcome(a.Outcome), verdict.Outcome(b.Outcome)
		switch {
		case verdict.Worse(x, y) != x:
			return 1
		case verdict.Worse(y, x) != y:
			return -1
		}
		return 0
	})
	return sorted[:min(len(sorted), shownFindings)]
}
