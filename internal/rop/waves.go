package rop

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
)

// stop is a pool on the way of a plan.
type stop struct {
	coach  PoolCoach
	rank   int                 // see rankOf
	before map[string]struct{} // the stops it is `after`, over any number of pools in between
}

// rankOf is the release order of resources: image and database first, then web, then job and api, then app.
func rankOf(kind fleet.Kind) int {
	switch kind {
	case fleet.KindImage, fleet.KindDatabase:
		return 0
	case fleet.KindWeb:
		return 1
	case fleet.KindJob, fleet.KindAPI:
		return 2
	}
	return 3
}

// Waves splits a plan into pool Coaches and orders them. All apps of the plan in a pool travel together. A pool comes
// behind every pool of the plan that it is `after`, also over pools that are not in the plan; where `after` says nothing
// about two pools, the kinds of their apps order them. The pools of a wave have nothing to do with each other and may
// roll at the same time. The same plan and topology give the same waves, whatever the order of their lists.
//
// A pool whose apps are of several kinds travels with the latest of them, behind all that any of them may need. Where
// `after` contradicts the order of kinds, `after` wins.
func Waves(plan Plan, t *fleet.Topology) ([]Wave, error) {
	stops, err := split(plan, t)
	if err != nil {
		return nil, err
	}
	var waves []Wave
	for len(stops) > 0 {
		next := ready(stops)
		if len(next) == 0 {
			return nil, fmt.Errorf("order the pools of %s: the topology's `after` goes in a circle among %s; remove one of the relations", plan.Project, strings.Join(names(stops), ", "))
		}
		var wave Wave
		for _, s := range next {
			wave.Pools = append(wave.Pools, s.coach)
		}
		waves = append(waves, wave)
		stops = slices.DeleteFunc(stops, func(s *stop) bool { return slices.Contains(next, s) })
		for _, s := range stops {
			for _, done := range next {
				delete(s.before, done.coach.Pool)
			}
		}
	}
	return waves, nil
}

// ReturnOrder is the order in which waves go back: the last first, dependents before what they depend on.
func ReturnOrder(waves []Wave) []Wave {
	back := slices.Clone(waves)
	slices.Reverse(back)
	return back
}

// split makes one stop of all the plan's apps in a pool, sorted by the pools' names.
func split(plan Plan, t *fleet.Topology) ([]*stop, error) {
	byPool := map[string]*stop{}
	var stops []*stop
	for _, name := range plan.Apps {
		app, ok := t.App(name)
		if !ok {
			return nil, fmt.Errorf("split the plan of %s by pool: app %q is not in the topology; correct the plan's apps, or add it to the topology", plan.Project, name)
		}
		if _, ok := t.Pool(app.Pool); !ok {
			return nil, fmt.Errorf("split the plan of %s by pool: pool %q of app %q is not in the topology; add it there", plan.Project, app.Pool, name)
		}
		s := byPool[app.Pool]
		if s == nil {
			s = &stop{coach: PoolCoach{Pool: app.Pool}, before: map[string]struct{}{}}
			byPool[app.Pool] = s
			stops = append(stops, s)
		}
		if slices.Contains(s.coach.Apps, name) {
			return nil, fmt.Errorf("split the plan of %s by pool: app %q is in it twice; keep one of the two", plan.Project, name)
		}
		s.coach.Apps = append(s.coach.Apps, name)
		s.rank = max(s.rank, rankOf(app.Kind))
	}
	slices.SortFunc(stops, func(a, b *stop) int { return cmp.Compare(a.coach.Pool, b.coach.Pool) })
	for _, s := range stops {
		slices.Sort(s.coach.Apps)
		for pool := range reach(s.coach.Pool, t) {
			if byPool[pool] != nil {
				s.before[pool] = struct{}{}
			}
		}
	}
	return stops, nil
}

// reach finds the pools that a pool is `after`, over any number of pools in between. A pool reaches itself only when
// the topology goes in a circle.
func reach(pool string, t *fleet.Topology) map[string]struct{} {
	found := map[string]struct{}{}
	open := []string{pool}
	for len(open) > 0 {
		at, _ := t.Pool(open[len(open)-1])
		open = open[:len(open)-1]
		for _, before := range at.After {
			if _, seen := found[before]; !seen {
				found[before] = struct{}{}
				open = append(open, before)
			}
		}
	}
	return found
}

// ready are the stops nothing must come before any more. When the order of kinds and `after` together leave none (an
// image pool that is `after` an app pool, say), the earliest kinds among those that `after` lets go are.
func ready(stops []*stop) []*stop {
	lowest := rankOf(fleet.KindApp)
	var free []*stop // as far as `after` goes
	for _, s := range stops {
		if len(s.before) == 0 {
			free = append(free, s)
			lowest = min(lowest, s.rank)
		}
	}
	var next []*stop
	for _, s := range free {
		if !slices.ContainsFunc(stops, func(other *stop) bool { return other.rank < s.rank && !related(s, other) }) {
			next = append(next, s)
		}
	}
	if len(next) > 0 {
		return next
	}
	return slices.DeleteFunc(free, func(s *stop) bool { return s.rank != lowest })
}

// related reports whether `after` says which of two stops that are both still waiting comes first.
func related(a, b *stop) bool {
	_, first := a.before[b.coach.Pool]
	_, second := b.before[a.coach.Pool]
	return first || second
}

func names(stops []*stop) []string {
	var out []string
	for _, s := range stops {
		out = append(out, s.coach.Pool)
	}
	return out
}
