package server

import (
	"context"
	"fmt"
	"time"

	"railyard/internal/access"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/server/api"
)

// heldBeforeClaimed is how long a roll that was added with its site's lock holds it before a worker has claimed it. A roll that
// has not ended keeps its lock beyond that.
const heldBeforeClaimed = 30 * time.Second

// SyncSite implements the contract.
func (s *Server) SyncSite(ctx context.Context, r api.SyncSiteRequestObject) (api.SyncSiteResponseObject, error) {
	ref := fleet.SiteRef{Environment: r.Environment, Pool: r.Pool}
	object := access.Object{Name: "site/" + ref.String()}
	t := s.Topology()
	if t == nil {
		t = &fleet.Topology{}
	}
	if pool, ok := t.Pool(ref.Pool); ok {
		object.SBU = pool.SBU
	}
	actor, err := s.authorize(ctx, access.Sync, object)
	if err != nil {
		return nil, err
	}
	site, ok := t.Site(ref)
	if !ok {
		return nil, fmt.Errorf("sync %s: %w: the topology in force has no such site", ref, errNotFound)
	}
	roll, err := s.catchUp(ctx, site, actor, r.Body.Reason)
	if err != nil {
		return nil, fmt.Errorf("sync %s: %w", ref, err)
	}
	return api.SyncSite200JSONResponse(rollOf(roll)), nil
}

// catchUp plans a catch-up roll by what the site is like now, and stores it.
func (s *Server) catchUp(ctx context.Context, site fleet.SiteInfo, actor access.Actor, reason string) (roller.Roll, error) {
	belief, err := s.Store.Belief(ctx, site.Ref)
	if err != nil {
		return roller.Roll{}, database(err)
	}
	if belief.Holder != "" {
		return roller.Roll{}, fmt.Errorf("roll %s holds it; it brings owed servers along, or ask again when it has ended: %w", belief.Holder, errConflict)
	}
	seen, err := s.Survey(ctx, site.Ref)
	if err != nil {
		return roller.Roll{}, fmt.Errorf("the site could not be looked at: %w: %w", errUnavailable, err)
	}
	if seen.Balancer != nil {
		return roller.Roll{}, fmt.Errorf("its balancer does not answer, so nothing may be taken out: %w: %w", errUnavailable, seen.Balancer)
	}
	roll, events, err := roller.PlanCatchUp(roller.CatchUpOrder{
		Site: site, Believed: belief.Revision, Servers: seen.Servers, Actor: actor.String(), Reason: reason,
	}, s.now())
	if err != nil {
		return roll, err
	}
	if err := s.Store.AddHeldRoll(ctx, roll, heldBeforeClaimed, events...); err != nil {
		return roll, database(err)
	}
	s.Kick.Roll(roll.ID)
	return roll, nil
}
