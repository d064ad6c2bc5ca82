package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server/api"
)

// This file takes back what has completed: a Coach that was released, or one site.

// GoBackCoach implements the contract. What can be known now is refused now; the worker takes the sites back, dependents first.
func (s *Server) GoBackCoach(ctx context.Context, r api.GoBackCoachRequestObject) (api.GoBackCoachResponseObject, error) {
	action, kind := access.Rollback, pipeline.CmdRollback
	if value(r.Body.Emergency) {
		action, kind = access.Emergency, pipeline.CmdEmergency
	}
	coach, actor, err := s.coachFor(ctx, action, r.Coach)
	if err != nil {
		return nil, err
	}
	if kind == pipeline.CmdRollback {
		if err := planAllows(coach, actor); err != nil {
			return nil, err
		}
	}
	if err := s.coachMayGoBack(ctx, coach); err != nil {
		return nil, fmt.Errorf("roll back coach %s: %w", coach.ID, err)
	}
	if err := s.orderBack(ctx, coach, kind, actor, r.Body.Reason); err != nil {
		return nil, err
	}
	return api.GoBackCoach202Response{}, nil
}

func (s *Server) orderBack(ctx context.Context, coach rop.Coach, kind pipeline.CommandKind, actor access.Actor, reason string) error {
	command := pipeline.Command{Coach: coach.ID, Kind: kind, Actor: actor.String(), Reason: reason, At: s.now()}
	_, err := s.Store.AddCoachCommand(ctx, command, event.Event{
		At: command.At, Actor: command.Actor, Object: "coach/" + coach.ID, Coach: coach.ID, What: string(kind) + "_asked", Why: reason,
	})
	if err != nil {
		return database(err)
	}
	s.Kick.Coach(coach.ID)
	s.takenUp(ctx, coach)
	return nil
}

