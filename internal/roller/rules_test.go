package roller

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

func says(o verdict.Outcome, at func(q verdict.Question) bool) func(verdict.Question, time.Time) *verdict.Verdict {
	return func(q verdict.Question, now time.Time) *verdict.Verdict {
		v := &verdict.Verdict{Outcome: verdict.Pass, At: now, Stage: q.Stage, Batch: q.Batch}
		if at(q) {
			v.Outcome, v.Reason = o, "5xx 4.8 % on "+strings.Join(q.Exposed, ", ")
		}
		return v
	}
}

func inStage(stage Stage, batch int) func(verdict.Question) bool {
	return func(q verdict.Question) bool { return q.Stage == string(stage) && q.Batch == batch }
}

func TestRulesOfTheRoll(t *testing.T) {
	rules := []struct {
		rule    string
		servers int
		given   func(w *world)
		then    func(t *testing.T, w *world)
	}{
		{rule: "a good release ends done with every server on it, in rotation, restarted once", servers: 5,
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Stage, Done)
				w.allOn(newRev)
				for name, s := range w.servers {
					want(t, s.restarts, 1, name)
				}
				want(t, w.done.Complete.ID, newRev.ID)
				want(t, w.done.Unlock, true)
				want(t, w.done.Bar, "")
			}},
		{rule: "never below the floor, never more than the biggest batch out", servers: 9,
			then: func(t *testing.T, w *world) {
				want(t, w.minSeen >= w.roll.MinUp, true)
				want(t, w.maxOut <= w.roll.BiggestBatch(), true)
			}},
		{rule: "a hard breach in baking rolls back at once; no other server ever left the old revision", servers: 5,
			given: func(w *world) { w.judge = says(verdict.Hard, inStage(Baking, 0)) },
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Stage, RolledBack)
				w.allOn(oldRev)
				want(t, w.names(func(s *vserver) bool { return s.everOnNew }), []string{"s01"})
				want(t, w.done.Bar, newRev.ID)
				want(t, w.done.Complete == nil, true)
			}},
		{rule: "a hard breach in batch 2 returns every switched server, and only those restart again", servers: 9,
			given: func(w *world) {
				w.judge = says(verdict.Hard, func(q verdict.Question) bool { return slices.Contains(q.Exposed, "s05") })
			},
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Stage, RolledBack)
				w.allOn(oldRev)
				for name, s := range w.servers {
					want(t, s.restarts == 0 || s.restarts == 2, true, name)
				}
				want(t, len(w.names(func(s *vserver) bool { return s.everOnNew })), 5) // smoke server and two batches of two
			}},
		{rule: "after the last batch hard indicators stay armed: a breach in the watch returns every server", servers: 5,
			given: func(w *world) { w.judge = says(verdict.Hard, inStage(Watch, 4)) },
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Stage, RolledBack)
				want(t, len(w.names(func(s *vserver) bool { return s.everOnNew })), 5)
				w.allOn(oldRev)
			}},
		{rule: "after the last batch soft indicators stop nothing any more", servers: 5,
			given: func(w *world) { w.judge = says(verdict.Soft, inStage(Watch, 4)) },
			then:  func(t *testing.T, w *world) { want(t, w.roll.Stage, Done); w.allOn(newRev) }},
		{rule: "a soft breach pauses and calls a person; resume accepts it for this batch", servers: 5,
			given: func(w *world) { w.judge = says(verdict.Soft, inStage(Rolling, 1)) },
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Pause.Cause, CauseSoft)
				want(t, w.roll.Batch, 1)
				w.command(CmdResume, "")
				w.step()
				w.run()
				want(t, w.roll.Stage, Done)
			}},
		{rule: "no data is never a pass: it is waited out, then a person is called", servers: 5,
			given: func(w *world) { w.judge = says(verdict.NoData, inStage(Baking, 0)) },
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Pause.Cause, CauseDoubt)
				want(t, w.roll.Stage, Baking)
				want(t, w.now.Sub(w.roll.SettledAt) >= 20*time.Second, true) // baking time and doubt bound
			}},
		{rule: "the monitor is told when the roll began: before it every server ran what it ran before", servers: 5,
			given: func(w *world) {
				judge := w.judge
				w.judge = func(q verdict.Question, now time.Time) *verdict.Verdict {
					want(w.t, q.Began, w.roll.Began)
					want(w.t, q.Began.After(q.Since) || q.Began.IsZero(), false)
					return judge(q, now)
				}
			},
			then: func(t *testing.T, w *world) { want(t, w.roll.Stage, Done) }},
		{rule: "a monitor that never answers is doubt", servers: 5,
			given: func(w *world) { w.judge = func(verdict.Question, time.Time) *verdict.Verdict { return nil } },
			then:  func(t *testing.T, w *world) { want(t, w.roll.Pause.Cause, CauseDoubt) }},
		{rule: "a failed smoke test leaves the server out and stops the roll: the budget is 0", servers: 5,
			given: func(w *world) { w.bad[newRev.ID] = true },
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Pause.Cause, CauseBudget)
				want(t, w.servers["s01"].weight, 0)
				want(t, w.names(func(s *vserver) bool { return s.everOnNew }), []string{"s01"})
			}},
		{rule: "where the strategy says so, an exhausted budget rolls back", servers: 5,
			given: func(w *world) { w.bad[newRev.ID] = true; w.roll.Strategy.OnFailure = fleet.OnFailureRollback },
			then:  func(t *testing.T, w *world) { want(t, w.roll.Stage, RolledBack); w.allOn(oldRev) }},
		{rule: "retry works on failed servers only", servers: 5,
			given: func(w *world) { w.bad[newRev.ID] = true },
			then: func(t *testing.T, w *world) {
				w.bad[newRev.ID] = false
				w.command(CmdRetry, "")
				w.step()
				w.run()
				want(t, w.roll.Stage, Done)
				want(t, w.servers["s01"].restarts, 1) // it ran the revision already
				w.allOn(newRev)
			}},
		{rule: "a server that is down at the start is owed, and the others are rolled", servers: 5,
			given: func(w *world) { w.servers["s03"].down = true },
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Stage, Done)
				want(t, strings.Contains(w.roll.Reason, "owed: s03"), true)
				want(t, w.servers["s03"].restarts, 0)
			}},
		{rule: "somebody else's maintenance is never undone", servers: 5,
			given: func(w *world) { w.servers["s04"].foreign = true },
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Stage, Done)
				for _, a := range w.actions {
					want(t, a.Server != "s04", true)
				}
			}},
		{rule: "servers already on the revision and healthy are skipped", servers: 5,
			given: func(w *world) { w.servers["s02"].running = map[string]string{"hotel-api": newApp.Name()} },
			then: func(t *testing.T, w *world) {
				w.allOn(newRev)
				want(t, w.servers["s02"].restarts, 0)
			}},
		{rule: "sessions are waited for, but not for ever", servers: 3,
			given: func(w *world) { w.servers["s02"].sessions = 3 },
			then:  func(t *testing.T, w *world) { want(t, w.roll.Stage, Done); w.allOn(newRev) }},
		{rule: "a first release has nothing to return to: its rollback pulls the new servers out and pauses", servers: 3,
			given: func(w *world) {
				w.current = Revision{}
				for _, s := range w.servers {
					s.running, s.sick = nil, false
				}
				w.judge = says(verdict.Hard, inStage(Baking, 0))
			},
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Pause.Cause, CauseFirst)
				want(t, w.servers["s01"].weight, 0)
				w.command(CmdResume, "")
				w.step()
				want(t, w.roll.Stage, RolledBack)
			}},
		{rule: "a rollback never goes to identical bytes", servers: 3,
			given: func(w *world) {
				w.current = newRev
				w.judge = says(verdict.Hard, inStage(Baking, 0))
			},
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Pause.Cause, CauseDoubt)
				want(t, strings.Contains(w.roll.Pause.Reason, "same bytes"), true)
			}},
		{rule: "a barred revision is not released again", servers: 3,
			given: func(w *world) { w.barred[newRev.ID] = "rolled back by r-0" },
			then:  func(t *testing.T, w *world) { want(t, w.roll.Stage, Revoked); want(t, len(w.actions), 0) }},
		{rule: "a site without balancer is switched within the floor and judged by its own indicators", servers: 4,
			given: func(w *world) {
				w.roll.Balanced, w.roll.Strategy.BakingWeight = false, 0
			},
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Stage, Done)
				for _, a := range w.actions {
					want(t, a.Kind != ActWeight, true)
				}
			}},
		{rule: "a floor that cannot be met makes no progress, and the roll says so", servers: 2,
			given: func(w *world) { w.roll.Strategy.MinUpPercent, w.roll.Strategy.Smoke = 100, false },
			then: func(t *testing.T, w *world) {
				want(t, w.roll.Pause.Cause, CauseProgress)
				want(t, w.minSeen, 2)
			}},
		{rule: "allow_downtime lets a pool of one server be rolled", servers: 1,
			given: func(w *world) { w.roll.AllowDowntime, w.roll.Strategy.Smoke = true, false },
			then:  func(t *testing.T, w *world) { want(t, w.roll.Stage, Done); w.allOn(newRev) }},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) {
			w := newWorld(t, c.servers)
			if c.given != nil {
				c.given(w)
			}
			w.run()
			c.then(t, w)
		})
	}
}

