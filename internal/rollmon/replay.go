package rollmon

import (
	"slices"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// Replayed is a kept look, judged again under another topology.
type Replayed struct {
	Was        verdict.Verdict `json:"was"`
	Now        verdict.Verdict `json:"now"`
	Unmeasured []string        `json:"unmeasured,omitempty"` // indicators that were not read then, and so are left out now
	Requeried  []string        `json:"requeried,omitempty"`  // indicators with another query than then: judged on what the old one gave
}

// Differs reports whether the roll would have heard something else.
func (r Replayed) Differs() bool { return r.Was.Outcome != r.Now.Outcome }

// Replay judges a kept look under the indicators of a topology. It is pure. What the sources said then cannot be asked
// again: an indicator that was not read is left out and named, one that is gone is gone.
func Replay(l Look, t *fleet.Topology) Replayed {
	out := Replayed{Was: l.Verdict}
	indicators, _ := choose(t, l.Question)
	var measured []fleet.Indicator
	for _, i := range indicators {
		n := slices.IndexFunc(l.Indicators, func(then fleet.Indicator) bool { return then.Name == i.Name })
		_, read := l.Samples[i.Name]
		switch {
		case n < 0 || !read || l.Indicators[n].JudgedBy() != i.JudgedBy() || l.Indicators[n].In() != i.In():
			out.Unmeasured = append(out.Unmeasured, i.Name)
			continue
		case !slices.Equal(queries(l.Indicators[n]), queries(i)):
			out.Requeried = append(out.Requeried, i.Name)
		}
		measured = append(measured, i)
	}
	out.Now = Judge(l.Question, measured, l.Samples, l.At)
	if len(measured) == 0 && len(indicators) > 0 { // nothing that was measured is judged any more: not a pass
		out.Now.Outcome, out.Now.Reason = verdict.NoData, "none of the indicators was read then"
	}
	return out
}

// queries are what an indicator asks its source.
func queries(i fleet.Indicator) []string {
	switch {
	case i.Ratio != nil:
		return []string{i.ReadBy(), i.Ratio.Failures, i.Ratio.Attempts}
	case i.Value != nil:
		return []string{i.ReadBy(), i.Value.Query}
	case i.Rank != nil:
		return []string{i.ReadBy(), i.Rank.Query}
	case i.Saturation != nil:
		return []string{i.ReadBy(), i.Saturation.Query}
	case i.Check != nil:
		return []string{i.ReadBy(), i.Check.Path}
	}
	return []string{i.ReadBy()}
}
