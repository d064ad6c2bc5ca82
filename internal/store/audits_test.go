package store_test

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/pipeline"
)

var hour = roller.AuditClaim{Site: site, Owner: "a", Until: t0.Add(time.Hour)}

func claimAudit(t *testing.T, s *store.Store, c roller.AuditClaim, free time.Time, want bool) {
	t.Helper()
	equal(t, "audit is taken by "+c.Owner, must[bool](t)(s.ClaimAudit(t.Context(), c, free)), want)
}

func believe(t *testing.T, s *store.Store) roller.Belief {
	t.Helper()
	return must[roller.Belief](t)(s.Belief(t.Context(), site))
}

// completed makes the site one that a roll completed on.
func completed(t *testing.T, s *store.Store, id string) roller.Revision {
	t.Helper()
	ok(t, s.AddRoll(t.Context(), roll(id, 1)))
	lockSite(t, s, id, t0, id)
	revision := roller.NewRevision(roller.AppRelease{App: "hotel-api", Package: "sha256:" + id, Version: id})
	end(t, s, claimRoll(t, s, "a", t0), roller.Done, func(save *roller.Save) { save.Complete, save.Unlock = &revision, true })
	return revision
}

var found = roller.DriftReport{
	Differences: []roller.Difference{{Server: "hotel-api-1", Kind: roller.DriftPulledOut, Expected: "weight 100", Found: "weight 0", Since: t0}},
	Events:      []event.Event{tell("site/PROD/hotel-api", "drift_found")},
}

// catchUp is a roll of the site to what it runs.
func catchUp(id string, to roller.Revision) roller.Roll {
	r := roll(id, 2)
	r.Kind, r.Coach, r.To, r.From = roller.CatchUp, "", to, to
	return r
}

var auditRules = []rule{
	{"an audit is one replica's until its time is over", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		claimAudit(t, s, hour, t0, true)
		other := roller.AuditClaim{Site: site, Owner: "b", Until: t0.Add(3 * time.Hour)}
		claimAudit(t, s, other, t0.Add(time.Hour-time.Microsecond), false)
		claimAudit(t, s, other, t0.Add(time.Hour), true)
	}},
	{"of replicas that come at once one audits", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		var taken atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				mine, err := s.ClaimAudit(t.Context(), hour, t0)
				if err != nil {
					t.Error(err)
				}
				if mine {
					taken.Add(1)
				}
			})
		}
		all.Wait()
		equal(t, "taken", taken.Load(), int32(1))
	}},
	{"what an audit found is kept with its events, and replaced by the next", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		revision := completed(t, s, "r-1")
		claimAudit(t, s, hour, t0, true)
		before := believe(t, s)
		equal(t, "belief", before, roller.Belief{Site: site, Revision: revision, Roll: "r-1", At: t0, Known: []roller.Difference{}})
		ok(t, s.SaveDrift(t.Context(), hour, before, found))
		equal(t, "known", believe(t, s).Known, found.Differences)
		drifts := must[map[fleet.SiteRef][]roller.Difference](t)(s.Drifts(t.Context()))
		equal(t, "drifts", drifts, map[fleet.SiteRef][]roller.Difference{site: found.Differences})
		ok(t, s.SaveDrift(t.Context(), hour, before, roller.DriftReport{Events: found.Events}))
		equal(t, "drifts", len(must[map[fleet.SiteRef][]roller.Difference](t)(s.Drifts(t.Context()))), 0)
		events := must[[]event.Event](t)(s.Events(t.Context(), store.EventFilter{Object: "site/PROD/hotel-api"}))
		equal(t, "events", len(events), 2)
	}},
	{"an audit that is another replica's by now writes nothing", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		completed(t, s, "r-1")
		claimAudit(t, s, hour, t0, true)
		claimAudit(t, s, roller.AuditClaim{Site: site, Owner: "b", Until: t0.Add(2 * time.Hour)}, t0.Add(time.Hour), true)
		before := everything(t, s)
		wantErr(t, s.SaveDrift(t.Context(), hour, believe(t, s), found), roller.ErrFenced)
		equal(t, "database", everything(t, s), before)
	}},
	{"nothing is saved of a site that a roll took meanwhile, nor of one that it has completed", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		completed(t, s, "r-1")
		claimAudit(t, s, hour, t0, true)
		b := believe(t, s)
		ok(t, s.AddRoll(t.Context(), roll("r-2", 1)))
		lockSite(t, s, "r-2", t0, "r-2")
		equal(t, "holder", believe(t, s).Holder, "r-2")
		wantErr(t, s.SaveDrift(t.Context(), hour, b, found), roller.ErrFenced)
		end(t, s, claimRoll(t, s, "a", t0), roller.Done, func(save *roller.Save) { save.Complete, save.Unlock = &b.Revision, true })
		wantErr(t, s.SaveDrift(t.Context(), hour, b, found), roller.ErrFenced)
		ok(t, s.SaveDrift(t.Context(), hour, believe(t, s), found))
	}},
	{"a catch-up roll is stored with the lock of its site", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		r := catchUp("sync-1", completed(t, s, "r-1"))
		ok(t, s.AddHeldRoll(t.Context(), r, ttl, tell("site/PROD/hotel-api", "sync_asked")))
		lockSite(t, s, "r-2", t0.Add(1000*ttl), "sync-1")
		equal(t, "roll", must[roller.Roll](t)(s.Roll(t.Context(), "sync-1")), r)
	}},
	{"a catch-up roll of a site that another roll holds is refused, and leaves nothing", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		revision := completed(t, s, "r-1")
		lockSite(t, s, "r-2", t0, "r-2")
		before := everything(t, s)
		wantErr(t, s.AddHeldRoll(t.Context(), catchUp("sync-1", revision), ttl, tell("site/PROD/hotel-api", "sync_asked")), pipeline.ErrConflict)
		equal(t, "database", everything(t, s), before)
	}},
	{"a catch-up roll to what the site ran before is refused, and leaves nothing", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		old := completed(t, s, "r-1")
		completed(t, s, "r-2")
		before := everything(t, s)
		wantErr(t, s.AddHeldRoll(t.Context(), catchUp("sync-1", old), ttl, tell("site/PROD/hotel-api", "sync_asked")), pipeline.ErrConflict)
		equal(t, "database", everything(t, s), before)
	}},
}

func TestAnAuditThatFindsNothingNewCostsFourStatements(t *testing.T) {
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "railyard.db"))
	completed(t, s, "r-1")
	claimAudit(t, s, hour, t0, true)
	facts, leases := s.Statements(), s.LeaseStatements()
	claimAudit(t, s, roller.AuditClaim{Site: site, Owner: "a", Until: t0.Add(2 * time.Hour)}, t0.Add(time.Hour), true)
	believe(t, s)
	equal(t, "statements of reading and of the claim", []int64{s.Statements() - facts, s.LeaseStatements() - leases}, []int64{3, 1})
}

// BenchmarkAuditOfASite says what the database's part of an audit costs that finds nothing new.
func BenchmarkAuditOfASite(b *testing.B) {
	s := open(b, "sqlite:"+filepath.Join(b.TempDir(), "railyard.db"))
	free := t0.Add(1000 * time.Hour)
	for b.Loop() {
		if taken, err := s.ClaimAudit(b.Context(), hour, free); err != nil || !taken {
			b.Fatal(taken, err)
		}
		if _, err := s.Belief(b.Context(), site); err != nil {
			b.Fatal(err)
		}
	}
}
