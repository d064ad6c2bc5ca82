package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// planned moves the Coach's plan on, as far as what is known of the Coach moves it (rop.NextPlan). What the plan holds, and the
// Coach of a plan that is withdrawn or has expired, follow.
func (d *decider) planned() {
	for {
		before, facts := d.ROP, d.planFacts()
		d.ROP = rop.NextPlan(before, facts, d.now)
		if d.ROP.State == before.State {
			break
		}
		d.tellPlan(before.State, facts)
		switch d.ROP.State {
		case rop.PlanPassed:
			d.pass(facts)
		case rop.PlanWithdrawn, rop.PlanExpired:
			d.letGo(true)
			d.recall(d.ROP.Reason)
		case rop.PlanClosed:
			d.letGo(d.State == rop.RolledBack)
		}
	}
	if d.Reserves && !d.State.Terminal() && d.production() && (d.inProduction() || d.carried()) {
		d.letGo(false) // from here on another plan with the same apps waits at the pool's lock
	}
}

// tellPlan writes the transition under the name of who made it.
func (d *decider) tellPlan(from rop.PlanState, facts rop.PlanFacts) {
	actor, why := d.actor, d.ROP.Reason
	switch d.ROP.State {
	case rop.PlanSubmitted:
		d.actor = d.SubmittedBy
	case rop.PlanPassed:
		a, _ := rop.Standing(facts)
		d.actor, why = a.Actor, a.Reason
		if a.Coach != d.ID {
			why += fmt.Sprintf(" (given for %s: plan and packages are the same bytes)", a.Coach)
		}
	}
	d.tell("plan_"+string(d.ROP.State), string(from), string(d.ROP.State), why)
	d.actor = actor
}

func (d *decider) planFacts() rop.PlanFacts {
	first := ""
	if envs := d.environments(); len(envs) > 0 {
		first = envs[0].Name
	}
	f := rop.PlanFacts{
		Plan: d.Plan, Seen: rop.Approval{Coach: d.ID, Plan: d.PlanDigest, Packages: packagesOf(d.Coach)},
		Authors: append(slices.Clone(d.Authors), d.Author), Approvals: d.obs.Approvals, SubmittedBy: d.SubmittedBy,
		Tested: d.State != rop.Building && (d.State != rop.Delivering || d.Environment != first),
		Bound:  d.inProduction() || d.carried(), Withdrawn: d.withdrawn,
	}
	f.Rolling = f.Tested && (d.State == rop.Delivering || d.State == rop.Returning || d.carried())
	if d.State.Terminal() {
		f.Ended = d.Reason
		return f
	}
	if f.Withdrawn == "" && !f.Bound {
		f.Withdrawn = d.misfit()
	}
	if grant, ok := d.policyApproval(f.Seen); ok {
		f.Policy = &grant
	}
	f.Blockers = Blockers(d.Coach, d.obs.Facts, d.obs.Topology, d.now)
	return f
}

// Blockers says what keeps a plan from passing although it is approved: other plans that release the same apps or have booked
// the same servers. It is pure.
func Blockers(c rop.Coach, facts Facts, t *fleet.Topology, now time.Time) []string {
	plan := rop.SeriesID(c.Project, c.Series)
	return append(rop.Rivals(plan, c.Plan.Apps, facts.Holders), rop.Collisions(plan, rop.BookingsOf(c.Plan), facts.Booked, t, now)...)
}

func packagesOf(c rop.Coach) map[string]string {
	packages := map[string]string{}
	for _, b := range c.Builds {
		packages[b.App] = b.Package
	}
	return packages
}

// misfit says what in the plan does not fit the topology any more, or "": an app that moved to another SBU, say. It was right
// when it was pushed.
func (d *decider) misfit() string {
	if words := rop.Misfit(d.Plan, d.obs.Topology, d.Repository); words != "" {
		return "the plan does not fit the topology any more: " + words
	}
	return ""
}

// pass lets the plan hold its apps and bookings from now on.
func (d *decider) pass(facts rop.PlanFacts) {
	approval, _ := rop.Standing(facts)
	d.Approval, d.Reserves = &approval, true
	d.reserve = &rop.Reserved{Plan: rop.SeriesID(d.Project, d.Series), Apps: d.Plan.Apps, Bookings: rop.BookingsOf(d.Plan), Turns: d.obs.Turns}
}

// letGo gives up what the plan holds: its apps, so that another plan may pass with them, and perhaps its bookings.
func (d *decider) letGo(bookings bool) {
	if d.Reserves || bookings {
		d.freed = &Release{Plan: rop.SeriesID(d.Project, d.Series), Bookings: bookings || d.freed != nil && d.freed.Bookings}
	}
	d.Reserves = false
}

// approved lets a Coach whose plan passed go on.
func (d *decider) approved() bool {
	if d.ROP.State != rop.PlanPassed {
		d.Reason = d.ROP.Reason
		return false
	}
	return d.goOn("plan passed: " + d.ROP.Reason)
}

// policyApproval is the topology's own approval of what would go, where its policy covers every app.
func (d *decider) policyApproval(seen rop.Approval) (rop.Approval, bool) {
	for _, b := range d.Builds {
		app, ok := d.obs.Topology.App(b.App)
		if !ok || !slices.ContainsFunc(d.obs.Topology.Approvals, func(p fleet.ApprovalPolicy) bool { return covers(p, app) }) {
			return rop.Approval{}, false
		}
	}
	seen.Actor, seen.At, seen.Reason = "policy", d.now, "granted by the topology's approval policy"
	return seen, len(d.Builds) > 0
}

func covers(p fleet.ApprovalPolicy, app fleet.App) bool {
	return (p.SBU == "" || p.SBU == app.SBU) &&
		(len(p.Kinds) == 0 || slices.Contains(p.Kinds, app.Kind)) &&
		(len(p.Apps) == 0 || slices.Contains(p.Apps, app.Name))
}

// submit takes a person's submission of a draft and says what came of it when it is none.
func (d *decider) submit(c Command) string {
	if d.ROP.State != rop.PlanDraft && d.ROP.State != "" {
		return " (refused: the plan is no draft any more, it is " + strings.ReplaceAll(string(d.ROP.State), "_", " ") + ")"
	}
	d.SubmittedBy = c.Actor
	return ""
}

// withdraw takes the plan back by order of a person, or because its branch is gone. Its running rolls are taken back first.
func (d *decider) withdraw(c Command) {
	d.withdrawn = fmt.Sprintf("withdrawn by %s: %s", c.Actor, c.Reason)
	d.planned()
	d.withdrawn = ""
}

// recall ends a Coach whose plan may not go on. Its running rolls are taken back first; it ends when they have.
func (d *decider) recall(why string) {
	by := d.actor
	if by == "" {
		by = event.Railyard
	}
	running := d.running()
	if len(running) == 0 {
		d.end(rop.Revoked, "revoked by "+by+": "+why)
		return
	}
	d.RevokedBy = by
	d.order(running, roller.Command{Kind: roller.CmdRevoke, Actor: by, Reason: why})
}
