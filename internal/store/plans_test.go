package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
)

// planned is a Coach that was tested, with a plan that waits to pass.
func planned(series, candidate int, apps ...string) rop.Coach {
	c := coach(series, candidate)
	c.State, c.ROP.State, c.Plan.Apps = rop.AwaitingApproval, rop.PlanSubmitted, apps
	return c
}

func booking(servers int) rop.Booking {
	return rop.Booking{Capacity: "standard", Servers: servers, Window: &rop.Window{From: rop.Moment{Time: t0}, To: rop.Moment{Time: t0.Add(time.Hour)}}}
}

// claimOf claims every Coach and returns the claim of one.
func claimOf(t *testing.T, s *store.Store, owner string, c rop.Coach) pipeline.Claim {
	t.Helper()
	for _, claim := range must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), owner, t0, 0)) {
		if claim.Coach.ID == c.ID {
			return claim
		}
	}
	t.Fatalf("no claim of %s", c.ID)
	return pipeline.Claim{}
}

func reserve(t *testing.T, s *store.Store, c rop.Coach, r rop.Reserved) error {
	t.Helper()
	claim := claimOf(t, s, "a", c)
	return s.SaveCoach(t.Context(), claim, pipeline.Save{Coach: claim.Coach, Reserve: &r})
}

func plansFacts(t *testing.T, s *store.Store, c rop.Coach) pipeline.Facts {
	t.Helper()
	return must[pipeline.Facts](t)(s.Facts(t.Context(), c))
}

