package haproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/roller/balancer/balancertest"
)

var _ roller.Balancer = (*Balancer)(nil)

func TestHAProxyOverAUnixSocketIsABalancer(t *testing.T) {
	balancertest.Run(t, func(t *testing.T) balancertest.Fixture {
		r := startHAProxy(t, "")
		return r.fixture(t, "unix:"+r.dir+"/api.sock")
	})
}

func TestHAProxyOverATCPSocketIsABalancer(t *testing.T) {
	balancertest.Run(t, func(t *testing.T) balancertest.Fixture {
		r := startHAProxy(t, "")
		return r.fixture(t, "tcp:"+r.tcp)
	})
}

func (r *real) visit(ctx context.Context, c *http.Client) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://web/", nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s: %s", resp.Status, body)
	}
	return string(body), err
}

func (r *real) hold(ctx context.Context) (string, func() error, error) {
	id, release := strconv.FormatInt(r.nextID.Add(1), 10), make(chan struct{})
	r.holds.Store(id, release)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://web/hold?id="+id, nil)
	if err != nil {
		return "", nil, err
	}
	resp, err := r.client(false).Do(req) //nolint:bodyclose // finish closes it
	if err != nil {
		return "", nil, err
	}
	body := bufio.NewReader(resp.Body)
	name, err := body.ReadString('\n')
	if err != nil {
		resp.Body.Close()
		return "", nil, err
	}
	finish := func() error {
		defer resp.Body.Close()
		close(release)
		rest, err := io.ReadAll(body)
		if err == nil && string(rest) != "finished\n" {
			err = fmt.Errorf("the answer ends with %q", rest)
		}
		return err
	}
	return strings.TrimSpace(name), finish, nil
}

func TestAnIdleKeepAliveConnectionIsNoSession(t *testing.T) {
	r := startHAProxy(t, "")
	b := r.balancer(t, "unix:"+r.dir+"/api.sock")
	visitor := r.client(true)
	defer visitor.CloseIdleConnections()
	member, err := r.visit(t.Context(), visitor)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetWeight(t.Context(), member, 0); err != nil {
		t.Fatal(err)
	}
	got, err := b.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got[member].Sessions != 0 {
		t.Errorf("sessions = %d with only an idle connection, want 0", got[member].Sessions)
	}
	for range 20 { // the idle connection is not tied to the member that answered on it
		if next, err := r.visit(t.Context(), visitor); err != nil || next == member {
			t.Fatalf("a request on the idle connection went to %s, %v", next, err)
		}
	}
}

func TestForeignIsWhatPeopleDidAndNothingElse(t *testing.T) {
	r := startHAProxy(t, "  server booked 127.0.0.1:1 disabled\n  server light 127.0.0.1:1 weight 50\n")
	b := r.balancer(t, "unix:"+r.dir+"/api.sock")
	tests := []struct {
		name, say, member string
		want              roller.Member
	}{
		{"a drain is foreign, and up", "set server PROD_hotel/s1 state drain", "s1", roller.Member{Weight: 100, Up: true, Foreign: true, Detail: "DRAIN"}},
		{"a maintenance is foreign, and not up", "set server PROD_hotel/s1 state maint", "s1", roller.Member{Weight: 100, Foreign: true, Detail: "MAINT"}},
		{"our weight 0 is not foreign", "set server PROD_hotel/s2 weight 0", "s2", roller.Member{Up: true, Detail: "UP"}},
		{"disabled by the configuration is foreign", "show info", "booked", roller.Member{Weight: 100, Foreign: true, Detail: "MAINT"}},
		{"once disabled, since made ready, is nobody's", "set server PROD_hotel/booked state ready", "booked", roller.Member{Weight: 100, Up: true, Detail: "no check"}},
		{"a member without check counts as up", "show info", "light", roller.Member{Weight: 50, Up: true, Detail: "no check"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.say(t.Context(), tt.say); err != nil {
				t.Fatal(err)
			}
			got, err := b.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got[tt.member] != tt.want {
				t.Errorf("%s = %+v, want %+v", tt.member, got[tt.member], tt.want)
			}
		})
	}
}

func TestADrainOfAServerThatIsDownIsSeen(t *testing.T) {
	r := startHAProxy(t, "")
	b := r.balancer(t, "unix:"+r.dir+"/api.sock")
	if _, err := r.say(t.Context(), "set server PROD_hotel/s3 state drain"); err != nil {
		t.Fatal(err)
	}
	r.servers["s3"].sick.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := b.Observe(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m := got["s3"]; !m.Up {
			if !m.Foreign || m.Detail != "DOWN" {
				t.Errorf("s3 = %+v, want it foreign, though `show stat` says only DOWN", m)
			}
			return
		}
		<-tick.C
	}
}

