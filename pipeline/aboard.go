package pipeline

import (
	"fmt"
	"strings"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// SeatChange is what a Coach's decision does to its seat. It holds only as long as the Train has not departed.
type SeatChange struct {
	Train string
	Take  bool   // it boards by its plan's line
	Leave bool   // it has ended
	Heir  string // a newer candidate takes its place: "hotel-api-7.3"
}

// goOn takes a Coach whose plan passed on: aboard the Train that it has a seat in or whose line its plan names, or alone. An
// urgent one skips the Train. Whoever left a Train before departure waits until a person says how it goes on.
func (d *decider) goOn(why string) bool {
	switch {
	case d.Plan.Urgent || d.Alone:
	case d.obs.Seat != nil:
		return d.board(d.obs.Seat.Train)
	case d.Plan.Train != "":
		return d.boardLine(d.Plan.Train)
	case d.Left != "":
		d.Reason = fmt.Sprintf("left Train %s before departure; couple it again (railyard train couple), or let it go on alone (railyard coach alone %s)", d.Left, d.ID)
		return false
	}
	if d.obs.Ahead != "" {
		d.Reason = "waits behind " + d.obs.Ahead + ", an older candidate that is under way in a Train"
		return false
	}
	return d.enterNext(min(1, len(d.environments())-1), why)
}

func (d *decider) board(train string) bool {
	d.Train = train
	d.enter(rop.Aboard, d.Environment, "boards Train "+train)
	return true
}

// boardLine takes a seat in the oldest open Train of a line, but not in one that the Coach left.
func (d *decider) boardLine(line string) bool {
	for _, t := range d.obs.Trains {
		if t.Line == line && t.State == TrainOpen && t.ID != d.Left {
			d.seat = &SeatChange{Train: t.ID, Take: true}
			return d.board(t.ID)
		}
	}
	d.Reason = fmt.Sprintf("waits for a Train of line %s; none is open (railyard train create %s)", line, line)
	return false
}

// carried reports whether the Coach's Train has departed with it: from then on the Train decides.
func (d *decider) carried() bool {
	return d.State == rop.Aboard && d.obs.Seat != nil && d.obs.Seat.Departed
}

// ride follows the Train that the Coach is aboard of.
func (d *decider) ride() bool {
	seat := d.obs.Seat
	switch {
	case d.seat != nil && d.seat.Take:
		return false // it boarded in this decision: the seat is not there before that is saved
	case seat == nil:
		d.Left, d.Train = d.Train, ""
		d.enter(rop.AwaitingApproval, d.Environment, "left Train "+d.Left+" before departure")
		return true
	}
	d.Train = seat.Train
	if !seat.Departed {
		d.Reason = "boards Train " + seat.Train + ", which has not departed"
		return false
	}
	if d.Environment != seat.Environment && seat.Environment != "" {
		d.enter(rop.Aboard, seat.Environment, "Train "+seat.Train+" is in "+seat.Environment)
		d.Stages[len(d.Stages)-1].Name = seat.Environment
	}
	d.Reason = fmt.Sprintf("boards Train %s: %s", seat.Train, seat.Reason)
	switch seat.State {
	case RiderReleased:
		return d.end(rop.Released, seat.Reason)
	case RiderWentBack:
		return d.end(rop.RolledBack, seat.Reason)
	case RiderStopped:
		return d.end(rop.Stopped, seat.Reason)
	}
	return false
}

// giveUpSeat makes room in a Train that has not departed, for the newer candidate if there is one, when the Coach has ended.
func (d *decider) giveUpSeat() {
	seat := d.obs.Seat
	if seat == nil || seat.Departed || !d.State.Terminal() {
		return
	}
	d.seat = &SeatChange{Train: seat.Train, Leave: true}
	if d.State == rop.Superseded {
		d.seat = &SeatChange{Train: seat.Train, Heir: d.obs.Newer}
	}
}

// enterNext opens the gate of an environment behind the first to a Coach that travels alone, unless something keeps it out.
func (d *decider) enterNext(i int, why string) bool {
	env := d.environments()[i]
	hindrance, takes := d.admission(env)
	if hindrance != "" {
		d.Reason = fmt.Sprintf("waits before %s: %s", env.Name, hindrance)
		return false
	}
	d.use = takes
	return d.deliverTo(i, why)
}

// admission says what keeps the Coach out of an environment now, or which quotas it uses up when it goes in: Trains whose pools
// they are, what it requires and does not run, and in production the calendar.
func (d *decider) admission(env fleet.Environment) (why string, takes []ar.QuotaTake) {
	entry := ar.Entry{Object: "coach/" + d.ID, Environment: env.Name, SBUs: []string{d.SBU}, Changes: 1}
	for _, w := range d.Waves {
		for _, p := range w.Pools {
			entry.Pools = append(entry.Pools, p.Pool)
			if train := d.obs.Held[p.Site(env.Name)]; train != "" {
				return fmt.Sprintf("%s is Train %s's until it has gone", p.Site(env.Name), train), nil
			}
		}
	}
	_, err := ar.Plan(ar.Input{Topology: d.obs.Topology, Coaches: []ar.Coach{ar.Of(d.Coach)}, Running: d.obs.Running, Environments: []string{env.Name}})
	if err != nil {
		return strings.Join(problems(err), "; "), nil
	}
	if !env.Production {
		return "", nil
	}
	if w := d.Plan.Window; !w.Contains(d.now) {
		return fmt.Sprintf("its plan lets production begin from %s to %s", w.From, w.To), nil
	}
	holds, takes := ar.Gate(d.obs.Topology.Calendar, entry, d.obs.Overrides, d.obs.Used, d.now)
	return holdWords(holds, "coach "+d.ID), takes
}
