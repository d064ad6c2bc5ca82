package store

import (
	"context"
	"time"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// Durations is how long the last completed releases of some sites took, the waiting for their locks included.
func (s *Store) Durations(ctx context.Context, sites []fleet.SiteRef) (pipeline.History, error) {
	var history pipeline.History
	err := s.snapshot(ctx, "read how long rolls took", func(q *db.Queries) error {
		history = pipeline.History{}
		for _, site := range sites {
			heads, err := q.LastRollsOfSite(ctx, db.LastRollsOfSiteParams{Environment: site.Environment, Pool: site.Pool})
			if err != nil {
				return err
			}
			rolls, err := decodeAll[struct{ Created, StageSince time.Time }](heads)
			if err != nil {
				return err
			}
			for _, r := range rolls {
				history[site] = append(history[site], r.StageSince.Sub(r.Created))
			}
		}
		return nil
	})
	return history, err
}

// Before is what each site of an environment ran before the release that completed last on it. Sites whose last completed roll
// was no release are absent: it returned them to where they are.
func (s *Store) Before(ctx context.Context, environment string) (ar.Running, error) {
	before := ar.Running{}
	rows, err := s.read().CompletingRolls(ctx, environment)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		site, err := fleet.ParseSiteRef(row.Site)
		if err != nil {
			return nil, err
		}
		roll, err := decode[struct{ From roller.Revision }](row.Header)
		if err != nil {
			return nil, err
		}
		if roll.From.ID != "" {
			before[site] = roll.From
		}
	}
	return before, nil
}