var planRules = []rule{
	{"an app is held by one plan until that one lets it go", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		one, two := planned(1, 1, "hotel-api", "hotel-app"), planned(2, 1, "hotel-app")
		push(t, s, one)
		push(t, s, two)
		ok(t, reserve(t, s, one, rop.Reserved{Plan: "hotel-api-1", Apps: one.Plan.Apps}))
		ok(t, reserve(t, s, one, rop.Reserved{Plan: "hotel-api-1", Apps: one.Plan.Apps})) // as after a lost reply
		equal(t, "holders", plansFacts(t, s, two).Holders, map[string]string{"hotel-app": "hotel-api-1"})
		claim := claimOf(t, s, "a", two)
		before := everything(t, s)
		passed := claim.Coach
		passed.ROP.State = rop.PlanPassed
		wantErr(t, s.SaveCoach(t.Context(), claim, pipeline.Save{Coach: passed, Reserve: &rop.Reserved{Plan: "hotel-api-2", Apps: two.Plan.Apps}}), pipeline.ErrConflict)
		equal(t, "database", everything(t, s), before)
		claim = claimOf(t, s, "b", one)
		ok(t, s.SaveCoach(t.Context(), claim, pipeline.Save{Coach: claim.Coach, Release: &pipeline.Release{Plan: "hotel-api-1"}}))
		ok(t, reserve(t, s, two, rop.Reserved{Plan: "hotel-api-2", Apps: two.Plan.Apps}))
	}},
	{"of bookings that were decided on the same turn one can be saved, by whichever replica", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		const plans = 4
		var coaches []rop.Coach
		for i := range plans {
			c := planned(i+1, 1)
			c.Plan.Apps, c.Plan.Bookings = []string{c.ID}, []rop.Booking{booking(3)}
			push(t, s, c)
			coaches = append(coaches, c)
		}
		claims := must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), "a", t0, 0))
		turns := plansFacts(t, s, coaches[0]).Turns
		errs := make([]error, plans)
		var all sync.WaitGroup
		for i, claim := range claims {
			r := rop.Reserved{Plan: rop.SeriesID(claim.Coach.Project, claim.Coach.Series), Apps: claim.Coach.Plan.Apps, Bookings: claim.Coach.Plan.Bookings, Turns: turns}
			all.Go(func() { errs[i] = s.SaveCoach(t.Context(), claim, pipeline.Save{Coach: claim.Coach, Reserve: &r}) })
		}
		all.Wait()
		saved := 0
		for _, err := range errs {
			if err == nil {
				saved++
			} else if !errors.Is(err, pipeline.ErrConflict) {
				t.Error(err)
			}
		}
		equal(t, "saved", saved, 1)
		facts := plansFacts(t, s, coaches[0])
		equal(t, "bookings", len(facts.Booked), 1)
		equal(t, "turn", facts.Turns["standard"], int64(1))
	}},
	{"a plan's bookings replace those of its earlier candidate, and go when it lets them go", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		c := planned(1, 1, "hotel-api")
		c.Plan.Bookings = []rop.Booking{booking(3)}
		push(t, s, c)
		ok(t, reserve(t, s, c, rop.Reserved{Plan: "hotel-api-1", Bookings: []rop.Booking{booking(3), booking(1)}}))
		wantErr(t, reserve(t, s, c, rop.Reserved{Plan: "hotel-api-1", Bookings: []rop.Booking{booking(2)}}), pipeline.ErrConflict) // an old turn
		ok(t, reserve(t, s, c, rop.Reserved{Plan: "hotel-api-1", Bookings: []rop.Booking{booking(2)}, Turns: plansFacts(t, s, c).Turns}))
		want := []rop.Booked{{Plan: "hotel-api-1", Capacity: "standard", Servers: 2, From: t0, To: t0.Add(time.Hour)}}
		equal(t, "facts", plansFacts(t, s, c).Booked, want)
		equal(t, "list", must[[]rop.Booked](t)(s.Bookings(t.Context(), t0)), want)
		equal(t, "list when it is over", len(must[[]rop.Booked](t)(s.Bookings(t.Context(), t0.Add(time.Hour)))), 0)
		claim := claimOf(t, s, "b", c)
		ok(t, s.SaveCoach(t.Context(), claim, pipeline.Save{Coach: claim.Coach, Release: &pipeline.Release{Plan: "hotel-api-1", Bookings: true}}))
		equal(t, "facts afterwards", len(plansFacts(t, s, c).Booked), 0)
	}},
	{"a plan that has passed is not asked what others hold", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		c := planned(1, 1, "hotel-api")
		push(t, s, c)
		ok(t, reserve(t, s, c, rop.Reserved{Plan: "hotel-api-9", Apps: []string{"hotel-api"}}))
		c.ROP.State = rop.PlanPassed
		equal(t, "holders", len(plansFacts(t, s, c).Holders), 0)
	}},
	{"an approval is a fact of every candidate of its project Coach, and of no other", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for _, c := range []rop.Coach{coach(1, 1), coach(1, 2), coach(2, 1)} {
			push(t, s, c)
		}
		a := rop.Approval{Coach: coach(1, 1).ID, Actor: "person:eng", At: t0, Plan: "sha256:aa"}
		ok(t, s.AddApproval(t.Context(), a.Coach, a))
		equal(t, "of 1.1", plansFacts(t, s, coach(1, 1)).Approvals, []rop.Approval{a})
		equal(t, "of 1.2", plansFacts(t, s, coach(1, 2)).Approvals, []rop.Approval{a})
		equal(t, "of 2.1", len(plansFacts(t, s, coach(2, 1)).Approvals), 0)
	}},
	{"a branch that is deleted tells its newest coach in the same transaction, unless that one has ended", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		c := coach(1, 1)
		push(t, s, c)
		gone := pipeline.Command{Coach: c.ID, Kind: pipeline.CmdBranchGone, Actor: "railyard", Reason: "deleted", At: t0}
		tip := must[string](t)(s.Tip(t.Context(), c.Repository, c.Branch))
		ok(t, s.TakeIn(t.Context(), pipeline.TakeIn{Repository: c.Repository, Branch: c.Branch, OldTip: tip, Command: &gone}))
		commands := plansFacts(t, s, c).Commands
		equal(t, "commands", len(commands), 1)
		gone.ID = commands[0].ID
		equal(t, "command", commands[0], gone)
		ended := coach(2, 1)
		ended.State, ended.Branch = rop.Released, "release/2.0"
		push(t, s, ended)
		gone.Coach = ended.ID
		ok(t, s.TakeIn(t.Context(), pipeline.TakeIn{Repository: ended.Repository, Branch: ended.Branch, OldTip: must[string](t)(s.Tip(t.Context(), ended.Repository, ended.Branch)), Command: &gone}))
		equal(t, "commands to the ended", len(plansFacts(t, s, ended).Commands), 0)
	}},
}
