package exec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/roller/balancer/balancertest"
)

var _ roller.Balancer = (*Balancer)(nil)

// controlAddress makes the test binary play the user's program, for the house balancer at that address.
const controlAddress = "RAILYARD_EXEC_TEST_CONTROL"

func TestMain(m *testing.M) {
	control := os.Getenv(controlAddress)
	if control == "" {
		os.Exit(m.Run())
	}
	if err := drive(control); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// drive is a driver as a user would write it: it passes the question on and the answer back.
func drive(control string) error {
	var r struct {
		Do, Backend, Member string
		Weight              int
	}
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		return err
	}
	resp, err := http.Get(fmt.Sprintf("%s/%s?member=%s&weight=%d", control, r.Do, r.Member, r.Weight))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return errors.New(string(text))
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// house is a balancer that nobody has a driver for: smooth weighted round robin among what is up.
type house struct {
	mu      sync.Mutex
	order   []string
	members map[string]*houseMember
}

type houseMember struct {
	weight, sessions, credit int
	sick, maintained         bool
}

// choose takes the next member for a request.
func (h *house) choose() (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	best, total := "", 0
	for _, name := range h.order {
		m := h.members[name]
		if m.sick || m.maintained || m.weight == 0 {
			continue
		}
		total += m.weight
		m.credit += m.weight
		if best == "" || m.credit > h.members[best].credit {
			best = name
		}
	}
	if best == "" {
		return "", errors.New("no member is up")
	}
	h.members[best].credit -= total
	h.members[best].sessions++
	return best, nil
}

func (h *house) change(name string, change func(m *houseMember)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h.members[name])
}

func (h *house) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch req.URL.Path {
	case "/observe":
		members := map[string]any{}
		for name, m := range h.members {
			members[name] = map[string]any{"weight": m.weight, "up": !m.sick && !m.maintained, "foreign": m.maintained, "sessions": m.sessions, "detail": "in house"}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"members": members})
	case "/set_weight":
		m := h.members[req.FormValue("member")]
		if m == nil {
			http.Error(w, "no such member", http.StatusNotFound)
			return
		}
		_, _ = fmt.Sscan(req.FormValue("weight"), &m.weight)
		fmt.Fprintln(w, "{}")
	}
}

func TestAProgramCanBeABalancer(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	balancertest.Run(t, func(t *testing.T) balancertest.Fixture {
		h := &house{order: []string{"s1", "s2", "s3", "s4"}, members: map[string]*houseMember{}}
		for _, name := range h.order {
			h.members[name] = &houseMember{weight: 100}
		}
		control := httptest.NewServer(h)
		t.Cleanup(control.Close)
		return h.fixture(newBalancer(t, "export GORACE=atexit_sleep_ms=0 "+controlAddress+"="+control.URL+"\nexec '"+self+"'"))
	})
}

func (h *house) fixture(b *Balancer) balancertest.Fixture {
	end := func(name string) { h.change(name, func(m *houseMember) { m.sessions-- }) }
	return balancertest.Fixture{
		Balancer: b,
		Members:  h.order,
		Visit: func(context.Context) (string, error) {
			name, err := h.choose()
			if err == nil {
				end(name)
			}
			return name, err
		},
		Hold: func(context.Context) (string, func() error, error) {
			name, err := h.choose()
			return name, func() error { end(name); return nil }, err
		},
		Maintain: func(name string, out bool) error {
			h.change(name, func(m *houseMember) { m.maintained = out })
			return nil
		},
		Maintained: func(name string) (kept bool, err error) {
			h.change(name, func(m *houseMember) { kept = m.maintained })
			return kept, nil
		},
		Health: func(name string, healthy bool) { h.change(name, func(m *houseMember) { m.sick = !healthy }) },
	}
}

// newBalancer writes the program and returns its driver.
func newBalancer(t *testing.T, program string) *Balancer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "balancer")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+program+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := New(fleet.Balancer{Driver: "exec", Address: path, Backend: "PROD_hotel"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatTheProgramDoesNotSayIsNotGuessed(t *testing.T) {
	for answer, want := range map[string]string{
		`{}`:                    "answered without members",
		`{"members":{"s1":{}}}`: "answered of member s1 without weight, up, foreign or sessions",
		`{"members":{"s1":{"weight":100,"up":true,"foreign":false}}}`:                "answered of member s1 without",
		`{"members":{"s1":{"weight":100,"up":true,"alien":false,"sessions":0}}}`:     `unknown field "alien"`,
		`{"members":{"s1":{"weight":"100","up":true,"foreign":false,"sessions":0}}}`: "cannot unmarshal string",
	} {
		_, err := newBalancer(t, "echo '"+answer+"'").Observe(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "PROD_hotel") {
			t.Errorf("answer %s: error %v, want %q", answer, err, want)
		}
	}
	got, err := newBalancer(t, `echo '{"members":{}}'`).Observe(t.Context())
	if err != nil || len(got) != 0 {
		t.Errorf("a backend without members: %v, %v", got, err)
	}
	if _, err := New(fleet.Balancer{Address: "bin/balancer"}); err == nil {
		t.Error("a relative path was accepted")
	}
}
