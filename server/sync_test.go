package server_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/server"
	"railyard/server/api"
)

var prod = fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}

// released completes the old release in production, and pulls a server out behind Railyard's back.
func (y *yard) released() {
	y.t.Helper()
	ctx := context.Background()
	r := roller.Roll{ID: "r-1", Kind: roller.Release, Site: prod, Created: start, Stage: roller.Watch}
	if err := y.store.AddRoll(ctx, r); err != nil {
		y.t.Fatal(err)
	}
	claims, err := y.store.ClaimRolls(ctx, "test", start, time.Hour)
	if err != nil || len(claims) != 1 {
		y.t.Fatalf("claim the roll: %v, %v", claims, err)
	}
	r.Stage = roller.Done
	revision := roller.NewRevision(oldRelease)
	err = y.store.SaveRoll(ctx, claims[0], roller.Save{Roll: r, Complete: &revision, Events: []event.Event{{At: start, Object: "roll/r-1", What: "stage_changed"}}})
	if err != nil {
		y.t.Fatal(err)
	}
	y.show(func(l *server.SiteLook) {
		l.Members["hotel-api-1"], l.Hosts["hotel-api-1"] = roller.Member{Weight: 100, Up: true}, l.Hosts["hotel-api-2"]
		l.Members["hotel-api-2"] = roller.Member{Weight: 0, Up: true}
	})
}

// sync asks for a catch-up of a site.
func (y *yard) sync(who, site string) (int, string) {
	y.t.Helper()
	return y.do(who, "POST", "/api/v1/sites/"+site+"/sync", "application/json", strings.NewReader(`{"reason":"back from repair"}`))
}

func TestASyncIsAStoredRollThatHoldsItsSite(t *testing.T) {
	y := newYard(t)
	y.released()
	y.differ(prod, roller.Difference{Server: "hotel-api-2", Kind: roller.DriftPulledOut, Expected: "weight 100", Found: "weight 0", Since: start})
	status, body := y.sync("engineer", "PROD/hotel-api")
	var answer api.Roll
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Fatalf("got %d %s: %v", status, body, err)
	}
	r, err := y.store.Roll(t.Context(), answer.Id)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != roller.CatchUp || r.To.ID != roller.RevisionID([]roller.AppRelease{oldRelease}) || r.Author != "person:engineer" || r.Stage != roller.Rolling {
		t.Errorf("stored %+v", r)
	}
	states, err := y.store.SiteStates(t.Context())
	if err != nil || len(states) != 1 || states[0].Lock == nil || states[0].Lock.Roll != r.ID {
		t.Errorf("the site's lock: %+v, %v", states, err)
	}
	if kicks := y.kicks(); !slices.Equal(kicks, []string{"roll " + r.ID}) {
		t.Errorf("kicked %v", kicks)
	}
	events, err := y.store.Events(t.Context(), store.EventFilter{Object: "site/PROD/hotel-api"})
	if err != nil || len(events) != 1 || events[0].What != "sync_asked" || events[0].Actor != "person:engineer" || events[0].Why != "back from repair" {
		t.Errorf("events %+v, %v", events, err)
	}
	if status, body = y.do("viewer", "GET", "/api/v1/sites?environment=PROD", "", nil); status != 200 || strings.Contains(body, "differences") {
		t.Errorf("got %d %s, expected no differences while a roll holds the site", status, body)
	}
	if _, body = y.do("viewer", "GET", "/", "", nil); !strings.Contains(body, "rolling</span> <small>batch 1 of ") {
		t.Errorf("the page does not show the roll, which carries no Coach: %s", body)
	}
	if status, body = y.sync("engineer", "PROD/hotel-api"); status != 409 || !strings.Contains(body, r.ID+" holds it") {
		t.Errorf("a second one: got %d %s", status, body)
	}
}

func TestASyncIsRefused(t *testing.T) {
	cases := []struct {
		rule, who, site string
		change          func(y *yard)
		status          int
		says            string
	}{
		{"when nothing differs", "engineer", "PROD/hotel-api", func(y *yard) {
			y.show(func(l *server.SiteLook) {
				for name := range l.Members {
					l.Members[name], l.Hosts[name] = roller.Member{Weight: 100, Up: true}, l.Hosts["hotel-api-2"]
				}
			})
		}, 409, "nothing to catch up: all 3 servers"},
		{"when another roll holds the site", "engineer", "PROD/hotel-api", func(y *yard) {
			if err := y.store.AddRoll(context.Background(), roller.Roll{ID: "r-2", Site: prod, Stage: roller.Queued}); err != nil {
				y.t.Fatal(err)
			}
			if _, err := y.store.LockSites(context.Background(), []fleet.SiteRef{prod}, "r-2", "", start, time.Hour); err != nil {
				y.t.Fatal(err)
			}
		}, 409, "roll r-2 holds it"},
		{"when nothing was ever released", "operator", "FAT/hotel-api", func(*yard) {}, 409, "nothing was ever released on FAT/hotel-api"},
		{"when the site cannot be looked at", "engineer", "PROD/hotel-api", func(y *yard) {
			y.show(func(l *server.SiteLook) { l.Problem = "no driver" })
		}, 503, "no driver"},
		{"for a site that is not there", "operator", "PROD/nothing", func(*yard) {}, 404, "no such site"},
		{"to a developer", "developer", "PROD/hotel-api", func(*yard) {}, 403, "which may not"},
		{"to a release engineer of another SBU", "stranger", "PROD/hotel-api", func(*yard) {}, 403, "belongs to"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			y := newYard(t)
			y.released()
			c.change(y)
			before, err := y.store.Events(t.Context(), store.EventFilter{})
			if err != nil {
				t.Fatal(err)
			}
			if status, body := y.sync(c.who, c.site); status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("got %d %s, expected %d and %q", status, body, c.status, c.says)
			}
			after, err := y.store.Events(t.Context(), store.EventFilter{})
			if err != nil || len(after) != len(before) {
				t.Errorf("%d events, %v; expected the %d of before", len(after), err, len(before))
			}
		})
	}
}

func TestThePageShowsWhatDiffersInBothLanguages(t *testing.T) {
	y := newYard(t)
	y.released()
	var many []roller.Difference
	for _, name := range []string{"hotel-api-1", "hotel-api-2", "hotel-api-3"} {
		many = append(many, roller.Difference{Server: name, Kind: roller.DriftPulledOut, Expected: "weight 100", Found: "weight 0", Since: start},
			roller.Difference{Server: name, Kind: roller.DriftDown, Expected: "up", Found: "DOWN", Since: start})
	}
	y.differ(prod, many...)
	for path, words := range map[string][]string{
		"/":         {"Differs from what is believed (6)", "pulled out: weight 0, expected weight 100", "2 more", "railyard pool sync PROD/hotel-api"},
		"/?lang=zh": {"与记录不符 (6)", "已拉出: weight 0，应为 weight 100", "另有 2 项"},
	} {
		_, body := y.do("viewer", "GET", path, "", nil)
		for _, word := range words {
			if !strings.Contains(body, word) {
				t.Errorf("%s does not say %q", path, word)
			}
		}
	}
}
