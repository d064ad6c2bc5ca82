//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/balancer"
	"railyard/server/api"
)

const pool = apps.PublicAPI

// server names the n-th production server of the pool that has visitors.
func server(n int) string { return fmt.Sprintf("prod-%s-%d", pool, n) }

// runsEverywhere waits until the pool's servers are all in rotation with a full share and run a version; without one
// that of the last push.
func (y *town) runsEverywhere(t *testing.T, version ...string) {
	t.Helper()
	if len(version) == 0 {
		version = []string{y.version(0)}
	}
	eventually(t, "every server in rotation on "+version[0], func() (string, bool) {
		var wrong []string
		for _, s := range y.servers(t) {
			if s.Rotation != api.In || s.Weight == nil || *s.Weight != 100 || deref(s.Version) != version[0] {
				wrong = append(wrong, fmt.Sprintf("%s is %s, version %s", s.Name, s.Rotation, deref(s.Version)))
			}
		}
		return strings.Join(wrong, "; "), len(wrong) == 0
	})
}

// version is the pool's version so many pushes ago.
func (y *town) version(ago int) string { return fmt.Sprintf("1.%d.0", y.pushes[pool]-ago) }

func (y *town) servers(t *testing.T) []api.Server {
	t.Helper()
	environment := "PROD"
	answer, err := y.API.ListSitesWithResponse(t.Context(), &api.ListSitesParams{Environment: &environment})
	must(t, err)
	if answer.JSON200 == nil {
		t.Fatalf("list sites: %s", answer.Body)
	}
	for _, site := range *answer.JSON200 {
		if site.Pool == pool {
			return site.Servers
		}
	}
	t.Fatalf("no site of %s", pool)
	return nil
}

// visits waits for so many visitors: while nothing else should happen, there is nothing else to wait for.
func (y *town) visits(t *testing.T, n int64) {
	t.Helper()
	from := time.Now().Add(time.Second) // they are counted by the second
	eventually(t, "visitors", func() (string, bool) {
		came := y.Load.Window(from, time.Now().Add(time.Second)).Requests
		return fmt.Sprint(came), came >= n
	})
}

func brakeAndEmergency(t *testing.T, y *town) {
	from := time.Now()
	c := y.deliver(t, pool, change{})
	y.untilRoll(t, c.Id, "the middle of rolling", inStage("rolling"))
	y.abort(t, c) // the build that follows it
	roll := y.untilRoll(t, c.Id, "the brake", pausedFor("brake"))
	y.visits(t, 500)
	y.press(t, "Resume", c.Id, "looks good")
	y.untilRoll(t, c.Id, "watch", inStage("watch"))
	y.runsEverywhere(t)
	y.noVisitorFailed(t, from)
	y.quietBetween(t, roll.Id, "command_brake", "service:jenkins", "command_resume", "person:release-engineer")

	y.orders(t, "roll", "emergency", c.Id, "--reason", "the phones ring")
	c = y.ends(t, c.Id, "rolled_back")
	if !strings.Contains(c.Reason, "the phones ring") {
		t.Errorf("%s was rolled back for %q, expected the person's reason", c.Id, c.Reason)
	}
	y.runsEverywhere(t, y.version(1))
	y.noVisitorFailed(t, from)
}

func releasedAndTakenBack(t *testing.T, y *town) {
	from, before := time.Now(), deref(y.servers(t)[0].Version) // what the last case rolled back is not what runs
	c := y.ends(t, y.deliver(t, pool, change{}).Id, "released")
	y.runsEverywhere(t)
	y.orders(t, "coach", "rollback", c.Id, "--reason", "prices are wrong")
	y.untilRoll(t, c.Id, "the way back", func(r api.Roll) bool { return r.Kind == "rollback" && r.Stage == "baking" })
	y.orders(t, "coach", "rollback", c.Id, "--emergency", "--reason", "the phones ring")
	c = y.ends(t, c.Id, "rolled_back")
	y.runsEverywhere(t, before)
	y.noVisitorFailed(t, from)
	y.orders(t, "coach", "rollback", c.Id, "--reason", "asked again")
	y.ends(t, c.Id, "rolled_back")
	y.runsEverywhere(t, before)

	back := c.Rolls[len(c.Rolls)-1]
	bars, err := y.API.ListBarsWithResponse(t.Context())
	must(t, err)
	if bars.JSON200 == nil || !slices.ContainsFunc(*bars.JSON200, func(b api.Bar) bool { return b.Roll == back.Id && b.Revision == deref(back.From) }) {
		t.Errorf("%s is not barred: %s", deref(back.From), bars.Body)
	}
}

