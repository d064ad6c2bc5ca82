package urlcheck_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/urlcheck"
	"railyard/internal/rollmon/sourcetest"
	"railyard/internal/urltest"
)

// app is one server's application.
type app struct {
	*httptest.Server
	asked  atomic.Int64
	bad    atomic.Int64 // how many requests from now on fail
	silent atomic.Bool
}

func start(t *testing.T) *app {
	a := &app{}
	over := make(chan struct{})
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		if a.silent.Load() {
			select {
			case <-r.Context().Done():
			case <-over:
			}
			return
		}
		if a.bad.Add(-1) >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(a.Close)
	t.Cleanup(func() { close(over) })
	return a
}

func (a *app) address() string { return strings.TrimPrefix(a.URL, "http://") }

var site = fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}

func world(t *testing.T) (sourcetest.World, map[string]*app) {
	apps := map[string]*app{}
	w := sourcetest.World{Site: site, Since: time.Now(),
		Indicator: fleet.Indicator{Name: "health", Hard: true, Check: &fleet.Check{Path: "/healthz"}}}
	for _, name := range []string{"hotel-api-1", "hotel-api-2", "hotel-api-3"} {
		apps[name] = start(t)
		w.Servers = append(w.Servers, rollmon.Server{Name: name, Member: name})
	}
	w.Source = urlcheck.New(func(ref fleet.SiteRef, server string) (string, bool) {
		a, ok := apps[server]
		if !ok || ref != site {
			return "", false
		}
		return a.address(), true
	}, urltest.NewClient())
	w.Set = func(_ *testing.T, server string, b sourcetest.Behaviour) {
		apps[server].bad.Store(0)
		if b == sourcetest.Failing {
			apps[server].bad.Store(1 << 30)
		}
	}
	w.Silence = func(*testing.T) {
		for _, a := range apps {
			a.silent.Store(true)
		}
	}
	return w, apps
}

func TestConformance(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.World {
		w, _ := world(t)
		return w
	})
}

func TestAFailingCheckIsRepeatedOnceAndAPassingOneIsNot(t *testing.T) {
	for _, c := range []struct {
		rule         string
		bad          int64
		runs, failed int
	}{
		{"a check that passes runs once", 0, 1, 0},
		{"a check that fails once passes at its repetition", 1, 2, 1},
		{"a check that fails twice has failed", 9, 2, 2},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w, apps := world(t)
			apps["hotel-api-1"].bad.Store(c.bad)
			got := w.Source.Read(t.Context(), rollmon.Request{Indicator: w.Indicator, Site: site, Exposed: w.Servers[:1], Control: w.Servers[1:]})
			tries := got.Servers["hotel-api-1"].Tries
			if tries == nil || tries.Runs != c.runs || tries.Failed != c.failed {
				t.Fatalf("%+v, want %d runs of which %d failed", got, c.runs, c.failed)
			}
			if c.failed > 0 && !strings.Contains(tries.Words, "/healthz: expected status 200, got 500") {
				t.Errorf("words %q", tries.Words)
			}
			if n := apps["hotel-api-2"].asked.Load(); n != 0 {
				t.Errorf("a server on the old revision was asked %d times", n)
			}
		})
	}
}

func TestAServerThatRefusesConnectionsFailsItsCheck(t *testing.T) {
	w, apps := world(t)
	apps["hotel-api-1"].Close()
	got := w.Source.Read(t.Context(), rollmon.Request{Indicator: w.Indicator, Site: site, Exposed: w.Servers[:1]})
	if tries := got.Servers["hotel-api-1"].Tries; tries == nil || tries.Failed != 2 || !strings.Contains(tries.Words, "connection refused") {
		t.Errorf("%+v, want two failures that name the refusal", got)
	}
}

func TestWhatTheLookCutsOffIsNotTheServersFailure(t *testing.T) {
	w, _ := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := w.Source.Read(ctx, rollmon.Request{Indicator: w.Indicator, Site: site, Exposed: w.Servers[:1]})
	if s := got.Servers["hotel-api-1"]; s.Tries != nil || s.Problem == "" {
		t.Errorf("%+v, want a problem in words", s)
	}
}

func TestThroughTheBalancerTheSiteIsTestedOnce(t *testing.T) {
	balancer := start(t)
	w, apps := world(t)
	w.Indicator.Scope = fleet.ScopePool
	w.Indicator.Source.URL = &fleet.URLSource{Through: "http://" + balancer.address()}
	read := func() *rollmon.Tries {
		return w.Source.Read(t.Context(), rollmon.Request{Indicator: w.Indicator, Site: site, Exposed: w.Servers}).Exposed.Tries
	}
	if got := read(); got == nil || got.Runs != 1 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
	balancer.bad.Store(9)
	if got := read(); got == nil || got.Failed != 2 || !strings.Contains(got.Words, "expected status 200, got 500") {
		t.Errorf("%+v", got)
	}
	for name, a := range apps {
		if a.asked.Load() != 0 {
			t.Errorf("%s was asked directly", name)
		}
	}
}

func TestAnAnswerThatComesTooLateFailsItsCheck(t *testing.T) {
	w, _ := world(t)
	w.Indicator.Check = &fleet.Check{Path: "/healthz", Latency: fleet.Duration(time.Nanosecond)}
	got := w.Source.Read(t.Context(), rollmon.Request{Indicator: w.Indicator, Site: site, Exposed: w.Servers[:1]}).Servers["hotel-api-1"].Tries
	if got == nil || got.Failed != 2 || !strings.Contains(got.Words, "expected an answer within 1ns, it took") {
		t.Errorf("%+v", got)
	}
}
