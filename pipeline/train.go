package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// TrainState is where a Train is on its way.
type TrainState string

// The states of a Train.
//
//	open ─► delivering UAT ─► delivering PROD ─► arrived
//	  │           └──────┬──────────┴─► stopped, returned
//	  └─► cancelled      └ Coaches that fail go back; the others go on, as the policy says
const (
	TrainOpen       TrainState = "open"       // Coaches are coupled and uncoupled
	TrainDelivering TrainState = "delivering" // rolling in Environment, each child Train wave by wave
	TrainArrived    TrainState = "arrived"    // terminal: at least one Coach is released
	TrainReturned   TrainState = "returned"   // terminal: production runs what it ran before
	TrainStopped    TrainState = "stopped"    // terminal: no Coach passed Environment
	TrainCancelled  TrainState = "cancelled"  // terminal: it never departed
)

// Terminal reports whether nothing more will happen in this state.
func (s TrainState) Terminal() bool { return s != TrainOpen && s != TrainDelivering }

// Mode says what makes a Train depart.
type Mode string

// The modes of departure.
const (
	ByHand   Mode = "hand"  // a person, who names the plan that was looked at
	ByTime   Mode = "time"  // at Train.At, with who is ready then
	ByReadys Mode = "ready" // as soon as every coupled Coach is ready
)

// Modes lists them all.
func Modes() []Mode { return []Mode{ByHand, ByTime, ByReadys} }

// Train is several Coaches that travel together through UAT and production. It is a value; only DecideTrain changes it.
type Train struct {
	ID      string // "hotel-line-3"
	Line    string // "hotel-line": what plans name
	Number  int    // 3
	SBU     string // who manages it: "hotel"
	Created time.Time
	By      string // actor
	Mode    Mode
	At      time.Time // of ByTime
	Policy  ar.Policy

	State       TrainState
	Environment string // the one being delivered to, or where it ended
	Reason      string // why the last transition happened, or what it waits for
	Verdict     string // in words; "" until there is one
	Riders      []Rider

	Plan        *ar.Itinerary // what would depart now; from departure on, what runs. nil = none can be made, see Problems
	Problems    []string      // why there is no plan
	Wanted      []ar.Coach    // those who would depart, or departed, whether there is a plan or not
	Confirmed   string        // digest of the plan that a person confirmed for an automatic departure; "" = nobody did
	ConfirmedBy string
	Departed    time.Time // zero before
	Way         []string  // the environments behind the first, as they were at departure: ["UAT", "PROD"]
	Entered     bool      // the gate of Environment is open: its pools are ours
	Rolls       []TrainRoll
	Stages      []rop.StageTime
	Job         rop.Build // in Jenkins, from departure on: waits for the verdict and carries it. Zero before
	Closed      bool      // terminal, and nobody has to work on it any more
}

// TrainID names a Train: "hotel-line-3".
func TrainID(line string, number int) string { return fmt.Sprintf("%s-%d", line, number) }

// RiderState is where a Coach is in its Train.
type RiderState string

// The states of a rider. Those that a Coach reads as its own end are Released, WentBack and Stopped.
const (
	RiderCoupled   RiderState = "coupled"   // not ready: its own gates come first
	RiderReady     RiderState = "ready"     // waits for departure
	RiderRiding    RiderState = "riding"    // on its way
	RiderReturning RiderState = "returning" // what it changed is being taken back
	RiderReleased  RiderState = "released"  // production runs it
	RiderWentBack  RiderState = "went_back" // production runs what it ran before
	RiderStopped   RiderState = "stopped"   // did not pass an environment before production
)

// Rider is a Coach of a Train.
type Rider struct {
	Coach       string     `json:"coach"`
	State       RiderState `json:"state"`
	Environment string     `json:"environment"` // where it is, or ended
	Reason      string     `json:"reason"`
}

// TrainRoll is a roll of a Train.
type TrainRoll struct {
	ID          string   `json:"id"`
	Environment string   `json:"environment"`
	Child       string   `json:"child"`
	Wave        int      `json:"wave"` // 0, 1 … within the child Train
	Pool        string   `json:"pool"`
	Coaches     []string `json:"coaches"`
	Return      bool     `json:"return,omitempty"` // takes a completed site back
	Asked       bool     `json:"asked,omitempty"`  // was ordered to come back
}

