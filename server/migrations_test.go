package server_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"railyard/internal/fleet"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/server"
)

// sqlPackage packs one file of SQL.
func sqlPackage(t *testing.T, sql string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	if err := w.WriteHeader(&tar.Header{Name: "migrations/007.sql", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(sql))}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(sql))
	if w.Close() != nil || gz.Close() != nil {
		t.Fatal("pack")
	}
	return &b
}

func TestADatabasePackageIsReadWhenItIsPublished(t *testing.T) {
	for _, c := range []struct {
		rule   string
		body   func(t *testing.T) *bytes.Buffer
		named  []string
		kind   fleet.Kind
		status int
		says   string // in the answer, or in the event when it was taken
	}{
		{"what is harmless is taken, and the log says what was read", func(t *testing.T) *bytes.Buffer { return sqlPackage(t, "CREATE TABLE a (b INT)") },
			nil, fleet.KindDatabase, 200, "read migrations/007.sql"},
		{"a destructive statement is refused, with what to do", func(t *testing.T) *bytes.Buffer {
			return sqlPackage(t, "-- tidy\nALTER TABLE rooms DROP COLUMN legacy;")
		}, nil, fleet.KindDatabase, 400, `migrations/007.sql:2: DROP COLUMN rooms.legacy: what is in it is lost\ntake it out, or name it in the plan: resources: {database: [{app: hotel-api, backward_compatible: true, destructive: [\"DROP COLUMN rooms.legacy\"]}]}`},
		{"unless the plan names it", func(t *testing.T) *bytes.Buffer { return sqlPackage(t, "ALTER TABLE rooms DROP COLUMN legacy") },
			[]string{"drop column rooms.legacy"}, fleet.KindDatabase, 200, "let through because the plan names it: migrations/007.sql:1: DROP COLUMN rooms.legacy"},
		{"what cannot be read for certain is refused", func(t *testing.T) *bytes.Buffer { return sqlPackage(t, "/*! DROP TABLE a */") }, nil, fleet.KindDatabase, 400, "UNREAD migrations/007.sql"},
		{"so is what is no archive", func(*testing.T) *bytes.Buffer { return bytes.NewBufferString("SELECT") }, nil, fleet.KindDatabase, 400, "read the migrations of a package"},
		{"packages of other kinds are not read", func(t *testing.T) *bytes.Buffer { return sqlPackage(t, "DROP TABLE a") }, nil, fleet.KindAPI, 200, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			top := &fleet.Topology{Apps: []fleet.App{{Name: "hotel-api", Kind: c.kind, SBU: "hotel"}}}
			y := newYard(t, func(o *server.Options) { o.Topology = func() *fleet.Topology { return top } })
			y.takeIn(coach(coachID, "decade0000000000000000000000000000000000", rop.Building))
			y.save(coachID, func(coach *rop.Coach) {
				coach.Plan.Resources.Database = []rop.Migration{{App: "hotel-api", BackwardCompatible: true, Destructive: c.named}}
			})
			status, body := y.do("jenkins", "PUT", "/api/v1/deployments/"+coachID+"-hotel-api-a1/package", "application/gzip", c.body(t))
			if status != c.status || status == 400 && !strings.Contains(body, c.says) {
				t.Errorf("got %d %s\nexpected %d %s", status, body, c.status, c.says)
			}
			events, err := y.store.Events(t.Context(), store.EventFilter{Coach: coachID, Newest: true, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			checked := ""
			for _, e := range events {
				if e.What == "migration_checked" {
					checked = e.Why
				}
			}
			if c.status == 200 && (checked == "") != (c.says == "") || c.status == 200 && !strings.Contains(checked, c.says) {
				t.Errorf("the log says %q, expected %q", checked, c.says)
			}
		})
	}
}
