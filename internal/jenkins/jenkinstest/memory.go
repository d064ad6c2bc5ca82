package jenkinstest

import (
	"context"
	"net"
	"sync"
)

// Memory is a network in this process, for tests in virtual time (testing/synctest):
// goroutines that wait on real sockets would keep the time from passing.
type Memory struct {
	conns chan net.Conn
	once  sync.Once
	gone  chan struct{}
}

// NewMemory makes one. It is good for one listener.
func NewMemory() *Memory { return &Memory{conns: make(chan net.Conn), gone: make(chan struct{})} }

// Listen is for Options.Listen.
func (m *Memory) Listen(string, string) (net.Listener, error) { return m, nil }

// Dial is for the client.
func (m *Memory) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case m.conns <- there:
		return here, nil
	case <-m.gone:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept implements net.Listener.
func (m *Memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.gone:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (m *Memory) Close() error {
	m.once.Do(func() { close(m.gone) })
	return nil
}

// Addr implements net.Listener.
func (m *Memory) Addr() net.Addr { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "tcp" }
func (memoryAddr) String() string  { return "memory:80" }
