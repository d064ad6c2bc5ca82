package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/pipeline"
	"railyard/server/api"
)

// SubmitPlan implements the contract.
func (s *Server) SubmitPlan(ctx context.Context, r api.SubmitPlanRequestObject) (api.SubmitPlanResponseObject, error) {
	coach, actor, err := s.coachFor(ctx, access.Submit, r.Coach)
	if err != nil {
		return nil, err
	}
	if coach.ROP.State != rop.PlanDraft && coach.ROP.State != "" {
		return nil, fmt.Errorf("submit the plan of coach %s: it is no draft any more, it is %s: %w", coach.ID, coach.ROP.State, errConflict)
	}
	command := pipeline.Command{Coach: coach.ID, Kind: pipeline.CmdSubmit, Actor: actor.String(), Reason: r.Body.Reason, At: s.now()}
	_, err = s.Store.AddCoachCommand(ctx, command, event.Event{
		At: command.At, Actor: command.Actor, Object: "coach/" + coach.ID, Coach: coach.ID, What: "submit_asked", Why: command.Reason,
	})
	if err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(coach.ID)
	return api.SubmitPlan202Response{}, nil
}

// ApproveCoach implements the contract. An approval is bound to the plan and the packages as they are now, so it is refused while there
// are no packages to see; and when it would not let the plan pass, because of who gives it or because another plan is in the way.
func (s *Server) ApproveCoach(ctx context.Context, r api.ApproveCoachRequestObject) (api.ApproveCoachResponseObject, error) {
	coach, actor, err := s.coachFor(ctx, access.Approve, r.Coach)
	if err != nil {
		return nil, err
	}
	if err := s.mayPass(ctx, coach, actor); err != nil {
		return nil, fmt.Errorf("approve coach %s: %w", coach.ID, err)
	}
	seen := map[string]string{}
	for _, b := range coach.Builds {
		if b.Package == "" {
			return nil, fmt.Errorf("approve coach %s: the package of %s is not published yet; approve when it is: %w", coach.ID, b.App, errConflict)
		}
		seen[b.App] = b.Package
	}
	approval := rop.Approval{Actor: actor.String(), At: s.now(), Plan: coach.PlanDigest, Packages: seen, Reason: r.Body.Reason}
	err = s.Store.AddApproval(ctx, coach.ID, approval, event.Event{
		At: approval.At, Actor: approval.Actor, Object: "coach/" + coach.ID, Coach: coach.ID, What: "approval_given", Why: approval.Reason,
	})
	if err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(coach.ID)
	return api.ApproveCoach204Response{}, nil
}

// mayPass refuses an approval that the worker would not count.
func (s *Server) mayPass(ctx context.Context, coach rop.Coach, actor access.Actor) error {
	switch {
	case coach.Author != "" && actor.Person == coach.Author:
		return fmt.Errorf("%s pushed it, and a plan is passed by somebody else: %w", actor.Person, access.ErrDenied)
	case slices.Contains(coach.Authors, actor.Person):
		return fmt.Errorf("%s wrote a part of it, and a plan is passed by somebody else: %w", actor.Person, access.ErrDenied)
	case coach.State.Terminal():
		return nil // the store says so
	case coach.ROP.State != rop.PlanDraft && coach.ROP.State != rop.PlanSubmitted && coach.ROP.State != "":
		return fmt.Errorf("the plan is %s; only one that has not passed yet is approved: %w", coach.ROP.State, errConflict)
	}
	t := s.Topology()
	if t == nil {
		return nil
	}
	facts, err := s.Store.Facts(ctx, coach)
	if err != nil {
		return database(err)
	}
	if blockers := pipeline.Blockers(coach, facts, t, s.now()); len(blockers) > 0 {
		return fmt.Errorf("%s: %w", strings.Join(blockers, "; "), errConflict)
	}
	return nil
}

