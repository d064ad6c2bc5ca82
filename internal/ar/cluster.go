package ar

import (
	"maps"
	"slices"
	"strings"
)

// yard holds the stops of a plan while they are ordered.
type yard struct {
	*planner
	coaches []Coach
	stops   []*stop
	running Running

	byPool  map[string]*stop
	byApp   map[string]*stop   // app that changes → its stop
	brings  map[string]Change  // app that changes → to what
	byCoach map[string][]*stop // Coach → its stops
	needs   []Tie              // by requirements
	refused Refusals
}

func (y *yard) index() {
	y.byPool, y.byApp, y.brings, y.byCoach = map[string]*stop{}, map[string]*stop{}, map[string]Change{}, map[string][]*stop{}
	for _, s := range y.stops {
		y.byPool[s.Pool] = s
		for _, c := range s.changes {
			y.byApp[c.App], y.brings[c.App] = s, c
			if at := y.byCoach[c.Coach]; !slices.Contains(at, s) {
				y.byCoach[c.Coach] = append(at, s)
			}
		}
	}
}

// clusters are the stops that have something to do with each other: by a link, or because one Coach has apps on both. Each
// cluster becomes a child Train, so what happens to one says nothing about the others.
func (y *yard) clusters() [][]*stop {
	root := map[*stop]*stop{}
	for _, s := range y.stops {
		root[s] = s
	}
	find := func(s *stop) *stop {
		for root[s] != s {
			root[s] = root[root[s]]
			s = root[s]
		}
		return s
	}
	join := func(a, b *stop) { root[find(a)] = find(b) }
	for _, s := range y.stops {
		for pool := range s.Behind {
			join(s, y.byPool[pool])
		}
	}
	for _, stops := range y.byCoach {
		for _, s := range stops[1:] {
			join(s, stops[0])
		}
	}
	groups := map[*stop][]*stop{}
	for _, s := range y.stops { // sorted, so the groups are
		groups[find(s)] = append(groups[find(s)], s)
	}
	clusters := slices.Collect(maps.Values(groups))
	slices.SortFunc(clusters, func(a, b []*stop) int { return strings.Compare(a[0].Pool, b[0].Pool) })
	return clusters
}

// child orders a cluster and lays out its sites.
func (y *yard) child(cluster []*stop) (Child, *Refusal) {
	waves, wrong := y.order(cluster)
	if wrong != nil {
		return Child{}, wrong
	}
	child := Child{Name: cluster[0].Pool}
	coaches := map[string]bool{}
	for _, stops := range waves {
		var w Wave
		for _, s := range stops {
			out := Stop{Pool: s.Pool, Kind: s.Kind, Changes: s.changes, Sites: y.sites(s)}
			for _, pool := range sortedKeys(s.Behind) {
				if !y.implied(s, pool) {
					out.Behind = append(out.Behind, Link{Pool: pool, Why: s.Behind[pool]})
				}
			}
			for _, c := range s.changes {
				coaches[c.Coach] = true
			}
			w.Stops = append(w.Stops, out)
		}
		child.Waves = append(child.Waves, w)
	}
	child.Coaches = sortedKeys(coaches)
	return child, nil
}

// implied reports whether a stop comes behind a pool also by way of another that it is linked to, so that nobody needs to be
// shown it.
func (y *yard) implied(s *stop, pool string) bool {
	for via := range s.Behind {
		if via != pool && y.linked(y.byPool[via], pool) {
			return true
		}
	}
	return false
}

func (y *yard) linked(s *stop, pool string) bool {
	_, direct := s.Behind[pool]
	return direct
}

// ties are the reasons for which Coaches go back together.
func (y *yard) ties() []Tie {
	ties := slices.Clone(y.needs)
	for _, s := range y.stops {
		ids := coachesOf(s)
		for _, a := range ids {
			for _, b := range ids {
				if a != b {
					ties = append(ties, Tie{Coach: a, On: b, Kind: TiePool, Why: "both change apps of pool " + s.Pool})
				}
			}
		}
		for _, pool := range sortedKeys(s.Behind) {
			for _, a := range ids {
				for _, b := range coachesOf(y.byPool[pool]) {
					if a != b {
						ties = append(ties, Tie{Coach: a, On: b, Kind: TieAfter, Why: s.Behind[pool]})
					}
				}
			}
		}
	}
	slices.SortFunc(ties, compareTies)
	return slices.CompactFunc(ties, func(a, b Tie) bool { return a.Coach == b.Coach && a.On == b.On && a.Kind == b.Kind })
}

func coachesOf(s *stop) []string { return Stop{Changes: s.changes}.Coaches() }

func compareTies(a, b Tie) int {
	for _, c := range []int{strings.Compare(a.Coach, b.Coach), strings.Compare(a.On, b.On), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Why, b.Why)} {
		if c != 0 {
			return c
		}
	}
	return 0
}
