package ar

import (
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
)

// Journey is one Train among others.
type Journey struct {
	Train    string
	Underway bool // it has departed
	Coaches  []Coach
	Plan     *Itinerary // nil when there is none
}

// Wait says that a Train waits for another one.
type Wait struct {
	Train string
	On    string
	Why   string
}

// Between says which Trains wait for which: for a Coach that another one carries, or for a pool that one which has departed
// changes. Sorted by Train.
func Between(t *fleet.Topology, running Running, journeys []Journey) (waits []Wait) {
	p := newPlanner(t)
	yards := make([]*yard, len(journeys))
	for i, j := range journeys {
		stops, _ := p.split(j.Coaches) // what is wrong with them is their own plan's matter
		yards[i] = &yard{planner: p, coaches: j.Coaches, stops: stops, running: running}
		yards[i].index()
	}
	for i, j := range journeys {
		for k, other := range journeys {
			if i == k {
				continue
			}
			if why := needs(yards[i], yards[k]); why != "" && !j.Underway {
				waits = append(waits, Wait{j.Train, other.Train, why})
			} else if pool := shared(yards[i], yards[k]); pool != "" && other.Underway && !j.Underway {
				waits = append(waits, Wait{j.Train, other.Train, fmt.Sprintf("both change pool %s, and %s has departed", pool, other.Train)})
			}
		}
	}
	slices.SortFunc(waits, func(a, b Wait) int { return strings.Compare(a.Train+" "+a.On, b.Train+" "+b.On) })
	return waits
}

// needs says what one Train lacks that another carries; "" when nothing.
func needs(mine, theirs *yard) string {
	for _, c := range mine.coaches {
		for _, r := range c.Requires {
			if _, aboard := mine.aboard(r); aboard {
				continue
			}
			brought, carried := theirs.aboard(r)
			if !carried || !Admits(r, brought.coach, brought.version) {
				continue
			}
			for _, env := range mine.environments() {
				if runs, there := mine.runs(env.Name, r); !there || !Admits(r, runs.coach, runs.version) {
					return fmt.Sprintf("%s requires %s, which %s carries", c.ID, r, brought.coach)
				}
			}
		}
	}
	return ""
}

// shared names the first pool that both change; "" when there is none.
func shared(a, b *yard) string {
	for _, s := range a.stops {
		if b.byPool[s.Pool] != nil {
			return s.Pool
		}
	}
	return ""
}

// Circle finds Trains that wait for each other, one of them the given one: its waits, in order. nil when there is none.
func Circle(waits []Wait, train string) []Wait {
	var walk func(at string, path []Wait, seen map[string]bool) []Wait
	walk = func(at string, path []Wait, seen map[string]bool) []Wait {
		for _, w := range waits {
			if w.Train != at {
				continue
			}
			if w.On == train {
				return append(slices.Clone(path), w)
			}
			if !seen[w.On] {
				seen[w.On] = true
				if found := walk(w.On, append(slices.Clone(path), w), seen); found != nil {
					return found
				}
			}
		}
		return nil
	}
	return walk(train, nil, map[string]bool{train: true})
}

// CircleWords names a circle: "a waits for b (…), b waits for a (…)".
func CircleWords(circle []Wait) string {
	words := make([]string, len(circle))
	for i, w := range circle {
		words[i] = fmt.Sprintf("%s waits for %s (%s)", w.Train, w.On, w.Why)
	}
	return strings.Join(words, ", ")
}
