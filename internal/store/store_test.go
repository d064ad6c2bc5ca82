package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/internal/store/mariadbtest"
	"railyard/pipeline"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDatabase); dsn != "" {
		os.Exit(childMain(dsn))
	}
	os.Exit(mariadbtest.Run(m))
}

// rule is one case of the suite: it gets the address of an empty database.
type rule struct {
	name string
	test func(t *testing.T, dsn string)
}

// engines are the databases that the suite runs over, each with the rules that only it can show.
var engines = []struct {
	name  string
	empty func(t *testing.T) string
	own   []rule
}{
	{"sqlite", func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "railyard.db") }, sqliteRules},
	{"mariadb", func(t *testing.T) string { return mariadbtest.Start(t).Database(t) }, mariadbRules},
}

func TestStore(t *testing.T) {
	suite := [][]rule{leaseRules, intakeRules, coachRules, planRules, rollRules, siteRules, auditRules, eventRules, cutRules, roundTripRules, trainRules, lookRules, otherRules}
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			for _, rules := range append(suite, e.own) {
				for _, r := range rules {
					t.Run(r.name, func(t *testing.T) {
						t.Parallel()
						r.test(t, e.empty(t))
					})
				}
			}
		})
	}
}

// t0 is when the tests happen.
var t0 = time.Date(2031, 3, 14, 9, 26, 53, 589793000, time.UTC)

const ttl = 10 * time.Second

var quiet = func() *logrus.Logger {
	l := logrus.New()
	l.SetLevel(logrus.PanicLevel)
	return l
}()

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func open(t testing.TB, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dsn, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func ok(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t tb, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// must returns the first of two results; the second is an error that ends the test.
func must[T any](t tb) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func equal(t tb, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var site = fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}

// coach is a healthy Coach that is being built.
func coach(series, candidate int) rop.Coach {
	id := rop.CoachID("hotel-api", series, candidate)
	return rop.Coach{ID: id, Project: "hotel-api", Series: series, Candidate: candidate, SBU: "hotel", Repository: "hotel/hotel-api",
		Branch: "release/1.4", Commit: fmt.Sprintf("%040x", 100*series+candidate), Created: t0, State: rop.Building, Environment: "FAT",
		Builds: []rop.Build{{App: "hotel-api", Attempt: 1, Deployment: rop.DeploymentID(id, "hotel-api", 1), State: rop.BuildWanted}}}
}

// roll is a roll of n servers in its first stage.
func roll(id string, n int) roller.Roll {
	r := roller.Roll{ID: id, Kind: roller.Release, Coach: "hotel-api-1.1", Site: site, Created: t0, Author: event.Railyard,
		Stage: roller.Smoke, StageSince: t0, Size: n, MinUp: n / 2}
	for i := range n {
		r.Targets = append(r.Targets, roller.Target{Server: fmt.Sprintf("hotel-api-%03d", i), Batch: 1 + i/10, State: roller.Waiting, Since: t0})
	}
	return r
}

// push takes in the first push of the Coach's branch.
func push(t tb, s *store.Store, c rop.Coach) {
	t.Helper()
	tip := must[string](t)(s.Tip(t.Context(), c.Repository, c.Branch))
	ok(t, s.TakeIn(t.Context(), pipeline.TakeIn{Repository: c.Repository, Branch: c.Branch, OldTip: tip, NewTip: c.Commit, Coach: &c}))
}

func claimCoach(t testing.TB, s *store.Store, owner string, now time.Time) pipeline.Claim {
	t.Helper()
	claims := must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), owner, now, ttl))
	if len(claims) != 1 {
		t.Fatalf("%s claimed %d coaches, want 1", owner, len(claims))
	}
	return claims[0]
}

func claimRoll(t testing.TB, s *store.Store, owner string, now time.Time) roller.Claim {
	t.Helper()
	claims := must[[]roller.Claim](t)(s.ClaimRolls(t.Context(), owner, now, ttl))
	if len(claims) != 1 {
		t.Fatalf("%s claimed %d rolls, want 1", owner, len(claims))
	}
	return claims[0]
}

func tell(object, what string) event.Event {
	return event.Event{At: t0, Actor: event.Railyard, Object: object, What: what}
}

// everything is the whole database as text, to see that nothing changed.
func everything(t testing.TB, s *store.Store) string {
	t.Helper()
	var all string
	for _, table := range tables(t, s) {
		all += dump(t, s, table)
	}
	return all
}

func dump(t testing.TB, s *store.Store, table string) string {
	t.Helper()
	rows, err := s.Reader().QueryContext(context.Background(), "SELECT * FROM "+table)
	ok(t, err)
	defer rows.Close()
	columns := must[[]string](t)(rows.Columns())
	text := table + "\n"
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new([]byte)
		}
		ok(t, rows.Scan(values...))
		for i, v := range values {
			text += fmt.Sprintf("  %s=%s", columns[i], *v.(*[]byte))
		}
		text += "\n"
	}
	ok(t, rows.Err())
	return text
}
