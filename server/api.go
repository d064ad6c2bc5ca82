package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server/api"
)

var _ api.StrictServerInterface = (*Server)(nil)

// nobodys is what is not one SBU's.
func nobodys(name string) access.Object { return access.Object{Name: name} }

func coachObject(c rop.Coach) access.Object {
	return access.Object{Name: "coach/" + c.ID, SBU: c.SBU}
}

// ListSites implements the contract.
func (s *Server) ListSites(ctx context.Context, r api.ListSitesRequestObject) (api.ListSitesResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("sites")); err != nil {
		return nil, err
	}
	only := value(r.Params.Environment)
	if t := s.Topology(); only != "" && t != nil {
		if _, ok := t.Environment(only); !ok {
			return nil, fmt.Errorf("environment %q: %w: the topology in force does not name it", only, errNotFound)
		}
	}
	sites, err := s.sites(ctx, only)
	return api.ListSites200JSONResponse(sites), err
}

// sites shows every site of the topology in its order, or those of one environment, looked at side by side.
func (s *Server) sites(ctx context.Context, only string) ([]api.Site, error) {
	states, err := s.Store.SiteStates(ctx)
	if err != nil {
		return nil, database(err)
	}
	active, err := s.Store.Rolls(ctx, store.RollFilter{Active: true}, mostActive)
	if err != nil {
		return nil, database(err)
	}
	drifts, err := s.Store.Drifts(ctx)
	if err != nil {
		return nil, database(err)
	}
	known := map[fleet.SiteRef]store.SiteState{}
	for _, state := range states {
		known[state.Site] = state
	}
	var shown []siteFacts
	t := s.Topology()
	if t == nil {
		return []api.Site{}, nil
	}
	for _, env := range t.Environments {
		if only != "" && env.Name != only {
			continue
		}
		for _, pool := range t.PoolOrder() {
			info, ok := t.Site(fleet.SiteRef{Environment: env.Name, Pool: pool})
			if !ok {
				continue
			}
			shown = append(shown, siteFacts{info: info, state: known[info.Ref], roll: rollOn(active, info.Ref, known[info.Ref].Lock), drift: drifts[info.Ref]})
		}
	}
	s.lookAtAll(ctx, shown)
	sites := make([]api.Site, len(shown))
	for i, f := range shown {
		sites[i] = siteOf(f)
	}
	return sites, nil
}

// mostActive bounds the rolls and Coaches under way that are shown at once.
const mostActive = 500

// rollOn finds the roll that holds the site, or else one that waits for it.
func rollOn(active []roller.Roll, site fleet.SiteRef, lock *store.SiteLock) *roller.Roll {
	var found *roller.Roll
	for i, r := range active {
		if lock != nil && lock.Roll == r.ID {
			return &active[i] // also one of another pool that shares servers with it
		}
		if r.Site == site {
			found = &active[i]
		}
	}
	return found
}

func (s *Server) lookAtAll(ctx context.Context, shown []siteFacts) {
	done := make(chan struct{})
	for i := range shown {
		go func() {
			shown[i].look = s.looks.at(ctx, shown[i].info.Ref)
			done <- struct{}{}
		}()
	}
	for range shown {
		<-done
	}
}

// ListCoaches implements the contract.
func (s *Server) ListCoaches(ctx context.Context, r api.ListCoachesRequestObject) (api.ListCoachesResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("coaches")); err != nil {
		return nil, err
	}
	filter := store.CoachFilter{Project: value(r.Params.Project), Active: value(r.Params.Active)}
	coaches, err := s.coaches(ctx, filter, rop.PlanState(value(r.Params.Plan)), orDefault(r.Params.Limit, 50))
	return api.ListCoaches200JSONResponse(coaches), err
}

// coaches lists Coaches, newest first, with the rolls of those that have not ended. With a state of their plan, it looks among those
// that have not ended, or among the newest.
func (s *Server) coaches(ctx context.Context, f store.CoachFilter, plan rop.PlanState, limit int) ([]api.Coach, error) {
	read := limit
	if plan != "" {
		f.Active, read = f.Active || !plan.Ended(), mostActive
	}
	rows, err := s.Store.Coaches(ctx, f, read)
	if err != nil {
		return nil, database(err)
	}
	if plan != "" {
		rows = inPlanState(rows, plan, limit)
	}
	coaches := make([]api.Coach, len(rows))
	for i, row := range rows {
		var rolls []roller.Roll
		if !row.State.Terminal() && len(row.Rolls) > 0 {
			if rolls, err = s.rollsOf(ctx, row); err != nil {
				return nil, err
			}
		}
		coaches[i] = coachOf(row, rolls)
	}
	return coaches, nil
}

func (s *Server) rollsOf(ctx context.Context, c rop.Coach) ([]roller.Roll, error) {
	rolls, err := s.Store.RollsOfCoach(ctx, c.ID)
	for _, r := range rolls {
		s.objects.put(r.ID, access.Object{Name: "roll/" + r.ID, SBU: c.SBU})
	}
	return rolls, database(err)
}

