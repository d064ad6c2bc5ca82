package apps

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"go/format"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"railyard/internal/demo/child"
	"railyard/internal/demo/ports"
)

// checkout writes an application's sources as a clone would.
func checkout(t *testing.T, name string, opts Options) string {
	t.Helper()
	files, err := Source(name, opts)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for path, content := range files {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(file, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// script runs build.sh or test.sh.
func script(t *testing.T, dir, name string) {
	t.Helper()
	cmd := exec.Command("./" + name)
	cmd.Dir = dir
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	t.Logf("%s took %v", name, time.Since(began).Round(10*time.Millisecond))
}

// running is an application on a port.
type running struct {
	t    *testing.T
	url  string
	proc *child.Process
}

func run(t *testing.T, name string, opts Options) running {
	t.Helper()
	dir := checkout(t, name, opts)
	script(t, dir, "build.sh")
	var set ports.Set
	t.Cleanup(func() { set.Close() })
	port, err := set.Take()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "dist", "run"))
	cmd.Env = []string{fmt.Sprintf("PORT=%d", port), "SERVER_NAME=server-1", "RELEASE=r1", "APP=" + name, "ENVIRONMENT=PROD"}
	proc, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proc.Stop(5 * time.Second) })
	r := running{t: t, url: "http://" + ports.Address(port), proc: proc}
	r.eventually("it is healthy", func() bool {
		resp, err := http.Get(r.url + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	return r
}

func (r running) eventually(what string, condition func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("waited 10 s until %s", what)
		case <-tick.C:
		}
	}
}

// get asks directly, or as a visitor who came through the balancer.
func (r running) get(path string, visitor bool) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if visitor {
		req.Header.Set("X-Forwarded-For", "192.0.2.1")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestEveryApplicationPassesItsOwnTests(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) { script(t, checkout(t, name, Options{Version: "1.2.3"}), "test.sh") })
	}
}

func TestAFaultPassesTheApplicationsOwnTests(t *testing.T) {
	// It is meant to be found later: by a functional check, or by visitors.
	script(t, checkout(t, HotelAPI, Options{Version: "1.2.3", ErrorPercent: 5, BreakContract: true}), "test.sh")
}

func TestSourcesAreFormatted(t *testing.T) {
	for _, name := range Names() {
		files, err := Source(name, Options{Version: "1.2.3", ErrorPercent: 5, Plan: "coach: x\n"})
		if err != nil {
			t.Fatal(err)
		}
		if files[".railyard/rop.yaml"] != "coach: x\n" || files["VERSION"] != "1.2.3\n" {
			t.Errorf("%s: plan %q, version %q", name, files[".railyard/rop.yaml"], files["VERSION"])
		}
		for path, content := range files {
			if filepath.Ext(path) != ".go" {
				continue
			}
			formatted, err := format.Source([]byte(content))
			if err != nil || string(formatted) != content {
				t.Errorf("%s/%s is not as gofmt writes it (%v)", name, path, err)
			}
		}
	}
}

func TestEveryApplicationTellsWhatItIs(t *testing.T) {
	for name, product := range map[string]string{
		JobWS: `"jobs_done"`, PublicAPI: `"hotels":3`, HotelAPI: `"offers":3`, HotelApp: "hotel-app 1.2.3</footer>",
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, name, Options{Version: "1.2.3"})
			_, body := r.get("/version", false)
			var got map[string]string
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("/version answers %q: %v", body, err)
			}
			if got["app"] != name || got["version"] != "1.2.3" || got["release"] != "r1" || got["server"] != "server-1" {
				t.Errorf("/version answers %v", got)
			}
			if code, body := r.get("/", false); code != 200 || !strings.Contains(body, product) || !strings.Contains(body, "1.2.3") {
				t.Errorf("/ answers %d %s, want %s and the version", code, body, product)
			}
			if _, body := r.get("/api/contract", false); !strings.Contains(body, `"status":"ok"`) || !strings.Contains(body, `"app":"`+name+`"`) {
				t.Errorf("/api/contract answers %s", body)
			}
			_, metrics := r.get("/metrics", false)
			for _, want := range []string{`http_requests_total{code="500"} 0`, `http_request_duration_seconds_bucket{le="+Inf"}`, "process_start_time_seconds 1"} {
				if !strings.Contains(metrics, want) {
					t.Errorf("/metrics lacks %s:\n%s", want, metrics)
				}
			}
		})
	}
}

func TestOnlyVisitorsMeetTheErrorsOfABadRelease(t *testing.T) {
	r := run(t, HotelAPI, Options{Version: "1.2.3", ErrorPercent: 5})
	failed := func(visitor bool) (n int) {
		for range 200 {
			if code, _ := r.get("/hotels", visitor); code == 500 {
				n++
			}
		}
		return n
	}
	if got := failed(false); got != 0 {
		t.Errorf("%d of 200 direct requests failed, want none", got)
	}
	if got := failed(true); got != 10 {
		t.Errorf("%d of 200 visitors' requests failed, want 10", got)
	}
	for _, path := range []string{"/healthz", "/version", "/api/contract"} {
		for range 40 {
			if code, _ := r.get(path, true); code != 200 {
				t.Fatalf("%s answers %d behind the balancer, want always 200", path, code)
			}
		}
	}
	if _, metrics := r.get("/metrics", false); !strings.Contains(metrics, `http_requests_total{code="500"} 10`) {
		t.Errorf("the application's own metrics do not show 10 errors:\n%s", metrics)
	}
}

func TestABrokenContractLooksHealthy(t *testing.T) {
	r := run(t, PublicAPI, Options{Version: "1.2.3", BreakContract: true})
	if code, _ := r.get("/healthz", false); code != 200 {
		t.Errorf("/healthz answers %d, want 200", code)
	}
	if code, body := r.get("/api/contract", false); code != 200 || strings.TrimSpace(body) != `{"status":"degraded"}` {
		t.Errorf("/api/contract answers %d %s, want 200 and the wrong shape", code, body)
	}
}

func TestTerminationFinishesOpenConnectionsAndSaysSo(t *testing.T) {
	r := run(t, PublicAPI, Options{Version: "1.2.3"})
	if code, _ := r.get("/", true); code != 200 { // opens a connection that is kept
		t.Fatalf("answer %d, want 200", code)
	}
	if err := r.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.eventually("its health check fails while it drains", func() bool {
		resp, err := http.Get(r.url + "/healthz")
		if err != nil {
			t.Fatalf("the process went away without draining: %v", err)
		}
		defer resp.Body.Close()
		body, _ := bufio.NewReader(resp.Body).ReadString('\n')
		return resp.StatusCode == 503 && body == "draining\n" && resp.Close
	})
	<-r.proc.Done()
	if err := r.proc.Err(); err != nil {
		t.Errorf("it ended with %v, want exit code 0", err)
	}
}

func TestAnUnknownApplicationOrANonsenseVersionIsRefused(t *testing.T) {
	for rule, source := range map[string]func() (map[string]string, error){
		"unknown application":  func() (map[string]string, error) { return Source("nothing", Options{Version: "1.0.0"}) },
		"no version":           func() (map[string]string, error) { return Source(JobWS, Options{}) },
		"more than 100 errors": func() (map[string]string, error) { return Source(JobWS, Options{Version: "1.0.0", ErrorPercent: 101}) },
	} {
		if _, err := source(); err == nil {
			t.Errorf("%s: no error", rule)
		}
	}
}
