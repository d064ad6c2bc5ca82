package roller

import (
	"strings"
	"testing"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// newMigration is a database of one server in production and the roll that brings it a change.
func newMigration(t *testing.T) *world {
	w := newWorld(t, 1)
	site := fleet.SiteInfo{
		Ref: w.roll.Site, Site: fleet.Site{Balancer: fleet.Balancer{Driver: fleet.BalancerNone}},
		Apps: []fleet.App{{Name: "hotel-api", Kind: fleet.KindDatabase, Restart: "./migrate"}}, Strategy: w.roll.Strategy,
	}
	site.Strategy.Smoke = false
	w.roll = NewRoll(site, Release, w.roll.ID, w.now)
	w.roll.Coach, w.roll.Changes = "hotel-api-1.1", []AppRelease{newApp}
	w.minSeen = 0
	return w
}

func TestRulesOfMigrations(t *testing.T) {
	for _, r := range []struct {
		rule string
		run  func(t *testing.T, w *world)
	}{
		{"a release on a database is a migration: it runs once, on its server, and what ran is told", func(t *testing.T, w *world) {
			want(t, w.roll.Kind, Migration)
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, w.servers["s01"].restarts, 1)
			told := event.Event{}
			for _, e := range w.events {
				if e.What == "server_migrated" {
					told = e
				}
			}
			want(t, told.Why, "ran the migration of hotel-api 1.1.0 (sha256:bbbbbbbbbbbbbbbb)")
			for _, a := range w.actions {
				want(t, a.Kind != ActWeight, true, "no balancer is asked")
			}
		}},
		{"a hard breach does not take it back, and says why", func(t *testing.T, w *world) {
			w.judge = says(verdict.Hard, inStage(Watch, 1))
			w.run()
			want(t, w.roll.Pause.Cause, CauseDoubt)
			want(t, strings.Contains(w.roll.Pause.Reason, NothingToUndo), true)
		}},
		{"nor does a person, once it has completed", func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Watch })
			w.command(CmdRollback, "")
			w.step()
			want(t, w.roll.Stage, Watch)
			want(t, MayGoBack(Roll{ID: "r-1", Kind: Migration, Stage: Done}, Revision{}, nil) != nil, true)
		}},
		{"one that fails is mended and tried again, and cannot be passed over", func(t *testing.T, w *world) {
			w.bad[newRev.ID] = true
			w.run()
			want(t, w.roll.Pause.Cause, CauseBudget)
			w.command(CmdResume, "")
			w.step()
			want(t, w.roll.Pause != nil, true)
			delete(w.bad, newRev.ID)
			w.command(CmdRetry, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, Done)
		}},
		{"one that fails can be revoked, and then nothing is undone and nothing barred", func(t *testing.T, w *world) {
			w.bad[newRev.ID] = true
			w.run()
			w.command(CmdRevoke, "")
			w.step()
			want(t, w.roll.Stage, Revoked)
			want(t, strings.Contains(w.roll.Reason, "did not complete; "+NothingToUndo), true)
			want(t, w.done.Bar, "")
			want(t, w.done.Complete == nil, true)
		}},
		{"where failures roll back by themselves, one that fails ends", func(t *testing.T, w *world) {
			w.roll.Strategy.OnFailure = fleet.OnFailureRollback
			w.bad[newRev.ID] = true
			w.run()
			want(t, w.roll.Stage, Revoked)
		}},
		{"one that was done before is not run again", func(t *testing.T, w *world) {
			w.servers["s01"].running = map[string]string{"hotel-api": newApp.Name()}
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, w.servers["s01"].restarts, 0)
		}},
	} {
		t.Run(r.rule, func(t *testing.T) { r.run(t, newMigration(t)) })
	}
}
