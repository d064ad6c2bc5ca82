package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// advance takes the riders one gate further and reports whether it did.
func (d *trainDecider) advance() bool {
	riding, returning := d.in(RiderRiding), d.in(RiderReturning)
	switch {
	case d.State != TrainDelivering:
		return false
	case len(riding) == 0 && len(returning) == 0:
		d.over()
		return true
	case len(riding) == 0:
		return false
	case !d.Entered && !d.pass():
		return false
	}
	through := true
	for _, child := range d.Plan.Children {
		through = d.roll(child) && through
	}
	if !through || len(returning) > 0 { // the Train's environment is one: who goes back there is waited for
		d.follow(len(returning))
		return false
	}
	return d.next()
}

// pass opens the gate of the environment: its pools become the Train's, and in production the calendar lets it in.
func (d *trainDecider) pass() bool {
	sites := d.sitesIn(d.Environment)
	if site, train := d.heldBy(d.Environment); train != "" {
		d.Reason = fmt.Sprintf("waits for Train %s at %s", train, site)
		return false
	}
	env, _ := d.obs.Topology.Environment(d.Environment)
	if env.Production {
		why, uses := d.admission()
		if why != "" {
			d.Reason = "waits before " + d.Environment + ": " + why
			return false
		}
		d.save.Use = uses
	}
	d.Entered, d.save.Hold = true, sites
	d.tell("entered", "", d.Environment, fmt.Sprintf("%d pools of %s are the Train's until it has gone", len(sites), d.Environment))
	return true
}

// admission says what keeps the riders out of production now, or which quotas they use up when they go in.
func (d *trainDecider) admission() (why string, uses []ar.QuotaTake) {
	riding := d.in(RiderRiding)
	for _, id := range riding {
		if w := d.obs.Coaches[id].Plan.Window; !w.Contains(d.now) {
			return fmt.Sprintf("the plan of %s may enter only from %s", id, w), nil
		}
	}
	_, err := ar.Plan(ar.Input{Topology: d.obs.Topology, Coaches: d.coaches(riding), Running: d.obs.Running, Environments: []string{d.Environment}})
	if err != nil {
		return strings.Join(problems(err), "; "), nil
	}
	holds, uses := ar.Gate(d.obs.Topology.Calendar, d.entry(riding), d.obs.Overrides, d.obs.Used, d.now)
	return holdWords(holds, "train "+d.ID), uses
}

// entry is what the calendar is asked about.
func (d *trainDecider) entry(riding []string) ar.Entry {
	e := ar.Entry{Object: "train/" + d.ID, Environment: d.Environment, Changes: len(riding)}
	for _, id := range riding {
		if sbu := d.obs.Coaches[id].SBU; !slices.Contains(e.SBUs, sbu) {
			e.SBUs = append(e.SBUs, sbu)
		}
	}
	for _, site := range d.sitesIn(d.Environment) {
		e.Pools = append(e.Pools, site.Pool)
	}
	return e
}

// holdWords words what the calendar holds against an object; "" when nothing.
func holdWords(holds []ar.Hold, object string) string {
	var words []string
	for _, h := range holds {
		text := h.What
		switch {
		case h.Freeze == "":
		case len(h.Given) == 0:
			text += fmt.Sprintf(" (two people may override it: railyard override %s %s)", object, h.Freeze)
		default:
			text += fmt.Sprintf(" (%s overrode it, and a second person must)", strings.Join(h.Given, ", "))
		}
		words = append(words, text)
	}
	return strings.Join(words, "; ")
}

// roll takes a child Train's next wave and reports whether all its waves are through. A wave starts when the one before has
// rolled on every pool of those who still ride.
func (d *trainDecider) roll(child ar.Child) bool {
	for i, wave := range child.Waves {
		pending := false
		for _, stop := range wave.Stops {
			site, there := stop.Site(d.Environment)
			if !there || len(d.among(stop.Coaches(), RiderRiding)) == 0 {
				continue
			}
			ref, begun := d.rollOn(stop.Pool)
			if !begun {
				d.start(child.Name, i, stop, site)
			}
			pending = pending || !begun || d.obs.Rolls[ref.ID].Stage != roller.Done
		}
		if pending {
			return false
		}
	}
	return true
}

// rollOn finds the forward roll of a pool in the environment.
func (d *trainDecider) rollOn(pool string) (TrainRoll, bool) {
	i := slices.IndexFunc(d.Rolls, func(r TrainRoll) bool { return !r.Return && r.Environment == d.Environment && r.Pool == pool })
	if i < 0 {
		return TrainRoll{}, false
	}
	return d.Rolls[i], true
}

// among picks those of some Coaches that are in a state.
func (d *trainDecider) among(coaches []string, state RiderState) (found []string) {
	for _, id := range coaches {
		if r, ok := d.rider(id); ok && r.State == state {
			found = append(found, id)
		}
	}
	return found
}

