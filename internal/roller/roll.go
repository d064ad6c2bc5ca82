// Package roller takes one site (a pool in one environment) from one revision to another, server by server, without a
// visitor noticing, and back again when the monitor says so.
//
// It works like a controller, not like a script. Each step is: observe (what the balancer and the servers say now) →
// Decide (a pure function of the saved roll, the observation and now) → save → act. Every action may be repeated, so a
// crash, a restart, or a person changing the balancer by hand are all the same case.
//
//	queued ─lock─► smoke ─► baking ─► rolling (batch 1…n, each judged) ─► watch ─► done
//	                 └────────┴──────────┴──── hard breach ─────┴──► rolling_back ─► rolled_back
//
// Pause is orthogonal to the stage: a paused roll keeps its stage and waits for a person.
//
// The rules live in one file each: layout.go (batches), floor.go, step.go (one server), stage.go (the whole roll),
// command.go (people), judge.go (verdicts). runner.go is the only impure file.
package roller

import (
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rop"
	"railyard/internal/verdict"
)

// Stage is where a roll is.
type Stage string

// The stages of a roll.
const (
	Queued      Stage = "queued"       // waits for the site's lock
	Smoke       Stage = "smoke"        // the smoke servers get the revision, without public traffic
	Baking      Stage = "baking"       // the smoke servers take traffic at the baking weight and are compared
	Rolling     Stage = "rolling"      // batch after batch, with a judged pause between
	Watch       Stage = "watch"        // everything rolled; hard indicators stay armed
	RollingBack Stage = "rolling_back" // touched servers return to the old revision
	Done        Stage = "done"         // terminal: the site runs To
	RolledBack  Stage = "rolled_back"  // terminal: the site runs From again
	Revoked     Stage = "revoked"      // terminal: withdrawn before any server was touched
)

// Terminal reports whether nothing more will happen in this stage.
func (s Stage) Terminal() bool { return s == Done || s == RolledBack || s == Revoked }

// Kind says why a roll exists.
type Kind string

// The kinds of rolls.
const (
	Release  Kind = "release"  // a Coach brings a new revision
	Rollback Kind = "rollback" // a completed site returns to an earlier revision

	Migration Kind = "migration" // a Coach brings a change to a database, see migration.go
)

// Brings reports whether a roll of this kind takes a site to something new.
func (k Kind) Brings() bool { return k == Release || k == Migration }

// AppRelease is one app's part of a revision.
type AppRelease struct {
	App     string `json:"app"`     // "hotel-api"
	Package string `json:"package"` // "sha256:9f86…"
	Config  string `json:"config"`  // digest of the generated configuration, "" when the app has none
	Version string `json:"version"` // "1.4.2", for people
	Commit  string `json:"commit"`  // the built commit, for people

	Coach    string            `json:"coach"`    // who brought it: "hotel-api-7.2"
	Requires []rop.Requirement `json:"requires"` // what its plan requires, for as long as it runs

	KeepDays int `json:"keep_days"` // how long its plan keeps the versions before beside it; 0 = as the topology says
}

// Revision is what a server runs: package digest and config digest of every app of the pool.
type Revision struct {
	ID   string       `json:"id"` // see RevisionID; "" = nothing was ever released
	Apps []AppRelease `json:"apps"`
}

