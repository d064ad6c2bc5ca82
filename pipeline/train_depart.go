package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// couple makes the riders those that have a seat, ready or not.
func (d *trainDecider) couple() {
	var riders []Rider
	for _, s := range d.obs.Seats {
		state, why := d.readiness(s.Coach)
		riders = append(riders, Rider{Coach: s.Coach, State: state, Environment: d.obs.Coaches[s.Coach].Environment, Reason: why})
	}
	d.Riders = riders
}

// readiness says whether a coupled Coach could depart now. It is ready once it waits for nothing but the Train.
func (d *trainDecider) readiness(coach string) (RiderState, string) {
	c, ok := d.obs.Coaches[coach]
	switch {
	case !ok:
		return RiderCoupled, "it is not known any more"
	case c.State == rop.Aboard && c.Train == d.ID:
		return RiderReady, "ready"
	case c.State.Terminal():
		return RiderCoupled, fmt.Sprintf("it has ended, %s: %s", c.State, c.Reason)
	}
	return RiderCoupled, fmt.Sprintf("not ready, %s: %s", place(c.State, c.Environment), firstLine(c.Reason))
}

// propose plans what would depart now: those who are ready or, while nobody is, everybody, so that it can be looked at. The plan
// is stored; whoever looks sees what runs.
func (d *trainDecider) propose() {
	travellers := d.in(RiderReady)
	if len(travellers) == 0 {
		travellers = d.in(RiderCoupled)
	}
	d.Problems, d.Wanted = nil, nil
	if len(travellers) == 0 {
		d.Plan = nil
		d.Problems = []string{"no Coach is coupled"}
		return
	}
	d.Wanted = d.coaches(travellers)
	it, err := ar.Plan(ar.Input{Topology: d.obs.Topology, Coaches: d.Wanted, Running: d.obs.Running})
	if err != nil {
		d.Plan, d.Problems = nil, problems(err)
		return
	}
	if d.Plan == nil || d.Plan.Digest != it.Digest {
		if d.Plan != nil {
			d.tell("plan_changed", d.Plan.Digest, it.Digest, d.difference(*d.Plan, it))
		}
		d.Plan = &it
	}
}

func problems(err error) (texts []string) {
	var refused ar.Refusals
	if !errors.As(err, &refused) {
		return []string{err.Error()}
	}
	for _, r := range refused {
		texts = append(texts, r.Error())
	}
	return texts
}

// difference says in words why one plan is not the other.
func (d *trainDecider) difference(before, now ar.Itinerary) string {
	var words []string
	if before.Topology != now.Topology {
		words = append(words, "the topology changed")
	}
	for _, c := range now.Coaches {
		i := slices.IndexFunc(before.Coaches, func(b ar.Coach) bool { return b.ID == c.ID })
		switch {
		case i < 0:
			words = append(words, c.ID+" came")
		case before.Coaches[i].Plan != c.Plan:
			words = append(words, "the plan of "+c.ID+" changed")
		}
	}
	for _, b := range before.Coaches {
		if !slices.ContainsFunc(now.Coaches, func(c ar.Coach) bool { return c.ID == b.ID }) {
			words = append(words, b.ID+" left")
		}
	}
	if len(words) == 0 {
		return "what runs, or a package, changed"
	}
	return strings.Join(words, ", ")
}

// depart lets an automatic departure happen when it is due.
func (d *trainDecider) depart() {
	due, why := false, ""
	ready, coupled := d.in(RiderReady), d.in(RiderCoupled)
	switch d.Mode {
	case ByTime:
		due, why = !d.now.Before(d.At), "it is time"
		if !due {
			d.Reason = "departs at " + d.At.UTC().Format("2006-01-02 15:04 MST")
		}
	case ByReadys:
		due, why = len(ready) > 0 && len(coupled) == 0, "every coupled Coach is ready"
		if !due {
			d.Reason = fmt.Sprintf("departs when all are ready: %d of %d are", len(ready), len(ready)+len(coupled))
		}
	default:
		d.Reason = fmt.Sprintf("departs by hand: %d of %d Coaches are ready", len(ready), len(ready)+len(coupled))
	}
	if !due {
		return
	}
	hindrance := d.hindrance()
	if hindrance == "" && d.Confirmed != "" && d.Confirmed != d.Plan.Digest {
		hindrance = fmt.Sprintf("the plan changed since %s confirmed %s: it is %s now; look again (railyard plan %s) and confirm it", d.ConfirmedBy, d.Confirmed, d.Plan.Digest, d.ID)
	}
	if hindrance != "" {
		d.Reason = "should depart, and waits: " + hindrance
		return
	}
	d.leave(why)
}

