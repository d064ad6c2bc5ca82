package ssh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// sessionsAtOnce is how many commands and uploads share a connection; sshd allows 10 by default (MaxSessions).
const sessionsAtOnce = 8

// pool keeps one connection per server.
type pool struct {
	config  Config
	timings timings

	mu     sync.Mutex
	places map[string]*place // by server name and address
	closed bool
}

// place is where the connection to one server is kept. Whoever holds its turn may dial.
type place struct {
	turn     chan struct{}
	sessions chan struct{} // a token per session in use
	conn     *conn         // nil, or the last one
}

// conn is a connection.
type conn struct {
	*ssh.Client
	address string
	place   *place
	reused  bool          // it was there before this call
	gone    chan struct{} // closed when the connection is
}

func newPool(c Config) *pool {
	return &pool{config: c, timings: defaultTimings, places: map[string]*place{}}
}

var errClosed = errors.New("the ssh driver was closed")

// take returns the server's connection with the right to one session on it, which give gives back.
func (p *pool) take(ctx context.Context, s fleet.Server) (*conn, error) {
	address := p.config.Address(s)
	p.mu.Lock()
	key := s.Name + " " + address
	pl := p.places[key]
	if pl == nil {
		pl = &place{turn: make(chan struct{}, 1), sessions: make(chan struct{}, sessionsAtOnce)}
		p.places[key] = pl
	}
	p.mu.Unlock()

	select {
	case pl.sessions <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other commands on %s: %w", address, context.Cause(ctx))
	}
	c, err := p.connected(ctx, pl, address)
	if err != nil {
		<-pl.sessions
		return nil, err
	}
	return c, nil
}

// connected returns the connection of the place, a new one if there is none that works.
func (p *pool) connected(ctx context.Context, pl *place, address string) (*conn, error) {
	select {
	case pl.turn <- struct{}{}:
		defer func() { <-pl.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the connection to %s: %w", address, context.Cause(ctx))
	}
	if pl.conn != nil {
		select {
		case <-pl.conn.gone:
		default:
			kept := *pl.conn
			kept.reused = true
			return &kept, nil
		}
	}
	client, err := dial(ctx, p.config, p.timings, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Client: client, address: address, place: pl, gone: make(chan struct{})}
	go func() {
		_ = client.Wait() // why it ended is told to those who use it
		close(c.gone)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = client.Close()
		return nil, errClosed
	}
	go c.keepAlive(p.timings.alive)
	pl.conn = c
	return c, nil
}

// keepAlive closes the connection when the machine does not answer any more, so that nobody waits on it for long.
func (c *conn) keepAlive(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-c.gone:
			return
		case <-tick.C:
		}
		answered := make(chan error, 1)
		go func() {
			_, _, err := c.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		late := time.NewTimer(every)
		select {
		case err := <-answered:
			late.Stop()
			if err == nil {
				continue
			}
		case <-late.C:
		}
		c.drop()
		return
	}
}

// give gives the right to a session back.
func (c *conn) give() { <-c.place.sessions }

// drop closes the connection; the next call dials anew.
func (c *conn) drop() { _ = c.Client.Close() }

// onConnection opens something on the server's connection, and on a new one if a kept connection turns out to be dead:
// nothing was asked of the machine then. The caller gives the connection back.
func onConnection[T any](ctx context.Context, p *pool, s fleet.Server, discard func(T) error, open func(*ssh.Client) (T, error)) (T, *conn, error) {
	for {
		var none T
		c, err := p.take(ctx, s)
		if err != nil {
			return none, nil, err
		}
		opened, err := within(ctx, c, discard, open)
		if err == nil {
			return opened, c, nil
		}
		c.give()
		if !c.reused || ctx.Err() != nil || !errors.Is(err, roller.ErrUnreachable) {
			return none, nil, err
		}
		c.drop()
		<-c.gone
	}
}

// within opens something on the connection, for no longer than ctx lasts.
func within[T any](ctx context.Context, c *conn, discard func(T) error, open func(*ssh.Client) (T, error)) (T, error) {
	type answer struct {
		opened T
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		opened, err := open(c.Client)
		answered <- answer{opened, err}
	}()
	var none T
	select {
	case <-ctx.Done():
		go func() { // it may still come
			if a := <-answered; a.err == nil {
				_ = discard(a.opened)
			}
		}()
		return none, c.late(ctx)
	case a := <-answered:
		if a.err == nil {
			return a.opened, nil
		}
		var refused *ssh.OpenChannelError
		if errors.As(a.err, &refused) {
			return none, fmt.Errorf("%s opens no session: %w; does sshd's MaxSessions allow %d?", c.address, a.err, sessionsAtOnce)
		}
		return none, fmt.Errorf("open a session on %s: %w: %w", c.address, a.err, roller.ErrUnreachable)
	}
}

func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	places := p.places
	p.places = map[string]*place{}
	p.mu.Unlock()
	var errs []error
	for _, pl := range places {
		pl.turn <- struct{}{} // a dial in progress ends first
		if pl.conn != nil {
			select {
			case <-pl.conn.gone:
			default:
				errs = append(errs, pl.conn.Client.Close())
			}
		}
		<-pl.turn
	}
	return errors.Join(errs...)
}