// Roll is the saved state of one roll. It is a value: Decide returns a changed copy. Questions are methods.
type Roll struct {
	ID      string
	Kind    Kind
	Coach   string // "hotel-api-7.2"
	Undoes  string // on a Rollback: the completed roll that it takes back, "hotel-api-7.2-PROD-hotel-api"
	Bars    bool   // on a Rollback: the revision it leaves is barred once it has completed; a person asked for it
	Site    fleet.SiteRef
	Created time.Time
	Began   time.Time // when it held the site's lock: until then every server ran what it ran before
	Author  string    // the actor who asked for it

	Changes  []AppRelease     // the releases the Coach brings; To is From with these. Empty on a Rollback, whose To is given.
	To       Revision         // what is being released; fixed when the lock is held
	From     Revision         // the last completed revision when the roll started; zero on a first release. Given on a Rollback.
	Strategy fleet.Resolved   // fixed when the roll was made
	Stricter []fleet.Override // what the plans of its Coaches ask of indicators beyond the topology; fixed when the roll was made

	Size          int     // the site's servers when the roll started
	MinUp         int     // the floor in servers, fixed when the roll started
	Shares        []Share // the sites that share servers with this one: they are held too, and their floors count
	AllowDowntime bool    // the floor does not hold: one-server pools, job pools
	Balanced      bool    // the site has a balancer
	Traffic       bool    // the pool declares visitors' traffic

	Stage      Stage
	StageSince time.Time // when the stage (or the batch within Rolling) began
	Batch      int       // the running batch: 0 = smoke servers, 1…Batches
	Batches    int
	SettledAt  time.Time // when the last server of the running batch was done; zero while servers are in work
	ProgressAt time.Time // last time anything moved
	Accepted   bool      // a person accepted this stage's (or batch's) soft breach or doubt
	Forgiven   int       // failed servers a person accepted by resuming
	Emergency  bool      // going back as parallel as the floor allows, without judgement
	Regular    bool      // rolling back batch by batch, each judged: a person asked for it

	Pause   *Pause
	Verdict *verdict.Verdict // the last one acted upon or shown
	Reason  string           // why the last transition happened

	Targets []Target // ordered by batch, then by name
}

// Purpose says in a few words why the roll holds its site.
func (r Roll) Purpose() string {
	switch r.Kind {
	case Rollback:
		return "takes back " + r.Undoes
	case CatchUp:
		return "catches the site up"
	case Migration:
		return "migration of " + orDefault(r.Coach, r.Site.String())
	}
	return "roll of " + orDefault(r.Coach, r.Site.String())
}

// Pause says why a roll waits for a person.
type Pause struct {
	Cause  Cause     `json:"cause"`
	Reason string    `json:"reason"` // in words: what to look at and what can be done
	By     string    `json:"by"`     // actor
	Since  time.Time `json:"since"`
}

// Cause is the kind of a pause.
type Cause string

// The causes of a pause. Only a brake stops servers that are in the middle of a step.
const (
	CauseBrake    Cause = "brake"            // a person asked: no new action starts
	CauseSoft     Cause = "soft_breach"      // a soft indicator breached
	CauseDoubt    Cause = "doubt"            // no data, no traffic, or a source that is down
	CauseBudget   Cause = "failure_budget"   // more servers failed than the budget allows
	CauseProgress Cause = "no_progress"      // nothing moved for Strategy.Progress
	CauseFirst    Cause = "nothing_to_go_to" // a first release was rolled back: its servers are out
)

// TargetState is where one server is in the roll.
type TargetState string

// The states of a target.
const (
	Waiting TargetState = "waiting" // its batch has not started
	Active  TargetState = "active"  // see Step
	Settled TargetState = "settled" // on the goal revision, tested, in rotation
	Failed  TargetState = "failed"  // left out of rotation, counted against the budget
	Owed    TargetState = "owed"    // down or in somebody's maintenance; caught up when it returns
	Skipped TargetState = "skipped" // a person decided
	Left    TargetState = "left"    // no longer in the topology
)

// Step is what an active target is doing.
type Step string

// The steps on one server, in order: pull out → switch → smoke-test → pull in.
const (
	PullOut Step = "pull_out" // weight 0, until its sessions end
	Switch  Step = "switch"   // all apps at once
	Test    Step = "test"     // smoke test, directly
	Hold    Step = "hold"     // smoke stage only: tested, kept without public traffic until baking
	PullIn  Step = "pull_in"  // weight back, until the balancer calls it UP
)

// Target is one server's part in a roll.
type Target struct {
	Server  string      `json:"server"`
	Batch   int         `json:"batch"`
	State   TargetState `json:"state"`
	Step    Step        `json:"step,omitempty"`
	Since   time.Time   `json:"since"`             // when State or Step began
	Touched bool        `json:"touched,omitempty"` // a switch to To was ever ordered, or it ran To before
	Exposed bool        `json:"exposed,omitempty"` // it took public traffic on To
	Pulled  bool        `json:"pulled,omitempty"`  // our pull flag: we took it out and must put it back
	Ordered bool        `json:"ordered,omitempty"` // this roll ever set its weight, and so answers for it
	Note    string      `json:"note,omitempty"`    // the last error, or why it is owed, failed, skipped
}
