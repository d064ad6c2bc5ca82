package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store/db"
)

var _ roller.DriftStore = (*Store)(nil)

// ClaimAudit implements roller.DriftStore. Replicas that come at once share the sites: one statement decides.
func (s *Store) ClaimAudit(ctx context.Context, c roller.AuditClaim, free time.Time) (taken bool, err error) {
	err = s.write(ctx, lease, fmt.Sprintf("claim the audit of site %s", c.Site), func(t *tx) error {
		n, err := t.TakeAudit(ctx, db.TakeAuditParams{Owner: c.Owner, HeldUntil: micros(c.Until), Site: c.Site.String(), Free: micros(free)})
		if taken = n == 1; err != nil || taken {
			return err
		}
		_, err = t.AuditHeld(ctx, c.Site.String())
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		err = t.InsertAudit(ctx, db.InsertAuditParams{Site: c.Site.String(), Owner: c.Owner, HeldUntil: micros(c.Until)})
		if err != nil && t.engine.unique(err) {
			return nil // another replica was faster
		}
		taken = err == nil
		return err
	})
	return taken && err == nil, err
}

// Belief implements roller.DriftStore.
func (s *Store) Belief(ctx context.Context, site fleet.SiteRef) (roller.Belief, error) {
	var b roller.Belief
	err := s.snapshot(ctx, fmt.Sprintf("read what is believed of site %s", site), func(q *db.Queries) (err error) {
		b, err = belief(ctx, q, site)
		return err
	})
	return b, err
}

func belief(ctx context.Context, q *db.Queries, site fleet.SiteRef) (roller.Belief, error) {
	b := roller.Belief{Site: site}
	row, err := q.CompletedSite(ctx, site.String())
	if err == nil {
		b.Roll, b.At = row.Roll, moment(row.At)
		b.Revision, err = decode[roller.Revision](row.Revision)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return b, err
	}
	lock, err := q.SiteLock(ctx, site.String())
	if err == nil {
		var held bool
		if held, err = unfinished(ctx, q, lock.Roll); held {
			b.Holder = lock.Roll
		}
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return b, err
	}
	body, err := q.Audit(ctx, site.String())
	if errors.Is(err, sql.ErrNoRows) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	b.Known, err = decode[[]roller.Difference](body)
	return b, err
}

// SaveDrift implements roller.DriftStore.
func (s *Store) SaveDrift(ctx context.Context, c roller.AuditClaim, b roller.Belief, d roller.DriftReport) error {
	differences := d.Differences
	if differences == nil {
		differences = []roller.Difference{}
	}
	body, err := encode(differences)
	if err != nil {
		return err
	}
	return s.write(ctx, progress, fmt.Sprintf("save what differs on site %s", c.Site), func(t *tx) error {
		now, err := belief(ctx, t.Queries, c.Site)
		if err != nil {
			return err
		}
		if now.Holder != "" || now.Roll != b.Roll || !now.At.Equal(b.At) {
			return roller.ErrFenced
		}
		n, err := t.SaveAudit(ctx, db.SaveAuditParams{Body: body, Site: c.Site.String(), Owner: c.Owner, HeldUntil: micros(c.Until)})
		t.events = append(t.events, d.Events...)
		return fenced(n, err, roller.ErrFenced)
	})
}

// Drifts returns what the last audit of each site found to differ. Sites without a difference are left out.
func (s *Store) Drifts(ctx context.Context) (map[fleet.SiteRef][]roller.Difference, error) {
	rows, err := s.read().Audits(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what differs: %w", err)
	}
	all := make(map[fleet.SiteRef][]roller.Difference, len(rows))
	for _, row := range rows {
		site, err := fleet.ParseSiteRef(row.Site)
		if err != nil {
			return nil, err
		}
		if all[site], err = decode[[]roller.Difference](row.Body); err != nil {
			return nil, err
		}
	}
	return all, nil
}
