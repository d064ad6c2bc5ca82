package ar

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"railyard/internal/fleet"
)

// Entry is what wants to enter an environment: one Coach, or a whole Train.
type Entry struct {
	Object      string   // "coach/hotel-api-7.2", "train/hotel-line-3"
	Environment string   // "PROD"
	SBUs        []string // of the Coaches
	Pools       []string // that would change
	Changes     int      // Coaches
}

// Override is a person's word that a freeze shall not stop an object. It counts once a second person has given it too.
type Override struct {
	Object string // "train/hotel-line-3"
	Freeze string // "golden-week"
	Actor  string // "person:li.wei"
	Reason string
	At     time.Time
}

// QuotaUse is one window of a quota.
type QuotaUse struct {
	Quota string
	From  time.Time // when the window began
}

// QuotaTake is what an Entry uses up of a quota.
type QuotaTake struct {
	QuotaUse
	Changes int // 3
	Most    int // of the quota
}

// Hold is something of the calendar that keeps an Entry out, for now.
type Hold struct {
	Freeze string // its name; "" for a quota
	Quota  string // its name; "" for a freeze
	What   string // "golden-week freezes PROD until 2026-10-08 00:00 UTC: national holiday"
	Until  time.Time
	Given  []string // who has overridden a freeze so far
}

// Gate says what of the calendar keeps an Entry out at now, and which quotas it uses up when it goes in. It is not asked about
// rollbacks: they are never frozen, and use up nothing.
func Gate(c fleet.Calendar, e Entry, overrides []Override, used map[QuotaUse]int, now time.Time) (holds []Hold, takes []QuotaTake) {
	for _, f := range c.Freezes {
		span, frozen := f.Window.Around(now)
		if !frozen || !concerns(f.Only, e) {
			continue
		}
		given := givenBy(overrides, e.Object, f.Name)
		if len(given) >= 2 {
			continue
		}
		holds = append(holds, Hold{
			Freeze: f.Name, Until: span.To, Given: given,
			What: fmt.Sprintf("%s freezes %s until %s: %s", f.Name, frozenThings(f.Only, e), stamp(span.To), f.Reason),
		})
	}
	for _, q := range c.Quotas {
		span, applies := q.Window.Around(now)
		if !applies || !concerns(q.Only, e) {
			continue
		}
		use := QuotaUse{Quota: q.Name, From: span.From}
		if gone := used[use]; gone+e.Changes > q.Changes {
			holds = append(holds, Hold{
				Quota: q.Name, Until: span.To,
				What: fmt.Sprintf("%s lets %d changes in until %s; %d have entered, and this would be %d more", q.Name, q.Changes, stamp(span.To), gone, e.Changes),
			})
		}
		takes = append(takes, QuotaTake{QuotaUse: use, Changes: e.Changes, Most: q.Changes})
	}
	slices.SortStableFunc(holds, func(a, b Hold) int { return cmp.Compare(a.Until.UnixNano(), b.Until.UnixNano()) })
	return holds, takes
}

// concerns reports whether a scope covers any part of an Entry. What a scope does not name it does not restrict.
func concerns(s fleet.Only, e Entry) bool {
	if len(s.Environments) > 0 && !slices.Contains(s.Environments, e.Environment) {
		return false
	}
	return meets(s.SBUs, e.SBUs) && meets(s.Pools, e.Pools)
}

func meets(named, present []string) bool {
	return len(named) == 0 || slices.ContainsFunc(named, func(n string) bool { return slices.Contains(present, n) })
}

func frozenThings(s fleet.Only, e Entry) string {
	things := e.Environment
	if len(s.SBUs) > 0 {
		things += " for " + strings.Join(s.SBUs, ", ")
	}
	if len(s.Pools) > 0 {
		things += " on " + strings.Join(s.Pools, ", ")
	}
	return things
}

// givenBy are the people who overrode a freeze for an object, each once, in their order.
func givenBy(overrides []Override, object, freeze string) (people []string) {
	for _, o := range overrides {
		if o.Object == object && o.Freeze == freeze && !slices.Contains(people, o.Actor) {
			people = append(people, o.Actor)
		}
	}
	return people
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
