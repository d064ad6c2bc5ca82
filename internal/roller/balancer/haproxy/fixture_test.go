package haproxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"railyard/internal/demo/child"
	"railyard/internal/demo/ports"
	"railyard/internal/fleet"
	"railyard/internal/roller/balancer/balancertest"
)

// real is a HAProxy with servers behind it; its visitors and its runtime API use unix sockets in dir.
type real struct {
	dir     string
	tcp     string // "127.0.0.1:20431", the runtime API again
	servers map[string]*server
	holds   sync.Map // id → chan struct{}, closed to let the request finish
	nextID  atomic.Int64
}

// server is one real HTTP server.
type server struct {
	*httptest.Server
	sick atomic.Bool
}

func (r *real) newServer(t *testing.T, name string) *server {
	s := &server{}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if s.sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/hold", func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintln(w, name) // the visitor learns who holds it
		w.(http.Flusher).Flush()
		release, ok := r.holds.Load(req.URL.Query().Get("id"))
		if !ok {
			return
		}
		select {
		case <-release.(chan struct{}):
			fmt.Fprintln(w, "finished")
		case <-req.Context().Done():
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// config is the HAProxy of the tests; extra is added to the backend.
func (r *real) config(members []string, extra string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n  stats socket %s/api.sock mode 600 level admin\n  stats socket %s/user.sock mode 600 level user\n  stats socket %s level admin\n", r.dir, r.dir, r.tcp)
	b.WriteString("defaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n  retries 0\n")
	fmt.Fprintf(&b, "frontend PROD_hotel\n  bind unix@%s/web.sock\n  default_backend PROD_hotel\n", r.dir)
	b.WriteString("backend PROD_hotel\n  balance roundrobin\n  option httpchk GET /healthz\n  default-server inter 50ms fall 2 rise 2 weight 100\n")
	for _, name := range members {
		fmt.Fprintf(&b, "  server %s %s check\n", name, r.servers[name].Listener.Addr())
	}
	b.WriteString(extra)
	return b.String()
}

// startHAProxy starts a HAProxy over four servers, s1 to s4, and waits until it found them all healthy.
func startHAProxy(t *testing.T, extra string) *real {
	t.Helper()
	var free ports.Set
	t.Cleanup(func() { free.Close() })
	port, err := free.Take()
	if err != nil {
		t.Fatal(err)
	}
	r := &real{dir: shortDir(t), tcp: ports.Address(port), servers: map[string]*server{}}
	members := []string{"s1", "s2", "s3", "s4"}
	for _, name := range members {
		r.servers[name] = r.newServer(t, name)
	}
	path := filepath.Join(r.dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(r.config(members, extra)), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(r.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("haproxy", "-db", "-f", path)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		<-p.Done()
	})
	r.awaitHealthy(t, p)
	return r
}

func (r *real) awaitHealthy(t *testing.T, p *child.Process) {
	t.Helper()
	b := r.balancer(t, "unix:"+r.dir+"/api.sock")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		states, err := b.Observe(ctx)
		passed := 0
		for _, m := range states {
			if m.Detail == "UP" {
				passed++
			}
		}
		if err == nil && passed >= 4 {
			return
		}
		select {
		case <-tick.C:
		case <-p.Done():
			said, _ := os.ReadFile(filepath.Join(r.dir, "log"))
			t.Fatalf("haproxy ended: %v\n%s", p.Err(), said)
		case <-ctx.Done():
			t.Fatalf("haproxy is not ready: %v, %v", states, err)
		}
	}
}

// shortDir is a directory whose sockets' paths fit into the 108 bytes that a unix address has.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ha")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (r *real) balancer(t *testing.T, address string) *Balancer {
	t.Helper()
	b, err := New(fleet.Balancer{Driver: "haproxy", Address: address, Backend: "PROD_hotel"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client is one visitor: every request has a connection of its own unless keepAlive.
func (r *real) client(keepAlive bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: !keepAlive,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", r.dir+"/web.sock")
		},
	}}
}

// say sends a line to the runtime API, as a person would.
func (r *real) say(ctx context.Context, line string) (string, error) {
	return socket{"unix", r.dir + "/api.sock"}.ask(ctx, line)
}

func (r *real) fixture(t *testing.T, address string) balancertest.Fixture {
	return balancertest.Fixture{
		Balancer: r.balancer(t, address),
		Members:  []string{"s1", "s2", "s3", "s4"},
		Visit:    func(ctx context.Context) (string, error) { return r.visit(ctx, r.client(false)) },
		Hold:     r.hold,
		Maintain: func(member string, out bool) error {
			order := "ready"
			if out {
				order = "maint"
			}
			_, err := r.say(context.Background(), "set server PROD_hotel/"+member+" state "+order)
			return err
		},
		Maintained: func(member string) (bool, error) {
			said, err := r.say(context.Background(), "show stat -1 4 -1")
			for line := range strings.Lines(said) {
				if strings.HasPrefix(line, "PROD_hotel,"+member+",") {
					return strings.Contains(line, ",MAINT,"), err
				}
			}
			return false, fmt.Errorf("no line for %s in %q: %w", member, said, err)
		},
		Health: func(member string, healthy bool) { r.servers[member].sick.Store(!healthy) },
	}
}
