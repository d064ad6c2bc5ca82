package roller

import (
	"strings"
	"testing"
	"time"

	"railyard/internal/verdict"
)

// What the roll does when the world around it misbehaves.
func TestRulesOfFaults(t *testing.T) {
	rules := []struct {
		rule    string
		servers int
		run     func(t *testing.T, w *world)
	}{
		{"a hard breach acts at once while a batch is in work", 9, func(t *testing.T, w *world) {
			w.servers["s04"].sessions = 3 // batch 2 drains for its whole bound
			w.until(func() bool { return w.roll.Batch == 2 && w.servers["s04"].weight == 0 })
			began := w.now
			w.judge = says(verdict.Hard, inStage(Rolling, 2))
			w.until(func() bool { return w.roll.Stage == RollingBack })
			want(t, w.now.Sub(began) < time.Second, true)
			w.run()
			w.allOn(oldRev)
		}},
		{"a hard breach of an earlier batch counts although the next one has just settled", 9, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Batch == 2 && !w.roll.SettledAt.IsZero() })
			late := &verdict.Verdict{Outcome: verdict.Hard, At: w.roll.SettledAt.Add(-time.Millisecond), Stage: string(Rolling), Batch: 2, Reason: "5xx"}
			w.judge = func(verdict.Question, time.Time) *verdict.Verdict { return late }
			w.step()
			want(t, w.roll.Stage, RollingBack)
		}},
		{"a soft breach while a batch is in work takes no further server", 9, func(t *testing.T, w *world) {
			w.servers["s02"].sessions = 3
			w.roll.Strategy.MinUpPercent = 80 // one at a time
			w.until(func() bool { return w.roll.Batch == 2 })
			w.judge = says(verdict.Soft, inStage(Rolling, 2))
			w.until(func() bool { return w.roll.Pause != nil })
			want(t, w.roll.Pause.Cause, CauseSoft)
			before := len(w.actions)
			for range 50 {
				w.step()
				w.now = w.now.Add(time.Second)
			}
			for _, a := range w.actions[before:] {
				want(t, a.Kind == ActWeight && a.Weight == 0, false, a.Server)
			}
		}},
		{"over its budget a roll takes no further server of the batch", 9, func(t *testing.T, w *world) {
			w.roll.Strategy.Smoke, w.roll.Strategy.Pattern, w.roll.Strategy.MinUpPercent = false, []int{50}, 85 // one at a time
			w.bad[newRev.ID] = true
			w.run()
			want(t, w.roll.Pause.Cause, CauseBudget)
			want(t, len(w.names(func(s *vserver) bool { return s.everOnNew })), 1)
		}},
		{"a verdict that stays pending is doubt after the bound", 5, func(t *testing.T, w *world) {
			w.judge = says(verdict.Pending, inStage(Baking, 0))
			w.run()
			want(t, w.roll.Pause.Cause, CauseDoubt)
			want(t, w.now.Sub(w.roll.SettledAt) < 25*time.Second, true)
		}},
		{"without fresh eyes on the balancer no server is taken, and the pause says so", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Rolling })
			w.away = "connection refused"
			before := len(w.actions)
			w.run()
			want(t, w.roll.Pause.Cause, CauseProgress)
			want(t, strings.Contains(w.roll.Pause.Reason, "connection refused"), true)
			for _, a := range w.actions[before:] {
				want(t, a.Kind == ActWeight, false, a.Server)
			}
			w.away, w.answers = "", w.now
			w.command(CmdResume, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"an unreachable balancer fails no server that waits to be pulled in", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Rolling && w.roll.Targets[1].Step == Test })
			w.away = "connection refused"
			w.run()
			want(t, w.roll.Pause.Cause, CauseProgress)
			want(t, w.roll.Targets[1].State, Active)
		}},
		{"a server the balancer does not know is owed", 5, func(t *testing.T, w *world) {
			w.servers["s03"].unlisted = true
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, w.servers["s03"].restarts, 0)
			want(t, strings.Contains(w.roll.Reason, "owed: s03"), true)
		}},
		{"maintenance that begins before a server's turn leaves it alone", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Rolling })
			w.servers["s05"].foreign = true
			w.run()
			want(t, w.roll.Stage, Done)
			for _, a := range w.actions {
				want(t, a.Server == "s05", false)
			}
			want(t, strings.Contains(w.roll.Reason, "owed: s05"), true)
		}},
		{"maintenance on a server in work: our flag is put back, theirs is not touched, nothing failed", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Rolling && w.servers["s02"].everOnNew })
			w.servers["s02"].foreign = true
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, w.servers["s02"].weight, 100)
			want(t, strings.Contains(w.roll.Reason, "owed: s02"), true)
		}},
		{"maintenance on a server that was only pulled out: it is given back as it was, and caught up afterwards", 5, func(t *testing.T, w *world) {
			w.servers["s02"].sessions = 3
			w.until(func() bool { return w.servers["s02"].weight == 0 })
			w.servers["s02"].foreign = true
			w.until(func() bool { return w.roll.Batch == 2 })
			want(t, w.servers["s02"].weight, 100)
			want(t, w.servers["s02"].everOnNew, false)
			w.servers["s02"].foreign = false
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"an action that never comes back keeps its own server busy and no other", 9, func(t *testing.T, w *world) {
			w.hangs["s03"] = true // in batch 1, beside s02
			w.until(func() bool { return w.servers["s02"].everOnNew && w.servers["s02"].inRotation() })
			want(t, w.busy["s03"], true)
			w.run()
			want(t, w.roll.Pause.Cause, CauseProgress)
			want(t, strings.Contains(w.roll.Pause.Reason, "s03"), true)
		}},
		{"smoke servers count while in rotation: no more are tested at once than the floor allows", 3, func(t *testing.T, w *world) {
			w.servers["s02"].smoke = true
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, w.minSeen, w.roll.MinUp)
			w.allOn(newRev)
		}},
		{"a server that already ran the revision returns with the others", 5, func(t *testing.T, w *world) {
			w.servers["s02"].running = map[string]string{"hotel-api": newApp.Name()}
			w.judge = says(verdict.Hard, inStage(Watch, 4))
			w.run()
			want(t, w.roll.Stage, RolledBack)
			w.allOn(oldRev)
		}},
		{"a crashed release is rolled back although the floor is broken", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Watch })
			for _, s := range w.servers {
				s.sick = true
			}
			w.judge = says(verdict.Hard, inStage(Watch, 4))
			w.until(func() bool { return w.roll.Stage == RollingBack })
			w.until(func() bool { return w.runs("s01") == oldRev.ID && w.runs("s05") == oldRev.ID })
			for _, s := range w.servers {
				s.sick = false
			}
			w.run()
			want(t, w.roll.Stage, RolledBack)
			w.allOn(oldRev)
		}},
		{"when others die, a server that was to be pulled out stays in for them", 4, func(t *testing.T, w *world) {
			w.roll.Strategy.Smoke = false
			w.hangs["s01"] = true // its order is lost
			w.until(func() bool { return w.busy["s01"] })
			w.hangs["s01"], w.busy["s01"] = false, false
			w.servers["s02"].sick, w.servers["s03"].sick = true, true
			before := len(w.actions)
			for range 5 {
				w.step()
				w.now = w.now.Add(time.Second)
			}
			for _, a := range w.actions[before:] {
				want(t, a.Server == "s01", false)
			}
			w.servers["s02"].sick, w.servers["s03"].sick = false, false
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"an order lost with its process is given again: a failed server does not stay in rotation", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Rolling && w.servers["s02"].everOnNew })
			w.until(func() bool { return w.roll.Targets[1].State == Settled })
			w.roll.Targets[1].State, w.roll.Targets[1].Pulled, w.roll.Targets[1].Since = Failed, true, w.now
			w.until(func() bool { return w.servers["s02"].weight == 0 })
		}},
		{"a weight that comes undone on a settled server is ordered again", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Watch })
			w.servers["s02"].weight = 0 // a late order of a process before
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"what happened while Railyard was away is held against nobody", 5, func(t *testing.T, w *world) {
			for _, stage := range []Stage{Smoke, Baking, Rolling, Watch} {
				w.until(func() bool { return w.roll.Stage == stage })
				w.now = w.now.Add(time.Hour)
				w.since = w.now
			}
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"a site without balancer counts a server that failed as out, and rolls it back", 4, func(t *testing.T, w *world) {
			w.roll.Balanced, w.roll.Strategy.BakingWeight, w.roll.Strategy.Smoke = false, 0, false
			w.roll.Strategy.MinUpPercent = 75
			w.bad[newRev.ID] = true
			w.run()
			want(t, w.roll.Pause.Cause, CauseBudget)
			w.command(CmdEmergency, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, RolledBack)
			w.allOn(oldRev)
		}},
		{"a server that left the topology and returns is caught up", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Rolling && w.roll.Batch == 2 })
			s := w.servers["s05"]
			delete(w.servers, "s05")
			w.until(func() bool { return w.roll.Stage == Watch })
			w.servers["s05"] = s
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"identical bytes and a hard breach: a person is asked once, and can accept", 3, func(t *testing.T, w *world) {
			w.current = newRev
			w.judge = says(verdict.Hard, inStage(Baking, 0))
			w.run()
			told := len(w.events)
			for range 20 {
				w.step()
				w.now = w.now.Add(time.Second)
			}
			want(t, len(w.events), told)
			w.command(CmdResume, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, Done)
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(t, newWorld(t, c.servers)) })
	}
}
