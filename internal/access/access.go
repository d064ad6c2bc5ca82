// Package access says who may do what. Every way in (API, CLI, pages, Jenkins buttons, webhooks) carries an Actor, and one
// function, Authorize, answers for all of them. What the table does not grant is denied.
package access

import (
	"errors"
	"fmt"
	"slices"
)

// Actor is who asks: a person or a service, by the token it came with.
type Actor struct {
	Person string // "li.wei" or "jenkins"
	Role   Role
	SBU    string // "hotel"; "*" = every SBU
}

// String is how the actor appears in the event log: "person:li.wei", "service:jenkins".
func (a Actor) String() string {
	if a.Role == Jenkins {
		return "service:" + a.Person
	}
	return "person:" + a.Person
}

// Role is what a token makes of its bearer.
type Role string

// The roles.
const (
	Viewer          Role = "viewer"           // sees everything, changes nothing
	Developer       Role = "developer"        // may brake and withdraw what their SBU releases
	Tester          Role = "tester"           // enters verdicts
	ReleaseEngineer Role = "release-engineer" // runs the releases of their SBU
	Operator        Role = "operator"         // DevOps: runs every release, owns the topology
	Admin           Role = "admin"            // also manages tokens
	Jenkins         Role = "jenkins"          // builds: begins deployments and publishes packages
)

// Roles lists all roles, least first.
func Roles() []Role {
	return []Role{Viewer, Developer, Tester, ReleaseEngineer, Operator, Admin, Jenkins}
}

// Action is what is asked.
type Action string

// The actions.
const (
	Read          Action = "read"
	Publish       Action = "publish" // begin a deployment, publish its package
	Submit        Action = "submit"  // submit a plan
	Approve       Action = "approve"
	EnterVerdict  Action = "enter_verdict" // say whether what is being released is good
	Revoke        Action = "revoke"
	Brake         Action = "brake"
	Resume        Action = "resume"
	Retry         Action = "retry"
	Skip          Action = "skip"
	Rollback      Action = "rollback"
	Emergency     Action = "emergency"
	ClearBar      Action = "clear_bar" // let a rolled-back revision return
	Sync          Action = "sync"      // catch owed and drifted servers up
	Couple        Action = "couple"    // create Trains, couple and uncouple Coaches
	Depart        Action = "depart"    // let a Train depart, confirm its plan, cancel it
	Override      Action = "override"  // of a freeze, with a second person
	Relay         Action = "relay"     // say that a person has pressed a button in Jenkins, who is then asked about
	ApplyTopology Action = "apply_topology"
	ManageTokens  Action = "manage_tokens"
)

// Object is what the action is about. The SBU that owns it decides for roles that are bound to theirs.
type Object struct {
	Name string // "coach/hotel-api-7.2"
	SBU  string // "hotel"; "" = nobody's in particular
}

// ErrDenied is what every refusal satisfies by errors.Is.
var ErrDenied = errors.New("not allowed")

// grants is the whole policy: what each role may do within its SBU, and what everywhere.
var grants = map[Role]struct{ own, everywhere []Action }{
	Viewer:    {everywhere: []Action{Read}},
	Developer: {everywhere: []Action{Read}, own: []Action{Submit, Brake, Revoke}},
	Tester:    {everywhere: []Action{Read}, own: []Action{Brake, EnterVerdict}},
	ReleaseEngineer: {
		everywhere: []Action{Read},
		own:        []Action{Submit, Approve, EnterVerdict, Revoke, Brake, Resume, Retry, Skip, Rollback, Emergency, ClearBar, Sync, Couple, Depart, Override},
	},
	Operator: {everywhere: []Action{Read, Submit, Approve, EnterVerdict, Revoke, Brake, Resume, Retry, Skip, Rollback, Emergency, ClearBar, Sync, Couple, Depart, Override, ApplyTopology}},
	Admin:    {everywhere: []Action{Read, Submit, Approve, EnterVerdict, Revoke, Brake, Resume, Retry, Skip, Rollback, Emergency, ClearBar, Sync, Couple, Depart, Override, ApplyTopology, ManageTokens}},
	Jenkins:  {everywhere: []Action{Read, Publish, Relay}},
}

// Authorize returns nil when the actor may do the action on the object, and otherwise an error that says what is missing
// (errors.Is ErrDenied).
func Authorize(a Actor, action Action, o Object) error {
	g := grants[a.Role]
	if slices.Contains(g.everywhere, action) {
		return nil
	}
	if slices.Contains(g.own, action) {
		if a.SBU == "*" || (o.SBU != "" && a.SBU == o.SBU) {
			return nil
		}
		return fmt.Errorf("%s %s: %s is %s of %q, and it belongs to %q: %w", action, o.Name, a, a.Role, a.SBU, o.SBU, ErrDenied)
	}
	return fmt.Errorf("%s %s: %s is %q, which may not; ask for a token with one of %v: %w", action, o.Name, a, a.Role, WhoMay(action), ErrDenied)
}

// WhoMay lists the roles that may do an action, within their SBU or everywhere.
func WhoMay(action Action) (roles []Role) {
	for _, role := range Roles() {
		g := grants[role]
		if slices.Contains(g.everywhere, action) || slices.Contains(g.own, action) {
			roles = append(roles, role)
		}
	}
	return roles
}
