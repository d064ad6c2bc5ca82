package demo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/balancer"
	"railyard/internal/demo/load"
	"railyard/internal/demo/machines"
)

// parentRole makes the test binary play the parent that is killed: it opens a company in that directory and hangs.
const parentRole = "RAILYARD_DEMO_TEST_PARENT"

func TestMain(m *testing.M) {
	dir := os.Getenv(parentRole)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := open(context.Background(), dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("open")
	select {}
}

// shortDir is a temporary directory whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ry")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func opened(t *testing.T) *company {
	t.Helper()
	c, err := open(within(t, time.Minute), shortDir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited 20 s until %s", what)
		case <-tick.C:
		}
	}
}

// requests is what the load counted since the beginning.
func (c *company) requests() load.Totals {
	return c.load.Window(time.Now().Add(-time.Hour), time.Now())
}

// roll switches one server to a version the way a roll does: out of rotation, restart, health, back in.
func (c *company) roll(t *testing.T, index int, version string) {
	t.Helper()
	ctx, server := within(t, 20*time.Second), c.hotelAPI.Servers[index].Name
	member := c.hotelAPI.Backend() + "/" + server
	command := func(line string) {
		if answer, err := c.balancer.Command(ctx, line); err != nil || answer != "" {
			t.Fatalf("%s: %q %v", line, answer, err)
		}
	}
	wait := func(what string, condition func(balancer.ServerStats) bool) {
		err := c.balancer.WaitFor(ctx, server+" "+what, func(stats []balancer.ServerStats) bool { return condition(stats[index]) })
		if err != nil {
			t.Fatal(err)
		}
	}
	command("set server " + member + " weight 0")
	wait("to answer its last request", func(s balancer.ServerStats) bool { return s.Sessions == 0 })
	if err := c.deploy(server, apps.HotelAPI, version); err != nil {
		t.Fatal(err)
	}
	restart := strings.NewReplacer("{{.Dir}}", filepath.Join(c.dir, server), "{{.App}}", apps.HotelAPI).Replace(machines.RestartCommand)
	if out, err := exec.CommandContext(ctx, "sh", "-c", restart).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", restart, err, out)
	}
	eventually(t, server+" is healthy", func() bool {
		resp, err := get(ctx, "http://"+c.hotelAPI.Servers[index].Address+"/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	wait("to come up", balancer.ServerStats.Up)
	command("set server " + member + " weight 100")
}

func TestRollingTheServersLosesNoRequest(t *testing.T) {
	c := opened(t)
	for i := range c.hotelAPI.Servers {
		c.roll(t, i, "1.1.0")
	}
	after := c.requests().Requests + 100
	eventually(t, "the new version has had 100 requests", func() bool { return c.requests().Requests >= after })
	if totals := c.requests(); totals.Failed != 0 {
		t.Errorf("%d of %d requests failed, want none: %+v", totals.Failed, totals.Requests, c.load.Failures())
	}
	resp, err := get(t.Context(), c.hotelAPI.URL()+"/hotels")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"version":"1.1.0"`, `"degraded":false`, `"price":310`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("answer %s, want %s", body, want)
		}
	}
	for _, server := range c.hotelAPI.Servers {
		starts := c.machines.Starts("PROD/"+server.Name, apps.HotelAPI)
		if len(starts) != 2 || starts[1].Revision != "1.1.0" || starts[1].Reason != machines.Restart {
			t.Errorf("%s was started %+v, want 1.0.0 at boot and 1.1.0 once", server.Name, starts)
		}
	}
}

func TestAServerThatHangsIsTakenDownByItsChecks(t *testing.T) {
	c := opened(t)
	if err := c.machines.Freeze("PROD/hotel-api-1", apps.HotelAPI); err != nil {
		t.Fatal(err)
	}
	down := func(stats []balancer.ServerStats) bool { return strings.HasPrefix(stats[0].Status, "DOWN") }
	if err := c.balancer.WaitFor(within(t, 20*time.Second), "hotel-api-1 to go down", down); err != nil {
		t.Fatal(err)
	}
	if err := c.machines.Thaw("PROD/hotel-api-1", apps.HotelAPI); err != nil {
		t.Fatal(err)
	}
	up := func(stats []balancer.ServerStats) bool { return stats[0].Up() }
	if err := c.balancer.WaitFor(within(t, 20*time.Second), "hotel-api-1 to come back", up); err != nil {
		t.Fatal(err)
	}
}

func TestPrometheusKnowsTheRequestsOfApplicationAndBalancer(t *testing.T) {
	c := opened(t)
	for _, query := range []string{
		`http_requests_total{env="PROD",pool="hotel-api",server="hotel-api-2",app="hotel-api",code="200"} > 50`,
		`haproxy_server_http_responses_total{proxy="PROD_hotel-api",server="hotel-api-1",code="2xx"} > 50`,
	} {
		eventually(t, "there is a sample for "+query, func() bool {
			resp, err := get(t.Context(), c.prometheus.URL()+"/api/v1/query?query="+url.QueryEscape(query))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var answer struct {
				Data struct{ Result []any }
			}
			if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
			return len(answer.Data.Result) == 1
		})
	}
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	dir := shortDir(t)
	c, err := open(within(t, time.Minute), dir)
	if err != nil {
		t.Fatal(err)
	}
	if running := processes(dir); len(running) != 5 {
		t.Errorf("%d processes are open, want three applications, haproxy and prometheus: %q", len(running), running)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if left := processes(dir); len(left) != 0 {
		t.Errorf("processes are left: %q", left)
	}
	for _, pattern := range []string{"*.sock", "s/*"} {
		if left, _ := filepath.Glob(filepath.Join(dir, pattern)); len(left) != 0 {
			t.Errorf("sockets are left: %q", left)
		}
	}
}

func TestNothingIsLeftAfterTheParentIsKilled(t *testing.T) {
	dir := shortDir(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentRole+"="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	running := processes(dir)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // "signal: killed"
	if line != "open\n" || len(running) != 5 {
		t.Fatalf("the parent said %q with the processes %q, want an open company of five", line, running)
	}
	eventually(t, "all processes are gone", func() bool { return len(processes(dir)) == 0 })
}
