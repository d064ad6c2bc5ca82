package store_test

import (
	"testing"
	"time"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
)

// train creates the next Train of a line.
func train(t *testing.T, s *store.Store, line string) pipeline.Train {
	t.Helper()
	return must[pipeline.Train](t)(s.CreateTrain(t.Context(), pipeline.Train{Line: line, SBU: "hotel", Created: t0, State: pipeline.TrainOpen, Mode: pipeline.ByHand},
		func(made pipeline.Train) event.Event { return tell("train/"+made.ID, "train_created") }))
}

func claimTrain(t *testing.T, s *store.Store, owner string, now time.Time) pipeline.TrainClaim {
	t.Helper()
	claims := must[[]pipeline.TrainClaim](t)(s.ClaimTrains(t.Context(), owner, now, ttl))
	if len(claims) != 1 {
		t.Fatalf("%s claimed %d Trains, want 1", owner, len(claims))
	}
	return claims[0]
}

// departed closes a Coach's seat, as departure does.
func departed(t *testing.T, s *store.Store, c pipeline.TrainClaim, coaches ...string) error {
	t.Helper()
	save := pipeline.TrainSave{Train: c.Train, Depart: coaches}
	save.Train.State = pipeline.TrainDelivering
	return s.SaveTrain(t.Context(), c, save)
}

