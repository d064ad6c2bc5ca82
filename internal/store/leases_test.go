package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
)

var leaseRules = []rule{
	{"two claimers never both win", twoClaimersNeverBothWin},
	{"a stale fence of a roll writes no row and no event", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 3)))
		stale := claimRoll(t, s, "a", t0)
		claimRoll(t, s, "b", t0.Add(ttl))
		before := everything(t, s)

		save := roller.Save{Roll: stale.Roll, Targets: stale.Roll.Targets, Events: []event.Event{tell("roll/r-1", "ended")},
			Unlock: true, Complete: &roller.Revision{ID: "abc"}, Bar: "abc", Handled: []int64{1}}
		save.Roll.Stage = roller.Done
		wantErr(t, s.SaveRoll(t.Context(), stale, save), roller.ErrFenced)
		wantErr(t, s.RenewRoll(t.Context(), stale, t0.Add(2*ttl), ttl), roller.ErrFenced)
		wantErr(t, s.ReleaseRoll(t.Context(), stale), roller.ErrFenced)
		equal(t, "database", everything(t, s), before)
	}},
	{"a stale fence of a coach writes no row and no event", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		stale := claimCoach(t, s, "a", t0)
		claimCoach(t, s, "b", t0.Add(ttl))
		before := everything(t, s)

		save := pipeline.Save{Coach: stale.Coach, NewRolls: []roller.Roll{roll("r-1", 3)}, Handled: []int64{1},
			RollCommands: []roller.Command{{Roll: "r-1", Kind: roller.CmdBrake}}, Events: []event.Event{tell("coach/hotel-api-1.1", "ended")}}
		save.Coach.State = rop.Released
		wantErr(t, s.SaveCoach(t.Context(), stale, save), pipeline.ErrFenced)
		wantErr(t, s.RenewCoach(t.Context(), stale, t0.Add(2*ttl), ttl), pipeline.ErrFenced)
		wantErr(t, s.ReleaseCoach(t.Context(), stale), pipeline.ErrFenced)
		equal(t, "database", everything(t, s), before)
	}},
	{"a lease is claimable when it is over, not before", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		push(t, s, coach(1, 1))
		first, firstCoach := claimRoll(t, s, "a", t0), claimCoach(t, s, "a", t0)
		justBefore := t0.Add(ttl - time.Microsecond)
		equal(t, "rolls claimed early", must[[]roller.Claim](t)(s.ClaimRolls(t.Context(), "b", justBefore, ttl)), []roller.Claim(nil))
		equal(t, "coaches claimed early", must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), "b", justBefore, ttl)), []pipeline.Claim(nil))
		if next := claimRoll(t, s, "b", t0.Add(ttl)); next.Fence <= first.Fence {
			t.Errorf("fence %d after %d: it must rise", next.Fence, first.Fence)
		}
		if next := claimCoach(t, s, "b", t0.Add(ttl)); next.Fence <= firstCoach.Fence {
			t.Errorf("fence %d after %d: it must rise", next.Fence, firstCoach.Fence)
		}
	}},
	{"a renewed lease outlasts its old end", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		push(t, s, coach(1, 1))
		ok(t, s.RenewRoll(t.Context(), claimRoll(t, s, "a", t0), t0.Add(ttl/2), ttl))
		ok(t, s.RenewCoach(t.Context(), claimCoach(t, s, "a", t0), t0.Add(ttl/2), ttl))
		equal(t, "rolls claimed", must[[]roller.Claim](t)(s.ClaimRolls(t.Context(), "b", t0.Add(ttl), ttl)), []roller.Claim(nil))
		equal(t, "coaches claimed", must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), "b", t0.Add(ttl), ttl)), []pipeline.Claim(nil))
	}},
	{"a released lease is claimable at once, and its claim saves nothing more", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		push(t, s, coach(1, 1))
		r, c := claimRoll(t, s, "a", t0), claimCoach(t, s, "a", t0)
		ok(t, s.ReleaseRoll(t.Context(), r))
		ok(t, s.ReleaseCoach(t.Context(), c))
		wantErr(t, s.SaveRoll(t.Context(), r, roller.Save{Roll: r.Roll}), roller.ErrFenced)
		wantErr(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach}), pipeline.ErrFenced)
		claimRoll(t, s, "b", t0)
		claimCoach(t, s, "b", t0)
	}},
	{"an owner that claims again does not get what it holds", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		push(t, s, coach(1, 1))
		r, c := claimRoll(t, s, "a", t0), claimCoach(t, s, "a", t0)
		equal(t, "rolls", must[[]roller.Claim](t)(s.ClaimRolls(t.Context(), "a", t0, ttl)), []roller.Claim(nil))
		equal(t, "coaches", must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), "a", t0, ttl)), []pipeline.Claim(nil))
		ok(t, s.SaveRoll(t.Context(), r, roller.Save{Roll: r.Roll}))
		ok(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach}))
	}},
	{"a coach that has ended is claimed until everybody was told", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		c := claimCoach(t, s, "a", t0)
		c.Coach.State = rop.Released
		ok(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach}))
		c = claimCoach(t, s, "b", t0.Add(ttl))
		c.Coach.Closed = true
		ok(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach}))
		equal(t, "coaches", must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), "c", t0.Add(3*ttl), ttl)), []pipeline.Claim(nil))
	}},
	{"what has ended is never claimed", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		r, c := roll("r-1", 1), coach(1, 1)
		r.Stage, c.State, c.Closed = roller.Done, rop.Released, true
		ok(t, s.AddRoll(t.Context(), r))
		push(t, s, c)
		equal(t, "rolls", must[[]roller.Claim](t)(s.ClaimRolls(t.Context(), "a", t0, ttl)), []roller.Claim(nil))
		equal(t, "coaches", must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), "a", t0, ttl)), []pipeline.Claim(nil))
	}},
	{"a claim sees what the last owner saved", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 3)))
		a := claimRoll(t, s, "a", t0)
		a.Roll.Stage = roller.Rolling
		a.Roll.Targets[1].State = roller.Settled
		ok(t, s.SaveRoll(t.Context(), a, roller.Save{Roll: a.Roll, Targets: a.Roll.Targets[1:2]}))
		equal(t, "roll", claimRoll(t, s, "b", t0.Add(ttl)).Roll, a.Roll)
	}},
	{"a row that cannot be read is left out, the others are claimed", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		ok(t, s.AddRoll(t.Context(), roll("r-2", 1)))
		ok(t, s.Transact(t.Context(), func(exec store.Exec) error { return exec("UPDATE rolls SET header = '{' WHERE id = 'r-1'") }))
		equal(t, "claimed", claimRoll(t, s, "a", t0).Roll.ID, "r-2")
	}},
}

