package balancertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/roller"
)

func (f Fixture) observe(t *testing.T) map[string]roller.Member {
	t.Helper()
	got, err := f.Balancer.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Members {
		if _, ok := got[name]; !ok {
			t.Fatalf("member %s is missing in %v", name, got)
		}
	}
	return got
}

func (f Fixture) setWeight(t *testing.T, member string, weight int) {
	t.Helper()
	if err := f.Balancer.SetWeight(t.Context(), member, weight); err != nil {
		t.Fatal(err)
	}
}

// visits sends n requests one after another and counts who answered.
func (f Fixture) visits(t *testing.T, n int) map[string]int {
	t.Helper()
	count := map[string]int{}
	for range n {
		name, err := f.Visit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		count[name]++
	}
	return count
}

// until waits until the member is as wanted.
func (f Fixture) until(t *testing.T, member, what string, holds func(roller.Member) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		m := f.observe(t)[member]
		if holds(m) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("member %s is %+v after %s, want %s", member, m, patience, what)
		}
	}
}

// unchanged fails when weights or maintenance are not as before.
func (f Fixture) unchanged(t *testing.T, before map[string]roller.Member) {
	t.Helper()
	if diff := cmp.Diff(before, f.observe(t)); diff != "" {
		t.Errorf("something changed (-before +now):\n%s", diff)
	}
}

func wantError(t *testing.T, err error, names string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that names %q", names)
		return
	}
	if !strings.Contains(err.Error(), names) {
		t.Errorf("error %q does not name %q", err, names)
	}
}
