package server

import (
	"context"
	"fmt"
	"time"

	"railyard/internal/access"
	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server/api"
)

func trainObject(t pipeline.Train) access.Object {
	return access.Object{Name: "train/" + t.ID, SBU: t.SBU}
}

// ListTrains implements the contract.
func (s *Server) ListTrains(ctx context.Context, r api.ListTrainsRequestObject) (api.ListTrainsResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("trains")); err != nil {
		return nil, err
	}
	rows, err := s.Store.Trains(ctx, store.TrainFilter{Line: value(r.Params.Line), Active: value(r.Params.Active)}, orDefault(r.Params.Limit, 50))
	if err != nil {
		return nil, database(err)
	}
	trains := make([]api.Train, len(rows))
	for i, t := range rows {
		trains[i] = trainOf(t, nil)
	}
	return api.ListTrains200JSONResponse(trains), nil
}

// CreateTrain implements the contract.
func (s *Server) CreateTrain(ctx context.Context, r api.CreateTrainRequestObject) (api.CreateTrainResponseObject, error) {
	b := r.Body
	train := pipeline.Train{
		Line: b.Line, SBU: b.Sbu, Created: s.now(), Mode: pipeline.Mode(orDefault(b.Mode, api.CreateTrainJSONBodyMode(pipeline.ByHand))),
		Policy: ar.Policy(orDefault(b.Policy, api.CreateTrainJSONBodyPolicy(ar.PolicyDependents))), State: pipeline.TrainOpen,
		Reason: "open: Coaches are coupled",
	}
	if t := s.Topology(); t != nil {
		if _, ok := t.SBU(train.SBU); !ok {
			return nil, fmt.Errorf("%w: body.sbu: unknown SBU %q", errInvalid, train.SBU)
		}
	}
	if (train.Mode == pipeline.ByTime) != (b.At != nil) {
		return nil, fmt.Errorf("%w: body.at: it goes with mode time, and mode time needs it", errInvalid)
	}
	if b.At != nil {
		train.At = b.At.UTC().Truncate(time.Microsecond)
	}
	actor, err := s.authorize(ctx, access.Couple, access.Object{Name: "train/" + train.Line, SBU: train.SBU})
	if err != nil {
		return nil, err
	}
	train.By = actor.String()
	train, err = s.Store.CreateTrain(ctx, train, func(t pipeline.Train) event.Event {
		return event.Event{At: t.Created, Actor: t.By, Object: "train/" + t.ID, Coach: t.ID, What: "train_created", To: string(t.State), Why: b.Reason}
	})
	if err != nil {
		return nil, database(err)
	}
	return api.CreateTrain201JSONResponse(trainOf(train, nil)), nil
}

// GetTrain implements the contract. With wait it answers as soon as the Train's progress is another than `than`.
func (s *Server) GetTrain(ctx context.Context, r api.GetTrainRequestObject) (api.GetTrainResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("train/"+r.Train)); err != nil {
		return nil, err
	}
	wait := min(time.Duration(value(r.Params.Wait))*time.Second, longestPoll)
	train, err := otherThan(ctx, s, r.Train, value(r.Params.Than), wait, s.train, func(t api.Train) string { return t.Progress })
	return api.GetTrain200JSONResponse(train), err
}

func (s *Server) train(ctx context.Context, id string) (api.Train, error) {
	t, err := s.Store.Train(ctx, id)
	if err != nil {
		return api.Train{}, database(err)
	}
	facts, err := s.Store.TrainFacts(ctx, t)
	return trainOf(t, facts.Rolls), database(err)
}

// trainFor finds a Train and authorises the action on it.
func (s *Server) trainFor(ctx context.Context, action access.Action, id string) (pipeline.Train, access.Actor, error) {
	train, err := s.Store.Train(ctx, id)
	if err != nil {
		return train, access.Actor{}, database(err)
	}
	actor, err := s.authorize(ctx, action, trainObject(train))
	return train, actor, err
}

