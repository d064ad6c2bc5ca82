package roller

import (
	"errors"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// released lets the world's roll complete, and returns the order to take it back.
func (w *world) released() GoBackOrder {
	w.t.Helper()
	w.run()
	want(w.t, w.roll.Stage, Done)
	w.current, w.barred, w.actions, w.events = newRev, map[string]string{}, nil, nil
	return GoBackOrder{
		Undoes: w.roll, Current: newRev, Barred: w.barred, ID: GoBackID(w.roll.ID, 1), Actor: "person:li.wei", Reason: "wrong prices",
		Site: fleet.SiteInfo{Ref: w.roll.Site, Pool: fleet.Pool{Traffic: true}, Strategy: newWorld(w.t, 1).roll.Strategy,
			Site: fleet.Site{Balancer: fleet.Balancer{Driver: fleet.BalancerHAProxy}}},
	}
}

// goBack starts the roll that takes the completed one back.
func (w *world) goBack(o GoBackOrder) {
	w.t.Helper()
	r, events, err := PlanGoBack(o, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.roll, w.holder, w.maxOut, w.minSeen = r, r.ID, 0, len(w.servers)
	w.events = append(w.events, events...)
}

// What has completed is taken back by a roll of its own.
func TestRulesOfGoingBackAfterTheEnd(t *testing.T) {
	rules := []struct {
		rule    string
		servers int
		run     func(t *testing.T, w *world)
	}{
		{"a regular one is tried out, batched and judged as a release is, and bars what it took back", 9, func(t *testing.T, w *world) {
			w.goBack(w.released())
			stages := map[Stage]bool{}
			w.until(func() bool { stages[w.roll.Stage] = true; return w.roll.Stage.Terminal() })
			for _, stage := range []Stage{Smoke, Baking, Rolling, Watch, Done} {
				want(t, stages[stage], true)
			}
			w.allOn(oldRev)
			want(t, w.done.Complete.ID, oldRev.ID)
			want(t, w.done.Bar, newRev.ID)
			want(t, w.maxOut <= 2, true)
		}},
		{"an emergency asks nobody, and takes out as many as the floor allows", 9, func(t *testing.T, w *world) {
			o := w.released()
			w.judge = func(q verdict.Question, _ time.Time) *verdict.Verdict {
				t.Errorf("asked about %v", q.Exposed)
				return nil
			}
			o.Emergency = true
			w.goBack(o)
			began := w.now
			w.run()
			want(t, w.roll.Stage, Done)
			w.allOn(oldRev)
			want(t, w.done.Bar, newRev.ID)
			want(t, w.maxOut, 4)
			want(t, w.minSeen, w.roll.MinUp)
			want(t, w.now.Sub(began) < w.roll.Strategy.StepTimeout, true)
		}},
		{"in an emergency servers that fail are left out, and the others go on", 9, func(t *testing.T, w *world) {
			o := w.released()
			o.Emergency = true
			w.servers["s03"].sick = true
			w.goBack(o)
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, strings.Contains(w.roll.Reason, "failed: s03"), true)
		}},
		{"a regular one that takes too long is made an emergency at any stage", 9, func(t *testing.T, w *world) {
			o := w.released()
			before := w.clone()
			for _, stage := range []Stage{Queued, Smoke, Baking, Rolling, Watch} {
				w := before.clone()
				w.goBack(o)
				w.until(func() bool { return w.roll.Stage == stage })
				w.command(CmdEmergency, "")
				w.command(CmdEmergency, "")
				w.step()
				want(t, w.roll.Emergency, true)
				began := w.now
				w.run()
				want(t, w.roll.Stage, Done)
				want(t, w.now.Sub(began) < w.roll.Strategy.StepTimeout, true)
				w.allOn(oldRev)
			}
		}},
		{"it never moves a server when something newer was released before it had the lock", 5, func(t *testing.T, w *world) {
			w.goBack(w.released())
			w.current = NewRevision(AppRelease{App: "hotel-api", Package: "sha256:cccccccccccccccc", Version: "1.2.0"})
			w.run()
			want(t, w.roll.Stage, Revoked)
			want(t, len(w.actions), 0)
			want(t, w.done.Bar, "")
			want(t, strings.HasPrefix(w.roll.Reason, "something newer has been released since: PROD/hotel-api runs "+w.current.ID+" (hotel-api 1.2.0), not "+newRev.ID), true)
		}},
		{"one that waits for its lock can be revoked", 5, func(t *testing.T, w *world) {
			w.goBack(w.released())
			w.holder = "somebody"
			w.command(CmdRevoke, "")
			w.run()
			want(t, w.roll.Stage, Revoked)
			want(t, w.done.Bar, "")
		}},
		{"the floor holds", 3, func(t *testing.T, w *world) {
			o := w.released()
			o.Emergency, o.Site.Strategy.MinUpPercent = true, 60
			w.goBack(o)
			w.run()
			want(t, w.roll.Stage, Done)
			want(t, w.minSeen, 2)
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(t, newWorld(t, c.servers)) })
	}
}

func TestGoingBackIsRefused(t *testing.T) {
	other := NewRevision(AppRelease{App: "hotel-api", Package: "sha256:cccccccccccccccc", Version: "1.2.0"})
	cases := []struct {
		rule   string
		change func(o *GoBackOrder)
		is     error
		says   string
	}{
		{"when something newer has been released since", func(o *GoBackOrder) { o.Current = other }, ErrNewer,
			"something newer has been released since: PROD/hotel-api runs " + other.ID + " (hotel-api 1.2.0) now, and r-1 brought " + newRev.ID + " (hotel-api 1.1.0)"},
		{"of a first release", func(o *GoBackOrder) { o.Undoes.From = Revision{} }, ErrNothingToGoBackTo,
			"nothing to go back to: r-1 was the first release on PROD/hotel-api"},
		{"to the same bytes", func(o *GoBackOrder) { o.Undoes.From = newRev }, ErrNothingToGoBackTo,
			"nothing to go back to: PROD/hotel-api ran " + newRev.ID + " before r-1 too, it brought nothing new"},
		{"to a revision that is barred", func(o *GoBackOrder) { o.Barred[oldRev.ID] = "it lost bookings" }, ErrNothingToGoBackTo,
			oldRev.ID + " (hotel-api 1.0.0), which ran on PROD/hotel-api before, is barred: it lost bookings; railyard bar clear lets it return"},
		{"of a roll that has not completed", func(o *GoBackOrder) { o.Undoes.Stage = RolledBack }, ErrNothingToGoBackTo,
			"r-1 is rolled_back, only what has completed can be taken back"},
		{"of a roll that was a way back itself", func(o *GoBackOrder) { o.Undoes.Kind = Rollback }, ErrNothingToGoBackTo,
			"r-1 was itself the way back from " + oldRev.ID},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			w := newWorld(t, 3)
			o := w.released()
			c.change(&o)
			_, events, err := PlanGoBack(o, w.now)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || events != nil {
				t.Errorf("got %v, expected it to say %q", err, c.says)
			}
		})
	}
}

func TestASiteThatCameBackMayGoFurtherBack(t *testing.T) {
	w := newWorld(t, 3)
	older := w.released()       // old → new
	older.Undoes.ID = "r-older" // then another release came and was taken back: the site runs new again
	if _, _, err := PlanGoBack(older, w.now); err != nil {
		t.Error(err)
	}
}
