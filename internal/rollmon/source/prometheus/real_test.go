package prometheus_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// exporter answers scrapes with counters in the form HAProxy gives them.
type exporter struct {
	*httptest.Server
	mu      sync.Mutex
	values  map[string]float64 // by name{labels}
	missing bool               // scrapes fail
	scrapes int
}

func startExporter(t *testing.T) *exporter {
	e := &exporter{values: map[string]float64{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.scrapes++
		if e.missing {
			http.Error(w, "restarting", http.StatusServiceUnavailable)
			return
		}
		for series, v := range e.values {
			fmt.Fprintf(w, "%s %v\n", series, v)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

// traffic is what one server of one backend has answered so far.
type traffic struct{ good, bad, refused, brokenOff float64 }

func (e *exporter) set(backend, server string, n traffic) {
	e.mu.Lock()
	defer e.mu.Unlock()
	scope := fmt.Sprintf(`proxy=%q,server=%q`, backend, server)
	for _, code := range []string{"1xx", "3xx", "4xx", "other"} {
		e.values[fmt.Sprintf(`haproxy_server_http_responses_total{%s,code=%q}`, scope, code)] = 0
	}
	e.values[fmt.Sprintf(`haproxy_server_http_responses_total{%s,code="2xx"}`, scope)] = n.good
	e.values[fmt.Sprintf(`haproxy_server_http_responses_total{%s,code="5xx"}`, scope)] = n.bad
	e.values[fmt.Sprintf(`haproxy_server_connection_errors_total{%s}`, scope)] = n.refused
	e.values[fmt.Sprintf(`haproxy_server_response_errors_total{%s}`, scope)] = n.brokenOff
}

func (e *exporter) gauge(series string, v float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.values[series] = v
}

func (e *exporter) fail(missing bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.missing = missing
}

func (e *exporter) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.scrapes
}

// afterScrapes waits until n more scrapes were answered, so that what was set before is stored, or about to be.
func (e *exporter) afterScrapes(t *testing.T, n int) {
	t.Helper()
	goal := e.count() + n
	eventually(t, fmt.Sprintf("scrape %d", goal), func() bool { return e.count() >= goal })
}

// startPrometheus starts the real server, scraping the exporter five times a second, and returns its address.
func startPrometheus(t *testing.T, e *exporter) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("this test needs Prometheus: install the package prometheus: %v", err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n- job_name: haproxy\n  static_configs: [{targets: [%q]}]\n",
		strings.TrimPrefix(e.URL, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	var output lockedBuffer
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop(cmd)
		if t.Failed() {
			t.Logf("prometheus said:\n%s", output.String())
		}
	})
	eventually(t, "prometheus ready", func() bool {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode == http.StatusOK
	})
	return "http://" + address
}

// stop ends the child: by request first, by force when it does not follow.
func stop(cmd *exec.Cmd) {
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it was asked to end: how does not matter
		close(ended)
	}()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually waits for a condition, at most 20 seconds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited 20s for: %s", what)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