// hindrance is what keeps a due Train from departing; "" when nothing does.
func (d *trainDecider) hindrance() string {
	ready := d.in(RiderReady)
	if len(ready) == 0 {
		return "no coupled Coach is ready"
	}
	waits := ar.Between(d.obs.Topology, d.obs.Running, d.journeys())
	if circle := ar.Circle(waits, d.ID); circle != nil {
		return "the Trains wait for each other in a circle: " + ar.CircleWords(circle) + "; couple these Coaches into one Train"
	}
	if d.Plan == nil {
		if behind := d.requiredBehind(ready); behind != "" {
			return behind
		}
		for _, w := range waits {
			if w.Train == d.ID {
				return fmt.Sprintf("it waits for Train %s: %s", w.On, w.Why)
			}
		}
		return strings.Join(d.Problems, "; ")
	}
	if site, train := d.heldBy(d.obs.environmentsBehind()[0]); train != "" {
		return fmt.Sprintf("%s is Train %s's until it has gone", site, train)
	}
	return ""
}

// journeys are this Train and the others, as AR compares them.
func (d *trainDecider) journeys() []ar.Journey {
	all := []ar.Journey{{Train: d.ID, Coaches: d.coaches(d.in(RiderReady)), Plan: d.Plan}}
	for _, other := range d.obs.Trains {
		if other.ID == d.ID {
			continue
		}
		j := ar.Journey{Train: other.ID, Underway: other.Underway(), Plan: other.Plan}
		j.Coaches = other.Wanted
		all = append(all, j)
	}
	return all
}

// requiredBehind says whom the Train waits for although it could leave the others behind: a Coach that is not ready, and without
// which those who are ready cannot travel.
func (d *trainDecider) requiredBehind(ready []string) string {
	for _, late := range d.in(RiderCoupled) {
		with := append(slices.Clone(ready), late)
		if _, err := ar.Plan(ar.Input{Topology: d.obs.Topology, Coaches: d.coaches(with), Running: d.obs.Running}); err == nil {
			r, _ := d.rider(late)
			return fmt.Sprintf("those who are ready require %s, which is %s", late, r.Reason)
		}
	}
	return ""
}

// leave closes the seats of those who are ready, gives up those of the others, and sets out with the stored plan.
func (d *trainDecider) leave(why string) {
	ready := d.in(RiderReady)
	for _, late := range d.in(RiderCoupled) {
		r, _ := d.rider(late)
		d.save.Leave = append(d.save.Leave, late)
		d.tellOf(late, "left_behind", "", "", r.Reason)
		why += "; " + late + " is left behind (" + r.Reason + ")"
	}
	d.Riders = slices.DeleteFunc(d.Riders, func(r Rider) bool { return r.State != RiderReady })
	d.save.Depart = ready
	d.Way, d.Departed, d.Problems = d.obs.environmentsBehind(), d.now, nil
	d.enter(TrainDelivering, d.Way[0], why)
	d.Job = d.newJob()
	for _, coach := range ready {
		d.set(coach, RiderRiding, "departed with "+d.ID)
	}
}

// environmentsBehind are those that a Train goes through: all behind the first.
func (o TrainObservation) environmentsBehind() (names []string) {
	environments := o.Topology.Environments
	if len(environments) > 1 {
		environments = environments[1:]
	}
	for _, e := range environments {
		names = append(names, e.Name)
	}
	return names
}

// heldBy finds a site of the plan that is another Train's.
func (d *trainDecider) heldBy(environment string) (fleet.SiteRef, string) {
	for _, site := range d.sitesIn(environment) {
		if train := d.obs.Held[site]; train != "" && train != d.ID {
			return site, train
		}
	}
	return fleet.SiteRef{}, ""
}

// sitesIn are the sites that the riders' stops have in an environment.
func (d *trainDecider) sitesIn(environment string) (sites []fleet.SiteRef) {
	for _, child := range d.Plan.Children {
		for _, w := range child.Waves {
			for _, s := range w.Stops {
				if _, ok := s.Site(environment); ok {
					sites = append(sites, fleet.SiteRef{Environment: environment, Pool: s.Pool})
				}
			}
		}
	}
	return sites
}
