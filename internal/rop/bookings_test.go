package rop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

func stock(servers int) *fleet.Topology {
	return &fleet.Topology{Capacities: []fleet.Capacity{{Name: "standard", Servers: servers}, {Name: "other", Servers: 1}}}
}

func booked(plan string, servers, from, to int) rop.Booked {
	return rop.Booked{Plan: plan, Capacity: "standard", Servers: servers, From: monday.Add(time.Duration(from) * time.Hour), To: monday.Add(time.Duration(to) * time.Hour)}
}

func wants(servers, from, to int) rop.Booking {
	return rop.Booking{Capacity: "standard", Servers: servers, Window: window(time.Duration(from)*time.Hour, time.Duration(to)*time.Hour)}
}

func TestCollisions(t *testing.T) {
	for _, c := range []struct {
		rule   string
		wanted []rop.Booking
		booked []rop.Booked
		want   []string
	}{
		{"what is left can be booked", []rop.Booking{wants(4, 1, 5)}, []rop.Booked{booked("flight-1", 6, 0, 9)}, nil},
		{"what is not left is refused with the other plan's name", []rop.Booking{wants(5, 1, 5)}, []rop.Booked{booked("flight-1", 6, 0, 9)},
			[]string{"hotel-7 books 5 servers of standard (2026-11-30 23:00 UTC to 2026-12-01 03:00 UTC), and flight-1 has 6 booked of 10 at 2026-11-30 23:00 UTC; book fewer or another time, or have that plan withdrawn"}},
		{"the fullest moment counts, and all who hold it are named", []rop.Booking{wants(4, 0, 9)},
			[]rop.Booked{booked("flight-1", 4, 1, 4), booked("train-2", 4, 3, 6), booked("late-3", 6, 6, 9)},
			[]string{"hotel-7 books 4 servers of standard (2026-11-30 22:00 UTC to 2026-12-01 07:00 UTC), and flight-1, train-2 has 8 booked of 10 at 2026-12-01 01:00 UTC; book fewer or another time, or have that plan withdrawn"}},
		{"bookings that follow each other do not collide", []rop.Booking{wants(10, 4, 5)}, []rop.Booked{booked("flight-1", 10, 0, 4), booked("train-2", 10, 5, 6)}, nil},
		{"another stock is another matter", []rop.Booking{wants(10, 0, 5)}, []rop.Booked{{Plan: "flight-1", Capacity: "other", Servers: 1, From: monday, To: monday.Add(time.Hour)}}, nil},
		{"what is over does not count", []rop.Booking{wants(10, -5, 5)}, []rop.Booked{booked("flight-1", 10, -5, 0)}, nil},
		{"its own bookings of before are replaced", []rop.Booking{wants(10, 0, 5)}, []rop.Booked{booked("hotel-7", 10, 0, 5)}, nil},
		{"its own bookings together must fit", []rop.Booking{wants(6, 0, 5), wants(5, 4, 8)}, nil,
			[]string{"hotel-7 books 5 servers of standard (2026-12-01 02:00 UTC to 2026-12-01 06:00 UTC), and hotel-7 has 6 booked of 10 at 2026-12-01 02:00 UTC; book fewer or another time, or have that plan withdrawn"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if diff := cmp.Diff(c.want, rop.Collisions("hotel-7", c.wanted, c.booked, stock(10), monday)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Bookings that were let in, one after the other, never hold more than there is, hour by hour; and one that was refused would have.
func TestPropertyAStockIsNeverOverbooked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []rop.Booked
		full := func(all []rop.Booked, from, to int) (most int) {
			for h := from; h < to; h++ {
				sum := 0
				for _, b := range all {
					if at := monday.Add(time.Duration(h) * time.Hour); !at.Before(b.From) && at.Before(b.To) {
						sum += b.Servers
					}
				}
				most = max(most, sum)
			}
			return most
		}
		for i := range rapid.IntRange(1, 12).Draw(t, "plans") {
			plan := strings.Repeat("p", i+1)
			from := rapid.IntRange(0, 10).Draw(t, "from")
			to := from + rapid.IntRange(1, 6).Draw(t, "hours")
			n := rapid.IntRange(1, 10).Draw(t, "servers")
			refused := rop.Collisions(plan, []rop.Booking{wants(n, from, to)}, all, stock(10), monday)
			with := append(all, booked(plan, n, from, to))
			if over := full(with, from, to) > 10; over != (len(refused) > 0) {
				t.Fatalf("%s books %d from %d to %d: overbooked %v, refused %v", plan, n, from, to, over, refused)
			}
			if len(refused) == 0 {
				all = with
			}
		}
	})
}

func TestRivals(t *testing.T) {
	holders := map[string]string{"hotel-api": "hotel-9", "hotel-app": "hotel-7"}
	got := rop.Rivals("hotel-7", []string{"hotel-api", "hotel-app", "hotel-db"}, holders)
	want := []string{"hotel-7 and hotel-9 both release hotel-api, and hotel-9 passed first; wait until that one is in production, or have one of the two withdrawn"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
