package roller

import (
	"slices"
	"strings"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/verdict"
)

// What people may ask of a roll, and when.
func TestRulesOfCommands(t *testing.T) {
	rules := []struct {
		rule    string
		servers int
		run     func(t *testing.T, w *world)
	}{
		{"a regular rollback returns batch by batch, in reverse, each judged before the next", 9, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Watch })
			w.command(CmdRollback, "")
			w.step()
			var order []int
			for w.roll.Stage == RollingBack {
				if n := len(order); n == 0 || order[n-1] != w.roll.Batch {
					order = append(order, w.roll.Batch)
					began := w.now
					w.until(func() bool { return w.roll.Stage != RollingBack || w.roll.Batch != order[len(order)-1] })
					want(t, w.now.Sub(began) >= w.roll.Strategy.Pause, true)
				}
			}
			want(t, order, []int{4, 3, 2, 1, 0})
			want(t, w.roll.Stage, RolledBack)
			w.allOn(oldRev)
		}},
		{"doubt on a regular way back pauses it, and an emergency overrides that", 9, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Watch })
			w.judge = says(verdict.NoData, func(verdict.Question) bool { return true })
			w.command(CmdRollback, "")
			w.step()
			w.run()
			want(t, w.roll.Pause.Cause, CauseDoubt)
			want(t, w.roll.Stage, RollingBack)
			w.command(CmdEmergency, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, RolledBack)
			w.allOn(oldRev)
		}},
		{"an automatic rollback is not judged", 9, func(t *testing.T, w *world) {
			w.judge = func(q verdict.Question, now time.Time) *verdict.Verdict {
				if w.roll.Stage == RollingBack {
					t.Errorf("asked about %v on the way back", q.Exposed)
				}
				return says(verdict.Hard, inStage(Watch, 4))(q, now)
			}
			w.run()
			want(t, w.roll.Stage, RolledBack)
			w.allOn(oldRev)
		}},
		{"a server skipped after it was only pulled out goes back into rotation as it is", 5, func(t *testing.T, w *world) {
			w.servers["s02"].sessions = 3
			w.until(func() bool { return w.servers["s02"].weight == 0 })
			w.command(CmdSkip, "s02")
			w.step()
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, w.runs("s02"), oldRev.ID)
			want(t, w.servers["s02"].inRotation(), true)
			want(t, strings.Contains(w.roll.Reason, "skipped: s02"), true)
		}},
		{"a server skipped after its switch stays out, and a rollback brings it back", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.servers["s02"].everOnNew })
			w.bad[newRev.ID] = true
			w.command(CmdSkip, "s02")
			w.step()
			w.until(func() bool { return w.roll.Stage == Rolling && w.roll.Batch == 2 })
			want(t, w.servers["s02"].weight, 0)
			w.command(CmdEmergency, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, RolledBack)
			w.allOn(oldRev)
		}},
		{"skipping needs a server that is still to be rolled", 3, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Watch })
			w.command(CmdSkip, "s01")
			w.step()
			want(t, slices.ContainsFunc(w.events, func(e event.Event) bool {
				return e.What == "command_skip" && e.Why == "asked (refused: s01 is already settled)"
			}), true)
		}},
		{"retry forgets what was accepted: the next failure stops the roll again", 9, func(t *testing.T, w *world) {
			w.roll.Strategy.Smoke = false
			w.bad[newRev.ID] = true
			w.run()
			want(t, w.roll.Pause.Cause, CauseBudget)
			w.command(CmdResume, "")
			w.step()
			w.until(func() bool { return w.roll.Pause != nil })
			failed := w.roll.Forgiven
			want(t, failed > 0, true)
			w.bad[newRev.ID] = false
			w.command(CmdRetry, "")
			w.step()
			want(t, w.roll.Forgiven, 0)
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"retry works in baking, rolling and watch, each at its own weight", 5, func(t *testing.T, w *world) {
			for _, stage := range []Stage{Baking, Rolling, Watch} {
				w.until(func() bool { return w.roll.Stage == stage })
				i := slices.IndexFunc(w.roll.Targets, func(t Target) bool { return t.State == Settled || t.State == Active })
				w.roll.Targets[i].State, w.roll.Targets[i].Step, w.roll.Targets[i].Pulled = Failed, "", true
				w.step()
				want(t, w.roll.Pause.Cause, CauseBudget)
				w.command(CmdRetry, "")
				w.step()
				want(t, w.roll.Pause == nil, true)
			}
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"retry on the way back tries the old revision again", 5, func(t *testing.T, w *world) {
			w.judge = says(verdict.Hard, inStage(Baking, 0))
			w.bad[oldRev.ID] = true
			w.until(func() bool {
				return w.roll.Stage == RollingBack && slices.ContainsFunc(w.roll.Targets, func(t Target) bool { return t.State == Failed })
			})
			w.bad[oldRev.ID] = false
			w.command(CmdRetry, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, RolledBack)
			w.allOn(oldRev)
		}},
		{"a brake in the middle of a step costs the server nothing", 5, func(t *testing.T, w *world) {
			w.bad[newRev.ID] = true
			w.until(func() bool { return w.roll.Targets != nil && w.roll.Targets[0].Step == Test })
			w.command(CmdBrake, "")
			w.step()
			w.now = w.now.Add(time.Hour)
			w.step()
			w.bad[newRev.ID] = false
			w.command(CmdResume, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, Done)
		}},
		{"a brake that is only in memory stops new work as well", 5, func(t *testing.T, w *world) {
			w.until(func() bool { return w.roll.Stage == Rolling })
			w.braked = true
			before := len(w.actions)
			for range 100 {
				w.step()
				w.now = w.now.Add(time.Second)
			}
			want(t, len(w.actions), before)
			want(t, w.roll.Pause == nil, true)
		}},
		{"revoking before any server was touched ends the roll and bars nothing", 5, func(t *testing.T, w *world) {
			w.roll.Strategy.MinUpPercent = 100
			w.until(func() bool { return w.roll.Stage == Smoke })
			w.command(CmdRevoke, "")
			w.step()
			want(t, w.roll.Stage, Revoked)
			want(t, w.done.Bar, "")
		}},
		{"a return is not taken back to what it returns from, by nobody and by no breach", 5, func(t *testing.T, w *world) {
			w.roll.Kind, w.roll.From, w.roll.To, w.roll.Changes = Rollback, oldRev, newRev, nil // here the new one is the good one
			w.judge = says(verdict.Hard, inStage(Baking, 0))
			w.run()
			want(t, w.roll.Pause.Cause, CauseDoubt)
			for _, c := range []CommandKind{CmdRollback, CmdRevoke} {
				w.command(c, "")
				w.step()
				want(t, w.roll.Stage, Baking)
			}
			w.command(CmdResume, "")
			w.step()
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(newRev)
		}},
		{"resuming a rolled-back first release accepts that the floor kept servers in", 3, func(t *testing.T, w *world) {
			w.current = Revision{}
			w.until(func() bool { return w.roll.Stage == Watch })
			w.command(CmdEmergency, "")
			w.step()
			w.run()
			want(t, w.roll.Pause.Cause, CauseProgress)
			want(t, w.up(), w.roll.MinUp)
			w.command(CmdResume, "")
			w.step()
			want(t, w.roll.Stage, RolledBack)
			want(t, w.done.Bar, newRev.ID)
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(t, newWorld(t, c.servers)) })
	}
}