// GetCoach implements the contract. With wait it answers as soon as the Coach's progress is another than `than`.
func (s *Server) GetCoach(ctx context.Context, r api.GetCoachRequestObject) (api.GetCoachResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("coach/"+r.Coach)); err != nil {
		return nil, err
	}
	wait := min(time.Duration(value(r.Params.Wait))*time.Second, longestPoll)
	coach, err := otherThan(ctx, s, r.Coach, value(r.Params.Than), wait, s.coach, func(c api.Coach) string { return c.Progress })
	return api.GetCoach200JSONResponse(coach), err
}

// pollAgain is how long a long poll trusts the event log to tell of a change. It covers what moves without an event.
const pollAgain = 2 * time.Second

// otherThan returns a Coach or a Train once its progress is not than, or as it is after wait. It reads when the event log tells of it,
// and every two seconds.
func otherThan[T any](ctx context.Context, s *Server, id, than string, wait time.Duration, read func(context.Context, string) (T, error), progress func(T) string) (T, error) {
	if wait == 0 || than == "" {
		return read(ctx, id)
	}
	release := s.tail.listen()
	defer release()
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	seen, err := s.tail.last(ctx)
	if err != nil {
		var none T
		return none, database(err)
	}
	for last := false; ; {
		now, err := read(ctx, id)
		if err != nil || progress(now) != than || last {
			return now, err
		}
		if seen, last, err = s.nextOf(ctx, id, seen, deadline.C); err != nil {
			return now, err
		}
	}
}

// nextOf waits until the log tells of the Coach, two seconds have passed, or the deadline has come (last).
func (s *Server) nextOf(ctx context.Context, coach string, seen int64, deadline <-chan time.Time) (now int64, last bool, err error) {
	again := time.NewTimer(pollAgain)
	defer again.Stop()
	for {
		events, moved, err := s.tail.next(ctx, seen)
		if err != nil {
			return seen, false, database(err)
		}
		for _, e := range events {
			seen = e.ID
			if e.Coach == coach {
				return seen, false, nil
			}
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-moved:
		case <-again.C:
			return seen, false, nil
		case <-deadline:
			return seen, true, nil
		case <-stopping(ctx):
			return seen, true, nil
		case <-ctx.Done():
			return seen, false, context.Cause(ctx)
		}
	}
}

func (s *Server) coach(ctx context.Context, id string) (api.Coach, error) {
	row, err := s.Store.Coach(ctx, id)
	if err != nil {
		return api.Coach{}, database(err)
	}
	rolls, err := s.rollsOf(ctx, row)
	return coachOf(row, rolls), err
}

// GetRoll implements the contract.
func (s *Server) GetRoll(ctx context.Context, r api.GetRollRequestObject) (api.GetRollResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("roll/"+r.Roll)); err != nil {
		return nil, err
	}
	roll, err := s.Store.Roll(ctx, r.Roll)
	if err != nil {
		return nil, database(err)
	}
	return api.GetRoll200JSONResponse(rollOf(roll)), nil
}

// GetDeployment implements the contract.
func (s *Server) GetDeployment(ctx context.Context, r api.GetDeploymentRequestObject) (api.GetDeploymentResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("deployment/"+r.Deployment)); err != nil {
		return nil, err
	}
	d, err := s.deployment(ctx, r.Deployment)
	return api.GetDeployment200JSONResponse(d.shown()), err
}

// ListEvents implements the contract.
func (s *Server) ListEvents(ctx context.Context, r api.ListEventsRequestObject) (api.ListEventsResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("events")); err != nil {
		return nil, err
	}
	rows, err := s.Store.Events(ctx, store.EventFilter{
		After: value(r.Params.After), Coach: value(r.Params.Coach), Object: value(r.Params.Object),
		Newest: r.Params.After == nil, Limit: orDefault(r.Params.Limit, 100),
	})
	if err != nil {
		return nil, database(err)
	}
	return api.ListEvents200JSONResponse(eventsOf(rows)), nil
}

func eventsOf(rows []event.Event) []api.Event {
	events := make([]api.Event, len(rows))
	for i, e := range rows {
		events[i] = eventOf(e)
	}
	return events
}

// GetTopology implements the contract.
func (s *Server) GetTopology(ctx context.Context, _ api.GetTopologyRequestObject) (api.GetTopologyResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("topology")); err != nil {
		return nil, err
	}
	row, err := s.Store.CurrentTopology(ctx)
	if errors.Is(err, pipeline.ErrNotFound) {
		return nil, fmt.Errorf("topology: %w: none was applied yet", errNotFound)
	}
	if err != nil {
		return nil, database(err)
	}
	return api.GetTopology200ApplicationyamlResponse{
		Body: strings.NewReader(row.Text), ContentLength: int64(len(row.Text)),
		Headers: api.GetTopology200ResponseHeaders{RailyardDigest: &row.Digest},
	}, nil
}