// quietBetween checks that nothing was done to the roll between two of its events, and who gave the orders in them.
func (y *town) quietBetween(t *testing.T, roll, first, firstBy, last, lastBy string) {
	t.Helper()
	seen := map[string]api.Event{}
	for _, e := range y.events(t, "roll/"+roll) {
		if seen[first].What != "" && seen[last].What == "" && strings.HasPrefix(e.What, "server_") {
			t.Errorf("between %s and %s: %s %s: %s", first, last, e.What, deref(e.Server), e.Why)
		}
		seen[e.What] = e
	}
	for what, by := range map[string]string{first: firstBy, last: lastBy} {
		if e := seen[what]; e.Actor != by {
			t.Errorf("%s is by %q in the log, expected %s", what, e.Actor, by)
		}
	}
}

// prometheusAway is also the pool's first release.
func prometheusAway(t *testing.T, y *town) {
	y.scraped(t) // or there is nothing to compare with
	y.balancer(t, "set server PROD_%s/%s state maint", pool, server(3))
	c := y.deliver(t, pool, change{})
	y.untilRoll(t, c.Id, "the smoke servers", func(r api.Roll) bool { return r.Stage == "smoke" || r.Stage == "baking" })
	must(t, y.Prometheus.Close())
	roll := y.untilRoll(t, c.Id, "doubt", pausedFor("doubt"))
	if roll.Stage != "baking" || !strings.Contains(roll.Pause.Reason, "prometheus") {
		t.Errorf("paused in %s: %s; expected in baking, and the source that is down", roll.Stage, roll.Pause.Reason)
	}
	for _, target := range roll.Targets {
		if target.Exposed != (target.Server == server(1)) {
			t.Errorf("%s took visitors on the new version: %t; expected the smoke server only", target.Server, target.Exposed)
		}
	}
	if state := targetOf(roll, server(3)).State; state != "owed" {
		t.Errorf("%s is %s, expected owed: it is in a person's maintenance", server(3), state)
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, y.StartPrometheus(ctx))
	y.scraped(t)
	y.balancer(t, "set server PROD_%s/%s state ready", pool, server(3))
	y.orders(t, "roll", "resume", c.Id, "--reason", "Prometheus was upgraded")
	y.ends(t, c.Id, "released")
	baking := false
	for _, e := range y.events(t, "roll/"+roll.Id) {
		baking = baking || deref(e.To) == "baking"
		if baking && e.What == "verdict" && deref(e.To) == "pass" && e.At.Before(roll.Pause.Since) {
			t.Errorf("a verdict without its source is %s: %s", deref(e.To), e.Why)
		}
	}
	y.runsEverywhere(t)
}

// scraped waits until Prometheus has new samples.
func (y *town) scraped(t *testing.T) {
	t.Helper()
	eventually(t, "scrapes", func() (string, bool) {
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		get(t, y.Prometheus.URL()+"/api/v1/query?query="+url.QueryEscape(`time() - min(timestamp(up{job="haproxy"})) < 2`), &answer)
		return "old ones", len(answer.Data.Result) > 0
	})
}

func (y *town) balancer(t *testing.T, format string, args ...any) {
	t.Helper()
	if answer, err := y.Balancer.Command(t.Context(), fmt.Sprintf(format, args...)); err != nil || answer != "" {
		t.Fatalf("haproxy: %v %s", err, answer)
	}
}

func targetOf(r api.Roll, server string) api.Target {
	i := slices.IndexFunc(r.Targets, func(t api.Target) bool { return t.Server == server })
	if i < 0 {
		return api.Target{}
	}
	return r.Targets[i]
}

