package balancer

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"railyard/internal/demo/ports"
)

// site is a balancer before one pool, whose two servers the test opens when it wants.
type site struct {
	*Balancer
	t    *testing.T
	pool Pool
}

func newSite(t *testing.T, public bool) site {
	t.Helper()
	var set ports.Set
	t.Cleanup(func() { set.Close() })
	take := func() int {
		port, err := set.Take()
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	pool := Pool{Environment: "PROD", Name: "hotel-api", Port: take(), Public: public, Servers: []Server{
		{Name: "hotel-api-1", Address: ports.Address(take())},
		{Name: "hotel-api-2", Address: ports.Address(take())},
	}}
	dir, err := os.MkdirTemp("", "lb") // shorter than the test's own directory, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := Start(within(t), Options{Dir: t.TempDir(), Socket: filepath.Join(dir, "s"), MetricsPort: take(), Pools: []Pool{pool}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return site{Balancer: b, t: t, pool: pool}
}

// within bounds what a test may wait.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// open starts the server of that index with a handler; /healthz always succeeds.
func (s site) open(index int, handler http.HandlerFunc) *httptest.Server {
	s.t.Helper()
	l, err := net.Listen("tcp", s.pool.Servers[index].Address)
	if err != nil {
		s.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", handler)
	server := httptest.NewUnstartedServer(mux)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	s.t.Cleanup(server.Close)
	return server
}

func (s site) wait(what string, condition func([]ServerStats) bool) {
	s.t.Helper()
	if err := s.WaitFor(within(s.t), what, condition); err != nil {
		s.t.Fatal(err)
	}
}

// get returns the status and body of a visitor's request.
func (s site) get() (int, string) {
	s.t.Helper()
	resp, err := http.Get(s.pool.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAServerWithoutAProcessIsDownAndComesUpByChecks(t *testing.T) {
	s := newSite(t, true)
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range stats {
		if server.Up() {
			t.Errorf("%s is %s at the start, want it down", server.Server, server.Status)
		}
	}
	if code, _ := s.get(); code != http.StatusServiceUnavailable {
		t.Errorf("a pool without servers answers %d, want 503", code)
	}
	server := s.open(0, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "one") })
	s.wait("hotel-api-1 to come up alone", func(st []ServerStats) bool { return st[0].Up() && !st[1].Up() })
	if code, body := s.get(); code != 200 || body != "one" {
		t.Errorf("answer %d %q, want 200 from hotel-api-1", code, body)
	}
	server.Close()
	s.wait("hotel-api-1 to go down", func(st []ServerStats) bool { return strings.HasPrefix(st[0].Status, "DOWN") })
}

func TestAServerOfWeightZeroGetsNoRequests(t *testing.T) {
	s := newSite(t, true)
	var hits [2]atomic.Int64
	for i := range hits {
		s.open(i, func(http.ResponseWriter, *http.Request) { hits[i].Add(1) })
	}
	s.wait("both servers", func(st []ServerStats) bool { return st[0].InRotation() && st[1].InRotation() })
	if _, err := s.Command(t.Context(), "set server PROD_hotel-api/hotel-api-1 weight 0"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s.get()
	}
	if hits[0].Load() != 0 || hits[1].Load() != 20 {
		t.Errorf("requests %d and %d, want 0 and 20", hits[0].Load(), hits[1].Load())
	}
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stats[0].InRotation() || !stats[0].Up() || stats[1].Requests != 20 || stats[1].OK != 20 {
		t.Errorf("stats %+v, want the first up but out of rotation and 20 answers of the second", stats)
	}
}

func TestNothingIsRetriedOrHidden(t *testing.T) {
	for _, c := range []struct {
		rule   string
		answer http.HandlerFunc
		want   int
	}{
		{"an answer 500", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, http.StatusInternalServerError},
		{"a connection cut without an answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, http.StatusBadGateway},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := newSite(t, true)
			var asked atomic.Int64
			for i := range 2 {
				s.open(i, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); c.answer(w, r) })
			}
			s.wait("both servers", func(st []ServerStats) bool { return st[0].Up() && st[1].Up() })
			if code, _ := s.get(); code != c.want {
				t.Errorf("answer %d, want %d", code, c.want)
			}
			if asked.Load() != 1 {
				t.Errorf("%d servers were asked, want 1", asked.Load())
			}
			s.wait("one failure", func(st []ServerStats) bool { return st[0].Failed+st[1].Failed == 1 })
		})
	}
}

func TestARefusedConnectionIsOneFailure(t *testing.T) {
	s := newSite(t, true)
	server := s.open(0, func(http.ResponseWriter, *http.Request) {})
	s.wait("the server", func(st []ServerStats) bool { return st[0].Up() })
	// A server that is forced up although nothing listens any more.
	server.Close()
	for _, line := range []string{"disable health PROD_hotel-api/hotel-api-1", "set server PROD_hotel-api/hotel-api-1 health up"} {
		if _, err := s.Command(t.Context(), line); err != nil {
			t.Fatal(err)
		}
	}
	if code, _ := s.get(); code != http.StatusServiceUnavailable {
		t.Errorf("answer %d, want 503", code)
	}
	s.wait("one failure", func(st []ServerStats) bool { return st[0].Failed == 1 })
}

func TestOnlyPublicTrafficIsMarked(t *testing.T) {
	for _, public := range []bool{true, false} {
		t.Run(fmt.Sprintf("public=%t", public), func(t *testing.T) {
			s := newSite(t, public)
			s.open(0, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Forwarded-For")) })
			s.wait("a server", func(st []ServerStats) bool { return st[0].Up() })
			if _, body := s.get(); (body != "") != public {
				t.Errorf("X-Forwarded-For %q, want it set: %t", body, public)
			}
		})
	}
}

func TestMetricsAreServed(t *testing.T) {
	s := newSite(t, true)
	resp, err := http.Get("http://" + s.MetricsAddress() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := `haproxy_server_http_responses_total{proxy="PROD_hotel-api",server="hotel-api-1",code="5xx"} 0`; !strings.Contains(string(body), want) {
		t.Errorf("metrics lack %s", want)
	}
}

func TestABrokenConfigurationFailsWithHAProxysOwnWords(t *testing.T) {
	_, err := Start(within(t), Options{Dir: t.TempDir(), Socket: filepath.Join(os.TempDir(), "never"), Pools: []Pool{
		{Environment: "PROD", Name: "hotel-api", Servers: []Server{{Name: "hotel-api-1", Address: "nonsense:port"}}},
	}})
	if err == nil || !strings.Contains(err.Error(), "haproxy.cfg:") {
		t.Errorf("error %v, want HAProxy's message with the line", err)
	}
}

func TestASocketPathThatHAProxyCannotBindIsRefused(t *testing.T) {
	_, err := Start(within(t), Options{Dir: t.TempDir(), Socket: "/" + strings.Repeat("s", 100)})
	if err == nil || !strings.Contains(err.Error(), "choose a shorter one") {
		t.Errorf("error %v, want advice", err)
	}
}
