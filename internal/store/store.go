// Package store keeps everything Railyard knows in one SQL database, the only truth: a SQLite file for one process, or
// MySQL/MariaDB for several replicas. One implementation serves both; what differs is in sqlite.go and mysql.go.
//
// Three kinds of writing (see kind):
//
//	facts     what somebody outside was told is kept (a push, a package, an approval, a command): on disk before the answer
//	progress  what a rule decided: a Coach or a roll with its events, in one transaction, only under a valid fence
//	leases    who works on what, until when; each claim raises the fence, so a stale owner's write changes no row
//
// Exported methods open the transaction and may be called by any number of goroutines; unexported ones on tx take part in
// it. A transaction that the database refused (deadlock, lock wait, lost certification) is run again from its start, so
// its function must set its results anew. Events get their ids in the order of commits (events.go).
//
// The store asks no clock: every time is an argument or part of a value. Times are kept in microseconds.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"railyard/internal/roller"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

var (
	_ pipeline.Store = (*Store)(nil)
	_ roller.Store   = (*Store)(nil)
)

// Errors by errors.Is, beside those of pipeline (ErrFenced, ErrNotFound, ErrConflict) and roller (ErrFenced).
var (
	// ErrDuplicate: another Jenkins build began this deployment first.
	ErrDuplicate = errors.New("another build began this deployment first")
	// ErrFinished: the Coach or roll has ended; nobody would read the command.
	ErrFinished = errors.New("it has ended already")
	// ErrTooLong: a text from outside is longer than its column.
	ErrTooLong = errors.New("text too long")
	// ErrInUse: another process has the SQLite file open.
	ErrInUse = errors.New("database file in use")
	// ErrTooNew: a newer Railyard migrated this database.
	ErrTooNew = errors.New("database schema is newer than this program")
	// ErrUnknownOutcome: the connection broke while COMMIT was under way. Read before deciding again.
	ErrUnknownOutcome = errors.New("not known whether the transaction was committed")
)

// Store is the database. It is safe for concurrent use.
type Store struct {
	engine engine
	log    logrus.FieldLogger

	tail chan struct{} // held from the insert of events to the commit: see events.go

	mu      sync.Mutex
	changed chan struct{} // closed at the next commit

	statements atomic.Int64
	leases     atomic.Int64
}

// Open opens the database, brings its schema up to date and returns the store. Several replicas may do so at once.
//
// The dsn is "sqlite:/var/lib/railyard/railyard.db", "mysql://user:password@host:3306/railyard", or the MySQL driver's own
// form "user:password@tcp(host:3306)/railyard". errors.Is: ErrInUse, ErrTooNew.
func Open(ctx context.Context, dsn string, log logrus.FieldLogger) (*Store, error) {
	target, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	e, err := target.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", target, err)
	}
	s := &Store{engine: e, log: log.WithField("database", target.String()), tail: make(chan struct{}, 1), changed: make(chan struct{})}
	if e.alone() {
		if err := s.releaseAll(ctx); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	return s, nil
}

// Close closes the database. Claims that are still held stay until their leases end.
func (s *Store) Close() error { return s.engine.close() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.engine.ping(ctx); err != nil {
		return fmt.Errorf("ask the database for a sign of life: %w", err)
	}
	return nil
}

// Changed returns a channel that is closed at the next commit of facts or progress in this process. Take it before
// reading what you wait for, and no change is missed. Commits of other replicas are not seen: poll for those.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Store) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Statements is the number of SQL statements since Open, without BEGIN, COMMIT and what leases cost.
func (s *Store) Statements() int64 { return s.statements.Load() }

// LeaseStatements is the number of SQL statements that claiming, renewing and releasing cost since Open.
func (s *Store) LeaseStatements() int64 { return s.leases.Load() }

// releaseAll ends every lease: this process has proved that it is the only one.
func (s *Store) releaseAll(ctx context.Context) error {
	return s.write(ctx, lease, "release the leases of the process before", func(t *tx) error {
		if _, err := t.ReleaseAllCoaches(ctx); err != nil {
			return err
		}
		if _, err := t.ReleaseAllTrains(ctx); err != nil {
			return err
		}
		_, err := t.ReleaseAllRolls(ctx)
		return err
	})
}

// read gives the queries for one statement outside a transaction. For several that belong together use snapshot.
func (s *Store) read() *db.Queries { return db.New(s.counted(s.engine.reader(), progress)) }
