package service

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ready words what the readiness source sees of a server, over the real drivers.
func (y *driftYard) ready(server string) string {
	y.t.Helper()
	r := &readiness{sites: y.sites, roll: y.store.Roll}
	conditions, err := r.conditions(y.t.Context(), "r-1", y.site, server)
	if err != nil {
		return "error: " + err.Error()
	}
	var words []string
	for _, c := range conditions {
		if c.Problem == "" {
			c.Problem = "ready"
		}
		words = append(words, c.Name+" "+c.Problem)
	}
	return strings.Join(words, ", ")
}

func TestReadinessAndTheRollingLogOverRealDrivers(t *testing.T) {
	y := newDriftYard(t)
	app := y.release()

	if got, want := y.ready("hotel-1"), "machine ready, hotel-api ready, balancer ready"; got != want {
		t.Errorf("after its roll: %s, want %s", got, want)
	}
	y.switchByHand("hotel-2", "000000000000")
	if got := y.ready("hotel-2"); !strings.Contains(got, "hotel-api runs 000000000000, expected "+app.Name()) {
		t.Errorf("after a switch by hand: %s", got)
	}
	y.orderHAProxy("set server PROD_hotel-api/hotel-3 state maint")
	y.until("the balancer calls it in maintenance", func() bool { return strings.Contains(y.ready("hotel-3"), "balancer calls it MAINT") })
	if got := y.ready("hotel-9"); !strings.Contains(got, "no server hotel-9") {
		t.Errorf("a server that is not there: %s", got)
	}

	steps, err := y.steps(t.Context(), "r-1", 0)
	fatal(t, err)
	settled := map[string]bool{}
	for _, s := range steps {
		if s.Failed || s.Words == "" {
			t.Errorf("a step of a good roll: %+v", s)
		}
		settled[s.Server] = settled[s.Server] || s.Settled
	}
	if len(settled) != 3 || !settled["hotel-1"] || !settled["hotel-2"] || !settled["hotel-3"] {
		t.Errorf("settled %v", settled)
	}
	if more, err := y.steps(t.Context(), "r-1", steps[len(steps)-1].ID); err != nil || len(more) != 0 {
		t.Errorf("after the last one: %+v, %v", more, err)
	}
}

func TestWhatManyAskAtOnceIsAskedOnceAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b brief[int]
		asked := 0
		ask := func() int {
			got, err := b.get(t.Context(), "k", func(context.Context) (int, error) { asked++; return asked, nil })
			fatal(t, err)
			return got
		}
		first, again := ask(), ask()
		time.Sleep(briefly)
		if later := ask(); first != 1 || again != 1 || later != 2 {
			t.Errorf("answers %d, %d, %d", first, again, later)
		}
	})
}