func brokenServers(t *testing.T, y *town) {
	must(t, y.Machines.Stop(t.Context(), "PROD/"+server(3), pool))
	must(t, y.Balancer.WaitFor(t.Context(), server(3)+" down", func(all []balancer.ServerStats) bool {
		return slices.ContainsFunc(all, func(s balancer.ServerStats) bool { return s.Server == server(3) && s.Status == "DOWN" })
	}))
	control := y.Machines.Socket("PROD/" + server(4))
	must(t, os.Rename(control, control+".off"))
	from := time.Now()

	c := y.deliver(t, pool, change{})
	roll := y.untilRoll(t, c.Id, "the failure", pausedFor("failure_budget"))
	for _, word := range []string{server(4), "restart"} {
		if !strings.Contains(roll.Pause.Reason, word) {
			t.Errorf("paused: %s; expected it to name %s", roll.Pause.Reason, word)
		}
	}
	y.orders(t, "roll", "resume", c.Id, "--reason", "its machine is being repaired")
	c = y.ends(t, c.Id, "released")

	failures := 0
	for _, e := range y.events(t, "roll/"+roll.Id) {
		if e.What == "server_failed" {
			failures++
			if deref(e.Server) != server(4) || deref(e.From) != "switch" || !strings.Contains(e.Why, "restart") {
				t.Errorf("%s failed in step %s: %s; expected %s, in switch, at its restart", deref(e.Server), deref(e.From), e.Why, server(4))
			}
		}
	}
	if failures != 1 {
		t.Errorf("%d servers failed, expected one", failures)
	}
	for _, target := range c.Rolls[len(c.Rolls)-1].Targets {
		if failed := target.State == "failed"; failed != (target.Server == server(4)) {
			t.Errorf("%s is %s, expected only %s to have failed", target.Server, target.State, server(4))
		}
	}
	for _, s := range y.servers(t) {
		if out := s.Rotation == api.Out; out != (s.Name == server(4)) {
			t.Errorf("%s is %s of rotation, expected only %s to be out", s.Name, s.Rotation, server(4))
		}
	}
	y.noVisitorFailed(t, from)
	must(t, os.Rename(control+".off", control)) // the next release takes it in again
}

func serviceRestarted(t *testing.T, y *town) {
	from := time.Now()
	c := y.deliver(t, pool, change{})
	roll := y.untilRoll(t, c.Id, "a server being switched", func(r api.Roll) bool {
		return r.Stage == "rolling" && slices.ContainsFunc(r.Targets, func(t api.Target) bool { return deref(t.Step) == "switch" })
	})
	y.watches(t)
	asked := time.Now()
	must(t, y.Process().Signal(syscall.SIGTERM))
	select {
	case <-y.Process().Done():
	case <-time.After(patience):
		t.Fatalf("the service has not ended %s after SIGTERM", patience)
	}
	took := time.Since(asked)
	t.Logf("the service ended %s after SIGTERM", took.Round(time.Millisecond))
	if took > 4*time.Second || y.Process().Err() != nil {
		t.Errorf("the service ended %s after SIGTERM (%v), expected within seconds and with exit code 0", took, y.Process().Err())
	}
	y.nothingIsHeld(t, c.Id, roll.Id)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	must(t, y.Serve(ctx))
	y.ends(t, c.Id, "released")
	all := y.events(t, "roll/"+roll.Id)
	next := slices.IndexFunc(all, func(e api.Event) bool { return e.At.After(began) })
	if waited := all[next].At.Sub(began); waited > 4*time.Second {
		t.Errorf("the roll went on %s after the start, expected at once and not when the old lease of 10 s is over", waited)
	}
	y.runsEverywhere(t)
	y.noVisitorFailed(t, from)
}

// watches opens the page's stream of events, as a browser does, until the test ends.
func (y *town) watches(t *testing.T) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, y.URL+"/stream", nil)
	must(t, err)
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the stream answers %s", answer.Status)
	}
}
