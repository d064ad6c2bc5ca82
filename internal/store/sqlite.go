package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"railyard/internal/store/db"
)

// sqliteTarget is a SQLite file.
type sqliteTarget struct{ path string }

func (t sqliteTarget) String() string { return "sqlite:" + t.path }

// sqliteEngine is one process's SQLite file in WAL mode: one connection writes, some read beside it.
//
// How durable a commit is: the write-ahead log is written before COMMIT returns, so whatever happens to the process, a
// kill -9 included, nothing committed is lost. What a loss of power may take depends on the kind: facts are synced to disk
// (synchronous=FULL, which also syncs every commit before them); progress and leases are not (synchronous=NORMAL), since
// after such a loss the roller observes the servers again and decides again. The file itself is never damaged.
type sqliteEngine struct {
	lock    *os.File      // flock held as long as the file is open
	gate    chan struct{} // the one writer
	closed  chan struct{}
	end     sync.Once
	writer  *sql.DB
	conn    *sql.Conn            // the writer's connection; nil after it failed
	cache   map[string]*sql.Stmt // its prepared statements by text
	synced  bool                 // synchronous=FULL is set on it
	readers *sql.DB
}

// statementsKept bounds the writer's cache; texts with lists of varying length would fill any cache.
const statementsKept = 200

