package pipeline

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// TrainDecision is what one step of a Train comes to.
type TrainDecision struct {
	Train   Train
	Changed bool
	Save    TrainSave     // what to write when Changed
	Actions []Action      // what to ask of Jenkins after the save
	Wake    time.Duration // when to look again although nothing was reported; > 0
}

// DecideTrain says what happens next to a Train. It is pure, total, and the same after any crash. Commands come first; then,
// while it is open, who is coupled and what would depart (train_depart.go); once it has departed, what failed goes back
// (train_back.go) and the others go on, wave by wave (train_roll.go). Last comes its job in Jenkins, which decides nothing
// (train_job.go).
func DecideTrain(t Train, obs TrainObservation, now time.Time) TrainDecision {
	d := &trainDecider{Train: cloneTrain(t), obs: obs, before: t}
	d.jobs = jobs{seen: obs.JobFacts, begun: obs.Begun, now: now, wake: time.Second}
	if d.State == TrainOpen {
		d.couple()
		d.propose()
	}
	d.obey()
	switch d.State {
	case TrainOpen:
		d.depart()
	case TrainDelivering:
		d.watch()
		for d.advance() {
		}
	}
	d.save.Free = d.State.Terminal() && !t.State.Terminal()
	unheard := d.attendJob()
	d.Closed = d.State.Terminal() && !unheard
	return d.decision()
}

type trainDecider struct {
	Train
	jobs
	obs    TrainObservation
	before Train
	actor  string
	save   TrainSave
}

func cloneTrain(t Train) Train {
	t.Riders, t.Rolls, t.Stages, t.Problems = slices.Clone(t.Riders), slices.Clone(t.Rolls), slices.Clone(t.Stages), slices.Clone(t.Problems)
	return t
}

func (d *trainDecider) decision() TrainDecision {
	s := &d.save
	s.Seats = d.changedSeats()
	out := TrainDecision{Train: d.Train, Actions: d.actions, Wake: d.wake}
	out.Changed = len(s.Events)+len(s.Handled)+len(s.NewRolls)+len(s.RollCommands)+len(s.Seats)+len(s.Leave) > 0 || s.Free ||
		!reflect.DeepEqual(d.Train, d.before)
	if out.Changed {
		s.Train = d.Train
		out.Save = *s
	}
	return out
}

// changedSeats are the riders whose seats say something else than what is true.
func (d *trainDecider) changedSeats() (changed []Rider) {
	for _, r := range d.Riders {
		i := slices.IndexFunc(d.obs.Seats, func(s Seat) bool { return s.Coach == r.Coach })
		if i < 0 || slices.Contains(d.save.Leave, r.Coach) {
			continue
		}
		if s := d.obs.Seats[i]; s.State != r.State || s.Environment != r.Environment || s.Reason != r.Reason {
			changed = append(changed, r)
		}
	}
	return changed
}

func (d *trainDecider) tell(what, from, to, why string) { d.tellOf("", what, from, to, why) }

// tellOf writes an event that is also a part of a Coach's story.
func (d *trainDecider) tellOf(coach, what, from, to, why string) {
	actor := d.actor
	if actor == "" {
		actor = event.Railyard
	}
	if coach == "" {
		coach = d.ID
	}
	d.save.Events = append(d.save.Events, event.Event{
		At: d.now, Actor: actor, Object: "train/" + d.ID, Coach: coach, What: what, From: from, To: to, Why: why,
	})
}

func (d *trainDecider) enter(state TrainState, environment, why string) {
	from := trainPlace(d.State, d.Environment)
	d.closeStage()
	d.State, d.Environment, d.Reason, d.Entered = state, environment, why, false
	if !state.Terminal() {
		d.Stages = append(d.Stages, rop.StageTime{Name: environment, Start: d.now})
	}
	d.tell("state_changed", from, trainPlace(state, environment), why)
}

func (d *trainDecider) end(state TrainState, why string) {
	d.Verdict = why
	d.enter(state, d.Environment, why)
}

func (d *trainDecider) closeStage() {
	if n := len(d.Stages); n > 0 && d.Stages[n-1].End.IsZero() {
		d.Stages[n-1].End = d.now
	}
}

func trainPlace(state TrainState, environment string) string {
	return strings.TrimSpace(string(state) + " " + environment)
}

// obey carries out people's commands.
func (d *trainDecider) obey() {
	for _, c := range d.obs.Commands {
		d.actor = c.Actor
		refused := ""
		switch {
		case d.State.Terminal():
			refused = "the Train has ended, " + string(d.State)
		case c.Kind == CmdCancel && d.State == TrainOpen:
			d.end(TrainCancelled, "cancelled by "+c.Actor+": "+c.Reason)
			d.save.Leave = append(d.save.Leave, d.in(RiderCoupled, RiderReady)...)
		case c.Kind == CmdCancel:
			d.sendBack(d.in(RiderRiding), "taken back by "+c.Actor+": "+c.Reason)
		case d.State != TrainOpen:
			refused = "it has departed"
		case d.Plan == nil:
			refused = "there is no plan: " + strings.Join(d.Problems, "; ")
		case c.Plan != d.Plan.Digest:
			refused = fmt.Sprintf("the plan that was looked at is %s, and it is %s now; look again (railyard plan %s)", c.Plan, d.Plan.Digest, d.ID)
		case c.Kind == CmdConfirm:
			d.Confirmed, d.ConfirmedBy = c.Plan, c.Actor
		case c.Kind == CmdDepart:
			refused = d.hindrance()
			if refused == "" {
				d.leave("departs by order of " + c.Actor + ": " + c.Reason)
			}
		default:
			refused = fmt.Sprintf("unknown command %q", c.Kind)
		}
		why := c.Reason
		if refused != "" {
			why += " (refused: " + refused + ")"
		}
		d.tell("command_"+string(c.Kind), "", c.Plan, why)
		d.save.Handled = append(d.save.Handled, c.ID)
		d.actor = ""
	}
}

// set moves a rider.
func (d *trainDecider) set(coach string, state RiderState, why string) {
	i := slices.IndexFunc(d.Riders, func(r Rider) bool { return r.Coach == coach })
	if i < 0 {
		return
	}
	r := &d.Riders[i]
	if r.State != state {
		d.tellOf(coach, "rider_"+string(state), string(r.State), string(state), why)
	}
	r.State, r.Environment, r.Reason = state, d.Environment, why
}

func (d *trainDecider) order(roll, why string) {
	d.save.RollCommands = append(d.save.RollCommands, roller.Command{
		Roll: roll, Kind: roller.CmdRollback, Actor: event.Railyard, Reason: why, At: d.now,
	})
}

// coaches are those of some riders as AR wants them, and what is missing of them.
func (d *trainDecider) coaches(ids []string) (coaches []ar.Coach) {
	for _, id := range ids {
		if c, ok := d.obs.Coaches[id]; ok {
			coaches = append(coaches, ar.Of(c))
		}
	}
	return coaches
}
