package pipeline

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// Decision is what one step of a Coach comes to.
type Decision struct {
	Coach   rop.Coach
	Changed bool          // Save must be written before Actions are taken
	Save    Save          // what to write when Changed
	Actions []Action      // what to ask of Jenkins after the save
	Wake    time.Duration // when to look again although nothing was reported; > 0
}

// ActionKind is what the worker asks of Jenkins.
type ActionKind string

// The actions. Each may be repeated.
const (
	ActTrigger ActionKind = "trigger" // start the build
	ActEnsure  ActionKind = "ensure"  // ask Jenkins whether it has the build; start it only if not
	ActTell    ActionKind = "tell"    // write Text as the build's description
	ActWake    ActionKind = "wake"    // make the build look how the Coach stands, unless it knows the milepost Text
	ActMark    ActionKind = "mark"    // set Status at the Coach's commit, at the code host; it names no build
)

// Action is one thing to ask of Jenkins, or of the code host.
type Action struct {
	Kind    ActionKind
	Build   rop.Build
	Text    string
	Buttons []string // what of Jenkins' buttons goes with the description: "Rollback"
	Keep    bool     // Jenkins shall not delete the build: what it made is in production
	Status  CommitStatus
}

// Decide says what happens next to a Coach. It is pure, total, and the same after any crash. Commands come first, then
// what a newer candidate means, then the gate the Coach stands at, and last what Jenkins and the code host are told.
func Decide(c rop.Coach, obs Observation, now time.Time) Decision {
	d := &decider{Coach: clone(c), obs: obs, jobs: jobs{seen: obs.JobFacts, begun: obs.Begun, now: now, wake: time.Second}}
	d.obey()
	if !d.State.Terminal() {
		d.superseded()
		d.planned()
		for d.advance() {
			d.planned()
		}
	}
	d.giveUpSeat()
	d.tellOthers()
	return d.decision(c)
}

type decider struct {
	rop.Coach
	jobs
	obs       Observation
	actor     string
	newRolls  []roller.Roll
	orders    []roller.Command
	withdrawn string // why its plan must not go on, said in this decision
	handled   []int64
	seat      *SeatChange
	use       []ar.QuotaTake
	reserve   *rop.Reserved
	freed     *Release
	events    []event.Event
}

func clone(c rop.Coach) rop.Coach {
	c.Builds, c.Rolls, c.Stages = slices.Clone(c.Builds), slices.Clone(c.Rolls), slices.Clone(c.Stages)
	return c
}

func (d *decider) decision(before rop.Coach) Decision {
	out := Decision{Coach: d.Coach, Actions: d.actions, Wake: d.wake}
	out.Changed = len(d.events)+len(d.handled)+len(d.newRolls)+len(d.orders) > 0 || d.seat != nil || d.reserve != nil || d.freed != nil ||
		!reflect.DeepEqual(d.Coach, before)
	if out.Changed {
		out.Save = Save{Coach: d.Coach, NewRolls: d.newRolls, RollCommands: d.orders, Handled: d.handled, Seat: d.seat, Use: d.use,
			Reserve: d.reserve, Release: d.freed, Events: d.events}
	}
	return out
}

func (d *decider) tell(what, from, to, why string) {
	actor := d.actor
	if actor == "" {
		actor = event.Railyard
	}
	d.events = append(d.events, event.Event{
		At: d.now, Actor: actor, Object: "coach/" + d.ID, Coach: d.ID, What: what, From: from, To: to, Why: why,
	})
}

// enter moves the Coach to a state (and environment). Stage times follow.
func (d *decider) enter(state rop.State, environment, why string) {
	from := place(d.State, d.Environment)
	d.State, d.Environment, d.Wave, d.Reason = state, environment, 0, why
	d.closeStage()
	if name := stageName(state, environment); name != "" {
		d.Stages = append(d.Stages, rop.StageTime{Name: name, Start: d.now})
	}
	d.tell("state_changed", from, place(state, environment), why)
}

// end takes the Coach to a terminal state; the environment stays, so that it is seen how far the Coach came.
func (d *decider) end(state rop.State, why string) bool {
	from := place(d.State, d.Environment)
	d.closeStage()
	d.State, d.Reason = state, why
	if state == rop.Released || state == rop.RolledBack {
		d.Verdict = why
	}
	d.tell("state_changed", from, place(state, d.Environment), why)
	d.planned()
	return true
}

