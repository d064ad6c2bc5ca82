package roller

import (
	"context"
	"errors"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// The small interfaces the runner needs. Drivers implement them and pass the conformance suites in balancertest and
// hosttest. Every method may be called again with the same arguments after a crash.

// Balancer is one site's part of a load balancer. It is safe for concurrent use.
type Balancer interface {
	// Observe reads the whole state of the site's backend at once, by member name.
	Observe(ctx context.Context) (map[string]Member, error)
	// SetWeight sets our flag: 0 pulls a member out, 1–100 pulls it in at that percentage of a full share. It never changes
	// anything else. It returns once the balancer has taken the order; the effect is seen by Observe.
	SetWeight(ctx context.Context, member string, weight int) error
}

// Member is a server as its balancer sees it.
type Member struct {
	Weight   int  // our flag, percent: 0 = pulled out by us
	Up       bool // the balancer's own health check passes
	Foreign  bool // somebody else's maintenance or drain: not ours to undo
	Sessions int  // requests or sessions in progress on it
	// Detail is the balancer's own word: "UP", "MAINT", "DOWN 1/2", "no check".
	Detail string
}

// Host reaches the servers of a site. It is safe for concurrent use; calls on different machines run side by side.
type Host interface {
	// Observe reports what the machine really runs. errors.Is(err, ErrUnreachable) when it cannot be asked.
	Observe(ctx context.Context, m Machine) (HostState, error)
	// Switch makes the machine run the revision: fetch the packages that are missing, verify their SHA-256, unpack, switch
	// each app's symlink atomically, restart. It does nothing for an app that already runs its part. Two calls at once are
	// serialised on the machine itself, so one that was cut off cannot fight the next.
	// errors.Is(err, ErrUnreachable): try again; errors.Is(err, ErrPermanent): trying again cannot help (wrong digest,
	// unsafe archive); any other error: try again within the step's time.
	Switch(ctx context.Context, m Machine, r Revision) error
}

// Machine is a server with what a host driver needs to work on it.
type Machine struct {
	Site   fleet.SiteRef
	Server fleet.Server
	Apps   []fleet.App
}

// HostState is what a machine runs.
type HostState struct {
	Running map[string]string // app → release name (AppRelease.Name) its process was started from; absent = not running
}

// Tester smoke-tests one server directly, not through the balancer.
type Tester interface {
	// Test returns nil when every check of every app passes on this machine now.
	Test(ctx context.Context, m Machine) error
}

// Judge answers questions about the servers that run the new revision. It may take as long as its sources do; the
// runner never waits for it.
type Judge interface {
	Judge(ctx context.Context, q verdict.Question) verdict.Verdict
}

// Errors that a Host's answers satisfy by errors.Is.
var (
	ErrUnreachable = errors.New("server not reachable")
	ErrPermanent   = errors.New("trying again cannot help")
)

// Store keeps rolls. Its errors satisfy ErrFenced when another replica owns the roll now.
type Store interface {
	// ClaimRolls takes every unfinished roll that nobody holds at now, until now+ttl, raising its fencing number.
	ClaimRolls(ctx context.Context, owner string, now time.Time, ttl time.Duration) ([]Claim, error)
	// RenewRoll extends the lease. ErrFenced if it was lost.
	RenewRoll(ctx context.Context, c Claim, now time.Time, ttl time.Duration) error
	// ReleaseRoll gives the lease up, for a clean stop.
	ReleaseRoll(ctx context.Context, c Claim) error
	// SaveRoll writes the roll's header, the targets named, the handled commands and the events in one transaction;
	// effects (lock, site revision, bar) named in s are part of it. ErrFenced writes nothing.
	SaveRoll(ctx context.Context, c Claim, s Save) error
	// PendingCommands returns the roll's unhandled commands, oldest first.
	PendingCommands(ctx context.Context, roll string) ([]Command, error)
	// LockSites takes or renews the sites' locks for the roll, in the order in which they are given (Roll.Locks), and stops at the
	// first that another roll holds; those before it stay taken. It returns who holds that one: the roll itself when it holds
	// them all.
	LockSites(ctx context.Context, sites []fleet.SiteRef, roll, reason string, now time.Time, ttl time.Duration) (LockHolder, error)
	// SiteRevision is the last revision that completed on the site; zero if none.
	SiteRevision(ctx context.Context, site fleet.SiteRef) (Revision, error)
	// BarredRevisions returns the revisions that may not be released on the site, with the reason; empty if none.
	BarredRevisions(ctx context.Context, site fleet.SiteRef) (map[string]string, error)
}

// Sites opens the drivers of a site by the topology that is applied now. It is asked again while a roll runs, so servers
// that join or leave are seen; it should keep drivers (and their connections) between calls.
type Sites interface {
	OpenSite(site fleet.SiteRef) (OpenSite, error)
}

// OpenSite is a site with its drivers.
type OpenSite struct {
	Balancer Balancer // nil when the site has none
	Host     Host
	Tester   Tester
	Machines map[string]Machine // by server name

	Neighbours []OpenNeighbour // the sites that share servers with it
}

// OpenNeighbour is a site that shares servers with another, as far as a roll of that one needs it.
type OpenNeighbour struct {
	Site     fleet.SiteRef
	Balancer Balancer          // nil when it has none
	Members  map[string]string // all its servers → their names at its balancer
}

// ErrFenced means another replica owns the roll: stop working on it, write nothing.
var ErrFenced = errors.New("another replica owns this roll")

// LockHolder is who holds a site.
type LockHolder struct {
	Site fleet.SiteRef
	Roll string
}

// Claim is a held lease on a roll.
type Claim struct {
	Roll  Roll
	Owner string // replica name
	Fence int64  // rises with each claim; a stale one changes no row
}

// Save is what one decision writes.
type Save struct {
	Roll     Roll
	Targets  []Target      // those that changed
	Handled  []int64       // ids of the commands that were obeyed or refused
	Events   []event.Event // what happened, in order
	Unlock   bool          // release the roll's locks
	Complete *Revision     // the site now runs this revision (Done)
	Bar      string        // this revision id is barred on the site (rolled back)
}

// CommandKind is what a person may ask of a roll.
type CommandKind string

// The commands.
const (
	CmdBrake     CommandKind = "brake"     // no new action starts
	CmdResume    CommandKind = "resume"    // go on from where it paused
	CmdRetry     CommandKind = "retry"     // failed servers again, nothing else
	CmdSkip      CommandKind = "skip"      // leave Server out of this roll
	CmdRevoke    CommandKind = "revoke"    // withdraw: back to the old revision if any server was touched
	CmdRollback  CommandKind = "rollback"  // regular: batched, judged
	CmdEmergency CommandKind = "emergency" // no judgement, as parallel as the floor allows
)

// Command is a person's order to a roll, stored before it is obeyed.
type Command struct {
	ID     int64
	Roll   string
	Kind   CommandKind
	Server string // CmdSkip
	Actor  string // "person:release-engineer"
	Reason string
	At     time.Time
}