// Seat is a Coach's place in a Train: a fact that both look at. Whoever couples writes it; departure closes it.
type Seat struct {
	Coach       string
	Train       string
	Departed    bool // the Coach may not leave any more
	State       RiderState
	Environment string
	Reason      string
	By          string // actor
	At          time.Time
}

// TrainCommandKind is what a person may ask of a Train.
type TrainCommandKind string

// The commands.
const (
	CmdDepart  TrainCommandKind = "depart"  // now, by the plan that is named
	CmdConfirm TrainCommandKind = "confirm" // an automatic departure may run the plan that is named
	CmdCancel  TrainCommandKind = "cancel"  // before departure: do not depart; after it: take everything back
)

// TrainCommand is a person's order to a Train, stored before it is obeyed.
type TrainCommand struct {
	ID     int64
	Train  string
	Kind   TrainCommandKind
	Plan   string // digest of the plan that was looked at, for CmdDepart and CmdConfirm
	Actor  string
	Reason string
	At     time.Time
}

// TrainFacts is what the store knows about one Train.
type TrainFacts struct {
	Seats     []Seat               // sorted by Coach
	Coaches   map[string]rop.Coach // of the seats
	Rolls     map[string]RollFact
	Begun     map[string]Begun // deployment id → the build that said it does it
	Commands  []TrainCommand   // pending, oldest first
	Overrides []ar.Override    // of freezes, for this Train
}

// Picture is what Trains and Coaches have in common. It may be a second old.
type Picture struct {
	Running ar.Running
	Trains  []Train                  // those that have not ended, oldest first
	Held    map[fleet.SiteRef]string // site → the Train whose it is until it has gone
	Used    map[ar.QuotaUse]int      // quota and window → changes that have entered
}

// TrainObservation is everything DecideTrain may look at besides the Train itself.
type TrainObservation struct {
	TrainFacts
	JobFacts
	Picture
	Topology *fleet.Topology
}

// TrainClaim is a held lease on a Train.
type TrainClaim struct {
	Train Train
	Owner string
	Fence int64
}

// TrainSave is what one decision writes, in one transaction.
type TrainSave struct {
	Train        Train
	NewRolls     []roller.Roll
	RollCommands []roller.Command
	Handled      []int64
	Events       []event.Event
	Depart       []string        // Coaches whose seats are closed; ErrConflict when one has left meanwhile
	Leave        []string        // Coaches whose seats are given up: they were left behind
	Seats        []Rider         // what changed on closed seats
	Hold         []fleet.SiteRef // sites that become the Train's; ErrConflict when one has become another's
	Free         bool            // all its sites are free again
	Use          []ar.QuotaTake  // quotas it enters by; ErrConflict when one is used up meanwhile
}

// TrainStore keeps Trains and the facts about them.
type TrainStore interface {
	// ClaimTrains takes every unfinished Train that nobody holds at now, until now+ttl, raising its fencing number.
	ClaimTrains(ctx context.Context, owner string, now time.Time, ttl time.Duration) ([]TrainClaim, error)
	RenewTrain(ctx context.Context, c TrainClaim, now time.Time, ttl time.Duration) error
	ReleaseTrain(ctx context.Context, c TrainClaim) error
	// SaveTrain writes one decision. ErrFenced writes nothing; ErrConflict writes nothing either: look again.
	SaveTrain(ctx context.Context, c TrainClaim, s TrainSave) error
	// TrainFacts reads what DecideTrain needs of one Train.
	TrainFacts(ctx context.Context, t Train) (TrainFacts, error)
	// Picture reads what all have in common.
	Picture(ctx context.Context, now time.Time) (Picture, error)
}

// rider finds the Train's rider.
func (t Train) rider(coach string) (Rider, bool) {
	i := slices.IndexFunc(t.Riders, func(r Rider) bool { return r.Coach == coach })
	if i < 0 {
		return Rider{}, false
	}
	return t.Riders[i], true
}

// in lists the riders in one of the states, sorted.
func (t Train) in(states ...RiderState) (coaches []string) {
	for _, r := range t.Riders {
		if slices.Contains(states, r.State) {
			coaches = append(coaches, r.Coach)
		}
	}
	return coaches
}

// Underway reports whether the Train has departed and not ended.
func (t Train) Underway() bool { return t.State == TrainDelivering }
