package store

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"

	"railyard/internal/event"
	"railyard/internal/store/db"
)

// Exec is a statement inside a transaction of a test.
type Exec func(query string, args ...any) error

// Transact runs a test's own statements as the store's methods run theirs.
func (s *Store) Transact(ctx context.Context, fn func(Exec) error) error {
	return s.write(ctx, progress, "transact", func(t *tx) error {
		return fn(func(query string, args ...any) error {
			_, err := t.raw.ExecContext(ctx, query, args...)
			return err
		})
	})
}

// Reader reads without the store's methods.
func (s *Store) Reader() db.DBTX { return s.engine.reader() }

// Cut makes statement number after+1 of the next transactions call cut, before it is sent, and fail with its error if it
// has one; COMMIT counts as a statement. It returns a function that ends this.
func (s *Store) Cut(after int, cut func() error) (restore func()) {
	whole := s.engine
	s.engine = cutting{engine: whole, after: after, cut: cut}
	return func() { s.engine = whole }
}

// Gather lets the next n transactions begin only when all n are about to.
func (s *Store) Gather(n int) {
	g := &gathering{engine: s.engine, most: int64(n)}
	g.all.Add(n)
	s.engine = g
}

type gathering struct {
	engine
	most  int64
	count atomic.Int64
	all   sync.WaitGroup
}

func (g *gathering) begin(ctx context.Context, k kind) (session, error) {
	if g.count.Add(1) <= g.most {
		g.all.Done()
		g.all.Wait()
	}
	return g.engine.begin(ctx, k)
}

type cutting struct {
	engine
	after int
	cut   func() error
}

func (c cutting) begin(ctx context.Context, k kind) (session, error) {
	open, err := c.engine.begin(ctx, k)
	return &cutSession{session: open, left: c.after, cut: c.cut}, err
}

type cutSession struct {
	session
	left int
	cut  func() error
}

func (c *cutSession) step() error {
	if c.left == 0 {
		c.left--
		return c.cut()
	}
	c.left--
	return nil
}

func (c *cutSession) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	return c.session.ExecContext(ctx, query, args...)
}

func (c *cutSession) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	return c.session.QueryContext(ctx, query, args...)
}

func (c *cutSession) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := c.step(); err != nil {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		return c.session.QueryRowContext(gone, query, args...)
	}
	return c.session.QueryRowContext(ctx, query, args...)
}

func (c *cutSession) commit() error {
	if err := c.step(); err != nil {
		return err
	}
	return c.session.commit()
}

// Tell writes nothing but events.
func (s *Store) Tell(ctx context.Context, events []event.Event) error {
	return s.write(ctx, progress, "tell", func(t *tx) error {
		t.events = append(t.events, events...)
		return nil
	})
}
