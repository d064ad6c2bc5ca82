package rop

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// PlanState is where a plan is on its way from a file to a verdict.
type PlanState string

// The states of a plan, as its Coach's candidate carries it.
//
//	draft ─► submitted ─► passed ─► in_use ─► closed
//	  └──────────┴───────────┴────────┴─────► withdrawn, expired (not once it is in production), closed
const (
	PlanDraft     PlanState = "draft"     // may still change with every push; nobody is asked yet
	PlanSubmitted PlanState = "submitted" // waits for somebody who is not its author
	PlanPassed    PlanState = "passed"    // approved: exactly this plan and these packages
	PlanInUse     PlanState = "in_use"    // an environment behind the first is being rolled by it
	PlanClosed    PlanState = "closed"    // terminal: its candidate has come to an end
	PlanWithdrawn PlanState = "withdrawn" // terminal: by a person, or because its branch or its place in the topology is gone
	PlanExpired   PlanState = "expired"   // terminal: its window was over before production began
)

// PlanStates lists all states in the order of a plan's life.
func PlanStates() []PlanState {
	return []PlanState{PlanDraft, PlanSubmitted, PlanPassed, PlanInUse, PlanClosed, PlanWithdrawn, PlanExpired}
}

// Ended reports whether nothing more will happen in this state.
func (s PlanState) Ended() bool { return s == PlanClosed || s == PlanWithdrawn || s == PlanExpired }

// PlanStatus is the saved state of a candidate's plan. A new candidate begins anew, at draft; approvals that were given for a
// candidate before it hold as long as plan and packages are the same bytes.
type PlanStatus struct {
	State  PlanState
	Since  time.Time
	Reason string // why the last transition happened, or what it waits for
}

// PlanFacts is what NextPlan looks at besides the saved state.
type PlanFacts struct {
	Plan      Plan
	Seen      Approval   // what an approval must have seen: Plan, Packages and Coach are set
	Authors   []string   // who wrote what travels: they approve nothing of it
	Approvals []Approval // of all candidates of the project Coach, oldest first
	Policy    *Approval  // the topology's grant for these apps; nil = none

	SubmittedBy string // a person who submitted it; "" = nobody
	Tested      bool   // the first environment is passed, with every package
	Rolling     bool   // an environment behind the first is being rolled
	Bound       bool   // in production, or in a Train that has departed: what has begun there is finished, whatever the clock says

	Withdrawn string   // why it must not go on: a person, its branch, the topology; "" = nothing
	Ended     string   // how its candidate ended; "" = it has not
	Blockers  []string // what keeps it from passing although it is approved: other plans, by name
}

// NextPlan makes at most one transition of a plan. It is pure and total. What ends a plan comes first; in production only the
// end of its candidate does.
func NextPlan(s PlanStatus, f PlanFacts, now time.Time) PlanStatus {
	to := func(state PlanState, why string) PlanStatus { return PlanStatus{State: state, Since: now, Reason: why} }
	switch {
	case s.State.Ended():
		return s
	case f.Withdrawn != "":
		return to(PlanWithdrawn, f.Withdrawn)
	case !f.Bound && f.Ended == "" && f.Plan.Window.Over(now):
		return to(PlanExpired, fmt.Sprintf("its window (%s) was over before production began; give it another one and push", f.Plan.Window))
	case f.Ended != "":
		return to(PlanClosed, f.Ended)
	}
	switch s.State {
	case PlanSubmitted:
		approval, why := Standing(f)
		switch {
		case !f.Tested:
			s.Reason = "waits until its first environment is passed"
		case why != "":
			s.Reason = why
		case len(f.Blockers) > 0:
			s.Reason = strings.Join(f.Blockers, "; ")
		default:
			return to(PlanPassed, passedBy(approval, f.Seen.Coach))
		}
	case PlanPassed:
		if f.Rolling {
			return to(PlanInUse, "it is being rolled behind its first environment")
		}
	case PlanInUse:
	default: // a draft, also of a Coach that was saved before plans had states
		switch {
		case f.SubmittedBy != "":
			return to(PlanSubmitted, "submitted by "+f.SubmittedBy)
		case f.Tested && !f.Plan.Draft:
			return to(PlanSubmitted, "its first environment is passed")
		case f.Tested:
			s.Reason = "tested, and marked draft: true; submit it (railyard rop submit " + f.Seen.Coach + ")"
		}
		s.State = PlanDraft
	}
	return s
}

