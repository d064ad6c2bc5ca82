package load

// ring holds the counts of the last seconds, one slot per second, per target. Its size does not grow with time.
type ring struct {
	slots []slot
}

type slot struct {
	second int64   // Unix time; 0 = never used
	counts []Count // by target
}

func newRing(seconds, targets int) *ring {
	r := &ring{slots: make([]slot, seconds)}
	for i := range r.slots {
		r.slots[i].counts = make([]Count, targets)
	}
	return r
}

// add counts for one target in a second. A second so old that its slot was given to a later one is dropped.
func (r *ring) add(second int64, target int, count Count) {
	s := &r.slots[second%int64(len(r.slots))]
	switch {
	case s.second > second:
		return
	case s.second < second:
		s.second = second
		clear(s.counts)
	}
	s.counts[target].add(count)
}

// sum adds up the seconds from first to last, both included, by target.
func (r *ring) sum(first, last int64) []Count {
	total := make([]Count, len(r.slots[0].counts))
	for _, s := range r.slots {
		if s.second < first || s.second > last {
			continue
		}
		for target, count := range s.counts {
			total[target].add(count)
		}
	}
	return total
}