// planAllows refuses a regular rollback to roles that the plan's rollback: does not name. Operators and admins run every release,
// and in an emergency the right to order one is enough.
func planAllows(coach rop.Coach, actor access.Actor) error {
	who := coach.Plan.Rollback.Who
	if actor.Role == access.Operator || actor.Role == access.Admin || len(who) == 0 || slices.Contains(who, string(actor.Role)) {
		return nil
	}
	return fmt.Errorf("rollback of coach %s: its plan lets %s order it, and %s is %s; a brake or an emergency rollback needs no plan: %w",
		coach.ID, strings.Join(who, ", "), actor, actor.Role, access.ErrDenied)
}

// planAllowsRoll is planAllows for a command to a roll of the Coach; other commands than a regular rollback need no plan.
func (s *Server) planAllowsRoll(ctx context.Context, kind roller.CommandKind, coach string, actor access.Actor) error {
	if kind != roller.CmdRollback || coach == "" {
		return nil
	}
	row, err := s.Store.Coach(ctx, coach)
	if err != nil {
		return database(err)
	}
	return planAllows(row, actor)
}

// ListBookings implements the contract.
func (s *Server) ListBookings(ctx context.Context, _ api.ListBookingsRequestObject) (api.ListBookingsResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("bookings")); err != nil {
		return nil, err
	}
	rows, err := s.Store.Bookings(ctx, s.now())
	if err != nil {
		return nil, database(err)
	}
	bookings := make([]api.Booking, len(rows))
	for i, b := range rows {
		bookings[i] = api.Booking{Plan: b.Plan, Capacity: b.Capacity, Servers: b.Servers, From: b.From, To: b.To}
	}
	return api.ListBookings200JSONResponse(bookings), nil
}

// inPlanState keeps at most limit of the Coaches whose plan is in a state.
func inPlanState(coaches []rop.Coach, state rop.PlanState, limit int) []rop.Coach {
	kept := slices.DeleteFunc(coaches, func(c rop.Coach) bool { return c.ROP.State != state })
	return kept[:min(limit, len(kept))]
}

// planOf shows the plan of a Coach. One whose file could not be used has none.
func planOf(c rop.Coach) *api.Plan {
	p := c.Plan
	if c.ROP.State == "" || p.Project == "" {
		return nil
	}
	out := api.Plan{
		State: api.PlanState(c.ROP.State), Since: c.ROP.Since, Reason: c.ROP.Reason, Digest: c.PlanDigest, Owner: p.Owner, Apps: listOf(p.Apps),
		Version: p.Version, Environments: listOf(p.Environments), Requires: []string{}, Resources: resourcesOf(p.Resources), Bookings: []api.Booking{},
		Train: optional(p.Train), Urgent: p.Urgent,
		Rollback: api.RollbackPlan{To: p.Rollback.To, Order: listOf(p.Rollback.Order), Who: listOf(p.Rollback.Who)},
	}
	for _, r := range p.Requires {
		out.Requires = append(out.Requires, r.String())
	}
	if w := p.Window; w != nil {
		out.Window = &api.Window{From: w.From.Time, To: w.To.Time}
	}
	for _, b := range rop.BookingsOf(p) {
		out.Bookings = append(out.Bookings, api.Booking{
			Plan: rop.SeriesID(c.Project, c.Series), Capacity: b.Capacity, Servers: b.Servers, From: b.Window.From.Time, To: b.Window.To.Time,
		})
	}
	return &out
}

// listOf is names without null.
func listOf(names []string) []string { return append([]string{}, names...) }

func resourcesOf(r rop.Resources) []string {
	lines := []string{}
	for _, s := range r.Image {
		lines = append(lines, fmt.Sprintf("image %s: kept for %d days", s.App, s.KeepDays))
	}
	for _, s := range r.Web {
		lines = append(lines, fmt.Sprintf("web %s: kept for %d days", s.App, s.KeepDays))
	}
	for _, m := range r.Database {
		line := fmt.Sprintf("database %s: backward compatible", m.App)
		if len(m.Destructive) > 0 {
			line += ", and on purpose: " + strings.Join(m.Destructive, "; ")
		}
		lines = append(lines, line)
	}
	return lines
}
