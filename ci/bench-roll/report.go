package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// measurement is one roll.
type measurement struct {
	name             string
	took             time.Duration
	requests, failed int
}

func (m measurement) String() string {
	return fmt.Sprintf("%s: %.2f s, %d failed of %d requests", m.name, m.took.Seconds(), m.failed, m.requests)
}

// goal is the most that Railyard may take, in times of the floor.
const goal = 1.15

// report gathers measurements by contender, in the order they came.
type report struct {
	names []string
	all   map[string][]measurement
}

func (r *report) add(m measurement) {
	if r.all == nil {
		r.all = map[string][]measurement{}
	}
	if !slices.Contains(r.names, m.name) {
		r.names = append(r.names, m.name)
	}
	r.all[m.name] = append(r.all[m.name], m)
}

// String is a line of figures for each contender, and how they compare with the floor.
func (r report) String() string {
	var b strings.Builder
	for _, name := range r.names {
		var took []time.Duration
		sum := measurement{}
		for _, m := range r.all[name] {
			took = append(took, m.took)
			sum.requests += m.requests
			sum.failed += m.failed
		}
		fmt.Fprintf(&b, "%s: median %.2f s, from %.2f to %.2f s in %d rolls, %d failed of %d requests", name, median(took).Seconds(),
			slices.Min(took).Seconds(), slices.Max(took).Seconds(), len(took), sum.failed, sum.requests)
		if floor := r.median("floor"); floor > 0 && name != "floor" {
			fmt.Fprintf(&b, "; %.2f × the floor", float64(median(took))/float64(floor))
			if name == "railyard" {
				fmt.Fprintf(&b, " (goal: at most %.2f)", goal)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (r report) median(name string) time.Duration {
	var took []time.Duration
	for _, m := range r.all[name] {
		took = append(took, m.took)
	}
	return median(took)
}

// median is the middle one, or the mean of the two in the middle; 0 of none.
func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