func TestAServerWhoseLastCheckFailedIsNotUpLongBeforeHAProxyCallsItDown(t *testing.T) {
	patient := (&real{}).newServer(t, "patient")
	r := startHAProxy(t, fmt.Sprintf("  server patient %s check fall 100000\n", patient.Listener.Addr()))
	b := r.balancer(t, "unix:"+r.dir+"/api.sock")
	await := func(what string, is func(roller.Member) bool) roller.Member {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			got, err := b.Observe(ctx)
			if err != nil {
				t.Fatalf("wait for patient to be %s: %v", what, err)
			}
			if m := got["patient"]; is(m) {
				return m
			}
			<-tick.C
		}
	}
	await("up", func(m roller.Member) bool { return m.Up })
	patient.sick.Store(true)
	m := await("not up", func(m roller.Member) bool { return !m.Up })
	if !strings.HasPrefix(m.Detail, "UP ") || !strings.HasSuffix(m.Detail, "/100000") {
		t.Errorf("patient is %q, want HAProxy to call it UP still, with failed checks counted", m.Detail)
	}
	patient.sick.Store(false)
	if m := await("up again", func(m roller.Member) bool { return m.Up }); m.Detail != "UP" {
		t.Errorf("patient is %q, want UP", m.Detail)
	}
}

func TestErrorsOfARealHAProxyNameTheFix(t *testing.T) {
	r := startHAProxy(t, "  server light 127.0.0.1:1 weight 50\n")
	api := "unix:" + r.dir + "/api.sock"
	stranger, err := New(fleet.Balancer{Address: api, Backend: "PROD_motel"})
	if err != nil {
		t.Fatal(err)
	}
	_, observed := stranger.Observe(t.Context())
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"an unknown member", r.balancer(t, api).SetWeight(t.Context(), "s9", 0),
			"set weight 0 of server s9 in HAProxy backend PROD_hotel at " + api + ": the backend has no such server, only light, s1, s2, s3, s4; correct `member:` of the server in the topology, or the HAProxy configuration"},
		{"an unknown backend", observed,
			"observe HAProxy backend PROD_motel at " + api + ": HAProxy has no such backend; correct `backend:` in the topology, or the HAProxy configuration"},
		{"a server whose weight is no percentage", r.balancer(t, api).SetWeight(t.Context(), "light", 0),
			"set weight 0 of server light in HAProxy backend PROD_hotel at " + api + ": the server is configured with weight 50; configure it with `weight 100`, so that Railyard's weights are percentages"},
		{"a socket without rights", r.balancer(t, "unix:"+r.dir+"/user.sock").SetWeight(t.Context(), "s1", 0),
			"set weight 0 of server s1 in HAProxy backend PROD_hotel at unix:" + r.dir + "/user.sock: HAProxy answered \"Permission denied\"; give the stats socket `level admin`"},
		{"a member that would be another command", r.balancer(t, api).SetWeight(t.Context(), "s1 weight 0;shutdown", 0),
			"set weight 0 of server s1 weight 0;shutdown in HAProxy backend PROD_hotel at " + api + ": \"s1 weight 0;shutdown\" cannot be a HAProxy server's name; set `member:` of the server in the topology"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil || tt.err.Error() != tt.want {
				t.Errorf("error\n%v\nwant\n%s", tt.err, tt.want)
			}
		})
	}
}

func TestAFullSocketIsWaitedFor(t *testing.T) {
	r := startHAProxy(t, "")
	b := r.balancer(t, "unix:"+r.dir+"/api.sock")
	var held []net.Conn // people's connections that say nothing, until the socket refuses more
	for {
		conn, err := net.Dial("unix", r.dir+"/api.sock")
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	asked := make(chan error, 1)
	go func() {
		_, err := b.Observe(t.Context())
		asked <- err
	}()
	for _, conn := range held {
		conn.Close()
	}
	if err := <-asked; err != nil {
		t.Error(err)
	}
}

func TestADeadlineEndsTheWaitForASocketThatHangs(t *testing.T) {
	address := listen(t, "") // takes the line and never answers
	b, err := New(fleet.Balancer{Address: address, Backend: "b"})
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("the step's time is over")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, why)
	defer cancel()
	if _, err := b.Observe(ctx); !errors.Is(err, why) {
		t.Errorf("Observe = %v, want the caller's reason", err)
	}
	if err := b.SetWeight(ctx, "s1", 0); !errors.Is(err, why) {
		t.Errorf("SetWeight = %v, want the caller's reason", err)
	}
}