func want[T any](t *testing.T, got, expected T, of ...string) {
	t.Helper()
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("%s (-expected +got):\n%s", strings.Join(of, " "), diff)
	}
}

func TestABrakeStopsNewActionsAndResumeGoesOn(t *testing.T) {
	w := newWorld(t, 5)
	w.until(func() bool { return w.roll.Stage == Rolling })
	w.command(CmdBrake, "")
	w.step()
	want(t, w.roll.Pause.Cause, CauseBrake)
	before := len(w.actions)
	for range 100 {
		w.step()
		w.now = w.now.Add(time.Second)
	}
	want(t, len(w.actions), before)
	w.command(CmdResume, "")
	w.step()
	w.run()
	want(t, w.roll.Stage, Done)
	w.allOn(newRev)
}

func TestAnEmergencyRollbackIsAsParallelAsTheFloorAllows(t *testing.T) {
	w := newWorld(t, 9)
	w.until(func() bool { return w.roll.Stage == Watch })
	w.maxOut = 0
	w.command(CmdEmergency, "")
	w.step()
	w.run()
	want(t, w.roll.Stage, RolledBack)
	w.allOn(oldRev)
	want(t, w.maxOut, 9-w.roll.MinUp)
}

func TestAServerThatJoinsGoesIntoALastBatch(t *testing.T) {
	w := newWorld(t, 4)
	w.until(func() bool { return w.roll.Stage == Watch })
	w.servers["s99"] = &vserver{weight: 100, running: map[string]string{"hotel-api": oldRev.Apps[0].Name()}}
	w.run()
	want(t, w.roll.Stage, Done)
	w.allOn(newRev)
}