// start makes the roll of a stop, as the stored plan laid it out.
func (d *trainDecider) start(child string, wave int, stop ar.Stop, site ar.SitePlan) {
	r := d.asPlanned(roller.NewRoll(d.site(stop.Pool), roller.Release, fmt.Sprintf("%s-%s-%s", d.ID, d.Environment, stop.Pool), d.now), site)
	for _, c := range stop.Changes {
		r.Changes = append(r.Changes, roller.AppRelease{
			App: c.App, Package: c.Package, Version: c.Version, Commit: c.Commit, Coach: c.Coach, Requires: d.coach(c.Coach).Requires,
			KeepDays: d.obs.Coaches[c.Coach].Plan.KeepDays(c.App),
		})
	}
	for _, coach := range stop.Coaches() {
		r.Stricter = append(r.Stricter, d.coach(coach).Indicators...)
	}
	d.add(r, TrainRoll{Child: child, Wave: wave, Coaches: stop.Coaches()})
}

// coach finds what the stored plan says of a Coach.
func (d *trainDecider) coach(id string) ar.Coach {
	i := slices.IndexFunc(d.Plan.Coaches, func(c ar.Coach) bool { return c.ID == id })
	if i < 0 {
		return ar.Coach{}
	}
	return d.Plan.Coaches[i]
}

// site is a pool's site as the topology has it now; of one that is gone only its name is left, and its roll says so.
func (d *trainDecider) site(pool string) fleet.SiteInfo {
	ref := fleet.SiteRef{Environment: d.Environment, Pool: pool}
	info, _ := d.obs.Topology.Site(ref)
	info.Ref = ref
	return info
}

// asPlanned makes a roll the Train's, and rolls it as the stored plan says, whatever the topology says by now.
func (d *trainDecider) asPlanned(r roller.Roll, plan ar.SitePlan) roller.Roll {
	r.Coach, r.Strategy, r.AllowDowntime, r.Balanced, r.Traffic = d.ID, plan.Strategy, plan.AllowDowntime, plan.Balanced, plan.Traffic
	return r
}

func (d *trainDecider) add(r roller.Roll, ref TrainRoll) {
	ref.ID, ref.Environment, ref.Pool = r.ID, d.Environment, r.Site.Pool
	d.Rolls = append(d.Rolls, ref)
	d.save.NewRolls = append(d.save.NewRolls, r)
	d.tell("roll_created", "", r.ID, fmt.Sprintf("%s of %s, wave %d of child Train %s", r.Kind, r.Site, ref.Wave+1, ref.Child))
}

// follow keeps the Train's and the riders' reasons at what is going on.
func (d *trainDecider) follow(returning int) {
	var words []string
	for _, r := range d.Rolls {
		f := d.obs.Rolls[r.ID]
		if r.Environment != d.Environment || f.Stage.Terminal() {
			continue
		}
		text := fmt.Sprintf("%s/%s %s", r.Environment, r.Pool, orQueued(f.Stage))
		if f.Stage == roller.Rolling {
			text += fmt.Sprintf(" batch %d of %d", f.Batch, f.Of)
		}
		if f.Paused {
			text += ", paused: " + f.Reason
		}
		words = append(words, text)
	}
	if returning > 0 {
		words = append(words, fmt.Sprintf("%d Coaches go back", returning))
	}
	if len(words) > 0 {
		d.Reason = strings.Join(words, "; ")
	}
}

func orQueued(s roller.Stage) roller.Stage {
	if s == "" {
		return roller.Queued
	}
	return s
}

// next follows an environment that took every wave of those who still ride.
func (d *trainDecider) next() bool {
	i := slices.Index(d.Way, d.Environment)
	riding := d.in(RiderRiding)
	if i < len(d.Way)-1 {
		passed := d.Environment
		d.enter(TrainDelivering, d.Way[i+1], passed+" passed")
		for _, id := range riding {
			d.set(id, RiderRiding, passed+" passed")
		}
		return true
	}
	for _, id := range riding {
		d.set(id, RiderReleased, "released: "+d.Environment+" runs it, by Train "+d.ID)
	}
	why := fmt.Sprintf("arrived: %s runs %s", d.Environment, strings.Join(riding, ", "))
	if others := d.in(RiderWentBack, RiderStopped); len(others) > 0 {
		why += "; without " + strings.Join(others, ", ")
	}
	d.end(TrainArrived, why)
	return true
}

// over ends a Train of which nobody rides any more.
func (d *trainDecider) over() {
	state, why := TrainStopped, "no Coach passed "+d.Environment
	if env, _ := d.obs.Topology.Environment(d.Environment); env.Production {
		state, why = TrainReturned, d.Environment+" runs what it ran before"
	}
	var along []string
	for _, r := range d.Riders {
		if strings.HasPrefix(r.Reason, alongWith) {
			along = append(along, r.Coach)
			continue
		}
		why += "; " + r.Coach + ": " + r.Reason
	}
	if len(along) > 0 {
		why += "; along with it " + strings.Join(along, ", ")
	}
	d.end(state, why)
}