var trainRules = []rule{
	{"Trains of a line are numbered in their order", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		train(t, s, "a")
		train(t, s, "b")
		equal(t, "id", train(t, s, "a").ID, "a-2")
		ids := ""
		for _, one := range must[[]pipeline.Train](t)(s.Trains(t.Context(), store.TrainFilter{Line: "a"}, 0)) {
			ids += one.ID + " "
		}
		equal(t, "Trains of line a", ids, "a-2 a-1 ")
	}},
	{"a Coach has one seat at most", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		one, other := train(t, s, "a"), train(t, s, "b")
		ok(t, s.Couple(t.Context(), pipeline.Seat{Coach: "hotel-api-1.1", Train: one.ID, By: "person:li", At: t0}))
		wantErr(t, s.Couple(t.Context(), pipeline.Seat{Coach: "hotel-api-1.1", Train: other.ID, At: t0}), pipeline.ErrConflict)
		wantErr(t, s.Couple(t.Context(), pipeline.Seat{Coach: "none-1.1", Train: one.ID, At: t0}), pipeline.ErrNotFound)
		facts := must[pipeline.TrainFacts](t)(s.TrainFacts(t.Context(), one))
		equal(t, "seats", facts.Seats, []pipeline.Seat{{Coach: "hotel-api-1.1", Train: "a-1", State: pipeline.RiderCoupled, By: "person:li", At: t0}})
		ok(t, s.Uncouple(t.Context(), "hotel-api-1.1", one.ID))
		wantErr(t, s.Uncouple(t.Context(), "hotel-api-1.1", one.ID), pipeline.ErrNotFound)
		ok(t, s.Couple(t.Context(), pipeline.Seat{Coach: "hotel-api-1.1", Train: other.ID, At: t0}))
	}},
	{"of a Train that departs and a Coach that leaves at the same time, one decides again", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		made := train(t, s, "a")
		seat := pipeline.Seat{Coach: "hotel-api-1.1", Train: made.ID, At: t0}
		ok(t, s.Couple(t.Context(), seat))
		c, owner := claimTrain(t, s, "t", t0), claimCoach(t, s, "c", t0)
		ends := pipeline.Save{Coach: owner.Coach, Seat: &pipeline.SeatChange{Train: made.ID, Leave: true}, Events: []event.Event{tell("coach/hotel-api-1.1", "ended")}}
		ends.Coach.State = rop.Revoked

		ok(t, departed(t, s, c, "hotel-api-1.1"))
		before := everything(t, s)
		wantErr(t, s.SaveCoach(t.Context(), owner, ends), pipeline.ErrConflict)
		wantErr(t, s.Uncouple(t.Context(), "hotel-api-1.1", made.ID), pipeline.ErrConflict)
		equal(t, "database", everything(t, s), before)

		other := train(t, s, "b")
		push(t, s, coach(2, 1))
		ok(t, s.Couple(t.Context(), pipeline.Seat{Coach: "hotel-api-2.1", Train: other.ID, At: t0}))
		ok(t, s.Uncouple(t.Context(), "hotel-api-2.1", other.ID))
		wantErr(t, departed(t, s, claimTrain(t, s, "t", t0), "hotel-api-2.1"), pipeline.ErrConflict)
	}},
	{"nobody is coupled into a Train that has departed", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		made := train(t, s, "a")
		ok(t, departed(t, s, claimTrain(t, s, "t", t0)))
		wantErr(t, s.Couple(t.Context(), pipeline.Seat{Coach: "hotel-api-1.1", Train: made.ID, At: t0}), pipeline.ErrConflict)
	}},
	{"a newer candidate takes the seat over", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		made := train(t, s, "a")
		ok(t, s.Couple(t.Context(), pipeline.Seat{Coach: "hotel-api-1.1", Train: made.ID, At: t0}))
		claim := claimCoach(t, s, "c", t0)
		push(t, s, coach(1, 2))
		save := pipeline.Save{Coach: claim.Coach, Seat: &pipeline.SeatChange{Train: made.ID, Heir: "hotel-api-1.2"}}
		save.Coach.State = rop.Superseded
		ok(t, s.SaveCoach(t.Context(), claim, save))
		facts := must[pipeline.TrainFacts](t)(s.TrainFacts(t.Context(), made))
		equal(t, "who sits", facts.Seats[0].Coach, "hotel-api-1.2")
	}},
	{"a stale fence of a Train writes no row and no event", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		made := train(t, s, "a")
		stale := claimTrain(t, s, "a", t0)
		claimTrain(t, s, "b", t0.Add(ttl))
		before := everything(t, s)
		save := pipeline.TrainSave{Train: made, NewRolls: []roller.Roll{roll("r-1", 3)}, Events: []event.Event{tell("train/a-1", "ended")}, Hold: []fleet.SiteRef{site},
			Use: []ar.QuotaTake{{QuotaUse: ar.QuotaUse{Quota: "q", From: t0}, Changes: 1, Most: 1}}}
		wantErr(t, s.SaveTrain(t.Context(), stale, save), pipeline.ErrFenced)
		wantErr(t, s.RenewTrain(t.Context(), stale, t0, ttl), pipeline.ErrFenced)
		wantErr(t, s.ReleaseTrain(t.Context(), stale), pipeline.ErrFenced)
		equal(t, "database", everything(t, s), before)
	}},
	{"a site is one Train's until that frees it, and of several all or none are taken", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		one, other := train(t, s, "a"), train(t, s, "b")
		claims := must[[]pipeline.TrainClaim](t)(s.ClaimTrains(t.Context(), "t", t0, ttl))
		free := fleet.SiteRef{Environment: "PROD", Pool: "free"}
		ok(t, s.SaveTrain(t.Context(), claims[0], pipeline.TrainSave{Train: one, Hold: []fleet.SiteRef{site}}))
		wantErr(t, s.SaveTrain(t.Context(), claims[1], pipeline.TrainSave{Train: other, Hold: []fleet.SiteRef{free, site}}), pipeline.ErrConflict)
		equal(t, "held", must[pipeline.Picture](t)(s.Picture(t.Context(), t0)).Held, map[fleet.SiteRef]string{site: "a-1"})
		ok(t, s.SaveTrain(t.Context(), claims[0], pipeline.TrainSave{Train: one, Free: true}))
		ok(t, s.SaveTrain(t.Context(), claims[1], pipeline.TrainSave{Train: other, Hold: []fleet.SiteRef{free, site}}))
	}},
	{"a quota lets in as many as it says, and not one more", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		made := train(t, s, "a")
		claim := claimTrain(t, s, "t", t0)
		enter := func(n int) error {
			return s.SaveTrain(t.Context(), claim, pipeline.TrainSave{Train: made,
				Use: []ar.QuotaTake{{QuotaUse: ar.QuotaUse{Quota: "q", From: t0}, Changes: n, Most: 3}}})
		}
		ok(t, enter(2))
		wantErr(t, enter(2), pipeline.ErrConflict)
		ok(t, enter(1))
		wantErr(t, enter(1), pipeline.ErrConflict)
		equal(t, "used", must[pipeline.Picture](t)(s.Picture(t.Context(), t0)).Used, map[ar.QuotaUse]int{{Quota: "q", From: t0}: 3})
	}},
	{"the same person overrides a freeze once", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		o := ar.Override{Object: "train/a-1", Freeze: "golden-week", Actor: "person:li", Reason: "fix", At: t0}
		ok(t, s.AddOverride(t.Context(), o))
		wantErr(t, s.AddOverride(t.Context(), o), pipeline.ErrConflict)
		o.Actor = "person:wang"
		ok(t, s.AddOverride(t.Context(), o))
		equal(t, "overrides", len(must[[]ar.Override](t)(s.Overrides(t.Context(), "train/a-1"))), 2)
	}},
	{"a command to a Train waits until it is handled, and none is taken when it has ended", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		made := train(t, s, "a")
		claim := claimTrain(t, s, "t", t0)
		command := pipeline.TrainCommand{Train: made.ID, Kind: pipeline.CmdDepart, Plan: "abc", Actor: "person:li", Reason: "go", At: t0}
		command.ID = must[int64](t)(s.AddTrainCommand(t.Context(), command))
		equal(t, "commands", must[pipeline.TrainFacts](t)(s.TrainFacts(t.Context(), made)).Commands, []pipeline.TrainCommand{command})
		made.State = pipeline.TrainCancelled
		ok(t, s.SaveTrain(t.Context(), claim, pipeline.TrainSave{Train: made, Handled: []int64{command.ID}}))
		equal(t, "commands", must[pipeline.TrainFacts](t)(s.TrainFacts(t.Context(), made)).Commands, []pipeline.TrainCommand(nil))
		_, err := s.AddTrainCommand(t.Context(), command)
		wantErr(t, err, store.ErrFinished)
	}},
	{"an older candidate that a Train carries is ahead", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		made := train(t, s, "a")
		ok(t, s.Couple(t.Context(), pipeline.Seat{Coach: "hotel-api-1.1", Train: made.ID, At: t0}))
		push(t, s, coach(1, 2))
		equal(t, "ahead before departure", must[pipeline.Facts](t)(s.Facts(t.Context(), coach(1, 2))).Ahead, "")
		ok(t, departed(t, s, claimTrain(t, s, "t", t0), "hotel-api-1.1"))
		equal(t, "ahead", must[pipeline.Facts](t)(s.Facts(t.Context(), coach(1, 2))).Ahead, "hotel-api-1.1 in Train a-1")
	}},
}
