package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"railyard/internal/event"
	"railyard/internal/store/db"
)

// kind says what a transaction writes.
type kind int

const (
	fact     kind = iota // told to somebody outside: synced to disk before the call returns
	progress             // decided by a rule; after a loss of power it is observed and decided again
	lease                // who works on what: wakes nobody and is counted apart
)

// engine is what differs between the databases.
type engine interface {
	// begin opens a transaction for writing. It ends by commit or rollback of the session.
	begin(ctx context.Context, k kind) (session, error)
	// snapshot opens a transaction for reading in which all statements see the same state.
	snapshot(ctx context.Context) (session, error)
	reader() db.DBTX
	// again reports whether the database refused the transaction in a way that running it again can heal.
	again(err error) bool
	// unique reports whether the statement broke a unique key.
	unique(err error) bool
	// alone reports whether no other process can have the database open.
	alone() bool
	ping(ctx context.Context) error
	close() error
}

// session is an open transaction. commit's error is an ErrUnknownOutcome when the database may have committed.
// rollback after a failed commit is allowed.
type session interface {
	db.DBTX
	commit() error
	rollback()
}

// tx is one try of a transaction, seen from the unexported methods that take part in it.
type tx struct {
	*db.Queries
	raw    db.DBTX // for the few statements that sqlc cannot write
	engine engine
	events []event.Event // written last, see events.go
}

// Bounds of running a refused transaction again. The longest must outlast the time after which the database drops the
// locks of a replica that froze in the middle of a transaction (see mysql.go).
const (
	againFirst   = 2 * time.Millisecond
	againLongest = 200 * time.Millisecond
	againBound   = 20 * time.Second
)

// write runs fn in a transaction, and again when the database refused it. Its error begins with what.
func (s *Store) write(ctx context.Context, k kind, what string, fn func(*tx) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := s.try(ctx, k, fn)
		if err != nil && !s.engine.again(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, againOptions()...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if k != lease {
		s.announce()
	}
	return nil
}

func againOptions() []backoff.RetryOption {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = againFirst, againLongest
	return []backoff.RetryOption{backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(againBound)}
}

// try runs fn in one transaction, once.
func (s *Store) try(ctx context.Context, k kind, fn func(*tx) error) error {
	open, err := s.engine.begin(ctx, k)
	if err != nil {
		return err
	}
	defer open.rollback()
	raw := s.counted(open, k)
	t := &tx{Queries: db.New(raw), raw: raw, engine: s.engine}
	if err := fn(t); err != nil {
		return err
	}
	if len(t.events) == 0 {
		return open.commit()
	}
	select {
	case s.tail <- struct{}{}:
		defer func() { <-s.tail }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := t.appendEvents(ctx); err != nil {
		return err
	}
	return open.commit()
}

// snapshot runs fn's reads on one state of the database. Its error begins with what.
func (s *Store) snapshot(ctx context.Context, what string, fn func(*db.Queries) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		open, err := s.engine.snapshot(ctx)
		if err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		defer open.rollback()
		err = fn(db.New(s.counted(open, progress)))
		if err != nil && !s.engine.again(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, againOptions()...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// counted counts the statements sent through it.
type counted struct {
	db.DBTX
	n *atomic.Int64
}

func (s *Store) counted(to db.DBTX, k kind) counted {
	if k == lease {
		return counted{DBTX: to, n: &s.leases}
	}
	return counted{DBTX: to, n: &s.statements}
}

func (c counted) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	c.n.Add(1)
	return c.DBTX.ExecContext(ctx, query, args...)
}

func (c counted) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.n.Add(1)
	return c.DBTX.QueryContext(ctx, query, args...)
}

func (c counted) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	c.n.Add(1)
	return c.DBTX.QueryRowContext(ctx, query, args...)
}
