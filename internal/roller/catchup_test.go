package roller

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"railyard/internal/fleet"
)

// sync plans a catch-up roll of the world's site, whose believed revision is the old one.
func (w *world) sync() error {
	site := fleet.SiteInfo{Ref: w.roll.Site, Strategy: w.roll.Strategy, Site: fleet.Site{Balancer: fleet.Balancer{Driver: "haproxy"}}}
	r, _, err := PlanCatchUp(CatchUpOrder{Site: site, Believed: oldRev, Servers: w.observe().Servers, Actor: "person:li.wei", Reason: "tidy up"}, w.now)
	if err == nil {
		w.roll, w.holder = r, r.ID
	}
	return err
}

// drifted is a healthy site of eight on the believed revision, changed by hand.
func drifted(t *testing.T, change func(w *world)) *world {
	w := newWorld(t, 8)
	change(w)
	return w
}

func TestCatchUp(t *testing.T) {
	cases := []struct {
		rule   string
		change func(w *world)
		worked []string // the servers that were acted on
	}{
		{"a server on another revision is switched", func(w *world) { w.servers["s03"].running = map[string]string{"hotel-api": newApp.Name()} }, []string{"s03"}},
		{"a server that runs nothing is switched", func(w *world) { w.servers["s03"].running = nil }, []string{"s03"}},
		{"a server that was pulled out is tested and pulled in", func(w *world) { w.servers["s04"].weight = 0 }, []string{"s04"}},
		{"a server at another weight gets its full share", func(w *world) { w.servers["s05"].weight = 25 }, []string{"s05"}},
		{"a smoke server is caught up like any other", func(w *world) { w.servers["s01"].running = nil }, []string{"s01"}},
		{"servers that are out come back before the floor lets another go", func(w *world) {
			w.roll.Strategy.MinUpPercent = 85 // 7 of 8, and 6 are in
			w.servers["s02"].running = map[string]string{"hotel-api": newApp.Name()}
			w.servers["s07"].weight, w.servers["s08"].weight = 0, 0
		}, []string{"s02", "s07", "s08"}},
		{"all of them, above the floor", func(w *world) {
			for _, s := range w.servers {
				s.running = map[string]string{"hotel-api": newApp.Name()}
			}
		}, []string{"s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08"}},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			w := drifted(t, c.change)
			if err := w.sync(); err != nil {
				t.Fatal(err)
			}
			w.minSeen = len(w.servers)
			w.run().allOn(oldRev)
			if w.roll.Stage != Done || w.done.Complete == nil || w.done.Complete.ID != oldRev.ID || w.done.Bar != "" {
				t.Errorf("ended %s: %s (%+v)", w.roll.Stage, w.roll.Reason, w.done)
			}
			var worked []string
			for _, a := range w.actions {
				if !slices.Contains(worked, a.Server) {
					worked = append(worked, a.Server)
				}
			}
			slices.Sort(worked)
			if !slices.Equal(worked, c.worked) {
				t.Errorf("acted on %v, expected %v", worked, c.worked)
			}
			if w.maxOut > 2 || w.roll.Pause != nil {
				t.Errorf("%d were out at once; the pattern is 25 %% of 8", w.maxOut)
			}
			if again := w.sync(); !errors.Is(again, ErrNothingToCatchUp) {
				t.Errorf("asked again: %v, expected that nothing differs", again)
			}
		})
	}
}

func TestCatchUpIsRefused(t *testing.T) {
	cases := []struct {
		rule   string
		change func(w *world)
		says   string
	}{
		{"when nothing differs", func(*world) {}, "all 8 servers of PROD/hotel-api run " + oldRev.ID},
		{"when only people's maintenance differs", func(w *world) { w.servers["s02"].foreign = true }, "no roll can mend what differs on PROD/hotel-api: s02: maintenance"},
		{"when a server does not answer", func(w *world) { w.servers["s02"].down = true }, "s02: unreachable: expected an answer, found no route"},
		{"when the balancer has no such member", func(w *world) { w.servers["s02"].unlisted = true }, "s02: unknown member"},
		{"when a server is ill that runs the revision", func(w *world) { w.servers["s02"].sick = true }, "s02: down"},
		{"when a server drifted that somebody holds", func(w *world) { s := w.servers["s02"]; s.foreign, s.running = true, nil }, "s02: nothing runs"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			err := drifted(t, c.change).sync()
			if !errors.Is(err, ErrNothingToCatchUp) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, expected it to say %q", err, c.says)
			}
		})
	}
	t.Run("when nothing was ever released", func(t *testing.T) {
		_, _, err := PlanCatchUp(CatchUpOrder{Site: fleet.SiteInfo{Ref: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}}}, newWorld(t, 1).now)
		if !errors.Is(err, ErrNothingToCatchUp) || !strings.Contains(err.Error(), "nothing was ever released") {
			t.Errorf("got %v", err)
		}
	})
}

func TestACatchUpThatFailsPausesAndBarsNothing(t *testing.T) {
	w := drifted(t, func(w *world) { w.servers["s03"].running = nil; w.bad[oldRev.ID] = true })
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w.run()
	if w.roll.Pause == nil || w.roll.Pause.Cause != CauseBudget {
		t.Fatalf("%s: %+v, expected a pause for the failure budget", w.roll.Stage, w.roll.Pause)
	}
	w.command(CmdRollback, "")
	w.step()
	if w.roll.Stage != Rolling || !strings.Contains(w.events[len(w.events)-1].Why, "refused: the last completed revision") {
		t.Errorf("%s: %+v, expected that there is no way back from what is live", w.roll.Stage, w.events[len(w.events)-1])
	}
	w.command(CmdResume, "")
	w.until(func() bool { return w.roll.Stage.Terminal() })
	if w.roll.Stage != Done || w.done.Bar != "" || w.servers["s03"].weight != 0 {
		t.Errorf("%s, bars %q, s03 at %d; expected it done without s03, and nothing barred", w.roll.Stage, w.done.Bar, w.servers["s03"].weight)
	}
}