// CoupleCoach implements the contract. It takes the right on both: an SBU puts its own Coaches into its own Trains.
func (s *Server) CoupleCoach(ctx context.Context, r api.CoupleCoachRequestObject) (api.CoupleCoachResponseObject, error) {
	train, _, err := s.trainFor(ctx, access.Couple, r.Train)
	if err != nil {
		return nil, err
	}
	coach, actor, err := s.coachFor(ctx, access.Couple, r.Body.Coach)
	if err != nil {
		return nil, err
	}
	switch first := s.firstEnvironment(); {
	case coach.Plan.Urgent:
		return nil, fmt.Errorf("couple coach %s: its plan is urgent, so it skips Trains: %w", coach.ID, errConflict)
	case coach.Environment != "" && coach.Environment != first:
		return nil, fmt.Errorf("couple coach %s: it is in %s already, on its own: %w", coach.ID, coach.Environment, errConflict)
	}
	seat := pipeline.Seat{Coach: coach.ID, Train: train.ID, By: actor.String(), At: s.now()}
	err = s.Store.Couple(ctx, seat, event.Event{At: seat.At, Actor: seat.By, Object: "train/" + train.ID, Coach: coach.ID, What: "coach_coupled", To: coach.ID, Why: r.Body.Reason})
	if err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(coach.ID)
	s.Kick.Coach(train.ID)
	return api.CoupleCoach204Response{}, nil
}

func (s *Server) firstEnvironment() string {
	if t := s.Topology(); t != nil && len(t.Environments) > 0 {
		return t.Environments[0].Name
	}
	return ""
}

// UncoupleCoach implements the contract.
func (s *Server) UncoupleCoach(ctx context.Context, r api.UncoupleCoachRequestObject) (api.UncoupleCoachResponseObject, error) {
	train, actor, err := s.trainFor(ctx, access.Couple, r.Train)
	if err != nil {
		return nil, err
	}
	e := event.Event{At: s.now(), Actor: actor.String(), Object: "train/" + train.ID, Coach: r.Body.Coach, What: "coach_uncoupled", From: r.Body.Coach, Why: r.Body.Reason}
	if err := s.Store.Uncouple(ctx, r.Body.Coach, train.ID, e); err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(r.Body.Coach)
	s.Kick.Coach(train.ID)
	return api.UncoupleCoach204Response{}, nil
}

// CommandTrain implements the contract.
func (s *Server) CommandTrain(ctx context.Context, r api.CommandTrainRequestObject) (api.CommandTrainResponseObject, error) {
	command := pipeline.TrainCommand{Kind: pipeline.TrainCommandKind(r.Body.Command), Plan: value(r.Body.Plan), Reason: r.Body.Reason, At: s.now()}
	if (command.Kind == pipeline.CmdCancel) != (command.Plan == "") {
		return nil, fmt.Errorf("%w: body.plan: depart and confirm name the plan that was looked at (railyard plan %s), cancel names none", errInvalid, r.Train)
	}
	train, actor, err := s.trainFor(ctx, access.Depart, r.Train)
	if err != nil {
		return nil, err
	}
	if command.Plan != "" && (train.Plan == nil || train.Plan.Digest != command.Plan) {
		return nil, fmt.Errorf("%s Train %s: %s; look again (railyard plan %s): %w", command.Kind, train.ID, anotherPlan(train, command.Plan), train.ID, errConflict)
	}
	command.Train, command.Actor = train.ID, actor.String()
	_, err = s.Store.AddTrainCommand(ctx, command, event.Event{
		At: command.At, Actor: command.Actor, Object: "train/" + train.ID, Coach: train.ID, What: string(command.Kind) + "_asked", To: command.Plan, Why: command.Reason,
	})
	if err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(train.ID)
	return api.CommandTrain202Response{}, nil
}

func anotherPlan(t pipeline.Train, named string) string {
	if t.Plan == nil {
		return "there is no plan now"
	}
	return fmt.Sprintf("the plan that was looked at is %s, and it is %s now", named, t.Plan.Digest)
}

