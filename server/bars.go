package server

import (
	"context"
	"fmt"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/server/api"
)

// ListBars implements the contract.
func (s *Server) ListBars(ctx context.Context, _ api.ListBarsRequestObject) (api.ListBarsResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("bars")); err != nil {
		return nil, err
	}
	bars, err := s.Store.Bars(ctx, fleet.SiteRef{}, false)
	if err != nil {
		return nil, database(err)
	}
	shown := api.ListBars200JSONResponse{}
	for _, b := range bars {
		shown = append(shown, api.Bar{
			Environment: b.Site.Environment, Pool: b.Site.Pool, Revision: b.Revision, Reason: b.Reason, Roll: b.Roll, At: b.At,
		})
	}
	return shown, nil
}

// ClearBar implements the contract.
func (s *Server) ClearBar(ctx context.Context, r api.ClearBarRequestObject) (api.ClearBarResponseObject, error) {
	site := fleet.SiteRef{Environment: r.Body.Environment, Pool: r.Body.Pool}
	object := access.Object{Name: "site/" + site.String()}
	if pool, ok := s.Topology().Pool(site.Pool); ok {
		object.SBU = pool.SBU
	}
	actor, err := s.authorize(ctx, access.ClearBar, object)
	if err != nil {
		return nil, err
	}
	now := s.now()
	err = s.Store.ClearBar(ctx, site, r.Body.Revision, actor.String(), r.Body.Reason, now, event.Event{
		At: now, Actor: actor.String(), Object: object.Name, What: "bar_cleared", From: r.Body.Revision, Why: r.Body.Reason,
	})
	if err != nil {
		return nil, fmt.Errorf("clear the bar of %s on %s: %w", r.Body.Revision, site, database(err))
	}
	return api.ClearBar204Response{}, nil
}
