package roller

import (
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// Observation is everything Decide may look at besides the saved roll and now. It is gathered afresh for each decision;
// after a crash it is all there is besides the saved roll.
type Observation struct {
	LockHolder string            // id of the roll that holds the first of Roll.Locks that is not ours; this roll's own when all are; "" = unknown
	LockSite   fleet.SiteRef     // the site that LockHolder holds
	Current    *Revision         // the site's last completed revision; nil = not read (needed only while Queued)
	Barred     map[string]string // revision id → why it is barred on this site (needed only while Queued)
	Servers    map[string]ServerState
	Neighbours map[fleet.SiteRef]Neighbour // the sites that share servers with this one
	Last       map[string]Result           // server → the last action that ended on it in this process
	Busy       map[string]bool             // servers with an action in progress: they get no other one
	Verdict    *verdict.Verdict            // the newest answer to Roll.Question
	Commands   []Command                   // pending, oldest first
	SiteError  string                      // why the site could not be read from the topology; Servers are then the last known ones
	// Since is when this process began to look at the site. What happened before, while nobody looked, is held against
	// nobody: no step, verdict or progress is overdue because Railyard was away.
	Since time.Time
	// Braked: a person's brake is known to this process but not stored yet. No work starts.
	Braked bool
	// BalancerError is why the balancer could not be read; members are then the last known ones and nothing is taken out.
	BalancerError string
	// BalancerSince is since when the balancer answers without a break.
	BalancerSince time.Time
	BalancerAt    time.Time // when its last answer came

	flipped rule // set by tests only
}

// rule names one that a test can switch off, to show that the simulation would find it missing.
type rule string

const (
	ruleFloor rule = "floor"
	ruleJudge rule = "judge"
	ruleShare rule = "share"
)

// ServerState is one server of the site, as topology, balancer and host see it.
type ServerState struct {
	Server    fleet.Server
	Member    Member // zero when the balancer does not know it
	Unlisted  bool   // Member is not known: the balancer was not read yet, or has no such member
	Asked     bool   // the host was asked since the last action that could have changed it
	Reachable bool   // and answered
	HostError string // why it did not
	Host      HostState

	SharedWith []fleet.SiteRef // the other sites whose server it is too
}

// Result is how an action on a server ended.
type Result struct {
	Action      ActionKind
	Revision    string // of a switch
	At          time.Time
	Err         string // "" = it succeeded
	Permanent   bool   // trying again cannot help
	Unreachable bool
	Tries       int // consecutive tries of this action, this one included
}

// ActionKind is what the runner does to a server.
type ActionKind string

// The actions. Each may be repeated.
const (
	ActWeight ActionKind = "set_weight"
	ActSwitch ActionKind = "switch"
	ActTest   ActionKind = "test"
)

// Action is one thing to do, after the decision that asked for it was saved.
type Action struct {
	Kind     ActionKind
	Server   string
	Weight   int      // ActWeight
	Revision Revision // ActSwitch
}

// healthy reports whether the server could serve visitors now: the balancer's check passes and nobody else holds it out;
// without a balancer, all apps run.
func (s ServerState) healthy(balanced bool) bool {
	if balanced {
		return s.Member.Up && !s.Member.Foreign
	}
	return s.Reachable && len(s.Host.Running) > 0
}

// inRotation reports whether the server takes its share now. All of server, member, health and our flag must agree.
func (s ServerState) inRotation(balanced bool) bool {
	return s.healthy(balanced) && (!balanced || s.Member.Weight > 0)
}
