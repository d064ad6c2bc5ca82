package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/ar"
	"railyard/internal/roller"
)

// watch finds the rolls that came back, sends back who has to go with them, and brings those home.
func (d *trainDecider) watch() {
	for _, r := range d.Rolls {
		f := d.obs.Rolls[r.ID]
		if r.Return || r.Environment != d.Environment || !f.Stage.Terminal() || f.Stage == roller.Done {
			continue
		}
		if riding := d.among(r.Coaches, RiderRiding); len(riding) > 0 {
			d.fail(riding, fmt.Sprintf("%s/%s: %s", r.Environment, r.Pool, f.Reason))
		}
	}
	for _, child := range d.Plan.Children {
		if returning := d.among(child.Coaches, RiderReturning); len(returning) > 0 {
			d.bringBack(child, returning)
		}
	}
}

// fail sends the Coaches back whose roll failed, and those who go with them by the policy.
func (d *trainDecider) fail(failed []string, why string) {
	d.sendBack(failed, why)
	with := slices.DeleteFunc(d.Plan.GoBack(d.Policy, failed...), func(id string) bool { return slices.Contains(failed, id) })
	d.sendBack(d.among(with, RiderRiding), fmt.Sprintf(alongWith+"%s (policy %s): %s", strings.Join(failed, ", "), d.Policy, why))
}

// alongWith begins the reason of a Coach that goes back because another one failed.
const alongWith = "goes back with "

func (d *trainDecider) sendBack(coaches []string, why string) {
	for _, id := range coaches {
		d.set(id, RiderReturning, why)
	}
}

// bringBack takes what some Coaches of a child Train changed back: first whatever is still rolling, then the pools that had
// completed, in the reverse of the release order, one wave at a time.
func (d *trainDecider) bringBack(child ar.Child, returning []string) {
	waiting := false
	for i := range d.Rolls {
		r := &d.Rolls[i]
		if r.Return || r.Environment != d.Environment || r.Child != child.Name || !overlap(r.Coaches, returning) || d.obs.Rolls[r.ID].Stage.Terminal() {
			continue
		}
		waiting = true
		if !r.Asked {
			r.Asked = true
			d.order(r.ID, "its Train takes "+strings.Join(returning, ", ")+" back")
		}
	}
	if waiting {
		return
	}
	var notes []string
	for _, wave := range d.completed(child, returning) {
		for _, r := range wave {
			note, ended := d.returnOf(child, r)
			waiting = waiting || !ended
			if note != "" {
				notes = append(notes, note)
			}
		}
		if waiting {
			return
		}
	}
	d.home(returning, notes)
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(id string) bool { return slices.Contains(b, id) })
}

// completed are the finished rolls of some Coaches in the environment, the last wave first.
func (d *trainDecider) completed(child ar.Child, coaches []string) (waves [][]TrainRoll) {
	var done []TrainRoll
	for _, r := range d.Rolls {
		if !r.Return && r.Environment == d.Environment && r.Child == child.Name && overlap(r.Coaches, coaches) && d.obs.Rolls[r.ID].Stage == roller.Done {
			done = append(done, r)
		}
	}
	slices.SortStableFunc(done, func(a, b TrainRoll) int { return cmp.Compare(b.Wave, a.Wave) })
	for i, r := range done {
		if i == 0 || done[i-1].Wave != r.Wave {
			waves = append(waves, nil)
		}
		waves[len(waves)-1] = append(waves[len(waves)-1], r)
	}
	return waves
}

// returnOf sees to the return of one completed pool, and reports whether it has ended, with a note when it could not be.
func (d *trainDecider) returnOf(child ar.Child, forward TrainRoll) (note string, ended bool) {
	fact := d.obs.Rolls[forward.ID]
	if note := keepsIt(forward.Pool, fact); note != "" {
		return note, true
	}
	id := roller.GoBackID(forward.ID, 1)
	if !slices.ContainsFunc(d.Rolls, func(r TrainRoll) bool { return r.ID == id }) {
		site, ok := d.siteOf(child, forward.Pool)
		if !ok {
			return forward.Pool + " is not in the plan any more", true
		}
		r := d.asPlanned(roller.NewGoBack(d.site(forward.Pool), id, forward.ID, fact.To, fact.From, d.now), site)
		d.add(r, TrainRoll{Child: child.Name, Wave: forward.Wave, Coaches: forward.Coaches, Return: true})
		return "", false
	}
	back := d.obs.Rolls[id]
	switch {
	case !back.Stage.Terminal():
		return "", false
	case back.Stage != roller.Done:
		return fmt.Sprintf("%s could not be returned: %s", forward.Pool, back.Reason), true
	}
	return "", true
}

func (d *trainDecider) siteOf(child ar.Child, pool string) (ar.SitePlan, bool) {
	for _, w := range child.Waves {
		for _, s := range w.Stops {
			if s.Pool == pool {
				return s.Site(d.Environment)
			}
		}
	}
	return ar.SitePlan{}, false
}

// home ends the ride of Coaches whose changes were taken back.
func (d *trainDecider) home(returning, notes []string) {
	state := RiderStopped
	if env, _ := d.obs.Topology.Environment(d.Environment); env.Production {
		state = RiderWentBack
	}
	for _, id := range returning {
		r, _ := d.rider(id)
		why := r.Reason
		if len(notes) > 0 {
			why += "; but " + strings.Join(notes, "; ")
		}
		d.set(id, state, why)
	}
}
