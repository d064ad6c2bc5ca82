package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// errAgain runs a transaction again that met another one in a row.
var errAgain = errors.New("changed by another replica while it was read")

// LockSites implements roller.Store. The lock of a roll that has not ended is never given to another, however long its
// lease is over: when every replica was down for a while, the roll in the middle of its work still owns its sites.
func (s *Store) LockSites(ctx context.Context, sites []fleet.SiteRef, roll, reason string, now time.Time, ttl time.Duration) (holder roller.LockHolder, err error) {
	for {
		err = s.write(ctx, lease, fmt.Sprintf("lock %v for roll %s", sites, roll), func(t *tx) error {
			holder, err = t.lockSites(ctx, sites, roll, reason, now, ttl)
			return err
		})
		if !errors.Is(err, errAgain) || ctx.Err() != nil {
			return holder, err
		}
	}
}

// lockSites takes sites one after the other, up to the first that another roll holds.
func (t *tx) lockSites(ctx context.Context, sites []fleet.SiteRef, roll, reason string, now time.Time, ttl time.Duration) (holder roller.LockHolder, err error) {
	for _, site := range sites {
		holder.Site = site
		holder.Roll, err = t.lockSite(ctx, site, roll, reason, now, ttl)
		if err != nil || holder.Roll != roll {
			return holder, err
		}
	}
	return holder, nil
}

func (t *tx) lockSite(ctx context.Context, site fleet.SiteRef, roll, reason string, now time.Time, ttl time.Duration) (holder string, err error) {
	until := micros(now.Add(ttl))
	n, err := t.RenewSiteLock(ctx, db.RenewSiteLockParams{Reason: clean(reason), HeldUntil: until, Site: site.String(), Roll: roll})
	if err != nil || n == 1 {
		return roll, err
	}
	held, err := t.SiteLock(ctx, site.String())
	if errors.Is(err, sql.ErrNoRows) {
		err = t.InsertSiteLock(ctx, db.InsertSiteLockParams{Site: site.String(), Roll: roll, Reason: clean(reason), HeldUntil: until})
		if err != nil && t.engine.unique(err) {
			return "", errAgain
		}
		return roll, err
	}
	if err != nil {
		return "", err
	}
	unfinished, err := unfinished(ctx, t.Queries, held.Roll)
	if err != nil {
		return "", err
	}
	if unfinished || held.HeldUntil > micros(now) {
		return held.Roll, nil
	}
	n, err = t.TakeSiteLock(ctx, db.TakeSiteLockParams{Roll: roll, Reason: clean(reason), HeldUntil: until, Site: site.String(),
		OldRoll: held.Roll, OldHeldUntil: held.HeldUntil})
	return roll, fenced(n, err, errAgain)
}

// unfinished reports whether there is such a roll, and it has not ended.
func unfinished(ctx context.Context, q *db.Queries, roll string) (bool, error) {
	ended, err := q.RollTerminal(ctx, roll)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && !ended, err
}

// SiteRevision implements roller.Store.
func (s *Store) SiteRevision(ctx context.Context, site fleet.SiteRef) (roller.Revision, error) {
	body, err := s.read().SiteRevision(ctx, site.String())
	if errors.Is(err, sql.ErrNoRows) {
		return roller.Revision{}, nil
	}
	if err != nil {
		return roller.Revision{}, fmt.Errorf("read the revision of site %s: %w", site, err)
	}
	return decode[roller.Revision](body)
}

func (t *tx) completeSite(ctx context.Context, site fleet.SiteRef, r roller.Revision, roll string, at time.Time) error {
	body, err := encode(r)
	if err != nil {
		return err
	}
	n, err := t.UpdateSite(ctx, db.UpdateSiteParams{Revision: body, Roll: roll, At: micros(at), Site: site.String()})
	if err != nil || n == 1 {
		return err
	}
	return t.InsertSite(ctx, db.InsertSiteParams{Site: site.String(), Revision: body, Roll: roll, At: micros(at)})
}

// SiteState is what the database knows of a site.
type SiteState struct {
	Site     fleet.SiteRef
	Revision roller.Revision // the last that completed; zero if none
	Roll     string          // the roll that completed it: "r-31"
	At       time.Time       // when it completed
	Lock     *SiteLock       // nil = free
}

// SiteLock is the lock of a site.
type SiteLock struct {
	Roll   string // "r-32"
	Reason string
	Until  time.Time // unless its holder renews it
}

