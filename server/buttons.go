package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/server/api"
)

// Press is a button that a person pressed in Jenkins, as Jenkins itself tells of it.
type Press struct {
	Key    string // names the press: "main/railyard/Brake #12"
	Button string // "promote", "rollback", "brake" or "resume"
	Person string // "li": who pressed it, in Railyard's words
	Coach  string // "hotel-api-7.2"
	Reason string // what the person wrote; may be empty
	Mode   string // of a rollback: "regular" or "emergency"
}

// PressButton implements the contract. The request only points at a build; who pressed what is read at Jenkins. Then it is the
// person who asks: the same operations, rights and rows in the event log as when the person had called the API.
func (s *Server) PressButton(ctx context.Context, r api.PressButtonRequestObject) (api.PressButtonResponseObject, error) {
	name := fmt.Sprintf("button/%s#%d", r.Body.Job, r.Body.Number)
	if _, err := s.authorize(ctx, access.Relay, access.Object{Name: name}); err != nil {
		return nil, err
	}
	if s.Pressed == nil {
		return nil, fmt.Errorf("press %s: no Jenkins is configured here: %w", name, errConflict)
	}
	press, err := s.Pressed(ctx, value(r.Body.Controller), r.Body.Job, r.Body.Number)
	if err != nil {
		return nil, fmt.Errorf("press: %w", database(err))
	}
	persons, err := s.asPerson(ctx, press.Person)
	if err != nil {
		return nil, err
	}
	denied := fmt.Errorf("%s has no token here, and so no rights: %w", press.Person, access.ErrDenied)
	for _, person := range persons {
		did, err := s.press(person, press)
		if err == nil {
			return api.PressButton200JSONResponse{Person: press.Person, Did: did}, nil
		}
		if denied = err; !errors.Is(err, access.ErrDenied) {
			break
		}
	}
	return nil, fmt.Errorf("press %s for %s: %w", press.Button, press.Person, denied)
}

// asPerson are contexts in which the person asks, one for each right they have by their tokens.
func (s *Server) asPerson(ctx context.Context, person string) (as []context.Context, err error) {
	tokens, err := s.Store.TokensOf(ctx, person)
	if err != nil {
		return nil, database(err)
	}
	for _, t := range tokens {
		if !t.Valid(s.Now()) || access.Role(t.Role) == access.Jenkins {
			continue
		}
		v := *visitOf(ctx)
		v.actor, v.stale = access.Actor{Person: person, Role: access.Role(t.Role), SBU: t.SBU}, false
		as = append(as, context.WithValue(ctx, visitKey{}, &v))
	}
	return as, nil
}

// press does what the button says, in the name of the context's person, and says what that was. A press that is relayed again
// finds what it has done by the mark in the event log and does only the rest.
func (s *Server) press(ctx context.Context, p Press) (did []string, err error) {
	coach, err := s.Store.Coach(ctx, p.Coach)
	if err != nil {
		return nil, database(err)
	}
	mark := "[" + p.Key + "]"
	reason := strings.TrimSpace(p.Reason + " " + mark)
	done, err := s.marked(ctx, coach.ID, mark)
	if err != nil {
		return nil, err
	}
	switch p.Button {
	case "promote":
		if slices.Contains(done, "coach/"+coach.ID) {
			return []string{"it was promoted by this press already"}, nil
		}
		_, err = s.ApproveCoach(ctx, api.ApproveCoachRequestObject{Coach: coach.ID, Body: &api.ApproveCoachJSONRequestBody{Reason: reason}})
		return []string{"Coach " + coach.ID + " is approved"}, err
	case "rollback":
		emergency := p.Mode == "emergency"
		_, err = s.GoBackCoach(ctx, api.GoBackCoachRequestObject{Coach: coach.ID, Body: &api.GoBackCoachJSONRequestBody{Reason: reason, Emergency: &emergency}})
		return []string{"Coach " + coach.ID + " goes back"}, err
	case "brake":
		return s.pressRolls(ctx, coach, api.Brake, reason, done)
	case "resume":
		return s.pressRolls(ctx, coach, api.Resume, reason, done)
	}
	return nil, fmt.Errorf("%w: there is no button %q; there are Promote, Rollback, Brake and Resume", errInvalid, p.Button)
}

// pressRolls gives a command to every roll of the Coach that has not ended.
func (s *Server) pressRolls(ctx context.Context, coach rop.Coach, command api.CommandRollJSONBodyCommand, reason string, done []string) (did []string, err error) {
	rolls, err := s.Store.RollsOfCoach(ctx, coach.ID)
	if err != nil {
		return nil, database(err)
	}
	for _, r := range rolls {
		if r.Stage.Terminal() || command == api.Resume && r.Pause == nil {
			continue
		}
		if !slices.Contains(done, "roll/"+r.ID) {
			_, err := s.CommandRoll(ctx, api.CommandRollRequestObject{Roll: r.ID, Body: &api.CommandRollJSONRequestBody{Command: command, Reason: reason}})
			if err != nil && !errors.Is(err, store.ErrFinished) {
				return did, err
			}
		}
		did = append(did, string(command)+" of roll "+r.ID)
	}
	if len(did) == 0 {
		if err := s.mayCommand(ctx, coach, command); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("Coach %s has no roll to %s now, it is %s: %w", coach.ID, command, coach.State, errConflict)
	}
	return did, nil
}

// mayCommand keeps who may not command a roll from learning whether there is one.
func (s *Server) mayCommand(ctx context.Context, coach rop.Coach, command api.CommandRollJSONBodyCommand) error {
	_, err := s.authorize(ctx, actions[roller.CommandKind(command)], coachObject(coach))
	return err
}

// marked are the objects of a Coach for which the event log holds an order with the mark.
func (s *Server) marked(ctx context.Context, coach, mark string) (objects []string, err error) {
	events, err := s.Store.Events(ctx, store.EventFilter{Coach: coach, Newest: true, Limit: 500})
	if err != nil {
		return nil, database(err)
	}
	for _, e := range events {
		if strings.HasSuffix(e.Why, mark) {
			objects = append(objects, e.Object)
		}
	}
	return objects, nil
}

// BrakeDeployment implements the contract: the build that follows a deployment was aborted, so what its Coach or Train is rolling stops
// where it is until a person decides. Braking is the one thing a build may ask of a roll.
func (s *Server) BrakeDeployment(ctx context.Context, r api.BrakeDeploymentRequestObject) (api.BrakeDeploymentResponseObject, error) {
	d, actor, err := s.deploymentFor(ctx, r.Deployment)
	if err != nil {
		return nil, err
	}
	rolls, err := s.Store.RollsOfCoach(ctx, d.carrier())
	if err != nil {
		return nil, database(err)
	}
	braked := []string{}
	for _, roll := range rolls {
		if roll.Stage.Terminal() {
			continue
		}
		s.Kick.Brake(roll.ID)
		command := roller.Command{Roll: roll.ID, Kind: roller.CmdBrake, Actor: actor.String(), Reason: r.Body.Reason, At: s.now()}
		_, err := s.Store.AddRollCommand(ctx, command, event.Event{
			At: command.At, Actor: command.Actor, Object: "roll/" + roll.ID, Coach: d.carrier(), What: "brake_asked", Why: command.Reason,
		})
		if errors.Is(err, store.ErrFinished) {
			continue
		}
		if err != nil {
			return nil, s.brakedOnly(roll.ID, database(err))
		}
		s.Kick.Roll(roll.ID)
		braked = append(braked, roll.ID)
	}
	return api.BrakeDeployment200JSONResponse{Coach: d.carrier(), Braked: braked}, nil
}