// LetCoachGoAlone implements the contract.
func (s *Server) LetCoachGoAlone(ctx context.Context, r api.LetCoachGoAloneRequestObject) (api.LetCoachGoAloneResponseObject, error) {
	coach, actor, err := s.coachFor(ctx, access.Couple, r.Coach)
	if err != nil {
		return nil, err
	}
	command := pipeline.Command{Coach: coach.ID, Kind: pipeline.CmdAlone, Actor: actor.String(), Reason: r.Body.Reason, At: s.now()}
	_, err = s.Store.AddCoachCommand(ctx, command, event.Event{
		At: command.At, Actor: command.Actor, Object: "coach/" + coach.ID, Coach: coach.ID, What: "alone_asked", Why: command.Reason,
	})
	if err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(coach.ID)
	return api.LetCoachGoAlone202Response{}, nil
}

// OverrideFreeze implements the contract.
func (s *Server) OverrideFreeze(ctx context.Context, r api.OverrideFreezeRequestObject) (api.OverrideFreezeResponseObject, error) {
	coach, train := value(r.Body.Coach), value(r.Body.Train)
	if (coach == "") == (train == "") {
		return nil, fmt.Errorf("%w: body: name a coach or a train, and not both", errInvalid)
	}
	override := ar.Override{Object: "coach/" + coach, Freeze: r.Body.Freeze, Reason: r.Body.Reason, At: s.now()}
	carrier := coach
	var actor access.Actor
	var err error
	if train != "" {
		override.Object, carrier = "train/"+train, train
		_, actor, err = s.trainFor(ctx, access.Override, train)
	} else {
		_, actor, err = s.coachFor(ctx, access.Override, coach)
	}
	if err != nil {
		return nil, err
	}
	if err := s.freezeIsThere(override.Freeze); err != nil {
		return nil, err
	}
	override.Actor = actor.String()
	err = s.Store.AddOverride(ctx, override, event.Event{
		At: override.At, Actor: override.Actor, Object: override.Object, Coach: carrier, What: "freeze_overridden", To: override.Freeze, Why: override.Reason,
	})
	if err != nil {
		return nil, database(err)
	}
	all, err := s.Store.Overrides(ctx, override.Object)
	if err != nil {
		return nil, database(err)
	}
	given := []string{}
	for _, o := range all {
		if o.Freeze == override.Freeze {
			given = append(given, o.Actor)
		}
	}
	s.Kick.Coach(carrier)
	return api.OverrideFreeze200JSONResponse{Given: given, Counts: len(given) >= 2}, nil
}

func (s *Server) freezeIsThere(name string) error {
	if t := s.Topology(); t != nil {
		for _, f := range t.Calendar.Freezes {
			if f.Name == name {
				return nil
			}
		}
	}
	return fmt.Errorf("freeze %q: %w: the calendar of the topology in force does not name it", name, errNotFound)
}

// ListDependencies implements the contract.
func (s *Server) ListDependencies(ctx context.Context, r api.ListDependenciesRequestObject) (api.ListDependenciesResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("dependencies")); err != nil {
		return nil, err
	}
	deps, err := s.dependencies(ctx, value(r.Params.Environment), value(r.Params.App))
	return api.ListDependencies200JSONResponse(deps), err
}

func (s *Server) dependencies(ctx context.Context, environment, app string) ([]api.Dependency, error) {
	t := s.Topology()
	if t == nil || len(t.Environments) == 0 {
		return []api.Dependency{}, nil
	}
	if environment == "" {
		environment = t.Environments[len(t.Environments)-1].Name
	}
	if _, ok := t.Environment(environment); !ok {
		return nil, fmt.Errorf("environment %q: %w: the topology in force does not name it", environment, errNotFound)
	}
	picture, err := s.Store.Picture(ctx, s.now())
	if err != nil {
		return nil, database(err)
	}
	before, err := s.Store.Before(ctx, environment)
	if err != nil {
		return nil, database(err)
	}
	found := []api.Dependency{}
	for _, d := range ar.Dependencies(t, environment, picture.Running, before) {
		if app == "" || d.App == app {
			found = append(found, dependencyOf(d))
		}
	}
	if app != "" && len(found) == 0 {
		return nil, fmt.Errorf("app %q: %w: nothing of it runs in %s", app, errNotFound, environment)
	}
	return found, nil
}
