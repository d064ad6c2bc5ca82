package rop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"railyard/internal/fleet"
)

// Booked is a booking that was made.
type Booked struct {
	Plan     string    // "hotel-api-7": the project Coach whose plan it is
	Capacity string    // "standard"
	Servers  int       // 4
	From, To time.Time // From is in it, To is not
}

// Collisions tells which of a plan's bookings do not fit beside those that others have made, each with the names of the others.
// A stock never has more servers booked at one moment from now on than it has; booked may hold the plan's own bookings, which are
// replaced.
func Collisions(plan string, wanted []Booking, booked []Booked, t *fleet.Topology, now time.Time) (found []string) {
	all := slices.DeleteFunc(slices.Clone(booked), func(b Booked) bool { return b.Plan == plan })
	for _, w := range wanted {
		mine := Booked{Plan: plan, Capacity: w.Capacity, Servers: w.Servers, From: w.Window.From.Time, To: w.Window.To.Time}
		if mine.From.Before(now) {
			mine.From = now
		}
		stock, _ := t.Capacity(w.Capacity)
		if at, taken := fullest(mine, all); taken+w.Servers > stock.Servers {
			found = append(found, fmt.Sprintf("%s books %d servers of %s (%s), and %s has %d booked of %d at %s; book fewer or another time, or have that plan withdrawn",
				plan, w.Servers, w.Capacity, w.Window, strings.Join(holders(mine, all, at), ", "), taken, stock.Servers, Moment{at}))
			continue
		}
		all = append(all, mine)
	}
	return found
}

// fullest is the moment of a booking's time at which most of its stock is booked, and how much that is. What is booked only
// rises where a booking begins, so it is one of those moments.
func fullest(mine Booked, all []Booked) (at time.Time, servers int) {
	at = mine.From
	moments := []time.Time{mine.From}
	for _, b := range all {
		if b.Capacity == mine.Capacity && b.From.After(mine.From) && b.From.Before(mine.To) {
			moments = append(moments, b.From)
		}
	}
	slices.SortFunc(moments, time.Time.Compare)
	for _, m := range moments {
		sum := 0
		for _, b := range all {
			if b.holds(mine.Capacity, m) {
				sum += b.Servers
			}
		}
		if sum > servers {
			at, servers = m, sum
		}
	}
	return at, servers
}

func (b Booked) holds(capacity string, at time.Time) bool {
	return b.Capacity == capacity && !at.Before(b.From) && at.Before(b.To)
}

// holders are the plans that hold a stock at a moment, by name.
func holders(mine Booked, all []Booked, at time.Time) (plans []string) {
	for _, b := range all {
		if b.holds(mine.Capacity, at) {
			plans = append(plans, b.Plan)
		}
	}
	slices.Sort(plans)
	return slices.Compact(plans)
}

// Rivals tells which apps of a plan another plan has passed with and not brought to production yet. holders says by app which
// plan that is.
func Rivals(plan string, apps []string, holders map[string]string) (found []string) {
	for _, app := range apps {
		if other := holders[app]; other != "" && other != plan {
			found = append(found, fmt.Sprintf("%s and %s both release %s, and %s passed first; wait until that one is in production, or have one of the two withdrawn",
				plan, other, app, other))
		}
	}
	return found
}
