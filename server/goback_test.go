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
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
)

var (
	oldRevision = roller.NewRevision(oldRelease)
	newRevision = roller.NewRevision(newRelease)
)

// completed stores a roll of a site that has completed, without a Coach or with one.
func (y *yard) completed(id, coach string, site fleet.SiteRef, from, to roller.Revision) {
	y.t.Helper()
	ctx := context.Background()
	r := roller.Roll{ID: id, Kind: roller.Release, Coach: coach, Site: site, Created: y.now(), Stage: roller.Watch, From: from, To: to}
	if err := y.store.AddRoll(ctx, r); err != nil {
		y.t.Fatal(err)
	}
	y.complete(id)
}

// complete lets a stored roll complete.
func (y *yard) complete(id string) {
	y.t.Helper()
	ctx := context.Background()
	claims, err := y.store.ClaimRolls(ctx, "test", start, time.Hour)
	if err != nil {
		y.t.Fatal(err)
	}
	for _, claim := range claims {
		if claim.Roll.ID == id {
			r := claim.Roll
			r.Stage = roller.Done
			save := roller.Save{Roll: r, Complete: &r.To, Unlock: true, Events: []event.Event{{At: y.now(), Object: "roll/" + id, What: "stage_changed"}}}
			if r.Bars {
				save.Bar = r.From.ID
			}
			if err := y.store.SaveRoll(ctx, claim, save); err != nil {
				y.t.Fatal(err)
			}
		}
		if err := y.store.ReleaseRoll(ctx, claim); err != nil {
			y.t.Fatal(err)
		}
	}
}

// goBack asks for a roll to be taken back, and returns the answer's status and the roll it names, or its message.
func (y *yard) goBack(who, roll, command string) (int, string) {
	y.t.Helper()
	status, body := y.do(who, "POST", "/api/v1/rolls/"+roll+"/commands", "application/json", strings.NewReader(`{"command":"`+command+`","reason":"wrong prices"}`))
	var answer struct{ Roll string }
	if err := json.Unmarshal([]byte(body), &answer); err == nil && answer.Roll != "" {
		return status, answer.Roll
	}
	return status, body
}

func TestACompletedRollIsTakenBackByARollOfItsOwn(t *testing.T) {
	y := newYard(t)
	y.completed("r-1", "", prod, oldRevision, newRevision)
	if status, id := y.goBack("engineer", "r-1", "rollback"); status != 202 || id != "r-1-back" {
		t.Fatalf("got %d %s", status, id)
	}
	r, err := y.store.Roll(t.Context(), "r-1-back")
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != roller.Rollback || r.Undoes != "r-1" || r.From.ID != newRevision.ID || r.To.ID != oldRevision.ID || !r.Bars || r.Emergency || r.Author != "person:engineer" {
		t.Errorf("stored %+v", r)
	}
	states, err := y.store.SiteStates(t.Context())
	if err != nil || len(states) != 1 || states[0].Lock == nil || states[0].Lock.Roll != r.ID || states[0].Lock.Reason != "takes back r-1" {
		t.Errorf("the site's lock: %+v, %v", states, err)
	}
	events, err := y.store.Events(t.Context(), store.EventFilter{Object: "roll/r-1"})
	if last := events[len(events)-1]; err != nil || last.What != "rollback_asked" || last.Actor != "person:engineer" || last.Why != "wrong prices" || last.To != r.ID {
		t.Errorf("events %+v, %v", events, err)
	}

	if status, id := y.goBack("engineer", "r-1", "rollback"); status != 202 || id != "r-1-back" {
		t.Errorf("asked again: got %d %s", status, id)
	}
	for range 2 {
		if status, id := y.goBack("engineer", "r-1", "emergency"); status != 202 || id != "r-1-back" {
			t.Errorf("hastened: got %d %s", status, id)
		}
	}
	if commands, err := y.store.PendingCommands(t.Context(), "r-1-back"); err != nil || len(commands) == 0 || commands[0].Kind != roller.CmdEmergency {
		t.Errorf("commands %+v, %v", commands, err)
	}
	y.complete("r-1-back")
	if status, id := y.goBack("engineer", "r-1", "rollback"); status != 202 || id != "r-1-back" {
		t.Errorf("asked when it was done: got %d %s", status, id)
	}
	if bars, err := y.store.Bars(t.Context(), prod, false); err != nil || len(bars) != 1 || bars[0].Revision != newRevision.ID {
		t.Errorf("bars %+v, %v", bars, err)
	}
}

