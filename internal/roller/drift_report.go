package roller

import (
	"fmt"
	"slices"
	"time"

	"railyard/internal/event"
)

// DriftReport is what one audit came to.
type DriftReport struct {
	Differences []Difference  // all that differs now
	Events      []event.Event // what appeared, changed or went away since the audit before; none = nothing to save
}

// Report compares what was seen with what is believed, and with what the audit before found. A difference is told once when it
// appears, when it changes, and when it is gone, so a restart tells nothing twice. While the balancer does not answer, what it
// said before is kept: not knowing is no change.
func Report(b Belief, seen Survey, now time.Time) DriftReport {
	found := Drift(b.Revision, seen.Servers, seen.Balanced && seen.Balancer == nil)
	if b.Revision.ID != "" && seen.Balancer != nil {
		found = append(found, Difference{Kind: DriftNoBalancer, Expected: "an answer", Found: seen.Balancer.Error()})
		for _, d := range b.Known {
			if _, there := seen.Servers[d.Server]; there && d.ofBalancer() {
				found = append(found, d)
			}
		}
		SortDifferences(found)
	}
	r := DriftReport{Differences: found}
	tell := func(e event.Event) {
		e.At, e.Actor, e.Object = now, event.Railyard, "site/"+b.Site.String()
		r.Events = append(r.Events, e)
	}
	for i := range found {
		d := &found[i]
		before, known := sameIn(b.Known, *d)
		switch {
		case known && (d.volatile() || (before.Expected == d.Expected && before.Found == d.Found)):
			*d = before
			continue
		case known:
			d.Since = before.Since
			tell(event.Event{What: "drift_found", Server: d.Server, From: string(d.Kind), To: string(d.Kind),
				Why: fmt.Sprintf("expected %s, found %s; before it was %s", d.Expected, d.Found, before.Found)})
		default:
			d.Since = now
			tell(event.Event{What: "drift_found", Server: d.Server, To: string(d.Kind), Why: fmt.Sprintf("expected %s, found %s", d.Expected, d.Found)})
		}
	}
	for _, d := range b.Known {
		if _, still := sameIn(found, d); !still {
			tell(event.Event{What: "drift_gone", Server: d.Server, From: string(d.Kind), Why: "it was " + d.Found})
		}
	}
	return r
}

func sameIn(all []Difference, d Difference) (Difference, bool) {
	i := slices.IndexFunc(all, func(o Difference) bool { return o.Server == d.Server && o.Kind == d.Kind })
	if i < 0 {
		return Difference{}, false
	}
	return all[i], true
}

// volatile reports whether the words of what was found change without anything having changed: ports in an error, checks
// counted.
func (d Difference) volatile() bool {
	return d.Kind == DriftUnreachable || d.Kind == DriftNoBalancer || d.Kind == DriftDown
}

// ofBalancer reports whether the difference is one that the balancer told of.
func (d Difference) ofBalancer() bool {
	switch d.Kind {
	case DriftUnknownMember, DriftMaintenance, DriftPulledOut, DriftWeight, DriftDown:
		return true
	}
	return false
}
