package roller

import (
	"slices"
	"strings"
	"testing"

	"railyard/internal/event"
	"railyard/internal/fleet"
)

var jobsSite = fleet.SiteRef{Environment: "PROD", Pool: "jobs"}

// shareWith lets the named servers of the world host the pool jobs too, whose site has others besides: all of them in rotation
// but the ones that are out. minUp is the floor there.
func (w *world) shareWith(minUp int, names ...string) {
	w.roll.Shares = []Share{{Site: jobsSite, MinUp: minUp}}
	w.shared, w.jobs = names, map[string]bool{}
	for _, name := range names {
		w.jobs[name] = true
	}
}

// jobsLeft are the servers in rotation in the pool jobs that this roll has not taken.
func (w *world) jobsLeft() (n int) {
	for name, in := range w.jobs {
		if s := w.servers[name]; in && (s == nil || s.weight > 0) {
			n++
		}
	}
	return n
}

// A machine may host two pools.
func TestRulesOfSharedServers(t *testing.T) {
	rules := []struct {
		rule    string
		servers int
		run     func(t *testing.T, w *world)
	}{
		{"a server hosting apps of two pools counts against the floor of both", 9, func(t *testing.T, w *world) {
			w.roll.Strategy.Pattern = []int{50}
			w.shareWith(3, "s02", "s03", "s04", "s05") // four of four in jobs, and three must stay
			least := 4
			w.until(func() bool { least = min(least, w.jobsLeft()); return w.roll.Stage.Terminal() })
			want(t, w.roll.Stage, Done)
			want(t, least, 3)
			want(t, w.maxOut >= 3, true) // those that are not shared go as the pattern says
			w.allOn(newRev)
		}},
		{"it holds for an emergency rollback too", 9, func(t *testing.T, w *world) {
			w.shareWith(3, "s02", "s03", "s04", "s05")
			w.until(func() bool { return w.roll.Stage == Watch })
			w.command(CmdEmergency, "")
			least := 4
			w.until(func() bool { least = min(least, w.jobsLeft()); return w.roll.Stage.Terminal() })
			want(t, w.roll.Stage, RolledBack)
			want(t, least, 3)
			w.allOn(oldRev)
		}},
		{"smoke servers that are held together are within the floor of both", 9, func(t *testing.T, w *world) {
			w.servers["s02"].smoke, w.servers["s03"].smoke = true, true
			w.shareWith(2, "s01", "s02", "s03")
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, slices.ContainsFunc(w.roll.Targets, func(t Target) bool { return t.Server == "s02" && t.Batch > 0 }), true)
			w.allOn(newRev)
		}},
		{"a roll waits until it holds all the sites, and says which it waits for", 5, func(t *testing.T, w *world) {
			w.shareWith(0, "s02")
			w.holder, w.holderOf = "r-9", jobsSite
			w.step()
			want(t, w.roll.Stage, Queued)
			want(t, w.roll.Reason, "waits for PROD/jobs, which r-9 is rolling")
			want(t, len(w.actions), 0)
		}},
		{"its locks are in the order of their names", 5, func(t *testing.T, w *world) {
			before := Share{Site: fleet.SiteRef{Environment: "PROD", Pool: "accounts"}}
			w.roll.Shares = []Share{{Site: jobsSite}, before}
			want(t, w.roll.Locks(), []fleet.SiteRef{before.Site, w.roll.Site, jobsSite})
		}},
		{"while the other pool cannot be seen, its servers stay in, and the roll says why it hangs", 5, func(t *testing.T, w *world) {
			w.shareWith(0, "s04")
			w.jobsAway = "haproxy: no such socket"
			w.run()
			want(t, w.roll.Pause.Cause, CauseProgress)
			want(t, strings.Contains(w.roll.Pause.Reason, `s04 has been at "pull_out"`) &&
				strings.Contains(w.roll.Pause.Reason, "it is shared with PROD/jobs, which cannot be seen: haproxy: no such socket"), true)
			want(t, w.runs("s04"), oldRev.ID)
			w.jobsAway = ""
			w.command(CmdResume, "")
			w.step()
			w.run()
			w.allOn(newRev)
		}},
		{"a roll that the other pool's floor holds up says so", 5, func(t *testing.T, w *world) {
			w.shareWith(1, "s04")
			w.run()
			want(t, w.roll.Pause.Cause, CauseProgress)
			want(t, strings.Contains(w.roll.Pause.Reason, "it is shared with PROD/jobs, where 0 are in rotation beside it, and 1 must stay"), true)
			w.jobs["j1"] = true // another server of that pool came up
			w.command(CmdResume, "")
			w.step()
			w.run()
			w.allOn(newRev)
		}},
		{"a server that is out there already may be taken", 5, func(t *testing.T, w *world) {
			w.shareWith(1, "s04")
			w.jobs["s04"] = false
			w.run()
			want(t, w.roll.Stage, Done)
		}},
		{"a server that came to be shared after the roll was made is left alone and owed", 5, func(t *testing.T, w *world) {
			w.shareWith(0, "s04")
			w.roll.Shares = nil
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, strings.Contains(w.roll.Reason, "owed: s04"), true)
			want(t, w.runs("s04"), oldRev.ID)
		}},
		{"also when that is while the roll is under way", 9, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Rolling })
			w.shareWith(0, "s09")
			w.roll.Shares = nil
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, slices.ContainsFunc(w.events, func(e event.Event) bool {
				return e.What == "server_owed" && e.Server == "s09" && strings.Contains(e.Why, "it is shared with PROD/jobs since the roll was made")
			}), true)
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(t, newWorld(t, c.servers)) })
	}
}

func TestARollHoldsTheSitesThatShareItsServers(t *testing.T) {
	neighbour := fleet.Neighbour{Ref: jobsSite, Site: fleet.Site{Servers: make([]fleet.Server, 5)}, Strategy: fleet.Resolved{MinUpPercent: 50}}
	site := fleet.SiteInfo{Ref: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Neighbours: []fleet.Neighbour{neighbour}}
	want(t, NewRoll(site, Release, "r-1", newWorld(t, 1).now).Shares, []Share{{Site: jobsSite, MinUp: 3}})
	site.Neighbours[0].Site.AllowDowntime = true
	want(t, NewRoll(site, CatchUp, "r-1", newWorld(t, 1).now).Shares, []Share{{Site: jobsSite}})
}
