package pipeline

import (
	"strings"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// plan is where the Coach's plan is, and a part of why.
func (y *yard) plan(state rop.PlanState, reason string) *yard {
	y.t.Helper()
	want(y.t, y.coach.ROP.State, state)
	if !strings.Contains(y.coach.ROP.Reason, reason) {
		y.t.Errorf("the plan's reason is %q, want %q in it", y.coach.ROP.Reason, reason)
	}
	return y
}

func (y *yard) command(kind CommandKind, actor, reason string) *yard {
	y.obs.Commands = []Command{{ID: 1, Kind: kind, Actor: actor, Reason: reason}}
	y.step()
	return y
}

// inFAT, inUAT and inPROD bring a Coach of a fresh yard there.
func (y *yard) inFAT() *yard { return y.publish().is(rop.Delivering, "FAT") }
func (y *yard) inUAT() *yard {
	return y.inFAT().end(roller.Done).end(roller.Done).is(rop.Delivering, "UAT")
}
func (y *yard) inPROD() *yard {
	return y.inUAT().end(roller.Done).end(roller.Done).is(rop.Delivering, "PROD")
}

func TestThePlanOfACoach(t *testing.T) {
	hours := func(y *yard, from, to int) *rop.Window {
		return &rop.Window{From: rop.Moment{Time: y.now.Add(time.Duration(from) * time.Hour)}, To: rop.Moment{Time: y.now.Add(time.Duration(to) * time.Hour)}}
	}
	for _, c := range []struct {
		rule string
		run  func(*yard)
	}{
		{"it goes from draft over passed and in use to closed, each told once", func(y *yard) {
			y.step()
			y.plan(rop.PlanDraft, "")
			y.inUAT().plan(rop.PlanInUse, "")
			want(y.t, y.coach.Approval.Actor, "policy")
			y.end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done).is(rop.Released, "PROD").plan(rop.PlanClosed, "PROD runs it")
			want(y.t, y.tellings("plan_"), []string{"plan_submitted railyard", "plan_passed policy", "plan_in_use railyard", "plan_closed railyard"})
		}},
		{"a draft waits behind FAT until somebody submits it", func(y *yard) {
			y.coach.Plan.Draft = true
			y.inFAT().end(roller.Done).end(roller.Done).is(rop.AwaitingApproval, "FAT").plan(rop.PlanDraft, "rop submit hotel-1.1")
			want(y.t, y.coach.Reason, y.coach.ROP.Reason)
			y.command(CmdSubmit, "person:dev", "ready").is(rop.Delivering, "UAT")
			want(y.t, y.tellings("plan_submitted"), []string{"plan_submitted person:dev"})
		}},
		{"what was submitted cannot be submitted again", func(y *yard) {
			y.inUAT().command(CmdSubmit, "person:dev", "again")
			want(y.t, strings.Contains(y.why("command_submit"), "refused: the plan is no draft any more, it is in use"), true)
		}},
		{"it holds its apps from passing to production, its bookings until it comes back", func(y *yard) {
			y.coach.Plan.Bookings = []rop.Booking{{Capacity: "standard", Servers: 2, Window: hours(y, 1, 2)}}
			y.obs.Turns = map[string]int64{"standard": 4}
			y.inUAT()
			want(y.t, y.reserved, []rop.Reserved{{Plan: "hotel-1", Apps: []string{"hotel-api", "hotel-app"}, Bookings: y.coach.Plan.Bookings, Turns: y.obs.Turns}})
			want(y.t, y.freed, []Release(nil))
			y.end(roller.Done).end(roller.Done).is(rop.Delivering, "PROD")
			want(y.t, y.freed, []Release{{Plan: "hotel-1"}})
			y.end(roller.RolledBack).is(rop.RolledBack, "PROD")
			want(y.t, y.freed, []Release{{Plan: "hotel-1"}, {Plan: "hotel-1", Bookings: true}})
		}},
		{"it does not pass while another plan with one of its apps has, and both are named", func(y *yard) {
			y.obs.Holders = map[string]string{"hotel-app": "hotel-9"}
			y.inFAT().end(roller.Done).end(roller.Done).is(rop.AwaitingApproval, "FAT").plan(rop.PlanSubmitted, "hotel-1 and hotel-9 both release hotel-app")
			y.obs.Holders = nil
			y.steps(1).is(rop.Delivering, "UAT")
		}},
		{"it does not pass while another plan has what it books, and the other is named", func(y *yard) {
			y.coach.Plan.Bookings = []rop.Booking{{Capacity: "standard", Servers: 8, Window: hours(y, 1, 2)}}
			y.obs.Booked = []rop.Booked{{Plan: "flight-3", Capacity: "standard", Servers: 5, From: y.now, To: y.now.Add(24 * time.Hour)}}
			y.inFAT().end(roller.Done).end(roller.Done).is(rop.AwaitingApproval, "FAT").plan(rop.PlanSubmitted, "flight-3 has 5 booked of 10")
		}},
		{"production begins in its window only", func(y *yard) {
			y.coach.Plan.Window = hours(y, 1, 2)
			y.inUAT().end(roller.Done).end(roller.Done).is(rop.Delivering, "UAT")
			want(y.t, strings.Contains(y.coach.Reason, "waits before PROD: its plan lets production begin from"), true)
			y.now = y.coach.Plan.Window.From.Time
			y.steps(1).is(rop.Delivering, "PROD")
		}},
		{"a window that ends while it waits expires it, and its rolls are taken back first", func(y *yard) {
			y.coach.Plan.Window = hours(y, 1, 2)
			y.inUAT()
			y.now = y.coach.Plan.Window.To.Time
			y.steps(3).is(rop.Delivering, "UAT").plan(rop.PlanExpired, "was over before production began")
			want(y.t, len(y.order), 1)
			want(y.t, y.order[0].Kind, roller.CmdRevoke)
			y.end(roller.RolledBack).is(rop.Revoked, "UAT").plan(rop.PlanExpired, "")
		}},
		{"in production the window may end", func(y *yard) {
			y.coach.Plan.Window = hours(y, -1, 2)
			y.inPROD()
			y.now = y.coach.Plan.Window.To.Time
			y.end(roller.Done).end(roller.Done).is(rop.Released, "PROD").plan(rop.PlanClosed, "")
		}},
		{"a branch that is deleted withdraws it", func(y *yard) {
			y.inUAT().command(CmdBranchGone, event.Railyard, "branch release/1.4 of hotel was deleted").plan(rop.PlanWithdrawn, "branch release/1.4 of hotel was deleted")
			y.end(roller.RolledBack).is(rop.Revoked, "UAT")
		}},
		{"but not in production, where it is finished", func(y *yard) {
			y.inPROD().command(CmdBranchGone, event.Railyard, "branch release/1.4 of hotel was deleted").is(rop.Delivering, "PROD").plan(rop.PlanInUse, "")
			want(y.t, strings.Contains(y.why("command_branch_gone"), "what has begun there is finished"), true)
		}},
		{"a person who revokes the Coach withdraws it", func(y *yard) {
			y.obs.Topology.Approvals = nil
			y.inFAT().end(roller.Done).end(roller.Done).command(CmdRevoke, "person:eng", "not tonight").is(rop.Revoked, "FAT").plan(rop.PlanWithdrawn, "withdrawn by person:eng: not tonight")
		}},
		{"rolls that were done before they heard of it do not take the Coach further", func(y *yard) {
			y.inUAT().command(CmdRevoke, "person:eng", "not tonight").end(roller.Done).is(rop.Revoked, "UAT")
		}},
		{"in production they are taken back", func(y *yard) {
			y.inPROD()
			f := y.obs.Rolls["hotel-1.1-PROD-hotel-api"]
			f.From = roller.Revision{ID: "before"}
			y.obs.Rolls[f.ID] = f
			y.command(CmdRevoke, "person:eng", "not tonight").end(roller.Done).is(rop.Returning, "PROD").end(roller.Done).is(rop.Revoked, "PROD")
		}},
		{"an app that moved to another SBU withdraws it, with both named", func(y *yard) {
			y.obs.Topology.Approvals = nil
			y.inFAT().end(roller.Done).end(roller.Done).is(rop.AwaitingApproval, "FAT")
			y.obs.Topology.Apps[1].SBU = "flight"
			y.steps(1).is(rop.Revoked, "FAT").plan(rop.PlanWithdrawn, `"hotel-app" belongs to SBU "flight", the plan to SBU "hotel"`)
		}},
		{"in production it stays where it is", func(y *yard) {
			y.inPROD()
			y.obs.Topology.Apps[1].SBU = "flight"
			y.steps(1).is(rop.Delivering, "PROD")
		}},
		{"it is in use when its Train departs, and holds its apps until the Train is in production", func(y *yard) {
			y.obs.Seat = &Seat{Coach: "hotel-1.1", Train: "hotel-line-1"}
			y.inFAT().end(roller.Done).end(roller.Done).is(rop.Aboard, "FAT").plan(rop.PlanPassed, "")
			y.obs.Seat.Departed, y.obs.Seat.Environment = true, "UAT"
			y.steps(2).is(rop.Aboard, "UAT").plan(rop.PlanInUse, "")
			want(y.t, y.freed, []Release(nil))
			y.obs.Seat.Environment = "PROD"
			y.steps(2).is(rop.Aboard, "PROD")
			want(y.t, y.freed, []Release{{Plan: "hotel-1"}})
			y.obs.Seat.State, y.obs.Seat.Reason = RiderReleased, "PROD runs it"
			y.steps(1).is(rop.Released, "PROD").plan(rop.PlanClosed, "PROD runs it")
		}},
		{"aboard a Train that waits, a window that ends expires it; a Train that has departed goes on", func(y *yard) {
			y.coach.Plan.Window = hours(y, 1, 2)
			y.obs.Seat = &Seat{Coach: "hotel-1.1", Train: "hotel-line-1"}
			y.inFAT().end(roller.Done).end(roller.Done).is(rop.Aboard, "FAT")
			waiting := *y
			y.now = y.coach.Plan.Window.To.Time
			y.steps(1).is(rop.Revoked, "FAT").plan(rop.PlanExpired, "")
			y = &waiting
			y.obs.Seat.Departed, y.obs.Seat.Environment = true, "UAT"
			y.now = y.coach.Plan.Window.To.Time
			y.steps(2).is(rop.Aboard, "UAT").plan(rop.PlanInUse, "")
		}},
		{"its database is migrated and not taken back when what follows is", func(y *yard) {
			y.obs.Topology.Apps[0].Kind, y.obs.Topology.Apps[0].Restart = fleet.KindDatabase, "./migrate"
			y.coach.Plan.Resources.Database = []rop.Migration{{App: "hotel-api", BackwardCompatible: true}}
			y.inPROD()
			want(y.t, y.rolls[len(y.rolls)-1].Kind, roller.Migration)
			f := y.obs.Rolls["hotel-1.1-PROD-hotel-api"]
			f.Kind, f.From, f.To = roller.Migration, roller.Revision{ID: "before"}, roller.Revision{ID: "after"}
			y.obs.Rolls[f.ID] = f
			y.end(roller.Done).end(roller.RolledBack).is(rop.RolledBack, "PROD")
			want(y.t, y.coach.Reason, "production runs what it ran before, but hotel-api keeps its migration: nothing to undo: it is declared backward compatible")
		}},
		{"within a wave its pools go back in the order it says, one after the other", func(y *yard) {
			y.coach.Waves = []rop.Wave{{Pools: append(y.coach.Waves[0].Pools, y.coach.Waves[1].Pools...)}}
			y.coach.Plan.Rollback.Order = []string{"hotel-app", "hotel-api"}
			y.publish()
			for _, env := range []string{"FAT", "UAT", "PROD"} {
				y.is(rop.Delivering, env)
				for _, pool := range []string{"hotel-api", "hotel-app"} {
					id := "hotel-1.1-" + env + "-" + pool
					y.obs.Rolls[id] = RollFact{ID: id, Kind: roller.Release, Stage: roller.Done, From: roller.Revision{ID: "old"}, To: roller.Revision{ID: "new"}}
				}
				y.steps(2)
			}
			y.is(rop.Released, "PROD").command(CmdRollback, "person:eng", "prices are wrong")
			want(y.t, y.backRolls(), []string{roller.GoBackID("hotel-1.1-PROD-hotel-app", 1)})
			y.end(roller.Done)
			want(y.t, y.backRolls(), []string{roller.GoBackID("hotel-1.1-PROD-hotel-app", 1), roller.GoBackID("hotel-1.1-PROD-hotel-api", 1)})
		}},
		{"a plan that ends in UAT is released there", func(y *yard) {
			y.coach.Plan.Environments = []string{"FAT", "UAT"}
			y.inUAT().end(roller.Done).end(roller.Done).is(rop.Released, "UAT").plan(rop.PlanClosed, "")
		}},
		{"it is closed with a candidate that a newer one replaces, and lets its apps go", func(y *yard) {
			y.inUAT()
			y.obs.Newer = "hotel-1.2"
			y.step()
			y.is(rop.Superseded, "UAT").plan(rop.PlanClosed, "hotel-1.2")
			want(y.t, y.freed, []Release{{Plan: "hotel-1"}})
		}},
	} {
		t.Run(c.rule, func(t *testing.T) { c.run(newYard(t)) })
	}
}