func (t sqliteTarget) open(ctx context.Context) (engine, error) {
	lock, err := t.lock()
	if err != nil {
		return nil, err
	}
	e := &sqliteEngine{lock: lock, gate: make(chan struct{}, 1), closed: make(chan struct{})}
	if err := e.start(ctx, t); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// lock proves that no other process has the database open: a second replica would not see the first one's claims end, and
// after a crash nobody would have to wait for the dead process's leases.
func (t sqliteTarget) lock() (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(t.path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(t.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		return nil, errors.Join(fmt.Errorf("%w by process %s (%s is locked: %w): stop that process, or use MySQL for several replicas",
			ErrInUse, strings.TrimSpace(string(holder)), f.Name(), err), f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// SQLite gives its files the mode of the database file; the hashes of tokens are inside.
	d, err := os.OpenFile(t.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, d.Close()
}

func (e *sqliteEngine) start(ctx context.Context, t sqliteTarget) error {
	if err := migrateSQLite(ctx, t.dsn("cache_size(-1000)")); err != nil {
		return err
	}
	var err error
	if e.writer, err = sql.Open("sqlite", t.dsn("cache_size(-4000)", "synchronous(NORMAL)", "journal_size_limit(16777216)")); err != nil {
		return err
	}
	e.writer.SetMaxOpenConns(1)
	if e.readers, err = sql.Open("sqlite", t.dsn("cache_size(-1000)", "query_only(1)")); err != nil {
		return err
	}
	e.readers.SetMaxOpenConns(4)
	e.readers.SetMaxIdleConns(2)
	e.readers.SetConnMaxIdleTime(time.Minute)
	return e.connect(ctx)
}

func (t sqliteTarget) dsn(pragmas ...string) string {
	query := url.Values{"_pragma": append([]string{"busy_timeout(5000)", "journal_mode(WAL)"}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: t.path, RawQuery: query.Encode()}).String()
}

// connect gives the writer a connection when it has none.
func (e *sqliteEngine) connect(ctx context.Context) error {
	if e.conn != nil {
		return nil
	}
	conn, err := e.writer.Conn(ctx)
	if err != nil {
		return err
	}
	e.conn, e.cache, e.synced = conn, map[string]*sql.Stmt{}, false
	return nil
}

func (e *sqliteEngine) begin(ctx context.Context, k kind) (session, error) {
	select {
	case e.gate <- struct{}{}:
	case <-e.closed:
		return nil, sql.ErrConnDone
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := e.enter(ctx, k == fact); err != nil {
		<-e.gate
		return nil, err
	}
	return &sqliteTx{engine: e, open: true}, nil
}

// enter begins the transaction. The gate is held.
func (e *sqliteEngine) enter(ctx context.Context, synced bool) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	if synced != e.synced {
		mode := "PRAGMA synchronous=NORMAL"
		if synced {
			mode = "PRAGMA synchronous=FULL"
		}
		if _, err := e.exec(ctx, mode); err != nil {
			return err
		}
		e.synced = synced
	}
	_, err := e.exec(ctx, "BEGIN IMMEDIATE")
	return err
}

// prepared returns the statement of this text, or nil when the cache is full.
func (e *sqliteEngine) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := e.cache[query]; ok || len(e.cache) >= statementsKept {
		return stmt, nil
	}
	stmt, err := e.conn.PrepareContext(ctx, query)
	if err == nil {
		e.cache[query] = stmt
	}
	return stmt, err
}

func (e *sqliteEngine) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := e.prepared(ctx, query) //nolint:sqlclosecheck // the cache keeps it
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return e.conn.ExecContext(ctx, query, args...)
	}
	return stmt.ExecContext(ctx, args...)
}

// sqliteTx is the writer's transaction; it holds the gate while it is open.
type sqliteTx struct {
	engine *sqliteEngine
	open   bool
}

func (t *sqliteTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.engine.exec(ctx, query, args...)
}

func (t *sqliteTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.engine.prepared(ctx, query) //nolint:sqlclosecheck // the cache keeps it
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return t.engine.conn.QueryContext(ctx, query, args...)
	}
	return stmt.QueryContext(ctx, args...)
}

func (t *sqliteTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := t.engine.prepared(ctx, query) //nolint:sqlclosecheck // the cache keeps it
	if stmt == nil || err != nil {             // a Row carries the error only from its own query
		return t.engine.conn.QueryRowContext(ctx, query, args...)
	}
	return stmt.QueryRowContext(ctx, args...)
}

func (t *sqliteTx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return t.engine.conn.PrepareContext(ctx, query)
}

// commit cannot be interrupted: either the whole transaction is in the log or, after an error, rollback takes it back.
func (t *sqliteTx) commit() error {
	if _, err := t.engine.exec(context.Background(), "COMMIT"); err != nil {
		return err
	}
	t.leave()
	return nil
}

func (t *sqliteTx) rollback() {
	if !t.open {
		return
	}
	if _, err := t.engine.exec(context.Background(), "ROLLBACK"); err != nil {
		// SQLite has rolled back by itself, or the connection is broken: either way a new one has no transaction open.
		t.engine.drop()
	}
	t.leave()
}

func (t *sqliteTx) leave() {
	t.open = false
	<-t.engine.gate
}

// drop closes the writer's connection; the next transaction opens another.
func (e *sqliteEngine) drop() {
	for _, stmt := range e.cache {
		_ = stmt.Close() // the connection that it belongs to is closed next
	}
	_ = e.conn.Raw(func(any) error { return driver.ErrBadConn }) // tells the pool to throw the connection away
	e.conn = nil
}

func (e *sqliteEngine) snapshot(ctx context.Context) (session, error) {
	tx, err := e.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return reading{tx}, nil
}

// reading is a transaction that only reads.
type reading struct{ *sql.Tx }

func (r reading) commit() error { return r.Commit() }

// rollback ends the snapshot; nothing was written, so its error says nothing about data.
func (r reading) rollback() { _ = r.Rollback() }

func (e *sqliteEngine) reader() db.DBTX { return e.readers }

func (e *sqliteEngine) alone() bool { return true }

func (e *sqliteEngine) ping(ctx context.Context) error { return e.readers.PingContext(ctx) }

func (e *sqliteEngine) again(err error) bool {
	var failed *sqlite.Error
	return errors.As(err, &failed) && failed.Code()&0xff == sqlite3.SQLITE_BUSY
}

func (e *sqliteEngine) unique(err error) bool {
	var failed *sqlite.Error
	return errors.As(err, &failed) &&
		(failed.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || failed.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// close waits for the transaction in work and lets no other begin.
func (e *sqliteEngine) close() (err error) {
	e.end.Do(func() {
		close(e.closed)
		e.gate <- struct{}{}
		var errs []error
		if e.readers != nil {
			errs = append(errs, e.readers.Close())
		}
		if e.conn != nil {
			errs = append(errs, e.conn.Close())
		}
		if e.writer != nil {
			errs = append(errs, e.writer.Close())
		}
		err = errors.Join(append(errs, e.lock.Close())...)
	})
	return err
}
