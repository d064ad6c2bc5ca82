package roller

import (
	"slices"
	"testing"

	"railyard/internal/event"
)

// Servers that are out of rotation when a release comes, and a floor that leaves nothing to spare without them.
func TestRulesOfServersThatAreOut(t *testing.T) {
	forward := func(w *world, server string) bool {
		return slices.ContainsFunc(w.events, func(e event.Event) bool { return e.What == "server_brought_forward" && e.Server == server })
	}
	rules := []struct {
		rule    string
		servers int
		run     func(t *testing.T, w *world)
	}{
		{"a server that is out goes before its batch when the floor holds up the batch in work", 4, func(t *testing.T, w *world) {
			w.roll.Strategy.Smoke, w.roll.Strategy.MinUpPercent = false, 75 // 3 of 4, and 3 are in
			w.servers["s04"].weight = 0
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, forward(w, "s04"), true)
			want(t, w.minSeen, 3)
			w.allOn(newRev)
		}},
		{"also one that crashed, which the new revision heals", 4, func(t *testing.T, w *world) {
			w.roll.Strategy.Smoke, w.roll.Strategy.MinUpPercent = false, 75
			w.servers["s04"].sick = true
			w.until(func() bool {
				w.servers["s04"].sick = w.runs("s04") != newRev.ID
				return w.roll.Stage.Terminal() || w.roll.Pause != nil
			})
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"it stays in its batch when the floor spares another", 4, func(t *testing.T, w *world) {
			w.roll.Strategy.Smoke = false
			w.servers["s04"].weight = 0
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, forward(w, "s04"), false)
			w.allOn(newRev)
		}},
		{"the live ones stay in their batches: none holds all of them", 6, func(t *testing.T, w *world) {
			w.roll.Strategy.Smoke, w.roll.Strategy.MinUpPercent, w.roll.Strategy.Pattern = false, 50, []int{50}
			for _, name := range []string{"s02", "s04", "s06"} {
				w.servers[name].weight = 0
			}
			live := w.names(func(s *vserver) bool { return s.weight > 0 })
			w.run()
			want(t, w.roll.Stage, Done)
			batches := map[int]bool{}
			for _, t := range w.roll.Targets {
				if slices.Contains(live, t.Server) {
					batches[t.Batch] = true
				}
			}
			want(t, len(batches) > 1, true)
			want(t, w.minSeen, 3)
			w.allOn(newRev)
		}},
		{"where the floor spares no smoke server, one that is out stands in and the smoke server is rolled with the rest", 4, func(t *testing.T, w *world) {
			w.roll.Strategy.MinUpPercent = 75
			w.servers["s03"].weight = 0
			w.until(func() bool { return w.roll.Stage == Baking })
			want(t, w.runs("s03"), newRev.ID)
			want(t, w.runs("s01"), oldRev.ID)
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, w.minSeen, 3)
			w.allOn(newRev)
		}},
		{"of the smoke servers the one that is out is taken, when the floor spares no other", 4, func(t *testing.T, w *world) {
			w.roll.Strategy.MinUpPercent = 75
			w.servers["s02"].smoke, w.servers["s02"].weight = true, 0
			w.until(func() bool { return w.roll.Stage == Baking })
			want(t, w.runs("s02"), newRev.ID)
			want(t, w.runs("s01"), oldRev.ID)
			w.run()
			w.allOn(newRev)
		}},
		{"a floor that nothing can be spared from pauses the roll, which says so", 4, func(t *testing.T, w *world) {
			w.roll.Strategy.Smoke, w.roll.Strategy.MinUpPercent = false, 75
			w.servers["s04"].down = true
			w.run()
			want(t, w.roll.Pause.Cause, CauseProgress)
			want(t, w.roll.Pause.Reason, `nothing moved for 1m0s: s01 has been at "pull_out" since 02:00:00; 2 are in rotation beside it, and 3 must stay; `+
				"look at it, then resume, retry or roll back")
		}},
		{"a server that runs the revision at another weight is brought to its full share, without leaving rotation", 5, func(t *testing.T, w *world) {
			w.servers["s04"].running = map[string]string{"hotel-api": newApp.Name()}
			w.servers["s04"].weight = 25
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
			for _, a := range w.actions {
				want(t, a.Server == "s04" && (a.Kind != ActWeight || a.Weight != 100), false)
			}
		}},
		{"a smoke server that runs it at another weight is brought to its full share, too", 5, func(t *testing.T, w *world) {
			w.servers["s01"].running = map[string]string{"hotel-api": newApp.Name()}
			w.servers["s01"].weight = 25
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(t, newWorld(t, c.servers)) })
	}
}
