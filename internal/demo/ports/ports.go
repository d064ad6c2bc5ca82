// Package ports hands out loopback TCP ports that stay free for their holder, also while nobody listens on them: a
// server that is restarted must find its port again.
//
// Ports come from below the kernel's ephemeral range, where no outgoing connection can take one in the gap. A port is
// claimed by binding an abstract unix socket named after it, which other processes of this package see and which
// vanishes with its owner, even a killed one.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The range starts above the well-known servers and ends below 32768, where Linux begins to number outgoing connections.
const (
	first = 20000
	last  = 32767
)

// ErrNone means that every port of the range is taken.
var ErrNone = errors.New("no free port left")

// Set is a set of reserved ports. The zero value is empty and ready; its methods may be called from any goroutine.
type Set struct {
	mu     sync.Mutex
	claims []net.Listener
}

// Take reserves one free port of 127.0.0.1 until Close. It fails with [ErrNone] when all are taken.
func (s *Set) Take() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const count = last - first + 1
	start := rand.IntN(count)
	for i := range count {
		port := first + (start+i)%count
		claim, err := net.Listen("unix", claimName(port))
		if err != nil {
			continue // another holder, here or in another process
		}
		if !unused(port) {
			claim.Close()
			continue
		}
		s.claims = append(s.claims, claim)
		return port, nil
	}
	return 0, fmt.Errorf("reserve a loopback port between %d and %d: %w; end some of the processes that listen there", first, last, ErrNone)
}

// Close gives all ports of the set back.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, claim := range s.claims {
		errs = append(errs, claim.Close())
	}
	s.claims = nil
	return errors.Join(errs...)
}

// unused tells whether a server could listen on the port now.
func unused(port int) bool {
	l, err := net.Listen("tcp4", Address(port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// Address is the loopback address of a port, "127.0.0.1:20431".
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func claimName(port int) string { return "@railyard-port-" + strconv.Itoa(port) }
