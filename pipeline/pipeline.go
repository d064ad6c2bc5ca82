// Package pipeline says what happens next to a Coach, from commit to verdict.
//
// Decide is pure: the saved Coach, what was observed, and now go in; the next Coach, the rolls to make, the actions to take
// and a named reason come out. The Worker observes, decides, saves, then acts; it is the only writer of a Coach.
// Everybody else (webhook, API, Jenkins) writes facts: deliveries, packages, approvals, commands.
//
//	push ─► intake.go: a Coach ─► decide.go: build → FAT → approval → UAT → PROD → verdict ─► told to Jenkins
package pipeline

import (
	"context"
	"errors"
	"time"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// Observation is everything Decide may look at besides the Coach itself.
type Observation struct {
	Facts
	Picture
	JobFacts
	Topology *fleet.Topology
	Marks    bool     // the code host shows marks beside the commits of the Coach's repository
	Marked   *Telling // how the last mark of this process ended; nil = none was set
}

// Triggered is how a trigger ended.
type Triggered struct {
	At      time.Time
	QueueID int64
	Err     string // "" = Jenkins has it
	Refused bool   // Jenkins answered and will not: trying again cannot help until somebody changes something there
}

// Telling is how telling Jenkins a description, or the code host a mark, ended.
type Telling struct {
	At      time.Time
	Text    string
	Err     string
	Refused bool // it answered and will not: trying again cannot help until somebody changes something there
}

// BuildFact is what Jenkins says about one deployment id.
type BuildFact struct {
	Known   bool // false: Jenkins was asked and has neither queue item nor build of it
	QueueID int64
	Number  int64
	URL     string
	Running bool
	Done    bool   // ended for good
	Result  string // Jenkins' result once Done
	Err     string // Jenkins could not be asked: why
}

// Package is a published package.
type Package struct {
	Deployment string
	App        string
	Digest     string // "sha256:…"
	Size       int64  // bytes
	At         time.Time
}

// RollFact is how a roll stands.
type RollFact struct {
	ID     string
	Kind   roller.Kind
	Stage  roller.Stage
	Batch  int
	Of     int // batches
	Paused bool
	Reason string
	From   roller.Revision // what the site ran before; zero on a first release
	To     roller.Revision // what it brings
}

// CommandKind is what a person may ask of a Coach.
type CommandKind string

// The commands.
const (
	CmdRevoke     CommandKind = "revoke"      // withdraw the Coach, and its plan with it
	CmdAlone      CommandKind = "alone"       // go on without a Train
	CmdSubmit     CommandKind = "submit"      // submit its plan
	CmdBranchGone CommandKind = "branch_gone" // its branch was deleted: withdraw it unless it is in production
	CmdRollback   CommandKind = "rollback"    // take it out of production again, batched and judged; also when it was released
	CmdEmergency  CommandKind = "emergency"   // the same, without judgement and as parallel as the floor allows
)

// Command is a person's order to a Coach, stored before it is obeyed.
type Command struct {
	ID     int64
	Coach  string
	Kind   CommandKind
	Actor  string
	Reason string
	At     time.Time
}

// Delivery is one accepted webhook, stored before it is answered.
type Delivery struct {
	ID         int64
	Provider   string // "generic", "github"
	Key        string // the host's delivery id: a second one with the same key is the same delivery
	Repository string // "hotel/hotel-api"
	Branch     string // "release/1.4"
	After      string // the pushed commit as the host says; the mirror's tip is what counts
	Pusher     string
	At         time.Time
	Tries      int
	RetryAt    time.Time
	Note       string // the last error
}

// Store keeps Coaches and the facts about them.
type Store interface {
	// PendingDeliveries returns unprocessed deliveries whose RetryAt has come, oldest first.
	PendingDeliveries(ctx context.Context, now time.Time, limit int) ([]Delivery, error)
	// SaveDelivery keeps a delivery; one whose provider and key are known changes nothing.
	SaveDelivery(ctx context.Context, d Delivery, events ...event.Event) (id int64, duplicate bool, err error)
	// Tips are the last commits of a repository's branches that were taken in, "" for one that was deleted; empty before
	// the first push.
	Tips(ctx context.Context, repository string) (map[string]string, error)
	// Tip is the last commit of a branch that was taken in; "" if none.
	Tip(ctx context.Context, repository, branch string) (string, error)
	// LatestCoach is the newest candidate of a repository's branch; ErrNotFound if none.
	LatestCoach(ctx context.Context, repository, branch string) (rop.Coach, error)
	// LastSeries is the highest series number of a project, 0 if none.
	LastSeries(ctx context.Context, project string) (int, error)
	// TakeIn saves, in one transaction: the deliveries as done, the branch's tip (which must still be oldTip: ErrConflict
	// otherwise), the new Coach (nil when there is none) and the events.
	TakeIn(ctx context.Context, t TakeIn) error
	// PutOffDelivery records an error and the time of the next try.
	PutOffDelivery(ctx context.Context, id int64, note string, retryAt time.Time) error

	// ClaimCoaches takes every unfinished Coach that nobody holds at now, until now+ttl, raising its
	// fencing number.
	ClaimCoaches(ctx context.Context, owner string, now time.Time, ttl time.Duration) ([]Claim, error)
	RenewCoach(ctx context.Context, c Claim, now time.Time, ttl time.Duration) error
	ReleaseCoach(ctx context.Context, c Claim) error
	// SaveCoach writes the Coach, the new rolls, the commands to rolls, the handled commands and the events in one
	// transaction. ErrFenced writes nothing; nor does ErrConflict: another plan holds what this one would reserve.
	SaveCoach(ctx context.Context, c Claim, s Save) error
	// Facts reads what Decide needs of a Coach: packages, rolls, newest candidate, approvals, pending commands, and what other
	// plans hold as long as its own has not passed.
	Facts(ctx context.Context, c rop.Coach) (Facts, error)
}

// Facts is the part of an Observation that the store holds.
type Facts struct {
	Packages  map[string]Package  // deployment id → what was published
	Begun     map[string]Begun    // deployment id → the build that said it does it
	Rolls     map[string]RollFact // roll id → how it stands
	Newer     string              // the newest candidate's id when it is not this one
	Approvals []rop.Approval      // given by people for this project Coach, whichever of its candidates, oldest first
	Holders   map[string]string   // app → the project Coach whose plan passed with it and is not in production yet
	Booked    []rop.Booked        // what plans have booked of the stocks that this one books
	Turns     map[string]int64    // stock → how often it was booked: of two decisions on one turn, one can be saved
	Commands  []Command           // pending, oldest first
	Seat      *Seat               // in a Train; nil = none
	Ahead     string              // an older candidate of the project that a Train which has departed carries, and that Train; "" = none
	Overrides []ar.Override       // of freezes, for this Coach
}

// Begun is a Jenkins build that said it does a deployment ("railyard begin").
type Begun struct {
	Number int64
	URL    string
}

// TakeIn is what one processed push writes.
type TakeIn struct {
	Deliveries     []int64
	Repository     string
	Branch         string
	OldTip, NewTip string
	Coach          *rop.Coach
	Command        *Command // to the branch's newest Coach; nil = none. One that has ended is told nothing
	Events         []event.Event
}

// Claim is a held lease on a Coach.
type Claim struct {
	Coach rop.Coach
	Owner string
	Fence int64
}

// Save is what one decision writes.
type Save struct {
	Coach        rop.Coach
	NewRolls     []roller.Roll
	RollCommands []roller.Command
	Handled      []int64
	Seat         *SeatChange    // ErrConflict when its Train has departed meanwhile
	Use          []ar.QuotaTake // quotas it enters production by; ErrConflict when one is used up meanwhile
	Reserve      *rop.Reserved  // what the plan holds from now on; ErrConflict when another plan holds a part of it
	Release      *Release       // what it gives up
	Events       []event.Event
}

// Release says what a project Coach's plan gives up.
type Release struct {
	Plan     string // "hotel-api-7"
	Bookings bool   // its bookings too, not only its apps
}

// Errors of a Store, by errors.Is.
var (
	ErrFenced   = errors.New("another replica owns this coach")
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("changed by another replica meanwhile")
)
