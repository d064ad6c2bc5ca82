package roller

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
)

// CatchUp is the kind of a roll that takes owed and drifted servers to the revision their site runs already. It brings
// nothing new, so there is nothing to bake, nothing to go back to, and nothing to bar.
const CatchUp Kind = "catch_up"

// ErrNothingToCatchUp means that a catch-up roll would do nothing.
var ErrNothingToCatchUp = errors.New("nothing to catch up")

// CatchUpOrder is what a person asked for, with what was seen of the site just now.
type CatchUpOrder struct {
	Site     fleet.SiteInfo
	Believed Revision               // the last that completed
	Servers  map[string]ServerState // all of them, each asked
	Actor    string                 // "person:li.wei"
	Reason   string
}

// PlanCatchUp makes the roll of a site's differing servers to the revision that is believed. It is laid out here and not when
// it starts, for the lock of its site is taken in the same moment as it is stored: nothing can come between. Servers that are
// as they should be take no part; the others roll by the site's pattern and above its floor, each batch judged.
// errors.Is: ErrNothingToCatchUp.
func PlanCatchUp(o CatchUpOrder, now time.Time) (Roll, []event.Event, error) {
	r := newCatchUp(o, now)
	if o.Believed.ID == "" {
		return r, nil, fmt.Errorf("%w: nothing was ever released on %s", ErrNothingToCatchUp, r.Site)
	}
	differences := Drift(o.Believed, o.Servers, r.Balanced)
	mends := map[string]bool{}
	for _, d := range differences {
		if d.Mendable() {
			mends[d.Server] = true
		}
	}
	layout(&r, Observation{Servers: o.Servers}, now)
	var work []string
	for i := range r.Targets {
		t := &r.Targets[i]
		if t.State == Settled && mends[t.Server] {
			t.State, t.Note, t.Touched, t.Ordered = Waiting, "", false, false // it runs the revision, at another weight
		}
		if t.State == Waiting {
			work = append(work, t.Server)
		}
	}
	arrange(&r, o.Servers)
	switch {
	case len(differences) == 0:
		return r, nil, fmt.Errorf("%w: all %d servers of %s run %s and take their share", ErrNothingToCatchUp, r.Size, r.Site, r.To.ID)
	case len(mends) == 0, len(work) == 0:
		return r, nil, fmt.Errorf("%w: no roll can mend what differs on %s: %s", ErrNothingToCatchUp, r.Site, listed(differences))
	}
	r.Reason = fmt.Sprintf("catches up %s; %d servers in %d batches, at least %d stay up", strings.Join(work, ", "), r.Size, r.Batches, r.MinUp)
	return r, []event.Event{
		{At: now, Actor: o.Actor, Object: "site/" + r.Site.String(), What: "sync_asked", To: r.ID, Why: o.Reason},
		{At: now, Actor: o.Actor, Object: "roll/" + r.ID, What: "stage_changed", To: r.place(), Why: r.Reason},
	}, nil
}

// arrange puts the servers that are out of rotation into the first batches, and those that need nothing into the last ones.
// Bringing a server back costs nobody anything, and the floor may not let another go before.
func arrange(r *Roll, servers map[string]ServerState) {
	rank := func(t Target) int {
		switch {
		case t.State != Waiting:
			return 2
		case servers[t.Server].inRotation(r.Balanced):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(r.Targets, func(a, b Target) int { return rank(a) - rank(b) })
	batch, ends := 0, BatchEnds(r.Strategy.Pattern, len(r.Targets))
	for i := range r.Targets {
		for i >= ends[batch] {
			batch++
		}
		r.Targets[i].Batch = batch + 1
	}
	sortTargets(r.Targets)
}

func newCatchUp(o CatchUpOrder, now time.Time) Roll {
	id := fmt.Sprintf("sync-%s-%s-%s", o.Site.Ref.Environment, o.Site.Ref.Pool, now.UTC().Format("20060102-150405.000"))
	r := NewRoll(o.Site, CatchUp, id, now)
	r.Author, r.To, r.From, r.Size, r.Stage, r.Batch = o.Actor, o.Believed, o.Believed, len(o.Servers), Rolling, 1
	// Visitors are on the revision already, and there is no way back from it: it is not tried out first, nor watched afterwards.
	r.Strategy.Smoke, r.Strategy.BakingWeight, r.Strategy.BakingTime, r.Strategy.Watch = false, 0, 0, 0
	r.MinUp = r.Strategy.Floor(r.Size)
	return r
}

func listed(differences []Difference) string {
	lines := make([]string, len(differences))
	for i, d := range differences {
		lines[i] = d.String()
	}
	return strings.Join(lines, "; ")
}
