package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// Preview is what people look at before a Train or a lone Coach goes on. Plan is what runs; the rest says how long that is
// expected to take, and what keeps it from happening.
type Preview struct {
	Object   string // "train/hotel-line-3"
	Policy   ar.Policy
	Plan     *ar.Itinerary // nil = there is none, see Problems
	Problems []string
	Behind   []ar.Coach // coupled, but not in the plan: they would be left behind
	Blockers []Blocker
}

// Blocker is something that keeps a Train or a Coach from going on.
type Blocker struct {
	What string
	Need Need
	SBU  string // whose people can, where that matters
}

// Need is what removes a blocker.
type Need string

// The needs.
const (
	NeedTime     Need = "time"     // it passes by itself
	NeedPush     Need = "push"     // the author: another commit
	NeedApprove  Need = "approve"  // an approver who is not the author
	NeedCouple   Need = "couple"   // who manages the Train: couple or uncouple
	NeedDepart   Need = "depart"   // who manages the Train: look at the plan and let it depart, or confirm it
	NeedOverride Need = "override" // two people who may override the freeze
	NeedClearBar Need = "clear_bar"
	NeedTopology Need = "topology" // DevOps
)

// Bars are the revisions that may not return to a site.
type Bars map[fleet.SiteRef][]string

// PreviewTrain shows a Train: before departure what would depart now, afterwards what runs.
func PreviewTrain(t Train, obs TrainObservation, bars Bars, now time.Time) Preview {
	d := &trainDecider{Train: cloneTrain(t), obs: obs, jobs: jobs{now: now}, before: t}
	p := Preview{Object: "train/" + t.ID, Policy: t.Policy}
	if t.State != TrainOpen {
		p.Plan, p.Problems = t.Plan, t.Problems
		if t.Underway() && strings.HasPrefix(t.Reason, "waits") {
			p.Blockers = append(p.Blockers, Blocker{What: t.Reason, Need: NeedTime})
		}
		return p
	}
	d.couple()
	d.propose()
	p.Plan, p.Problems = d.Plan, d.Problems
	late := d.in(RiderCoupled)
	if len(d.in(RiderReady)) > 0 {
		p.Behind = d.coaches(late)
	}
	for _, id := range late {
		p.Blockers = append(p.Blockers, riderBlocker(obs.Coaches[id]))
	}
	for _, text := range d.Problems {
		p.Blockers = append(p.Blockers, Blocker{What: text, Need: NeedCouple, SBU: t.SBU})
	}
	p.Blockers = append(p.Blockers, d.departureBlockers()...)
	if p.Plan != nil {
		e := d.entry(append(d.in(RiderReady), late...))
		e.Environment = obs.environmentsBehind()[len(obs.environmentsBehind())-1]
		p.Blockers = append(p.Blockers, calendarBlockers(obs.Topology, e, obs.Overrides, obs.Used, now)...)
		p.Blockers = append(p.Blockers, barBlockers(*p.Plan, obs.Running, bars)...)
	}
	return p
}

// PreviewCoach shows a Coach that travels alone.
func PreviewCoach(c rop.Coach, obs Observation, bars Bars, now time.Time) Preview {
	p := Preview{Object: "coach/" + c.ID, Policy: ar.PolicyCoach}
	it, err := ar.Plan(ar.Input{Topology: obs.Topology, Coaches: []ar.Coach{ar.Of(c)}, Running: obs.Running})
	if err != nil {
		p.Problems = problems(err)
		for _, text := range p.Problems {
			p.Blockers = append(p.Blockers, Blocker{What: text, Need: NeedPush, SBU: c.SBU})
		}
		return p
	}
	p.Plan = &it
	if c.State.Terminal() {
		p.Blockers = append(p.Blockers, Blocker{What: fmt.Sprintf("it has ended, %s: %s", c.State, firstLine(c.Reason)), Need: NeedPush, SBU: c.SBU})
		return p
	}
	if c.State == rop.Building || c.State == rop.AwaitingApproval || c.State == rop.Aboard {
		p.Blockers = append(p.Blockers, riderBlocker(c))
	}
	entry := ar.Entry{Object: "coach/" + c.ID, SBUs: []string{c.SBU}, Changes: 1}
	for _, env := range obs.Topology.Environments {
		if env.Production {
			entry.Environment = env.Name
		}
	}
	for _, child := range it.Children {
		for _, w := range child.Waves {
			for _, s := range w.Stops {
				entry.Pools = append(entry.Pools, s.Pool)
				site := fleet.SiteRef{Environment: entry.Environment, Pool: s.Pool}
				if train := obs.Held[site]; train != "" {
					p.Blockers = append(p.Blockers, Blocker{What: fmt.Sprintf("%s is Train %s's until it has gone", site, train), Need: NeedTime})
				}
			}
		}
	}
	p.Blockers = append(p.Blockers, calendarBlockers(obs.Topology, entry, obs.Overrides, obs.Used, now)...)
	p.Blockers = append(p.Blockers, barBlockers(it, obs.Running, bars)...)
	return p
}

