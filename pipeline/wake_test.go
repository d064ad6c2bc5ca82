package pipeline

import (
	"testing"
	"time"

	"railyard/internal/roller"
	"railyard/internal/rop"
)

// wakes are the mileposts the first build was to be woken for since the last call.
func (y *yard) wakes() (mileposts []string) {
	for _, a := range y.acts {
		if a.Kind == ActWake && a.Build.Deployment == y.coach.Builds[0].Deployment {
			mileposts = append(mileposts, a.Text)
		}
	}
	return mileposts
}

func TestWakingBuildsThatWait(t *testing.T) {
	rules := []struct {
		rule string
		run  func(y *yard)
	}{
		{"a build is woken once for every stage that ends, and for the end", func(y *yard) {
			y.publish()
			var woken []string
			for range 20 {
				woken = append(woken, y.wakes()...)
				y.jenkins().end(roller.Done)
			}
			want(y.t, y.coach.State, rop.Released)
			seen := map[string]bool{}
			for _, m := range woken {
				seen[m] = true
			}
			want(y.t, seen, map[string]bool{"2": true, "4": true, "5": true, "end": true}) // 3, the approval, is passed within one step
			want(y.t, y.coach.Closed, true)
		}},
		{"a batch, a pause or a reason wakes nobody", func(y *yard) {
			y.publish().jenkins().steps(2)
			for id, f := range y.obs.Rolls {
				f.Stage, f.Paused, f.Reason = roller.Rolling, true, "soft breach"
				y.obs.Rolls[id] = f
			}
			y.steps(5)
			want(y.t, y.wakes(), nil)
		}},
		{"a build that compiles is not woken", func(y *yard) {
			y.steps(2).jenkins().steps(3)
			want(y.t, y.coach.State, rop.Building)
			want(y.t, y.wakes(), nil)
		}},
		{"one that does not ask yet is tried again, less and less often", func(y *yard) {
			y.publish()
			asked := 0
			for range 3600 {
				for _, m := range y.wakes() {
					asked++
					last := y.obs.Woken[y.coach.Builds[0].Deployment]
					y.obs.Woken[y.coach.Builds[0].Deployment] = Waking{At: y.now, Milepost: m, Tries: last.Tries + 1}
				}
				y.acts = nil
				y.step()
			}
			if asked < 60 || asked > 75 {
				y.t.Errorf("asked %d times in an hour; expected once a minute and a few times at first", asked)
			}
		}},
		{"after a crash a build that was woken is left alone", func(y *yard) {
			y.publish().jenkins().steps(2)
			y.obs.Woken = map[string]Waking{}
			y.steps(5)
			want(y.t, y.wakes(), nil)
		}},
		{"a Coach that has ended stays open until its builds were woken, for an hour", func(y *yard) {
			y.publish().jenkins().end(roller.RolledBack).is(rop.Stopped, "FAT")
			for _, b := range y.coach.Builds {
				y.obs.Told[b.Deployment] = Telling{At: y.now, Text: Description(y.coach)}
			}
			y.steps(10)
			want(y.t, y.coach.Closed, false)
			y.now = y.now.Add(time.Hour)
			y.steps(2)
			want(y.t, y.coach.Closed, true)
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(newYard(t)) })
	}
}

func TestTheDescriptionComesWithTheButtonsThatFit(t *testing.T) {
	buttons := func(y *yard) []string {
		y.acts = nil
		y.obs.Told = map[string]Telling{}
		for i := range y.coach.Builds {
			y.coach.Builds[i].Told = ""
		}
		y.step()
		for _, a := range y.acts {
			if a.Kind == ActTell {
				return a.Buttons
			}
		}
		return nil
	}
	y := newYard(t)
	y.publish()
	want(t, buttons(y), []string{"Brake"})
	for id, f := range y.obs.Rolls {
		f.Paused = true
		y.obs.Rolls[id] = f
	}
	want(t, buttons(y), []string{"Resume"})
	y = newYard(t)
	y.obs.Topology.Approvals = nil
	y.publish().end(roller.Done).end(roller.Done).is(rop.AwaitingApproval, "FAT")
	want(t, buttons(y), []string{"Promote"})
	y = newYard(t)
	y.publish().end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done).is(rop.Delivering, "PROD")
	want(t, buttons(y), []string{"Brake", "Rollback"})
	y.end(roller.Done).end(roller.Done).is(rop.Released, "PROD")
	want(t, buttons(y), []string{"Rollback"})
}
