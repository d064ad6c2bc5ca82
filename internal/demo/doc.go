// Package demo is the small company on one machine that shows Railyard at work: servers (machines), a code host
// (gitserver), a load balancer (balancer), a metric store (prometheus), the applications of the talk (apps) and their
// visitors (load). Every part is real, listens on the loopback address only, and is shared by the demo command and by
// the end-to-end tests.
//
// Each part is a package with Start and Close. The context given to Start bounds the start only; a part lives until it
// is closed. Child processes are started through package child, so they also end when the parent is killed.
package demo