// SiteStates returns every site that has a revision or a lock, by name, all of one moment.
func (s *Store) SiteStates(ctx context.Context) ([]SiteState, error) {
	sites := map[string]SiteState{}
	err := s.snapshot(ctx, "read the sites", func(q *db.Queries) error {
		clear(sites)
		rows, err := q.SiteRevisions(ctx)
		if err != nil {
			return err
		}
		for _, r := range rows {
			revision, err := decode[roller.Revision](r.Revision)
			if err != nil {
				return err
			}
			sites[r.Site] = SiteState{Revision: revision, Roll: r.Roll, At: moment(r.At)}
		}
		locks, err := q.SiteLocks(ctx)
		if err != nil {
			return err
		}
		for _, l := range locks {
			state := sites[l.Site]
			state.Lock = &SiteLock{Roll: l.Roll, Reason: l.Reason, Until: moment(l.HeldUntil)}
			sites[l.Site] = state
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	states := make([]SiteState, 0, len(sites))
	for name, state := range sites {
		if state.Site, err = fleet.ParseSiteRef(name); err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b SiteState) int { return strings.Compare(a.Site.String(), b.Site.String()) })
	return states, nil
}

// Bar is a revision that was rolled back on a site and may not return until somebody clears it.
type Bar struct {
	Site       fleet.SiteRef
	Revision   string // Revision.ID
	Reason     string
	Roll       string
	At         time.Time
	ClearedBy  string // actor; "" while it is barred
	ClearedWhy string
	ClearedAt  time.Time
}

func (t *tx) bar(ctx context.Context, b Bar) error {
	barred, err := t.BarredNow(ctx, db.BarredNowParams{Site: b.Site.String(), Revision: b.Revision})
	if err != nil || len(barred) > 0 {
		return err
	}
	return t.InsertBar(ctx, db.InsertBarParams{Site: b.Site.String(), Revision: b.Revision, Reason: clean(b.Reason), Roll: b.Roll, At: micros(b.At)})
}

// Bars returns the barred revisions of a site (zero = of every site), newest first; with those that were cleared if asked.
func (s *Store) Bars(ctx context.Context, site fleet.SiteRef, cleared bool) ([]Bar, error) {
	var p db.BarsParams
	if site != (fleet.SiteRef{}) {
		p.Site = site.String()
	}
	if cleared {
		p.ClearedUntil = math.MaxInt64
	}
	rows, err := s.read().Bars(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read barred revisions: %w", err)
	}
	bars := make([]Bar, len(rows))
	for i, r := range rows {
		ref, err := fleet.ParseSiteRef(r.Site)
		if err != nil {
			return nil, err
		}
		bars[i] = Bar{Site: ref, Revision: r.Revision, Reason: r.Reason, Roll: r.Roll, At: moment(r.At), ClearedBy: r.ClearedBy,
			ClearedWhy: r.ClearedWhy, ClearedAt: moment(r.ClearedAt)}
	}
	return bars, nil
}

// BarredRevisions implements roller.Store.
func (s *Store) BarredRevisions(ctx context.Context, site fleet.SiteRef) (map[string]string, error) {
	bars, err := s.Bars(ctx, site, false)
	if err != nil {
		return nil, err
	}
	reasons := make(map[string]string, len(bars))
	for _, b := range bars {
		reasons[b.Revision] = b.Reason
	}
	return reasons, nil
}

// Barred reports whether the revision may not be released on the site.
func (s *Store) Barred(ctx context.Context, site fleet.SiteRef, revision string) (bool, error) {
	ids, err := s.read().BarredNow(ctx, db.BarredNowParams{Site: site.String(), Revision: revision})
	if err != nil {
		return false, fmt.Errorf("read whether %s is barred on %s: %w", revision, site, err)
	}
	return len(ids) > 0, nil
}

// ClearBar lets a barred revision return to the site. errors.Is: pipeline.ErrNotFound when it is not barred.
func (s *Store) ClearBar(ctx context.Context, site fleet.SiteRef, revision, actor, why string, at time.Time, events ...event.Event) error {
	return s.write(ctx, fact, fmt.Sprintf("clear the bar of %s on %s", revision, site), func(t *tx) error {
		n, err := t.ClearBar(ctx, db.ClearBarParams{ClearedBy: clean(actor), ClearedWhy: clean(why), ClearedAt: micros(at),
			Site: site.String(), Revision: revision})
		if err == nil && n == 0 {
			err = pipeline.ErrNotFound
		}
		t.events = append(t.events, events...)
		return err
	})
}
