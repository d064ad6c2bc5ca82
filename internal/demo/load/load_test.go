package load

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// await waits until the load has made n requests.
func await(t *testing.T, l *Load, n int64) Totals {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if totals := l.Window(l.began, time.Now()); totals.Requests >= n {
			return totals
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no %d requests within 20 s", n)
		case <-tick.C:
		}
	}
}

func begin(t *testing.T, opts Options) *Load {
	t.Helper()
	l, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestServerErrorsAndMissingAnswersAreFailures(t *testing.T) {
	answers := func(code int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	targets := []Target{
		{"good", answers(200)}, {"missing", answers(404)}, {"broken", answers(500)}, {"refused", "http://" + nobody.Addr().String()},
	}
	l := begin(t, Options{Targets: targets, Rate: 400, Workers: 4})
	await(t, l, 100)
	l.Close()
	totals := l.Window(l.began, time.Now())
	for name, fails := range map[string]bool{"good": false, "missing": false, "broken": true, "refused": true} {
		got := totals.ByTarget[name]
		if got.Requests == 0 || (fails && got.Failed != got.Requests) || (!fails && got.Failed != 0) {
			t.Errorf("%s: %+v, want all failed: %t", name, got, fails)
		}
	}
	failures := l.Failures()
	if len(failures) == 0 || len(failures) > failuresKept {
		t.Fatalf("%d failures remembered, want 1 to %d", len(failures), failuresKept)
	}
	for _, f := range failures {
		if f.Target == "broken" && f.Cause != "status 500" || f.Target == "refused" && !strings.Contains(f.Cause, "refused") {
			t.Errorf("failure %+v, want its true cause", f)
		}
	}
}

func TestTheRateIsKeptAndSharedByTheTargets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	l := begin(t, Options{Targets: []Target{{"a", server.URL}, {"b", server.URL}, {"c", server.URL}}, Rate: 200, Workers: 8})
	totals := await(t, l, 200)
	// A machine that is busy with other tests may be slower than the rate, never faster.
	if took := time.Since(l.began); took < 950*time.Millisecond {
		t.Errorf("200 requests at 200/s took %v, want about 1 s", took)
	}
	for name, count := range totals.ByTarget {
		if count.Requests < 50 || count.Requests > 80 {
			t.Errorf("%s had %d of %d requests, want a third", name, count.Requests, totals.Requests)
		}
	}
}

func TestConnectionsAreKeptAlive(t *testing.T) {
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("x")) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	l := begin(t, Options{Targets: []Target{{"a", server.URL}}, Rate: 500, Workers: 4})
	await(t, l, 100)
	if got := opened.Load(); got > 8 {
		t.Errorf("%d connections for 100 requests of 4 workers", got)
	}
}

func TestRequestsUnderWayAtTheEndAreFinishedAndCounted(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(asked) })
		<-answer
	}))
	defer server.Close()
	l := begin(t, Options{Targets: []Target{{"a", server.URL}}, Rate: 1, Workers: 1})
	<-asked
	closed := make(chan error)
	go func() { closed <- l.Close() }()
	close(answer)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if got := l.Window(l.began, time.Now()).Count; got != (Count{Requests: 1}) {
		t.Errorf("%+v, want the one request counted as good", got)
	}
}
