package fleet

import (
	"container/heap"
	"slices"
)

// sortPools orders pools behind those they are `after` (Kahn's algorithm, the smallest name first, so that the order
// depends on nothing but the graph). Pools in or behind a cycle are returned as left.
func sortPools(pools []Pool, at map[string]int) (order, left []string) {
	waiting := map[string]int{}
	dependents := map[string][]string{}
	ready := &nameHeap{}
	for name, i := range at {
		before := map[string]bool{}
		for _, b := range pools[i].After {
			if _, known := at[b]; known && !before[b] {
				before[b] = true
				dependents[b] = append(dependents[b], name)
			}
		}
		if waiting[name] = len(before); len(before) == 0 {
			*ready = append(*ready, name)
		}
	}
	heap.Init(ready)
	for ready.Len() > 0 {
		name := heap.Pop(ready).(string)
		order = append(order, name)
		delete(waiting, name)
		for _, d := range dependents[name] {
			if waiting[d]--; waiting[d] == 0 {
				heap.Push(ready, d)
			}
		}
	}
	return order, sortedKeys(waiting)
}

// Before are the pools that a pool is `after`, over any number of pools in between. A pool is among its own only when the
// topology goes in a circle.
func (t *Topology) Before(pool string) map[string]bool {
	found := map[string]bool{}
	open := []string{pool}
	for len(open) > 0 {
		at, _ := t.Pool(open[len(open)-1])
		open = open[:len(open)-1]
		for _, before := range at.After {
			if !found[before] {
				found[before] = true
				open = append(open, before)
			}
		}
	}
	return found
}

// findCycle names one cycle among the pools that could not be ordered: ["a", "b", "a"], each `after` the next,
// beginning with its smallest name.
func findCycle(pools []Pool, at map[string]int, left []string) []string {
	if len(left) == 0 {
		return nil
	}
	stuck := func(name string) bool {
		_, found := slices.BinarySearch(left, name)
		return found
	}
	// Every stuck pool is after at least one other stuck pool, so walking on must come back to where it has been.
	step := map[string]int{}
	var walk []string
	for name := left[0]; ; {
		if from, seen := step[name]; seen {
			cycle := walk[from:]
			smallest := slices.Index(cycle, slices.Min(cycle))
			cycle = slices.Concat(cycle[smallest:], cycle[:smallest])
			return append(cycle, cycle[0])
		}
		step[name] = len(walk)
		walk = append(walk, name)
		after := slices.Clone(pools[at[name]].After)
		slices.Sort(after)
		name = after[slices.IndexFunc(after, stuck)]
	}
}

// nameHeap is a heap of names, the smallest first.
type nameHeap []string

func (h nameHeap) Len() int           { return len(h) }
func (h nameHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h nameHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *nameHeap) Push(x any)        { *h = append(*h, x.(string)) }
func (h *nameHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
