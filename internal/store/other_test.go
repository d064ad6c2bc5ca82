package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/pipeline"
)

var otherRules = append(otherSchemaRules, []rule{
	{"the digest in force again applies nothing", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		_, err := s.CurrentTopology(t.Context())
		wantErr(t, err, pipeline.ErrNotFound)
		for _, step := range []struct {
			digest  string
			version int64
			applied bool
		}{{"a", 1, true}, {"a", 1, false}, {"b", 2, true}, {"a", 3, true}} {
			version, applied, err := s.ApplyTopology(t.Context(), store.Topology{Digest: step.digest, Text: "text " + step.digest, AppliedAt: t0}, tell("topology", "applied"))
			ok(t, err)
			equal(t, "version", version, step.version)
			equal(t, "applied", applied, step.applied)
		}
		versions := must[[]store.Topology](t)(s.Topologies(t.Context(), 2))
		equal(t, "list", []int64{versions[0].Version, versions[1].Version}, []int64{3, 2})
		equal(t, "events", len(must[[]event.Event](t)(s.Events(t.Context(), store.EventFilter{}))), 3)
	}},
	{"a token is in force until it expires or is revoked", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		k := store.Token{Hash: "h", Person: "re", Role: "release-engineer", SBU: "hotel", Created: t0, Expires: t0.Add(time.Hour)}
		ok(t, s.AddToken(t.Context(), k))
		wantErr(t, s.AddToken(t.Context(), k), pipeline.ErrConflict)
		equal(t, "valid", k.Valid(t0), true)
		equal(t, "valid when expired", k.Valid(t0.Add(time.Hour)), false)
		ok(t, s.RevokeToken(t.Context(), "h", t0.Add(time.Minute)))
		k.Revoked = t0.Add(time.Minute)
		equal(t, "tokens", must[[]store.Token](t)(s.Tokens(t.Context())), []store.Token{k})
		equal(t, "valid when revoked", k.Valid(t0), false)
		wantErr(t, s.RevokeToken(t.Context(), "h", t0), pipeline.ErrNotFound)
		_, err := s.TokenByHash(t.Context(), "nothing")
		wantErr(t, err, pipeline.ErrNotFound)
	}},
	{"whoever waits for a change is woken by a commit, not by a lease", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		changed := s.Changed()
		c := claimRoll(t, s, "a", t0)
		ok(t, s.RenewRoll(t.Context(), c, t0, ttl))
		lockSite(t, s, "r-1", t0, "r-1")
		select {
		case <-changed:
			t.Error("woken by a lease")
		default:
		}
		wantErr(t, s.SaveRoll(t.Context(), roller.Claim{Roll: c.Roll, Fence: 99}, roller.Save{}), roller.ErrFenced)
		select {
		case <-changed:
			t.Error("woken by a save that failed")
		default:
		}
		ok(t, s.SaveRoll(t.Context(), c, roller.Save{Roll: c.Roll}))
		select {
		case <-changed:
		default:
			t.Error("not woken by a commit")
		}
	}},
	{"a database that answers gives a sign of life, a closed one does not", func(t *testing.T, dsn string) {
		s, err := store.Open(t.Context(), dsn, quiet)
		ok(t, err)
		ok(t, s.Ping(t.Context()))
		ok(t, s.Close())
		if s.Ping(context.Background()) == nil {
			t.Error("a closed database answered")
		}
	}},
}...)

// BenchmarkSaveRoll is what one saved step of one server costs on SQLite.
func BenchmarkSaveRoll(b *testing.B) {
	s := open(b, "sqlite:"+b.TempDir()+"/railyard.db")
	ok(b, s.AddRoll(b.Context(), roll("r-1", 100)))
	c := claimRoll(b, s, "a", t0)
	n := s.Statements()
	for i := 0; b.Loop(); i++ {
		target := c.Roll.Targets[i%100]
		target.Note = fmt.Sprint(i)
		ok(b, s.SaveRoll(b.Context(), c, roller.Save{Roll: c.Roll, Targets: []roller.Target{target}, Events: []event.Event{tell("roll/r-1", "server_switched")}}))
	}
	b.ReportMetric(float64(s.Statements()-n)/float64(b.N), "statements/op")
}