// Standing finds the approval by which a plan passes, or says why there is none. An approval stands for the bytes it saw: the
// plan file and every package. A commit that changes neither leaves it standing; one that changes any of them asks again.
func Standing(f PlanFacts) (Approval, string) {
	why := ""
	for _, a := range slices.Backward(f.Approvals) {
		missing := lacks(a, f)
		if missing == "" {
			return a, ""
		}
		if why == "" { // of the newest
			why = missing
		}
	}
	switch {
	case f.Policy != nil:
		return *f.Policy, ""
	case why == "":
		why = WaitsForApproval
	}
	return Approval{}, why
}

// WaitsForApproval is what a submitted plan says that nobody has approved yet.
const WaitsForApproval = "waits for the plan's approval by somebody who is not its author"

// lacks says why an approval does not stand, or "".
func lacks(a Approval, f PlanFacts) string {
	touched := Touched(a, f.Seen)
	switch {
	case len(touched) > 0:
		return fmt.Sprintf("waits for approval again: since %s approved %s, %s changed", a.Actor, a.Coach, strings.Join(touched, " and "))
	case Person(a.Actor) == "":
		return WaitsForApproval + ": " + a.Actor + " is no person"
	case slices.Contains(f.Authors, Person(a.Actor)):
		return WaitsForApproval + ": " + a.Actor + " wrote a part of it"
	}
	return ""
}

// Person is the person an actor of the event log is: "li.wei" of "person:li.wei"; "" when it is none.
func Person(actor string) string {
	name, ok := strings.CutPrefix(actor, "person:")
	if !ok {
		return ""
	}
	return name
}

// Touched names what differs between what was approved and what would go now: "the plan", "the package of hotel-api". Bytes
// are compared, not diffs: a commit to a file that no package holds touches nothing, and a build that does not give the same
// bytes for the same source touches its package, since nobody has seen those bytes.
func Touched(approved, now Approval) (names []string) {
	if approved.Plan != now.Plan {
		names = append(names, "the plan")
	}
	apps := map[string]bool{}
	for app := range approved.Packages {
		apps[app] = true
	}
	for app := range now.Packages {
		apps[app] = true
	}
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		if before, after := approved.Packages[app], now.Packages[app]; before != after || after == "" {
			names = append(names, "the package of "+app)
		}
	}
	return names
}

func passedBy(a Approval, candidate string) string {
	if a.Coach != "" && a.Coach != candidate {
		return fmt.Sprintf("approved by %s as %s: plan and packages are the same bytes", a.Actor, a.Coach)
	}
	return "approved by " + a.Actor
}

// Reserved is what a plan holds from passing on, so that no other plan can pass beside it. The store sees to it that two
// plans never hold the same.
type Reserved struct {
	Plan     string    // "hotel-api-7": the project Coach
	Apps     []string  // no other plan may pass with these until this one has reached production
	Bookings []Booking // each with its window

	Turns map[string]int64 // stock → how often it was booked when this was decided; see pipeline.Facts
}

// SeriesID names a project Coach, whichever of its candidates: "hotel-api-7".
func SeriesID(project string, series int) string { return fmt.Sprintf("%s-%d", project, series) }

// BookingsOf are the plan's bookings, each with its window.
func BookingsOf(p Plan) []Booking {
	var booked []Booking
	for _, b := range p.Bookings {
		if b.Window == nil {
			b.Window = p.Window
		}
		booked = append(booked, b)
	}
	return booked
}
