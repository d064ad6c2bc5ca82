package store_test

import (
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/pipeline"
)

// lockSite asks for the lock and checks who has it then.
func lockSite(t *testing.T, s *store.Store, roll string, now time.Time, want string) {
	t.Helper()
	lockSites(t, s, roll, now, want, site)
}

// lockSites asks for several locks and checks who has the first that cannot be had.
func lockSites(t *testing.T, s *store.Store, roll string, now time.Time, want string, sites ...fleet.SiteRef) {
	t.Helper()
	holder, err := s.LockSites(t.Context(), sites, roll, "releases "+roll, now, ttl)
	ok(t, err)
	if holder.Roll != want {
		t.Fatalf("%s asked for %v: %v has it, want %q", roll, sites, holder, want)
	}
}

func end(t *testing.T, s *store.Store, c roller.Claim, stage roller.Stage, with func(*roller.Save)) {
	t.Helper()
	save := roller.Save{Roll: c.Roll, Events: []event.Event{tell("roll/"+c.Roll.ID, "ended")}}
	save.Roll.Stage = stage
	with(&save)
	ok(t, s.SaveRoll(t.Context(), c, save))
}

var siteRules = []rule{
	{"one roll at a time has the lock, and renews it", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		lockSite(t, s, "r-1", t0, "r-1")
		lockSite(t, s, "r-2", t0, "r-1")
		lockSite(t, s, "r-1", t0.Add(ttl), "r-1")
		lockSite(t, s, "r-2", t0.Add(ttl), "r-1")
		states := must[[]store.SiteState](t)(s.SiteStates(t.Context()))
		equal(t, "states", states, []store.SiteState{{Site: site, Lock: &store.SiteLock{Roll: "r-1", Reason: "releases r-1", Until: t0.Add(2 * ttl)}}})
	}},
	{"a lock that is over is taken, unless its roll has not ended", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		lockSite(t, s, "nobody", t0, "nobody") // a roll that does not exist
		lockSite(t, s, "r-1", t0.Add(ttl-time.Microsecond), "nobody")
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		lockSite(t, s, "r-1", t0.Add(ttl), "r-1")
		lockSite(t, s, "r-2", t0.Add(1000*ttl), "r-1")
		end(t, s, claimRoll(t, s, "a", t0), roller.Done, func(*roller.Save) {})
		lockSite(t, s, "r-2", t0.Add(1000*ttl), "r-2")
	}},
	{"a roll that needs several sites takes them in order, and keeps those before the first that another holds", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		jobs := fleet.SiteRef{Environment: "PROD", Pool: "jobs"}
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		both := roll("r-2", 1)
		both.Shares = []roller.Share{{Site: jobs, MinUp: 1}}
		equal(t, "locks", both.Locks(), []fleet.SiteRef{site, jobs})
		ok(t, s.AddRoll(t.Context(), both))
		lockSites(t, s, "r-1", t0, "r-1", jobs)
		lockSites(t, s, "r-2", t0, "r-1", both.Locks()...)
		lockSite(t, s, "r-3", t0.Add(1000*ttl), "r-2")
		claims := must[[]roller.Claim](t)(s.ClaimRolls(t.Context(), "a", t0, ttl))
		end(t, s, claims[0], roller.Done, func(save *roller.Save) { save.Roll.Site = jobs; save.Unlock = true })
		lockSites(t, s, "r-2", t0, "r-2", both.Locks()...)
		end(t, s, claims[1], roller.Done, func(save *roller.Save) { save.Unlock = true })
		equal(t, "states", must[[]store.SiteState](t)(s.SiteStates(t.Context())), []store.SiteState{})
	}},
	{"a roll that is added with its locks has them all or is not added", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		jobs := fleet.SiteRef{Environment: "PROD", Pool: "jobs"}
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		lockSites(t, s, "r-1", t0, "r-1", jobs)
		both := roll("r-2", 1)
		both.Shares = []roller.Share{{Site: jobs}}
		wantErr(t, s.AddHeldRoll(t.Context(), both, ttl), pipeline.ErrConflict)
		wantErr(t, second(s.Roll(t.Context(), "r-2")), pipeline.ErrNotFound)
		lockSite(t, s, "r-3", t0, "r-3")
	}},
	{"of rolls that ask at once one gets the lock", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		holders := make(chan string)
		for _, r := range []string{"r-1", "r-2", "r-3", "r-4", "r-5", "r-6", "r-7", "r-8"} {
			go func() {
				holder, err := s.LockSites(t.Context(), []fleet.SiteRef{site}, r, "", t0, ttl)
				if err != nil {
					t.Error(err)
				}
				holders <- holder.Roll
			}()
		}
		first := <-holders
		for range 7 {
			equal(t, "holder", <-holders, first)
		}
	}},
	{"a roll that completes sets the site's revision and frees it in one transaction", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		equal(t, "revision at first", must[roller.Revision](t)(s.SiteRevision(t.Context(), site)), roller.Revision{})
		for i, version := range []string{"1.0.0", "1.1.0"} {
			r := roll("r-"+version, 1)
			ok(t, s.AddRoll(t.Context(), r))
			lockSite(t, s, r.ID, t0, r.ID)
			revision := roller.NewRevision(roller.AppRelease{App: "hotel-api", Package: "sha256:" + version, Version: version})
			end(t, s, claimRoll(t, s, "a", t0), roller.Done, func(save *roller.Save) { save.Complete, save.Unlock = &revision, true })
			equal(t, "revision", must[roller.Revision](t)(s.SiteRevision(t.Context(), site)), revision)
			states := must[[]store.SiteState](t)(s.SiteStates(t.Context()))
			equal(t, "states", states, []store.SiteState{{Site: site, Revision: revision, Roll: r.ID, At: t0}})
			equal(t, "events", len(must[[]event.Event](t)(s.Events(t.Context(), store.EventFilter{}))), i+1)
		}
	}},
	{"a roll frees no lock but its own", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		lockSite(t, s, "r-2", t0, "r-2")
		end(t, s, claimRoll(t, s, "a", t0), roller.Revoked, func(save *roller.Save) { save.Unlock = true })
		lockSite(t, s, "r-3", t0, "r-2")
	}},
	{"a revision that was rolled back is barred until somebody clears it", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		c := claimRoll(t, s, "a", t0)
		c.Roll.Reason = "hard breach: 5xx"
		end(t, s, c, roller.RollingBack, func(save *roller.Save) { save.Bar = "abc" })
		end(t, s, c, roller.RolledBack, func(save *roller.Save) { save.Bar = "abc" }) // again changes nothing
		bar := store.Bar{Site: site, Revision: "abc", Reason: "hard breach: 5xx", Roll: "r-1", At: t0}
		equal(t, "bars", must[[]store.Bar](t)(s.Bars(t.Context(), fleet.SiteRef{}, false)), []store.Bar{bar})
		equal(t, "barred", must[bool](t)(s.Barred(t.Context(), site, "abc")), true)
		equal(t, "barred revisions", must[map[string]string](t)(s.BarredRevisions(t.Context(), site)), map[string]string{"abc": "hard breach: 5xx"})
		equal(t, "barred elsewhere", must[bool](t)(s.Barred(t.Context(), fleet.SiteRef{Environment: "UAT", Pool: "hotel-api"}, "abc")), false)

		ok(t, s.ClearBar(t.Context(), site, "abc", "person:re", "fixed by config", t0.Add(time.Hour), tell("site/PROD/hotel-api", "bar_cleared")))
		equal(t, "barred", must[bool](t)(s.Barred(t.Context(), site, "abc")), false)
		equal(t, "bars", must[[]store.Bar](t)(s.Bars(t.Context(), site, false)), []store.Bar{})
		bar.ClearedBy, bar.ClearedWhy, bar.ClearedAt = "person:re", "fixed by config", t0.Add(time.Hour)
		equal(t, "bars with cleared ones", must[[]store.Bar](t)(s.Bars(t.Context(), site, true)), []store.Bar{bar})
		before := everything(t, s)
		wantErr(t, s.ClearBar(t.Context(), site, "abc", "person:re", "", t0, tell("site/PROD/hotel-api", "bar_cleared")), pipeline.ErrNotFound)
		equal(t, "database", everything(t, s), before)
	}},
}