func TestTakingACompletedRollBackIsRefused(t *testing.T) {
	newest := roller.NewRevision(roller.AppRelease{App: "hotel-api", Package: "sha256:" + hexOf("newest"), Version: "1.4.3"})
	cases := []struct {
		rule, who, command string
		change             func(y *yard)
		status             int
		says               string
	}{
		{"when something newer has been released since", "engineer", "rollback", func(y *yard) { y.completed("r-2", "", prod, newRevision, newest) }, 409,
			"something newer has been released since: PROD/hotel-api runs " + newest.ID + " (hotel-api 1.4.3) now"},
		{"when another roll holds the site", "engineer", "emergency", func(y *yard) {
			if err := y.store.AddRoll(context.Background(), roller.Roll{ID: "r-2", Site: prod, Stage: roller.Queued}); err != nil {
				y.t.Fatal(err)
			}
			if _, err := y.store.LockSites(context.Background(), []fleet.SiteRef{prod}, "r-2", "", start, time.Hour); err != nil {
				y.t.Fatal(err)
			}
		}, 409, "held by roll r-2"},
		{"to a developer", "developer", "rollback", func(*yard) {}, 403, "which may not"},
		{"to a release engineer of another SBU", "stranger", "emergency", func(*yard) {}, 403, "belongs to"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			y := newYard(t)
			y.completed("r-1", "", prod, oldRevision, newRevision)
			c.change(y)
			if status, body := y.goBack(c.who, "r-1", c.command); status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("got %d %s, expected %d and %q", status, body, c.status, c.says)
			}
		})
	}
	t.Run("of a first release", func(t *testing.T) {
		y := newYard(t)
		y.completed("r-1", "", prod, roller.Revision{}, newRevision)
		if status, body := y.goBack("engineer", "r-1", "rollback"); status != 409 || !strings.Contains(body, "r-1 was the first release on PROD/hotel-api") {
			t.Errorf("got %d %s", status, body)
		}
	})
}

// releasedCoach stores a Coach that was released to production by one roll.
func (y *yard) releasedCoach(from roller.Revision) {
	y.t.Helper()
	y.server.Hurry(300 * time.Millisecond) // no worker takes it up here
	y.takeIn(coach(coachID, "decade0000000000000000000000000000000000", rop.Building))
	y.completed(rollID, coachID, prod, from, newRevision)
	y.save(coachID, func(c *rop.Coach) {
		c.State, c.Environment, c.Reason, c.Closed = rop.Released, "PROD", "released: PROD runs it", true
		c.Rolls = []rop.RollRef{{ID: rollID, Environment: "PROD", Pool: "hotel-api"}}
	})
}

func (y *yard) coachBack(who, body string) (int, string) {
	y.t.Helper()
	return y.do(who, "POST", "/api/v1/coaches/"+coachID+"/rollback", "application/json", strings.NewReader(body))
}

func TestAReleasedCoachIsTakenBack(t *testing.T) {
	for body, kind := range map[string]pipeline.CommandKind{
		`{"reason":"wrong prices"}`: pipeline.CmdRollback, `{"reason":"wrong prices","emergency":true}`: pipeline.CmdEmergency,
	} {
		t.Run(string(kind), func(t *testing.T) {
			y := newYard(t)
			y.releasedCoach(oldRevision)
			for range 2 { // asking again changes nothing: the worker finds the same order twice
				if status, text := y.coachBack("engineer", body); status != 202 {
					t.Fatalf("got %d %s", status, text)
				}
			}
			claims, err := y.store.ClaimCoaches(t.Context(), "worker", start, time.Hour)
			if err != nil || len(claims) != 1 || claims[0].Coach.ID != coachID {
				t.Fatalf("a Coach that had ended is not worked on again: %+v, %v", claims, err)
			}
			facts, err := y.store.Facts(t.Context(), claims[0].Coach)
			if err != nil || len(facts.Commands) != 2 || facts.Commands[0].Kind != kind || facts.Commands[0].Actor != "person:engineer" {
				t.Errorf("commands %+v, %v", facts.Commands, err)
			}
			if kicks := y.kicks(); !slices.Contains(kicks, "coach "+coachID) {
				t.Errorf("kicked %v", kicks)
			}
		})
	}
	t.Run("also by the only roll it has in production", func(t *testing.T) {
		y := newYard(t)
		y.releasedCoach(oldRevision)
		if status, id := y.goBack("engineer", rollID, "rollback"); status != 202 || id != rollID+"-back" {
			t.Fatalf("got %d %s", status, id)
		}
		if claims, err := y.store.ClaimCoaches(t.Context(), "worker", start, time.Hour); err != nil || len(claims) != 1 {
			t.Errorf("the Coach is not taken back: %+v, %v", claims, err)
		}
	})
}

func TestTakingACoachBackIsRefused(t *testing.T) {
	cases := []struct {
		rule, who, body string
		make            func(y *yard)
		status          int
		says            string
	}{
		{"when something newer has been released since", "engineer", `{"reason":"r"}`, func(y *yard) {
			y.releasedCoach(oldRevision)
			y.completed("r-2", "", prod, newRevision, oldRevision)
		}, 409, "roll back coach " + coachID + ": something newer has been released since"},
		{"when it was the first release", "engineer", `{"reason":"r"}`, func(y *yard) { y.releasedCoach(roller.Revision{}) }, 409, "nothing to go back to"},
		{"when it has not reached production", "engineer", `{"reason":"r"}`, func(y *yard) {
			y.takeIn(coach(coachID, "decade0000000000000000000000000000000000", rop.Building))
		}, 409, "nothing of it is in production, it is building"},
		{"without a reason", "engineer", `{}`, func(y *yard) { y.releasedCoach(oldRevision) }, 400, "reason"},
		{"to a developer", "developer", `{"reason":"r"}`, func(y *yard) { y.releasedCoach(oldRevision) }, 403, "which may not"},
		{"to a release engineer of another SBU", "stranger", `{"reason":"r","emergency":true}`, func(y *yard) { y.releasedCoach(oldRevision) }, 403, "belongs to"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			y := newYard(t)
			c.make(y)
			if status, text := y.coachBack(c.who, c.body); status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("got %d %s, expected %d and %q", status, text, c.status, c.says)
			}
		})
	}
}
