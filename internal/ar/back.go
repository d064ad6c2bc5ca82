package ar

import (
	"fmt"
	"slices"
)

// Policy says who goes back when a Coach of a Train fails on its way. It is shown before departure.
type Policy string

// The policies, from the least to the most.
const (
	// PolicyCoach takes back the Coach, and who cannot stay without it: who shares a pool with it, and who requires what it brings.
	PolicyCoach Policy = "coach"
	// PolicyDependents takes back also everybody whose pools come after its pools.
	PolicyDependents Policy = "dependents"
	// PolicyTrain takes everybody back.
	PolicyTrain Policy = "train"
)

// Policies lists them all.
func Policies() []Policy { return []Policy{PolicyCoach, PolicyDependents, PolicyTrain} }

// GoBack returns all Coaches that go back when the failed ones do, themselves included, sorted.
func (it Itinerary) GoBack(policy Policy, failed ...string) []string {
	back := map[string]bool{}
	for _, id := range failed {
		back[id] = true
	}
	if policy == PolicyTrain {
		for _, c := range it.Coaches {
			back[c.ID] = true
		}
		return sortedKeys(back)
	}
	for grown := true; grown; {
		grown = false
		for _, tie := range it.Ties {
			if (tie.Kind != TieAfter || policy == PolicyDependents) && back[tie.On] && !back[tie.Coach] {
				back[tie.Coach], grown = true, true
			}
		}
	}
	return sortedKeys(back)
}

// Return is one pool on the way back.
type Return struct {
	Pool  string    `json:"pool"`
	Keeps bool      `json:"keeps,omitempty"` // a database: its migration is backward compatible, so there is nothing to undo
	To    []Version `json:"to"`              // what it runs again, by app; empty: it was the first release, so its servers are pulled out and a person decides
}

// WayBack is the way back of a whole child Train in an environment: the waves in reverse, dependents before what they depend on.
func (c Child) WayBack(environment string) [][]Return {
	var back [][]Return
	for _, w := range slices.Backward(c.Waves) {
		var step []Return
		for _, s := range w.Stops {
			if site, ok := s.Site(environment); ok {
				step = append(step, Return{Pool: s.Pool, To: site.From, Keeps: site.Migrates})
			}
		}
		if len(step) > 0 {
			back = append(back, step)
		}
	}
	return back
}

// checkReturnOrders holds the rollback order that each plan asks for against the way back that follows from the waves.
func (y *yard) checkReturnOrders(children []Child) {
	at := map[string]int{} // app → its wave
	for _, child := range children {
		for i, w := range child.Waves {
			for _, s := range w.Stops {
				for _, c := range s.Changes {
					at[c.App] = i
				}
			}
		}
	}
	for _, c := range y.coaches {
		order := c.Rollback.Order
		for i := 1; i < len(order); i++ {
			before, then := order[i-1], order[i]
			first, known := at[before]
			second, also := at[then]
			if known && also && first < second {
				y.refuse([]string{c.ID}, fmt.Sprintf("the plan of %s takes %s back before %s, and %s is rolled before %s, so what depends on it would lose it",
					c.ID, before, then, before, then), "turn the two around in rollback: order")
			}
		}
	}
}
