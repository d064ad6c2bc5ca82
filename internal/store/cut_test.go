package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
)

// scenes are writes of many statements, each with what has to be there before.
var scenes = []struct {
	name string
	set  func(t *testing.T, s *store.Store) (write func(ctx context.Context) error)
}{
	{"save roll", func(t *testing.T, s *store.Store) func(ctx context.Context) error {
		ok(t, s.AddRoll(t.Context(), roll("r-1", 5)))
		command := must[int64](t)(s.AddRollCommand(t.Context(), roller.Command{Roll: "r-1", Kind: roller.CmdBrake, At: t0}))
		lockSite(t, s, "r-1", t0, "r-1")
		c := claimRoll(t, s, "a", t0)
		save := roller.Save{Roll: c.Roll, Targets: []roller.Target{{Server: "hotel-api-001", Batch: 2}, {Server: "new", Batch: 2}},
			Handled: []int64{command}, Events: []event.Event{tell("roll/r-1", "ended")}, Unlock: true, Complete: &roller.Revision{ID: "abc"}, Bar: "def"}
		save.Roll.Stage = roller.Done
		return func(ctx context.Context) error { return s.SaveRoll(ctx, c, save) }
	}},
	{"save coach", func(t *testing.T, s *store.Store) func(ctx context.Context) error {
		push(t, s, coach(1, 1))
		command := must[int64](t)(s.AddCoachCommand(t.Context(), pipeline.Command{Coach: "hotel-api-1.1", Kind: pipeline.CmdRevoke, At: t0}))
		c := claimCoach(t, s, "a", t0)
		save := pipeline.Save{Coach: c.Coach, NewRolls: []roller.Roll{roll("r-1", 3), roll("r-2", 3)}, Handled: []int64{command},
			RollCommands: []roller.Command{{Roll: "r-1", Kind: roller.CmdRevoke, At: t0}}, Events: []event.Event{tell("coach/x", "delivering")}}
		save.Coach.State = rop.Delivering
		save.Coach.Builds = append(save.Coach.Builds, rop.Build{App: "hotel-api", Attempt: 2, Deployment: "d-2"})
		return func(ctx context.Context) error { return s.SaveCoach(ctx, c, save) }
	}},
	{"take in", func(t *testing.T, s *store.Store) func(ctx context.Context) error {
		id := saveDelivery(t, s, delivery("k1"))
		c := coach(1, 1)
		in := pipeline.TakeIn{Deliveries: []int64{id}, Repository: c.Repository, Branch: c.Branch, NewTip: c.Commit, Coach: &c,
			Events: []event.Event{tell("coach/x", "created")}}
		return func(ctx context.Context) error { return s.TakeIn(ctx, in) }
	}},
}

var errCut = errors.New("cut off")

var cutRules = []rule{
	{"a write that fails after any of its statements half-applies nothing", func(t *testing.T, dsn string) {
		cutEverywhere(t, dsn, func(cancel func()) error { return errCut })
	}},
	{"a write whose context ends after any of its statements half-applies nothing", func(t *testing.T, dsn string) {
		cutEverywhere(t, dsn, func(cancel func()) error { cancel(); return nil })
	}},
}

// cutEverywhere cuts each scene's write off before its first, second … statement and before COMMIT.
func cutEverywhere(t *testing.T, dsn string, cut func(cancel func()) error) {
	s := open(t, dsn)
	for _, scene := range scenes {
		write := scene.set(t, s)
		before := everything(t, s)
		cuts := 0
		for ; ; cuts++ {
			ctx, cancel := context.WithCancel(t.Context())
			reached := false
			restore := s.Cut(cuts, func() error { reached = true; return cut(cancel) })
			err := write(ctx)
			restore()
			cancel()
			if err == nil {
				break // past its last statement, or COMMIT was already under way
			}
			if !reached {
				t.Fatalf("%s: failed by itself: %v", scene.name, err)
			}
			if diff := everything(t, s); diff != before {
				equal(t, fmt.Sprintf("%s, cut before statement %d (%v): database", scene.name, cuts+1, err), diff, before)
			}
		}
		if everything(t, s) == before {
			t.Errorf("%s: succeeded and wrote nothing", scene.name)
		}
		if cuts < 5 {
			t.Errorf("%s: only %d cuts", scene.name, cuts)
		}
		wipe(t, s)
	}
}

func wipe(t *testing.T, s *store.Store) {
	t.Helper()
	names := tables(t, s)
	ok(t, s.Transact(t.Context(), func(exec store.Exec) error {
		for _, table := range names {
			if err := exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
		return nil
	}))
}
