package ar

import (
	"fmt"
	"strings"

	"railyard/internal/rop"
)

// tieByTopology puts every stop behind those that its pool is `after`, also over pools that are not on the way.
func (y *yard) tieByTopology() {
	for _, s := range y.stops {
		for pool := range y.after(s.Pool) {
			if y.byPool[pool] != nil {
				y.link(s, pool, fmt.Sprintf("the topology has %s after %s", s.Pool, pool))
			}
		}
	}
}

// link puts a stop behind another one. The first reason is kept.
func (y *yard) link(s *stop, pool, why string) {
	if _, known := s.Behind[pool]; !known {
		s.Behind[pool] = why
	}
}

// order puts the stops of a cluster into waves, or refuses a circle with its reasons.
func (y *yard) order(cluster []*stop) ([][]*stop, *Refusal) {
	plain := make([]*rop.Stop, len(cluster))
	for i, s := range cluster {
		plain[i] = s.Stop
	}
	waves, circle := rop.InWaves(plain)
	if circle != nil {
		return nil, y.refuseCircle(circle)
	}
	out := make([][]*stop, len(waves))
	for i, w := range waves {
		for _, s := range w {
			out[i] = append(out[i], y.byPool[s.Pool])
		}
	}
	return out, nil
}

func (y *yard) refuseCircle(circle []*rop.Stop) *Refusal {
	var names, why []string
	coaches := map[string]bool{}
	for i, s := range circle {
		next := circle[(i+1)%len(circle)]
		names = append(names, s.Pool)
		why = append(why, s.Behind[next.Pool])
		for _, c := range y.byPool[s.Pool].changes {
			coaches[c.Coach] = true
		}
	}
	return &Refusal{
		Coaches: sortedKeys(coaches),
		What:    fmt.Sprintf("the pools wait for each other in a circle, %s: %s", strings.Join(append(names, names[0]), " behind "), strings.Join(why, "; ")),
		Fix:     "take back one of these relations, or uncouple one of " + strings.Join(sortedKeys(coaches), ", "),
	}
}
