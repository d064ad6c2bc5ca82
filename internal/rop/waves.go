package rop

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"railyard/internal/fleet"
)

// Stop is a pool on the way while it is being ordered.
type Stop struct {
	Pool   string
	Kind   fleet.Kind        // the latest kind among its apps
	Behind map[string]string // the pools on the way that it comes directly behind, and why; "" = the reason goes without saying

	before map[string]bool // all that it still waits for, over any number of others
}

// Take makes the stop one of this kind too: a pool whose apps are of several kinds travels with the latest of them, behind all
// that any of them may need.
func (s *Stop) Take(kind fleet.Kind) {
	if s.Kind == "" || rankOf(kind) > rankOf(s.Kind) {
		s.Kind = kind
	}
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
	stops, coaches, err := split(plan, t)
	if err != nil {
		return nil, err
	}
	order, circle := InWaves(stops)
	if circle != nil {
		return nil, fmt.Errorf("order the pools of %s: the topology's `after` goes in a circle among %s; remove one of the relations", plan.Project, strings.Join(names(circle), ", "))
	}
	var waves []Wave
	for _, next := range order {
		var wave Wave
		for _, s := range next {
			wave.Pools = append(wave.Pools, *coaches[s.Pool])
		}
		waves = append(waves, wave)
	}
	return waves, nil
}

// InWaves orders stops, which are sorted by pool. A stop comes behind everything that it is linked to; where the links say
// nothing about two stops, their kinds order them. The stops of a wave have nothing to do with each other. Where links
// contradict the order of kinds, links win. Stops that wait for each other have no order: one such circle is returned, each
// behind the next, beginning with its smallest pool.
func InWaves(stops []*Stop) (waves [][]*Stop, circle []*Stop) {
	byPool := make(map[string]*Stop, len(stops))
	for _, s := range stops {
		byPool[s.Pool] = s
	}
	if circle := findCircle(stops, byPool); circle != nil {
		return nil, circle
	}
	for _, s := range stops {
		s.before = behind(s, byPool)
	}
	left := slices.Clone(stops)
	for len(left) > 0 {
		next := ready(left)
		waves = append(waves, next)
		gone := make(map[*Stop]bool, len(next))
		for _, s := range next {
			gone[s] = true
		}
		left = slices.DeleteFunc(left, func(s *Stop) bool { return gone[s] })
		for _, s := range left {
			for done := range gone {
				delete(s.before, done.Pool)
			}
		}
	}
	return waves, nil
}

// behind are all stops that a stop comes behind.
func behind(s *Stop, byPool map[string]*Stop) map[string]bool {
	found := map[string]bool{}
	open := []*Stop{s}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		for pool := range at.Behind {
			if !found[pool] {
				found[pool] = true
				open = append(open, byPool[pool])
			}
		}
	}
	return found
}

// ReturnOrder is the order in which waves go back: the last first, dependents before what they depend on.
func ReturnOrder(waves []Wave) []Wave {
	back := slices.Clone(waves)
	slices.Reverse(back)
	return back
}

// split makes one stop of all the plan's apps in a pool, sorted by the pools' names.
func split(plan Plan, t *fleet.Topology) (stops []*Stop, coaches map[string]*PoolCoach, err error) {
	byPool := map[string]*Stop{}
	coaches = map[string]*PoolCoach{}
	for _, name := range plan.Apps {
		app, ok := t.App(name)
		if !ok {
			return nil, nil, fmt.Errorf("split the plan of %s by pool: app %q is not in the topology; correct the plan's apps, or add it to the topology", plan.Project, name)
		}
		if _, ok := t.Pool(app.Pool); !ok {
			return nil, nil, fmt.Errorf("split the plan of %s by pool: pool %q of app %q is not in the topology; add it there", plan.Project, app.Pool, name)
		}
		if byPool[app.Pool] == nil {
			byPool[app.Pool] = &Stop{Pool: app.Pool, Behind: map[string]string{}}
			coaches[app.Pool] = &PoolCoach{Pool: app.Pool}
			stops = append(stops, byPool[app.Pool])
		}
		c := coaches[app.Pool]
		if slices.Contains(c.Apps, name) {
			return nil, nil, fmt.Errorf("split the plan of %s by pool: app %q is in it twice; keep one of the two", plan.Project, name)
		}
		c.Apps = append(c.Apps, name)
		byPool[app.Pool].Take(app.Kind)
	}
	slices.SortFunc(stops, func(a, b *Stop) int { return cmp.Compare(a.Pool, b.Pool) })
	for _, s := range stops {
		slices.Sort(coaches[s.Pool].Apps)
		for pool := range t.Before(s.Pool) {
			if byPool[pool] != nil {
				s.Behind[pool] = ""
			}
		}
	}
	return stops, coaches, nil
}

// ready are the stops nothing must come before any more. When the order of kinds and the links together leave none (an
// image pool that is `after` an app pool, say), the earliest kinds among those that the links let go are.
func ready(stops []*Stop) []*Stop {
	lowest := rankOf(fleet.KindApp)
	var free []*Stop // as far as links go
	for _, s := range stops {
		if len(s.before) == 0 {
			free = append(free, s)
			lowest = min(lowest, rankOf(s.Kind))
		}
	}
	var next []*Stop
	for _, s := range free {
		if !slices.ContainsFunc(stops, func(other *Stop) bool { return rankOf(other.Kind) < rankOf(s.Kind) && !related(s, other) }) {
			next = append(next, s)
		}
	}
	if len(next) > 0 {
		return next
	}
	return slices.DeleteFunc(free, func(s *Stop) bool { return rankOf(s.Kind) != lowest })
}

// related reports whether links say which of two stops that are both still waiting comes first.
func related(a, b *Stop) bool { return a.before[b.Pool] || b.before[a.Pool] }

// findCircle names one circle of stops, each behind the next, beginning with its smallest pool; nil if there is none.
func findCircle(stops []*Stop, byPool map[string]*Stop) []*Stop {
	const open, done = 1, 2
	state := map[*Stop]int{}
	var path, circle []*Stop
	var visit func(s *Stop) bool
	visit = func(s *Stop) bool {
		state[s] = open
		path = append(path, s)
		for _, pool := range slices.Sorted(maps.Keys(s.Behind)) {
			next := byPool[pool]
			if state[next] == open {
				circle = slices.Clone(path[slices.Index(path, next):])
				return true
			}
			if state[next] == 0 && visit(next) {
				return true
			}
		}
		state[s] = done
		path = path[:len(path)-1]
		return false
	}
	for _, s := range stops {
		if state[s] == 0 && visit(s) {
			break
		}
	}
	if circle == nil {
		return nil
	}
	first := 0
	for i, s := range circle {
		if s.Pool < circle[first].Pool {
			first = i
		}
	}
	return slices.Concat(circle[first:], circle[:first])
}

func names(stops []*Stop) []string {
	var out []string
	for _, s := range stops {
		out = append(out, s.Pool)
	}
	return out
}
