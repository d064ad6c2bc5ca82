package roller

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// BatchEnds returns where each batch ends for n servers: batch k holds servers ends[k-1]…ends[k]-1. A single percentage
// expands to equal parts; batch k ends at floor(cumulative percentage × n / 100), the last one at n; empty batches are
// dropped (design: batches by pattern).
func BatchEnds(pattern []int, n int) []int {
	parts := pattern
	if len(pattern) == 1 && pattern[0] > 0 {
		parts = nil
		for sum := 0; sum < 100; sum += pattern[0] {
			parts = append(parts, pattern[0])
		}
	}
	var ends []int
	previous, cumulative := 0, 0
	for k, percent := range parts {
		cumulative = min(100, cumulative+percent)
		end := cumulative * n / 100
		if k == len(parts)-1 {
			end = n
		}
		if end > previous {
			ends = append(ends, end)
			previous = end
		}
	}
	return ends
}

// layout makes the targets of a roll that starts now: smoke servers in batch 0, the others in batches by the pattern.
// Servers that are down or in somebody's maintenance are owed; those already on the revision are settled.
func layout(r *Roll, obs Observation, now time.Time) {
	var smoke, live, out []string
	for name, s := range obs.Servers {
		switch {
		case r.Strategy.Smoke && s.Server.Smoke:
			smoke = append(smoke, name)
		case s.inRotation(r.Balanced):
			live = append(live, name)
		default:
			out = append(out, name)
		}
	}
	slices.Sort(smoke)
	slices.Sort(live)
	slices.Sort(out)
	r.Targets = nil
	smoke, rest, out := smokeWithin(r, obs, smoke, out)
	live = append(live, rest...)
	slices.Sort(live)
	for _, name := range smoke {
		r.Targets = append(r.Targets, newTarget(r, obs.Servers[name], 0, now))
	}
	order := interleave(live, out)
	ends := BatchEnds(r.Strategy.Pattern, len(order))
	r.Batches = len(ends)
	batch := 0
	for i, name := range order {
		for i >= ends[batch] {
			batch++
		}
		r.Targets = append(r.Targets, newTarget(r, obs.Servers[name], batch+1, now))
	}
	sortTargets(r.Targets)
}

func newTarget(r *Roll, s ServerState, batch int, now time.Time) Target {
	t := Target{Server: s.Server.Name, Batch: batch, State: Waiting, Since: now}
	switch {
	case !s.Reachable:
		t.State, t.Note = Owed, "down when the roll started: "+s.HostError
	case r.obstacle(s) != "":
		t.State, t.Note = Owed, r.obstacle(s)
	case s.Host.Runs(r.To) && s.inRotation(r.Balanced):
		t.State, t.Note, t.Touched = Settled, "already on the revision", true
		t.Ordered = r.Balanced && s.Member.Weight != fullWeight // and is brought to its full share
	}
	return t
}

// smokeWithin chooses the servers of batch 0. They are all out of rotation together while they are tested, so no more live ones
// are taken than the floors allow; the others are rolled with the rest. Where the floors allow none at all, a server that is out
// already stands in: it costs nobody anything, and brings the floor what it lacks. It is taken from out.
func smokeWithin(r *Roll, obs Observation, smoke, out []string) (chosen, rest, left []string) {
	f := newFloor(*r, obs)
	works := func(name string) bool { return newTarget(r, obs.Servers[name], 0, time.Time{}).State == Waiting }
	any := len(smoke) == 0
	live := slices.DeleteFunc(slices.Clone(smoke), func(name string) bool {
		if obs.Servers[name].inRotation(r.Balanced) {
			return false
		}
		chosen = append(chosen, name)
		any = any || works(name)
		return true
	})
	for _, name := range live {
		if r.AllowDowntime || f.take(obs.Servers[name], r.Balanced) {
			chosen, any = append(chosen, name), true
			continue
		}
		rest = append(rest, name)
	}
	if any {
		return chosen, rest, out
	}
	if i := slices.IndexFunc(out, works); i >= 0 {
		return append(chosen, out[i]), rest, slices.Delete(slices.Clone(out), i, i+1)
	}
	return append(chosen, rest[:min(1, len(rest))]...), rest[min(1, len(rest)):], out // it waits, and the roll says for what
}

// interleave spreads the servers that are out evenly among the live ones, so that no batch holds all the live ones while
// more than one is live.
func interleave(live, out []string) []string {
	merged := make([]string, 0, len(live)+len(out))
	l, o := 0, 0
	for l < len(live) || o < len(out) {
		// Take from whichever list is behind its even share.
		if o >= len(out) || (l < len(live) && l*len(out) <= o*len(live)) {
			merged = append(merged, live[l])
			l++
			continue
		}
		merged = append(merged, out[o])
		o++
	}
	return merged
}

func sortTargets(targets []Target) {
	slices.SortFunc(targets, func(a, b Target) int {
		return cmp.Or(a.Batch-b.Batch, strings.Compare(a.Server, b.Server))
	})
}

// BiggestBatch is how many servers the roll ever has in work at once, going forward.
func (r Roll) BiggestBatch() int {
	sizes := map[int]int{}
	biggest := 1
	for _, t := range r.Targets {
		sizes[t.Batch]++
		biggest = max(biggest, sizes[t.Batch])
	}
	return biggest
}
