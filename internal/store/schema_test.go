package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"railyard/internal/store"
	"railyard/internal/store/mariadbtest"
)

func isSQLite(s *store.Store) bool {
	var one int
	return s.Reader().QueryRowContext(context.Background(), "SELECT 1 FROM sqlite_master LIMIT 1").Scan(&one) == nil
}

// tables lists our tables, without the migrations' own.
func tables(t testing.TB, s *store.Store) []string {
	t.Helper()
	query := "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
	if isSQLite(s) {
		query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	}
	names := column(t, s, query)
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "goose_") })
}

func column(t testing.TB, s *store.Store, query string) []string {
	t.Helper()
	rows, err := s.Reader().QueryContext(context.Background(), query)
	ok(t, err)
	defer rows.Close()
	var values []string
	for rows.Next() {
		var v string
		ok(t, rows.Scan(&v))
		values = append(values, v)
	}
	ok(t, rows.Err())
	slices.Sort(values)
	return values
}

// columns lists "table.column type null" of every column, in one spelling for both engines.
func columns(t testing.TB, s *store.Store) []string {
	t.Helper()
	if isSQLite(s) {
		var all []string
		for _, table := range tables(t, s) {
			all = append(all, column(t, s, "SELECT '"+table+".' || name || ' ' || lower(type) || CASE WHEN \"notnull\" = 1 THEN '' ELSE ' null' END "+
				"FROM pragma_table_info('"+table+"')")...)
		}
		for i, c := range all {
			c = strings.Replace(c, " integer", " bigint", 1) // SQLite's word for a row id
			all[i] = c
		}
		slices.Sort(all)
		return all
	}
	all := column(t, s, "SELECT CONCAT(table_name, '.', column_name, ' ', column_type, IF(is_nullable = 'NO', '', ' null')) "+
		"FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%'")
	width := regexp.MustCompile(`(int)\(\d+\)`)
	for i, c := range all {
		c = strings.Replace(c, " tinyint(1)", " boolean", 1)
		all[i] = width.ReplaceAllString(c, "$1")
	}
	slices.Sort(all)
	return all
}

func TestBothEnginesHaveTheSameTablesAndColumns(t *testing.T) {
	lite := open(t, "sqlite:"+filepath.Join(t.TempDir(), "railyard.db"))
	maria := open(t, mariadbtest.Start(t).Database(t))
	if n := len(tables(t, lite)); n < 15 {
		t.Fatalf("found %d tables only", n)
	}
	equal(t, "columns of sqlite as against mariadb", columns(t, lite), columns(t, maria))
}

// TestEveryQueryIsUnderstoodByBothEngines prepares each query of sql/queries.
func TestEveryQueryIsUnderstoodByBothEngines(t *testing.T) {
	stores := map[string]*store.Store{
		"sqlite":  open(t, "sqlite:"+filepath.Join(t.TempDir(), "railyard.db")),
		"mariadb": open(t, mariadbtest.Start(t).Database(t)),
	}
	files := must[[]string](t)(filepath.Glob("../../sql/queries/*.sql"))
	argument := regexp.MustCompile(`sqlc\.(arg|slice)\(\w+\)`)
	checked := 0
	for _, file := range files {
		for _, query := range strings.Split(string(must[[]byte](t)(os.ReadFile(file))), "-- name: ")[1:] {
			name, text, _ := strings.Cut(query, "\n")
			text = argument.ReplaceAllString(text, "?")
			for engine, s := range stores {
				stmt, err := s.Reader().(*sql.DB).PrepareContext(t.Context(), text)
				if err != nil {
					t.Errorf("%s: %s: %v", engine, name, err)
					continue
				}
				ok(t, stmt.Close()) //nolint:sqlclosecheck // there are a hundred of them
				checked++
			}
		}
	}
	if checked < 100 {
		t.Fatalf("prepared %d queries only", checked)
	}
}

var otherSchemaRules = []rule{
	{"opening again migrates nothing", func(t *testing.T, dsn string) {
		first := open(t, dsn)
		schema, versions := columns(t, first), dump(t, first, "goose_db_version")
		ok(t, first.Close())
		second := open(t, dsn)
		equal(t, "columns", columns(t, second), schema)
		equal(t, "versions", dump(t, second, "goose_db_version"), versions)
	}},
	{"a schema newer than the program is refused", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ok(t, s.Transact(t.Context(), func(exec store.Exec) error {
			return exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)")
		}))
		ok(t, s.Close())
		_, err := store.Open(t.Context(), dsn, quiet)
		wantErr(t, err, store.ErrTooNew)
	}},
}

// replicasStartAtOnce opens an empty database from several replicas at the same time.
func replicasStartAtOnce(t *testing.T, dsn string) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := store.Open(t.Context(), dsn, quiet)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	all.Wait()
	s := open(t, dsn)
	equal(t, "number of applied versions", len(column(t, s, "SELECT version_id FROM goose_db_version")),
		1+len(must[[]string](t)(filepath.Glob("../../sql/sqlite/*.sql")))) // goose's own beginning, and ours
}