// takenUp waits a moment until the worker has taken a Coach that had ended up again, so that whoever ordered it and looks does
// not take the end that was for the one that comes.
func (s *Server) takenUp(ctx context.Context, before rop.Coach) {
	ctx, cancel := context.WithTimeout(ctx, s.bounds.look)
	defer cancel()
	for before.State == rop.Released {
		changed := s.Store.Changed()
		now, err := s.Store.Coach(ctx, before.ID)
		if err != nil || now.State != before.State {
			return
		}
		again := time.NewTimer(takenUpAgain) // another replica may have it
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

const takenUpAgain = 100 * time.Millisecond

// coachMayGoBack says why a Coach cannot be taken out of production, or nil. One that comes back already, or has, may be asked
// again: it changes nothing. errors.Is: errConflict, roller.ErrNewer, roller.ErrNothingToGoBackTo.
func (s *Server) coachMayGoBack(ctx context.Context, coach rop.Coach) error {
	switch coach.State {
	case rop.Returning, rop.RolledBack:
		return nil
	case rop.Delivering:
		if _, production := s.environments(); production[coach.Environment] {
			return nil
		}
		fallthrough
	default:
		return fmt.Errorf("nothing of it is in production, it is %s; revoke it if it should not go on: %w", coach.State, errConflict)
	case rop.Released:
	}
	rolls, err := s.Store.RollsOfCoach(ctx, coach.ID)
	if err != nil {
		return database(err)
	}
	none := fmt.Errorf("%w: no roll of it has completed in production", roller.ErrNothingToGoBackTo)
	possible := false
	for _, r := range completedIn(rolls, coach.Environment) {
		_, err := s.wayBack(ctx, r, rolls)
		switch {
		case err == nil:
			possible = true
		case !errors.Is(err, roller.ErrNothingToGoBackTo):
			return err // one site that cannot follow leaves the others behind it
		default:
			none = err
		}
	}
	if !possible {
		return none
	}
	return nil
}

// completedIn are the releases among a Coach's rolls that completed in the environment.
func completedIn(rolls []roller.Roll, environment string) (completed []roller.Roll) {
	for _, r := range rolls {
		if r.Site.Environment == environment && r.Kind == roller.Release && r.Stage == roller.Done {
			completed = append(completed, r)
		}
	}
	return completed
}

// wayBack is how a completed roll can be taken back: by the plan, which has an id and no error, or by the roll that does so or
// has done so already.
func (s *Server) wayBack(ctx context.Context, undoes roller.Roll, related []roller.Roll) (way roller.GoBackOrder, err error) {
	belief, err := s.Store.Belief(ctx, undoes.Site)
	if err != nil {
		return way, database(err)
	}
	way = roller.GoBackOrder{Undoes: undoes, Current: belief.Revision, Barred: map[string]string{}}
	tries := 1
	for _, r := range related {
		if r.Undoes != undoes.ID {
			continue
		}
		tries++
		if !r.Stage.Terminal() || (r.Stage == roller.Done && belief.Roll == r.ID) {
			way.ID = r.ID
			return way, nil
		}
	}
	way.ID = roller.GoBackID(undoes.ID, tries)
	bars, err := s.Store.Bars(ctx, undoes.Site, false)
	if err != nil {
		return way, database(err)
	}
	for _, b := range bars {
		way.Barred[b.Revision] = b.Reason
	}
	return way, roller.MayGoBack(undoes, belief.Revision, way.Barred)
}

// goBackRoll takes one completed roll back, and returns the id of the roll that does it. Asking again finds the same one; asking
// for an emergency hastens it. Where it is all that its Coach has in production, the Coach itself goes back.
func (s *Server) goBackRoll(ctx context.Context, undoes roller.Roll, kind roller.CommandKind, actor access.Actor, reason string) (string, error) {
	coach, rolls, err := s.companions(ctx, undoes)
	if err != nil {
		return "", err
	}
	if coach.State == rop.Delivering && coach.Environment == undoes.Site.Environment {
		return "", fmt.Errorf("its Coach %s is still being delivered there; roll back the Coach: %w", coach.ID, errConflict)
	}
	way, err := s.wayBack(ctx, undoes, rolls)
	if err != nil {
		return "", err
	}
	for _, r := range rolls {
		if r.ID == way.ID {
			return r.ID, s.again(ctx, r, kind, actor, reason)
		}
	}
	if coach.State == rop.Released && coach.Environment == undoes.Site.Environment && len(completedIn(rolls, coach.Environment)) == 1 {
		return way.ID, s.orderBack(ctx, coach, pipeline.CommandKind(kind), actor, reason)
	}
	site, ok := s.Topology().Site(undoes.Site)
	if !ok {
		return "", fmt.Errorf("the topology in force has no site %s any more: %w", undoes.Site, errConflict)
	}
	way.Site, way.Emergency, way.Actor, way.Reason = site, kind == roller.CmdEmergency, actor.String(), reason
	roll, events, err := roller.PlanGoBack(way, s.now())
	if err != nil {
		return "", err
	}
	err = s.Store.AddHeldRoll(ctx, roll, heldBeforeClaimed, events...)
	if errors.Is(err, pipeline.ErrConflict) {
		if there, unknown := s.Store.Roll(ctx, roll.ID); unknown == nil { // somebody asked for the same at the same time
			return there.ID, s.again(ctx, there, kind, actor, reason)
		}
	}
	if err != nil {
		return "", database(err)
	}
	s.Kick.Roll(roll.ID)
	return roll.ID, nil
}

// goesBack reports whether a command takes back also what has completed.
func goesBack(kind roller.CommandKind) bool {
	return kind == roller.CmdRollback || kind == roller.CmdEmergency
}

// companions are the Coach of a roll and its rolls; of a roll without a Coach, those of its site.
func (s *Server) companions(ctx context.Context, r roller.Roll) (coach rop.Coach, rolls []roller.Roll, err error) {
	if r.Coach == "" {
		rolls, err = s.Store.Rolls(ctx, store.RollFilter{Environment: r.Site.Environment, Pool: r.Site.Pool}, 0)
		return coach, rolls, database(err)
	}
	if coach, err = s.Store.Coach(ctx, r.Coach); err == nil {
		rolls, err = s.Store.RollsOfCoach(ctx, r.Coach)
	}
	return coach, rolls, database(err)
}

// again hands an emergency on to a way back that is under way.
func (s *Server) again(ctx context.Context, back roller.Roll, kind roller.CommandKind, actor access.Actor, reason string) error {
	if back.Stage.Terminal() || back.Emergency || kind != roller.CmdEmergency {
		return nil // it is what was asked for, and an emergency is not slowed down
	}
	command := roller.Command{Roll: back.ID, Kind: kind, Actor: actor.String(), Reason: reason, At: s.now()}
	_, err := s.Store.AddRollCommand(ctx, command, event.Event{
		At: command.At, Actor: command.Actor, Object: "roll/" + back.ID, Coach: back.Coach, What: "emergency_asked", Why: reason,
	})
	if err != nil && !errors.Is(err, store.ErrFinished) {
		return database(err)
	}
	s.Kick.Roll(back.ID)
	return nil
}