// twoClaimersNeverBothWin lets eight owners claim the same work when each has seen that it is free.
func twoClaimersNeverBothWin(t *testing.T, dsn string) {
	const pieces = 12
	s := open(t, dsn)
	for i := range pieces {
		ok(t, s.AddRoll(t.Context(), roll(fmt.Sprintf("r-%d", i), 2)))
		push(t, s, coach(1+i, 1))
	}
	for round := range 3 {
		now := t0.Add(time.Duration(round) * ttl) // each round finds all leases just over
		oneWins(t, s, pieces, func(owner string) (won []string, err error) {
			rolls, err := s.ClaimRolls(t.Context(), fmt.Sprint(owner, round), now, ttl)
			for _, c := range rolls {
				won = append(won, c.Roll.ID)
			}
			return won, err
		})
		oneWins(t, s, pieces, func(owner string) (won []string, err error) {
			coaches, err := s.ClaimCoaches(t.Context(), fmt.Sprint(owner, round), now, ttl)
			for _, c := range coaches {
				won = append(won, c.Coach.ID)
			}
			return won, err
		})
	}
}

func oneWins(t *testing.T, s *store.Store, pieces int, claim func(owner string) ([]string, error)) {
	t.Helper()
	const owners = 8
	var mu sync.Mutex
	winners := map[string][]string{}
	var all sync.WaitGroup
	s.Gather(owners)
	for i := range owners {
		owner := fmt.Sprint("owner-", i, "-")
		all.Go(func() {
			won, err := claim(owner)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("claim: %v", err)
			}
			for _, piece := range won {
				winners[piece] = append(winners[piece], owner)
			}
		})
	}
	all.Wait()
	for piece, w := range winners {
		if len(w) != 1 {
			t.Errorf("%s was won by %s", piece, strings.Join(w, " and "))
		}
	}
	if len(winners) != pieces {
		t.Errorf("%d of %d pieces were won: %v", len(winners), pieces, slices.Sorted(maps.Keys(winners)))
	}
}
