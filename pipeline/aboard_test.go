package pipeline

import (
	"strings"
	"testing"
	"time"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// open is a Train that Coaches may board.
func open(line string, number int) Train {
	return Train{ID: TrainID(line, number), Line: line, Number: number, State: TrainOpen}
}

// seated gives the Coach a seat, as the store would.
func (y *yard) seated(train string) *yard {
	y.obs.Seat = &Seat{Coach: y.coach.ID, Train: train, State: RiderCoupled}
	return y
}

// carried lets the Coach's Train depart and come to this.
func (y *yard) carried(state RiderState, environment, reason string) *yard {
	y.obs.Seat.Departed, y.obs.Seat.State, y.obs.Seat.Environment, y.obs.Seat.Reason = true, state, environment, reason
	return y.steps(2)
}

// throughFAT lets the Coach pass its first environment.
func (y *yard) throughFAT() *yard { return y.publish().end(roller.Done).end(roller.Done).steps(2) }

func TestACoachAndItsTrain(t *testing.T) {
	rules := []struct {
		rule string
		run  func(y *yard)
	}{
		{"a Coach whose plan names a line boards the next open Train of it", func(y *yard) {
			y.coach.Plan.Train = "hotel-line"
			y.obs.Trains = []Train{open("other", 1), {ID: "hotel-line-1", Line: "hotel-line", State: TrainDelivering}, open("hotel-line", 2)}
			y.throughFAT().is(rop.Aboard, "FAT")
			want(y.t, y.coach.Train, "hotel-line-2")
			want(y.t, y.seat, SeatChange{Train: "hotel-line-2", Take: true})
		}},
		{"without an open Train it waits, and says how to get one", func(y *yard) {
			y.coach.Plan.Train = "hotel-line"
			y.throughFAT().is(rop.AwaitingApproval, "FAT")
			want(y.t, y.coach.Reason, "waits for a Train of line hotel-line; none is open (railyard train create hotel-line)")
		}},
		{"an urgent Coach skips the Train", func(y *yard) {
			y.coach.Plan.Train, y.coach.Plan.Urgent = "hotel-line", true
			y.obs.Trains = []Train{open("hotel-line", 2)}
			y.throughFAT().is(rop.Delivering, "UAT")
		}},
		{"one that a person coupled boards that Train once its plan passed", func(y *yard) {
			y.seated("flight-line-1").throughFAT().is(rop.Aboard, "FAT")
			want(y.t, y.coach.Reason, "boards Train flight-line-1, which has not departed")
		}},
		{"while it is carried, its state says where, and its end is the Train's", func(y *yard) {
			y.seated("t-1").throughFAT().carried(RiderRiding, "UAT", "departed with t-1").is(rop.Aboard, "UAT")
			want(y.t, y.coach.Reason, "boards Train t-1: departed with t-1")
			y.carried(RiderReleased, "PROD", "released: PROD runs it, by Train t-1").is(rop.Released, "PROD")
			want(y.t, y.coach.Verdict, "released: PROD runs it, by Train t-1")
			want(y.t, len(y.rolls), 2) // of FAT: the Train made the others
		}},
		{"a Coach that its Train took back is rolled back, one that did not pass UAT is stopped", func(y *yard) {
			y.seated("t-1").throughFAT().carried(RiderWentBack, "PROD", "hard breach").is(rop.RolledBack, "PROD")
			y = newYard(y.t)
			y.seated("t-1").throughFAT().carried(RiderStopped, "UAT", "hard breach").is(rop.Stopped, "UAT")
		}},
		{"a Coach without a line that was uncoupled does not go on by itself", func(y *yard) {
			y.seated("t-1").throughFAT().is(rop.Aboard, "FAT")
			y.obs.Seat = nil
			y.steps(3).is(rop.AwaitingApproval, "FAT")
			want(y.t, strings.HasPrefix(y.coach.Reason, "left Train t-1 before departure; couple it again"), true)
			y.obs.Commands = []Command{{ID: 1, Kind: CmdAlone, Actor: "person:eng", Reason: "small"}}
			y.steps(2).is(rop.Delivering, "UAT")
		}},
		{"one with a line boards the next Train, and not the one it left", func(y *yard) {
			y.coach.Plan.Train = "hotel-line"
			y.obs.Trains = []Train{open("hotel-line", 1)}
			y.throughFAT().is(rop.Aboard, "FAT")
			y.obs.Seat = nil
			y.steps(3).is(rop.AwaitingApproval, "FAT")
			want(y.t, y.coach.Left, "hotel-line-1")
			y.obs.Trains = append(y.obs.Trains, open("hotel-line", 2))
			y.steps(1).is(rop.Aboard, "FAT")
			want(y.t, y.coach.Train, "hotel-line-2")
		}},
		{"a newer candidate takes the seat over before departure, and supersedes nobody after it", func(y *yard) {
			y.seated("t-1").throughFAT()
			y.obs.Newer = "hotel-1.2"
			y.step()
			y.is(rop.Superseded, "FAT")
			want(y.t, y.seat, SeatChange{Train: "t-1", Heir: "hotel-1.2"})
			y = newYard(y.t)
			y.seated("t-1").throughFAT().carried(RiderRiding, "UAT", "")
			y.obs.Newer = "hotel-1.2"
			y.steps(2).is(rop.Aboard, "UAT")
		}},
		{"a newer candidate does not overtake one that a Train carries", func(y *yard) {
			y.obs.Ahead = "hotel-1.0 in Train t-1"
			y.throughFAT().is(rop.AwaitingApproval, "FAT")
			want(y.t, y.coach.Reason, "waits behind hotel-1.0 in Train t-1, an older candidate that is under way in a Train")
			y.obs.Ahead = ""
			y.steps(1).is(rop.Delivering, "UAT")
		}},
		{"a withdrawn Coach gives its seat up; one that is carried is not withdrawn alone", func(y *yard) {
			y.seated("t-1").throughFAT()
			y.obs.Commands = []Command{{ID: 1, Kind: CmdRevoke, Actor: "person:eng", Reason: "wrong"}}
			y.step()
			y.is(rop.Revoked, "FAT")
			want(y.t, y.seat, SeatChange{Train: "t-1", Leave: true})
			y = newYard(y.t)
			y.seated("t-1").throughFAT().carried(RiderRiding, "UAT", "")
			y.obs.Commands = []Command{{ID: 1, Kind: CmdRevoke, Actor: "person:eng", Reason: "wrong"}}
			y.steps(2).is(rop.Aboard, "UAT")
		}},
		{"a Coach alone waits for a pool that a Train holds", func(y *yard) {
			y.obs.Held = map[fleet.SiteRef]string{{Environment: "UAT", Pool: "hotel-app"}: "t-1"}
			y.throughFAT().is(rop.AwaitingApproval, "FAT")
			want(y.t, y.coach.Reason, "waits before UAT: UAT/hotel-app is Train t-1's until it has gone")
		}},
		{"a Coach alone waits for what its plan requires", func(y *yard) {
			y.coach.Plan.Requires = []rop.Requirement{{Project: "flight"}}
			y.throughFAT().is(rop.AwaitingApproval, "FAT")
			want(y.t, strings.HasPrefix(y.coach.Reason, "waits before UAT: hotel-1.1 requires project flight, and UAT runs none of it"), true)
		}},
		{"a freeze holds a Coach before production, and a quota counts it", func(y *yard) {
			window := fleet.Window{From: "2000-01-01T00:00:00Z", To: "2100-01-01T00:00:00Z"}
			y.obs.Topology.Calendar = fleet.Calendar{
				Freezes: []fleet.Freeze{{Name: "always", Reason: "test", Only: fleet.Only{Pools: []string{"hotel-app"}}, Window: window}},
				Quotas:  []fleet.Quota{{Name: "few", Changes: 1, Window: window}},
			}
			y.throughFAT().end(roller.Done).end(roller.Done).is(rop.Delivering, "UAT")
			want(y.t, strings.HasPrefix(y.coach.Reason, "waits before PROD: always freezes PROD on hotel-app until 2100-01-01 00:00 UTC: test"), true)
			y.obs.Overrides = []ar.Override{{Object: "coach/hotel-1.1", Freeze: "always", Actor: "person:a"}, {Object: "coach/hotel-1.1", Freeze: "always", Actor: "person:b"}}
			y.steps(1).is(rop.Delivering, "PROD")
			began := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
			want(y.t, y.used, []ar.QuotaTake{{QuotaUse: ar.QuotaUse{Quota: "few", From: began}, Changes: 1, Most: 1}})
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(newYard(t)) })
	}
}