func (d *decider) closeStage() {
	if n := len(d.Stages); n > 0 && d.Stages[n-1].End.IsZero() {
		d.Stages[n-1].End = d.now
	}
}

func place(state rop.State, environment string) string {
	if environment == "" || state == rop.Building {
		return string(state)
	}
	return string(state) + " " + environment
}

func stageName(state rop.State, environment string) string {
	switch state {
	case rop.Building:
		return "build"
	case rop.Delivering:
		return environment
	case rop.AwaitingApproval:
		return "approval"
	case rop.Aboard:
		return "train"
	case rop.Returning:
		return "return"
	}
	return ""
}

// superseded ends a candidate that a newer one has replaced, unless it has reached production: there it is finished first,
// and the newer one waits at the pool's lock.
func (d *decider) superseded() {
	if d.obs.Newer == "" || d.carried() || d.inProduction() {
		return
	}
	d.end(rop.Superseded, "superseded by "+d.obs.Newer+": its packages are never promoted")
}

func (d *decider) production() bool {
	env, _ := d.obs.Topology.Environment(d.Environment)
	return env.Production
}

// inProduction reports whether production has begun: from then on the Coach is finished, forward or back.
func (d *decider) inProduction() bool {
	return d.State == rop.Returning || (d.State == rop.Delivering && d.production())
}

// obey carries out people's commands.
func (d *decider) obey() {
	for _, c := range d.obs.Commands {
		d.actor = c.Actor
		answer := c.Reason
		switch {
		case c.Kind == CmdRollback, c.Kind == CmdEmergency:
			if said := d.goBack(c); said != "" {
				answer += " (" + said + ")"
			}
		case d.State.Terminal():
			answer += " (refused: the coach has ended, " + string(d.State) + ")"
		case d.carried():
			answer += fmt.Sprintf(" (refused: it travels in Train %s; take that back: railyard train cancel %s)", d.Train, d.Train)
		case c.Kind == CmdAlone:
			d.Alone = true
		case c.Kind == CmdRevoke:
			d.withdraw(c)
		case c.Kind == CmdBranchGone && d.inProduction():
			answer += " (it is in production, and what has begun there is finished)"
		case c.Kind == CmdBranchGone:
			d.withdraw(c)
		case c.Kind == CmdSubmit:
			answer += d.submit(c)
		default:
			answer += fmt.Sprintf(" (refused: unknown command %q)", c.Kind)
		}
		d.tell("command_"+string(c.Kind), "", "", answer)
		d.handled = append(d.handled, c.ID)
		d.actor = ""
	}
}

// running are the rolls of this Coach that have not ended.
func (d *decider) running() (refs []rop.RollRef) {
	for _, ref := range d.Rolls {
		if f, ok := d.obs.Rolls[ref.ID]; !ok || !f.Stage.Terminal() {
			refs = append(refs, ref)
		}
	}
	return refs
}

// advance passes at most one gate and reports whether it did.
func (d *decider) advance() bool {
	switch d.State {
	case rop.Building:
		return d.built()
	case rop.Delivering:
		return d.delivered()
	case rop.AwaitingApproval:
		return d.approved()
	case rop.Aboard:
		return d.ride()
	case rop.Returning:
		return d.returned()
	}
	return false
}

// environments in the order the Coach passes them.
func (d *decider) environments() []fleet.Environment {
	return rop.EnvironmentsOf(d.Plan, d.obs.Topology)
}

// deliverTo opens an environment's gate.
func (d *decider) deliverTo(i int, why string) bool {
	env := d.environments()[i]
	d.enter(rop.Delivering, env.Name, why)
	return true
}

// passed says what follows an environment that took every wave.
func (d *decider) passed() bool {
	envs := d.environments()
	i := slices.IndexFunc(envs, func(e fleet.Environment) bool { return e.Name == d.Environment })
	switch {
	case i < 0:
		return d.end(rop.Stopped, fmt.Sprintf("environment %q is no longer in the topology", d.Environment))
	case i == len(envs)-1:
		return d.end(rop.Released, "released: "+d.Environment+" runs it")
	case i == 0:
		d.enter(rop.AwaitingApproval, d.Environment, d.Environment+" passed")
		return true
	}
	return d.enterNext(i+1, d.Environment+" passed")
}