// riderBlocker says what a Coach that is not ready waits for, and whom that takes.
func riderBlocker(c rop.Coach) Blocker {
	b := Blocker{What: fmt.Sprintf("%s is not ready, %s: %s", c.ID, place(c.State, c.Environment), firstLine(c.Reason)), Need: NeedTime, SBU: c.SBU}
	switch {
	case c.State.Terminal():
		b.Need = NeedPush
	case c.State == rop.AwaitingApproval:
		b.Need = NeedApprove
	case c.State == rop.Aboard:
		b.What, b.Need = fmt.Sprintf("%s is aboard Train %s", c.ID, c.Train), NeedDepart
	}
	return b
}

// departureBlockers are those that hindrance names and the parts of the preview do not, and the missing word of a person.
func (d *trainDecider) departureBlockers() (blockers []Blocker) {
	ready := d.in(RiderReady)
	if len(d.Riders) > 0 && len(ready) > 0 && d.Plan != nil {
		if text := d.hindrance(); text != "" {
			blockers = append(blockers, Blocker{What: text, Need: NeedTime})
		}
	}
	switch {
	case d.Mode == ByTime && d.now.Before(d.At):
		blockers = append(blockers, Blocker{What: "departs at " + d.At.UTC().Format("2006-01-02 15:04 MST"), Need: NeedTime})
	case d.Mode == ByHand && len(ready) > 0 && d.Plan != nil:
		blockers = append(blockers, Blocker{What: fmt.Sprintf("departs by hand: railyard train depart %s --plan %s", d.ID, d.Plan.Digest), Need: NeedDepart, SBU: d.SBU})
	}
	if d.Confirmed != "" && d.Plan != nil && d.Confirmed != d.Plan.Digest {
		blockers = append(blockers, Blocker{What: fmt.Sprintf("the plan changed since %s confirmed %s; it is %s now", d.ConfirmedBy, d.Confirmed, d.Plan.Digest), Need: NeedDepart, SBU: d.SBU})
	}
	return blockers
}

func calendarBlockers(t *fleet.Topology, e ar.Entry, overrides []ar.Override, used map[ar.QuotaUse]int, now time.Time) (blockers []Blocker) {
	holds, _ := ar.Gate(t.Calendar, e, overrides, used, now)
	for _, h := range holds {
		b := Blocker{What: holdWords([]ar.Hold{h}, strings.Replace(e.Object, "/", " ", 1)), Need: NeedTime}
		if h.Freeze != "" {
			b.Need = NeedOverride
		}
		blockers = append(blockers, b)
	}
	return blockers
}

// barBlockers finds revisions that were rolled back on a site and would come there again.
func barBlockers(it ar.Itinerary, running ar.Running, bars Bars) (blockers []Blocker) {
	for _, child := range it.Children {
		for _, w := range child.Waves {
			for _, s := range w.Stops {
				var releases []roller.AppRelease
				for _, c := range s.Changes {
					releases = append(releases, roller.AppRelease{App: c.App, Package: c.Package, Version: c.Version})
				}
				for _, p := range s.Sites {
					site := fleet.SiteRef{Environment: p.Environment, Pool: s.Pool}
					if to := running[site].With(releases...); slices.Contains(bars[site], to.ID) {
						blockers = append(blockers, Blocker{What: fmt.Sprintf("revision %s was rolled back on %s and is barred there", to.ID, site), Need: NeedClearBar})
					}
				}
			}
		}
	}
	return blockers
}

// History is how long the last rolls of a site took.
type History map[fleet.SiteRef][]time.Duration

// Expect says how long a site's roll is expected to take: the median of its last rolls, or without any what its strategy adds
// up to, without the time that servers and their sessions need.
func (h History) Expect(site fleet.SiteRef, p ar.SitePlan) (time.Duration, string) {
	if past := slices.Sorted(slices.Values(h[site])); len(past) > 0 {
		words := fmt.Sprintf("median of %d rolls", len(past))
		if len(past) == 1 {
			words = "the last roll"
		}
		return past[len(past)/2], words
	}
	s := p.Strategy
	least := time.Duration(len(p.Batches))*s.Pause + s.Watch
	if p.Smoke > 0 {
		least += s.BakingTime
	}
	return least, "at least, by its strategy: it was never rolled"
}
