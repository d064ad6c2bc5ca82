package store_test

import (
	"fmt"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/pipeline"
)

var rollRules = []rule{
	{"a save writes the targets it names and leaves the others", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-0", 30))) // the same servers in another roll
		ok(t, s.AddRoll(t.Context(), roll("r-1", 30)))
		other := must[roller.Roll](t)(s.Roll(t.Context(), "r-0"))
		claims := must[[]roller.Claim](t)(s.ClaimRolls(t.Context(), "a", t0, ttl))
		c := claims[1]
		for _, changed := range [][]int{{7}, {1, 2, 29}, {}} {
			save := roller.Save{Roll: c.Roll}
			for _, i := range changed {
				c.Roll.Targets[i].State, c.Roll.Targets[i].Note = roller.Active, fmt.Sprint(changed)
				save.Targets = append(save.Targets, c.Roll.Targets[i])
			}
			ok(t, s.SaveRoll(t.Context(), c, save))
			equal(t, "roll", must[roller.Roll](t)(s.Roll(t.Context(), "r-1")), c.Roll)
		}
		equal(t, "other roll", must[roller.Roll](t)(s.Roll(t.Context(), "r-0")), other)
	}},
	{"a server that joins is added in its batch", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 2)))
		c := claimRoll(t, s, "a", t0)
		joined := roller.Target{Server: "hotel-api-000a", Batch: 1, State: roller.Waiting, Since: t0}
		ok(t, s.SaveRoll(t.Context(), c, roller.Save{Roll: c.Roll, Targets: []roller.Target{joined}}))
		c.Roll.Targets = append(c.Roll.Targets[:1], joined, c.Roll.Targets[1])
		equal(t, "roll", must[roller.Roll](t)(s.Roll(t.Context(), "r-1")), c.Roll)
	}},
	{"a roll of thousands of servers is laid out in one save", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 0)))
		c := claimRoll(t, s, "a", t0)
		big := roll("r-1", 3000)
		for i := range big.Targets {
			big.Targets[i].Server, big.Targets[i].Batch = fmt.Sprintf("hotel-api-%05d", i), i/300
		}
		ok(t, s.SaveRoll(t.Context(), c, roller.Save{Roll: big, Targets: big.Targets}))
		equal(t, "roll", must[roller.Roll](t)(s.Roll(t.Context(), "r-1")), big)
	}},
	{"a saved roll costs three statements, whatever its size", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for _, n := range []int{10, 1000} {
			r := roll(fmt.Sprintf("r-%d", n), 0)
			for i := range n {
				r.Targets = append(r.Targets, roller.Target{Server: fmt.Sprintf("s-%04d", i), State: roller.Waiting})
			}
			ok(t, s.AddRoll(t.Context(), r))
			c := claimRoll(t, s, "a", t0)
			save := func(changed int) int64 {
				before := s.Statements()
				ok(t, s.SaveRoll(t.Context(), c, roller.Save{Roll: c.Roll, Targets: c.Roll.Targets[:changed],
					Events: []event.Event{tell("roll/"+r.ID, "server_switched"), tell("roll/"+r.ID, "batch_done")}}))
				return s.Statements() - before
			}
			none, one, ten := save(0), save(1), save(10)
			t.Logf("roll of %d servers: %d statements for a save without servers, %d with one, %d with ten", n, none, one, ten)
			if none > 2 || one > 3 || ten > 4 {
				t.Errorf("want at most 2, 3 and 4")
			}
		}
	}},
	{"orders are read oldest first until they are handled", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		var want []roller.Command
		for i, kind := range []roller.CommandKind{roller.CmdBrake, roller.CmdSkip, roller.CmdResume} {
			c := roller.Command{Roll: "r-1", Kind: kind, Server: "hotel-api-000", Actor: "person:re", Reason: "为什么", At: t0.Add(time.Duration(i))}
			c.At = c.At.Truncate(time.Microsecond)
			c.ID = must[int64](t)(s.AddRollCommand(t.Context(), c))
			want = append(want, c)
		}
		equal(t, "pending", must[[]roller.Command](t)(s.PendingCommands(t.Context(), "r-1")), want)
		c := claimRoll(t, s, "a", t0)
		ok(t, s.SaveRoll(t.Context(), c, roller.Save{Roll: c.Roll, Handled: []int64{want[0].ID, want[2].ID}}))
		equal(t, "pending", must[[]roller.Command](t)(s.PendingCommands(t.Context(), "r-1")), want[1:2])
	}},
	{"a roll that has ended is not saved again, so a repeated last save changes no site that moved on", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		r := roll("r-1", 1)
		ok(t, s.AddRoll(t.Context(), r))
		c := claimRoll(t, s, "a", t0)
		revision := roller.NewRevision(roller.AppRelease{App: "hotel-api", Package: "sha256:aa"})
		c.Roll.Stage = roller.Done
		last := roller.Save{Roll: c.Roll, Complete: &revision}
		ok(t, s.SaveRoll(t.Context(), c, last))
		wantErr(t, s.SaveRoll(t.Context(), c, last), roller.ErrFenced)
	}},
	{"a roll that has ended takes no order", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		r := roll("r-1", 1)
		r.Stage = roller.Done
		ok(t, s.AddRoll(t.Context(), r))
		_, err := s.AddRollCommand(t.Context(), roller.Command{Roll: "r-1", Kind: roller.CmdBrake, At: t0})
		wantErr(t, err, store.ErrFinished)
		_, err = s.AddRollCommand(t.Context(), roller.Command{Roll: "nothing", Kind: roller.CmdBrake, At: t0})
		wantErr(t, err, pipeline.ErrNotFound)
	}},
	{"rolls are listed newest first without their servers, by what was asked for", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for i, stage := range []roller.Stage{roller.Done, roller.Rolling, roller.Queued} {
			r := roll(fmt.Sprintf("r-%d", i), 2)
			r.Stage, r.Created = stage, t0.Add(time.Duration(i)*time.Second)
			if i == 2 {
				r.Site.Pool, r.Coach = "hotel-app", "hotel-app-1.1"
			}
			ok(t, s.AddRoll(t.Context(), r))
		}
		wantErr(t, s.AddRoll(t.Context(), roll("r-0", 2)), pipeline.ErrConflict)
		for _, c := range []struct {
			what string
			f    store.RollFilter
			want []string
		}{
			{"all", store.RollFilter{}, []string{"r-2", "r-1", "r-0"}},
			{"active", store.RollFilter{Active: true}, []string{"r-2", "r-1"}},
			{"of a site", store.RollFilter{Environment: "PROD", Pool: "hotel-api"}, []string{"r-1", "r-0"}},
			{"of a coach in a stage", store.RollFilter{Coach: "hotel-api-1.1", Stage: roller.Done}, []string{"r-0"}},
		} {
			var ids []string
			for _, r := range must[[]roller.Roll](t)(s.Rolls(t.Context(), c.f, 0)) {
				ids = append(ids, r.ID)
				equal(t, "servers", len(r.Targets), 0)
			}
			equal(t, c.what, ids, c.want)
		}
		rolls := must[[]roller.Roll](t)(s.RollsOfCoach(t.Context(), "hotel-api-1.1"))
		equal(t, "servers of the coach's rolls", []int{len(rolls), len(rolls[0].Targets), len(rolls[1].Targets)}, []int{2, 2, 2})
		_, err := s.Roll(t.Context(), "nothing")
		wantErr(t, err, pipeline.ErrNotFound)
	}},
}
