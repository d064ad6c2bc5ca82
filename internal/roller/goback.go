package roller

import (
	"errors"
	"fmt"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
)

// Why a roll that has completed cannot be taken back, by errors.Is.
var (
	ErrNewer             = errors.New("something newer has been released since")
	ErrNothingToGoBackTo = errors.New("nothing to go back to")
)

// GoBackOrder is what a person asked for: to take a completed roll back, after its end.
type GoBackOrder struct {
	Undoes    Roll           // the completed roll
	Site      fleet.SiteInfo // its site, as the topology says now
	Current   Revision       // the last that completed on the site
	Barred    map[string]string
	ID        string // of the roll that goes back: see GoBackID
	Emergency bool
	Actor     string // "person:li.wei"
	Reason    string
}

// GoBackID names the try-th roll (1, 2, …) that takes a completed one back. The first that does not end for want of the
// site is the only one: asking again finds it.
func GoBackID(undoes string, try int) string {
	if try > 1 {
		return fmt.Sprintf("%s-back-%d", undoes, try)
	}
	return undoes + "-back"
}

// MayGoBack returns nil when the completed roll can be taken back: the site still runs what it brought, and there is another
// revision that completed before it and may be run. errors.Is: ErrNewer, ErrNothingToGoBackTo.
//
// It asks what the site runs, not which roll was the last there: a site that was taken back to a revision is where the roll
// that brought this revision left it, and may go further back from there.
func MayGoBack(undoes Roll, current Revision, barred map[string]string) error {
	why, isBarred := barred[undoes.From.ID]
	switch {
	case undoes.Stage != Done:
		return fmt.Errorf("%w: %s is %s, only what has completed can be taken back", ErrNothingToGoBackTo, undoes.ID, undoes.Stage)
	case undoes.Kind == Migration:
		return fmt.Errorf("%w: %s is a migration: %s", ErrNothingToGoBackTo, undoes.ID, NothingToUndo)
	case undoes.Kind == Rollback:
		return fmt.Errorf("%w: %s was itself the way back from %s; release that again to go there", ErrNothingToGoBackTo, undoes.ID, undoes.From.ID)
	case undoes.From.ID == undoes.To.ID:
		return fmt.Errorf("%w: %s ran %s before %s too, it brought nothing new", ErrNothingToGoBackTo, undoes.Site, undoes.From.ID, undoes.ID)
	case current.ID != undoes.To.ID:
		return fmt.Errorf("%w: %s runs %s now, and %s brought %s", ErrNewer, undoes.Site, current.words(), undoes.ID, undoes.To.words())
	case undoes.From.ID == "":
		return fmt.Errorf("%w: %s was the first release on %s", ErrNothingToGoBackTo, undoes.ID, undoes.Site)
	case isBarred:
		return fmt.Errorf("%w: %s, which ran on %s before, is barred: %s; railyard bar clear lets it return", ErrNothingToGoBackTo,
			undoes.From.words(), undoes.Site, why)
	}
	return nil
}

// PlanGoBack makes the roll that takes a completed one back, to the revision that ran before it. A regular one is batched and
// judged as the release was; an emergency has no smoke stage, no baking and no judgement, and is as parallel as the floor
// allows. When it has completed, the revision it left is barred. errors.Is: ErrNewer, ErrNothingToGoBackTo.
func PlanGoBack(o GoBackOrder, now time.Time) (Roll, []event.Event, error) {
	if err := MayGoBack(o.Undoes, o.Current, o.Barred); err != nil {
		return Roll{}, nil, err
	}
	r := NewGoBack(o.Site, o.ID, o.Undoes.ID, o.Undoes.To, o.Undoes.From, now)
	r.Coach, r.Author, r.Bars = o.Undoes.Coach, o.Actor, true
	asked := "rollback_asked"
	if o.Emergency {
		asked = "emergency_asked"
		r.hurry()
	}
	r.Reason = fmt.Sprintf("takes back %s: %s", o.Undoes.ID, o.Reason)
	return r, []event.Event{
		{At: now, Actor: o.Actor, Object: "roll/" + o.Undoes.ID, Coach: r.Coach, What: asked, To: r.ID, Why: o.Reason},
		{At: now, Actor: o.Actor, Object: "roll/" + r.ID, Coach: r.Coach, What: "stage_changed", To: r.place(), Why: r.Reason},
	}, nil
}

// NewRoll is a roll of a site that waits for its lock, with what its topology says now. A release on a database is a migration.
func NewRoll(site fleet.SiteInfo, kind Kind, id string, now time.Time) Roll {
	if kind == Release && site.Migrates() {
		kind = Migration
	}
	return Roll{
		ID: id, Kind: kind, Site: site.Ref, Created: now, Author: event.Railyard, Strategy: site.Strategy,
		AllowDowntime: site.MayStop(), Balanced: site.Balanced(), Traffic: site.Pool.Traffic,
		Shares: sharesOf(site), Stage: Queued, StageSince: now, ProgressAt: now,
	}
}

// NewGoBack is a roll that takes a site from one revision back to another, because of the completed roll that undoes names.
func NewGoBack(site fleet.SiteInfo, id, undoes string, from, to Revision, now time.Time) Roll {
	r := NewRoll(site, Rollback, id, now)
	r.Undoes, r.From, r.To = undoes, from, to
	return r
}

// Hurried returns the roll as an emergency.
func (r Roll) Hurried() Roll {
	r.hurry()
	return r
}

// hurry makes the rest of a roll an emergency.
func (r *Roll) hurry() {
	r.Emergency = true
	r.Strategy.Smoke, r.Strategy.BakingWeight, r.Strategy.BakingTime = false, 0, 0
	r.Strategy.Pattern, r.Strategy.Pause, r.Strategy.Watch = []int{100}, 0, 0
}

// hasten turns a way back that is under way into an emergency: every server that has not begun goes into the batch in work,
// those that were only being tried out go into rotation, and nothing is judged any more.
func (d *decider) hasten(why string) {
	d.unpause()
	if d.Roll.Emergency {
		return
	}
	d.hurry()
	if d.Stage == Queued {
		return // it is laid out when it begins
	}
	batch := max(1, d.Batch)
	for i := range d.Targets {
		t := &d.Targets[i]
		if t.State == Waiting {
			t.Batch = batch
		}
	}
	d.release()
	d.Batches = batch
	sortTargets(d.Targets)
	d.enter(Rolling, batch, why)
}
