package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// answerLimit bounds what is read: 10,000 servers take about 5 MB.
const answerLimit = 64 << 20

// socket is where the runtime API listens.
type socket struct {
	network string // "unix" or "tcp"
	address string // "/run/haproxy.sock" or "127.0.0.1:9999"
}

// lines holds, for each socket, the right to ask it. A stats socket serves 10 connections at once (`stats maxconn`) and
// keeps about as many waiting; a unix socket refuses the rest. All pools of one HAProxy share its socket, and people
// need a place too, so this process takes at most half.
var lines sync.Map // socket → chan struct{}

const maxLines = 5

func (s socket) String() string { return s.network + ":" + s.address }

func parseAddress(text string) (socket, error) {
	network, address, _ := strings.Cut(text, ":")
	bad := address == ""
	switch network {
	case "unix":
	case "tcp":
		_, port, err := net.SplitHostPort(address)
		bad = err != nil || port == ""
	default:
		bad = true
	}
	if bad {
		return socket{}, fmt.Errorf("read balancer address %q: expected HAProxy's stats socket, unix:/run/haproxy.sock or tcp:HOST:PORT", text)
	}
	return socket{network, address}, nil
}

// ask sends one line and returns all that HAProxy answers until it closes the connection. The answer is bounded in time
// by ctx and answerTime, and in size.
func (s socket) ask(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("no answer within %s", answerTime))
	defer cancel()
	entry, _ := lines.LoadOrStore(s, make(chan struct{}, maxLines))
	turn := entry.(chan struct{})
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return "", fmt.Errorf("wait for earlier questions to be answered: %w", context.Cause(ctx))
	}
	conn, err := s.dial(ctx)
	if err != nil {
		return "", fmt.Errorf("connect: %w; is HAProxy running, with a `stats socket` there?", because(ctx, err))
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", fmt.Errorf("send %q: %w", line, because(ctx, err))
	}
	answer, err := io.ReadAll(io.LimitReader(conn, answerLimit+1))
	if err != nil {
		return "", fmt.Errorf("read the answer to %q: %w", line, because(ctx, err))
	}
	if len(answer) > answerLimit {
		return "", fmt.Errorf("read the answer to %q: longer than %d bytes; is this HAProxy's stats socket?", line, answerLimit)
	}
	if len(answer) == 0 {
		return "", fmt.Errorf("read the answer to %q: %w", line, errSilent)
	}
	return string(answer), nil
}

// dial connects, and waits for a place when the socket's queue is full with other people's connections.
func (s socket) dial(ctx context.Context) (net.Conn, error) {
	pace := &backoff.ExponentialBackOff{InitialInterval: 2 * time.Millisecond, MaxInterval: 100 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.5}
	return backoff.Retry(ctx, func() (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, s.network, s.address)
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			return nil, backoff.Permanent(err)
		}
		return conn, err
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(answerTime))
}

var errSilent = errors.New("the connection was closed without an answer; is this HAProxy's stats socket?")

// because prefers the context's reason to the network's "i/o timeout".
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// excerpt shortens foreign text for an error.
func excerpt(text string) string {
	const limit = 200
	if len(text) > limit {
		return text[:limit] + "…"
	}
	return text
}