func TestAServerThatReturnsIsCaughtUp(t *testing.T) {
	w := newWorld(t, 4)
	w.servers["s03"].down = true
	w.until(func() bool { return w.roll.Stage == Rolling && w.roll.Batch == 3 })
	w.servers["s03"].down = false
	w.run()
	want(t, w.roll.Stage, Done)
	w.allOn(newRev)
}

func TestBatchesByPattern(t *testing.T) {
	cases := []struct {
		pattern []int
		n       int
		ends    []int
	}{
		{[]int{25}, 8, []int{2, 4, 6, 8}},
		{[]int{25}, 10, []int{2, 5, 7, 10}},
		{[]int{25}, 3, []int{1, 2, 3}},
		{[]int{25}, 1, []int{1}},
		{[]int{10, 40, 50}, 10, []int{1, 5, 10}},
		{[]int{10, 40, 50}, 3, []int{1, 3}},
		{[]int{30}, 10, []int{3, 6, 9, 10}},
		{[]int{100}, 7, []int{7}},
		{[]int{25}, 0, nil},
	}
	for _, c := range cases {
		want(t, BatchEnds(c.pattern, c.n), c.ends)
	}
}

func TestNoBatchHoldsAllTheLiveServersWhileMoreThanOneIsLive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, out := rapid.IntRange(2, 40).Draw(t, "live"), rapid.IntRange(0, 40).Draw(t, "out")
		percent := rapid.IntRange(1, 50).Draw(t, "percent")
		order := interleave(slices.Repeat([]string{"live"}, live), slices.Repeat([]string{"out"}, out))
		start := 0
		for _, end := range BatchEnds([]int{percent}, len(order)) {
			n := 0
			for _, s := range order[start:end] {
				if s == "live" {
					n++
				}
			}
			if n == live {
				t.Fatalf("one batch holds all %d live servers (of %d, %d %%)", live, len(order), percent)
			}
			start = end
		}
	})
}

// After a crash at any saved transition a new process sees only the saved roll and the world.
func TestACrashAfterAnySaveChangesNothingInTheEnd(t *testing.T) {
	clean := newWorld(t, 5)
	clean.run()
	for crash := 1; crash <= clean.saves; crash++ {
		w := newWorld(t, 5)
		w.until(func() bool {
			if w.saves != crash {
				return false
			}
			w.last = map[string]Result{} // a new process remembers nothing
			return true
		})
		w.run()
		want(t, w.roll.Stage, Done)
		w.allOn(newRev)
		for name, s := range w.servers {
			want(t, s.restarts, 1, name)
		}
	}
	t.Logf("%d saved transitions for 5 servers", clean.saves)
}
