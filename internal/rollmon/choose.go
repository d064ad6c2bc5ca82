package rollmon

import (
	"fmt"
	"slices"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// choose lists the indicators that judge a question, and says which ones were left out because they are about visitors
// where there are none: in the smoke stage, and in pools that declare no traffic. An indicator that names the stage, or the
// pool, is judged there all the same. The limits are the stricter ones of the topology and the plan.
func choose(t *fleet.Topology, q verdict.Question) (judged []fleet.Indicator, leftOut []string) {
	pool, _ := t.Pool(q.Site.Pool)
	for _, i := range fleet.Strictest(t.IndicatorsFor(q.Site, q.Stage), q.Stricter) {
		switch {
		case i.Ratio == nil && i.Rank == nil:
		case q.Stage == "smoke" && !slices.Contains(i.Stages, q.Stage):
			leftOut = append(leftOut, i.Name+" is about visitors, and smoke servers have none")
			continue
		case !pool.Traffic && !slices.Contains(i.Pools, pool.Name):
			leftOut = append(leftOut, i.Name+" is about visitors, and the pool declares no traffic")
			continue
		}
		judged = append(judged, i)
	}
	return judged, leftOut
}

// describe finds what the sources need to know of a question's servers. A server that left the topology keeps its name.
func describe(site fleet.SiteInfo, names []string) []Server {
	described := make([]Server, 0, len(names))
	for _, name := range names {
		s := Server{Name: name, Member: name}
		for _, known := range site.Site.Servers {
			if known.Name == name && known.Member != "" {
				s.Member = known.Member
			}
		}
		described = append(described, s)
	}
	return described
}

// Addresses returns a lookup of where a server's application answers, in the topology of the moment. It is what
// sources that ask the servers themselves need.
func Addresses(topology func() *fleet.Topology) func(site fleet.SiteRef, server string) (address string, ok bool) {
	return func(ref fleet.SiteRef, server string) (string, bool) {
		t := topology()
		if t == nil {
			return "", false
		}
		site, _ := t.Site(ref)
		for _, s := range site.Site.Servers {
			if s.Name == server {
				return s.Address, s.Address != ""
			}
		}
		return "", false
	}
}

// doubt is a verdict made of no finding.
func doubt(q verdict.Question, format string, args ...any) verdict.Verdict {
	return verdict.Verdict{Outcome: verdict.NoData, Reason: fmt.Sprintf(format, args...), Stage: q.Stage, Batch: q.Batch}
}
