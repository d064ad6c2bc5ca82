package roller

import (
	"slices"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/verdict"
)

// What a roll may do on what it has seen, and when it has to look again.
func TestRulesOfSight(t *testing.T) {
	rules := []struct {
		rule    string
		servers int
		run     func(t *testing.T, w *world)
	}{
		{"no server is taken out on an answer of the balancer that is not fresh", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Smoke })
			w.roll.Targets[0].Pulled = false
			for _, old := range []time.Duration{fresh + time.Millisecond, fresh} {
				w.servers["s01"].weight = 100
				w.roll.Targets[0].State, w.roll.Targets[0].Step, w.roll.Targets[0].Pulled = Active, PullOut, false
				obs := w.observe()
				obs.BalancerAt = w.now.Add(-old)
				d := Decide(w.roll, obs, w.now)
				taken := d.Roll.Targets[0].Pulled
				want(t, taken, old <= fresh)
				want(t, taken || d.Wake <= time.Millisecond, true)
			}
		}},
		{"a server that left with the revision on it and returns on the way back goes back with the others", 9, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Watch })
			gone := w.servers["s05"]
			delete(w.servers, "s05")
			w.command(CmdEmergency, "")
			w.step()
			want(t, w.roll.Stage, RollingBack)
			w.servers["s05"] = gone
			w.run()
			want(t, w.roll.Stage, RolledBack)
			want(t, slices.ContainsFunc(w.events, func(e event.Event) bool { return e.What == "server_returned" && e.Server == "s05" }), true)
			w.allOn(oldRev)
		}},
		{"a server that came back and cannot be asked at the end of the way back is owed, not settled", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Watch })
			w.command(CmdRollback, "")
			w.step()
			w.until(func() bool {
				return slices.ContainsFunc(w.roll.Targets, func(t Target) bool { return t.Server == "s05" && t.State == Settled && w.runs("s05") == oldRev.ID })
			})
			w.servers["s05"].down = true
			w.run()
			want(t, w.roll.Stage, RolledBack)
			i := slices.IndexFunc(w.roll.Targets, func(t Target) bool { return t.Server == "s05" })
			want(t, w.roll.Targets[i].State, Owed)
			want(t, w.roll.Targets[i].Note, "it came back, and cannot be asked any more what it runs: no route")
		}},
		{"one that returns on the way back and was never touched is left as it is", 9, func(t *testing.T, w *world) {
			w.servers["s05"].down = true
			w.until(func() bool { return w.roll.Stage == Watch })
			w.judge = func(verdict.Question, time.Time) *verdict.Verdict { return nil }
			w.command(CmdEmergency, "")
			w.step()
			w.servers["s05"].down = false
			w.run()
			want(t, w.roll.Stage, RolledBack)
			want(t, w.servers["s05"].restarts, 0)
			w.allOn(oldRev)
		}},
		{"a server that fails after as long as the progress deadline is progress, and counted against the budget", 5, func(t *testing.T, w *world) {
			w.roll.Strategy.Progress, w.bad[newRev.ID] = w.roll.Strategy.StepTimeout, true
			w.until(func() bool { return w.roll.Pause != nil })
			want(t, w.roll.Pause.Cause, CauseBudget)
		}},
		{"a host that says what it ran before its switch is not believed to have gone back", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Baking })
			obs := w.observe()
			s := obs.Servers["s02"]
			s.Asked = false // it may have changed while we looked
			obs.Servers["s02"] = s
			w.roll.Targets[1].State, w.roll.Targets[1].Step, w.roll.Targets[1].Batch, w.roll.Targets[1].Pulled = Active, Switch, 0, true
			d := Decide(w.roll, obs, w.now)
			for _, a := range d.Actions {
				want(t, a.Server == "s02" && a.Kind == ActSwitch, false)
			}
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(t, newWorld(t, c.servers)) })
	}
}
