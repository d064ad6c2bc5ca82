package server

import (
	"context"
	"encoding/json"
	"fmt"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/verdict"
	"railyard/server/api"
)

// verdictsShown bounds the verdicts that are shown of one roll.
const verdictsShown = 100

// ListVerdicts implements the contract.
func (s *Server) ListVerdicts(ctx context.Context, r api.ListVerdictsRequestObject) (api.ListVerdictsResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("coach/"+r.Coach)); err != nil {
		return nil, err
	}
	coach, err := s.Store.Coach(ctx, r.Coach)
	if err != nil {
		return nil, database(err)
	}
	rolls, err := s.rollsOf(ctx, coach)
	if err != nil {
		return nil, err
	}
	people, err := s.people(ctx, r.Coach)
	if err != nil {
		return nil, err
	}
	out := api.Verdicts{People: people, Rolls: []api.RollVerdicts{}}
	for _, roll := range rolls {
		one := api.RollVerdicts{Roll: roll.ID, Environment: roll.Site.Environment, Pool: roll.Site.Pool, Stage: string(roll.Stage), Verdicts: []api.Verdict{}}
		looks, err := s.Store.Looks(ctx, roll.ID, verdictsShown)
		if err != nil {
			return nil, database(err)
		}
		for _, l := range looks {
			one.Verdicts = append(one.Verdicts, *verdictOf(&l.Verdict))
		}
		out.Rolls = append(out.Rolls, one)
	}
	return api.ListVerdicts200JSONResponse(out), nil
}

// people is what people said of a Coach, oldest first.
func (s *Server) people(ctx context.Context, coach string) ([]api.EnteredVerdict, error) {
	all, err := s.Store.TestVerdicts(ctx, coach)
	if err != nil {
		return nil, database(err)
	}
	said := []api.EnteredVerdict{}
	for _, e := range all {
		said = append(said, enteredOf(e))
	}
	return said, nil
}

func enteredOf(e verdict.Entered) api.EnteredVerdict {
	return api.EnteredVerdict{Environment: e.Environment, Actor: e.Actor, Pass: e.Pass, Reason: e.Reason, At: e.At}
}

// EnterVerdict implements the contract.
func (s *Server) EnterVerdict(ctx context.Context, r api.EnterVerdictRequestObject) (api.EnterVerdictResponseObject, error) {
	coach, actor, err := s.coachFor(ctx, access.EnterVerdict, r.Coach)
	if err != nil {
		return nil, err
	}
	if r.Body.Pass && coach.Author != "" && actor.Person == coach.Author {
		return nil, fmt.Errorf("pass coach %s: %s pushed it, and a commit is passed by somebody else: %w", coach.ID, actor.Person, access.ErrDenied)
	}
	if coach.State.Terminal() {
		return nil, fmt.Errorf("enter a verdict on coach %s: it has ended, %s: %w", coach.ID, coach.State, errConflict)
	}
	environment := value(r.Body.Environment)
	if environment == "" {
		environment = coach.Environment
	}
	if _, ok := s.Topology().Environment(environment); !ok {
		return nil, fmt.Errorf("enter a verdict on coach %s: %w: environment %q; name one of the topology's", coach.ID, errInvalid, environment)
	}
	said := verdict.Entered{Coach: coach.ID, Environment: environment, Actor: actor.String(), Pass: r.Body.Pass, Reason: r.Body.Reason, At: s.now()}
	word := "fail"
	if said.Pass {
		word = "pass"
	}
	err = s.Store.AddTestVerdict(ctx, said, event.Event{
		At: said.At, Actor: said.Actor, Object: "coach/" + coach.ID, Coach: coach.ID, What: "verdict_entered", From: environment, To: word, Why: said.Reason,
	})
	if err != nil {
		return nil, database(err)
	}
	return api.EnterVerdict200JSONResponse(enteredOf(said)), nil
}

// ListLooks implements the contract.
func (s *Server) ListLooks(ctx context.Context, r api.ListLooksRequestObject) (api.ListLooksResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("roll/"+r.Roll)); err != nil {
		return nil, err
	}
	if _, err := s.Store.Roll(ctx, r.Roll); err != nil {
		return nil, database(err)
	}
	looks, err := s.Store.Looks(ctx, r.Roll, orDefault(r.Params.Limit, verdictsShown))
	if err != nil {
		return nil, database(err)
	}
	out := make(api.ListLooks200JSONResponse, len(looks))
	for i, l := range looks {
		if out[i], err = json.Marshal(l); err != nil {
			return nil, fmt.Errorf("show a look at roll %s: %w", r.Roll, err)
		}
	}
	return out, nil
}
