// Package smoke tests one server directly, not through its balancer, with the URL tests of its apps: the last question
// before visitors come back to it.
package smoke

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/urltest"
)

// atOnce bounds the checks that one server answers at the same time; it may just be warming up.
const atOnce = 8

// Tester implements roller.Tester over HTTP. It is safe for concurrent use.
type Tester struct{ client *http.Client }

// New returns a tester.
func New() *Tester { return &Tester{client: urltest.NewClient()} }

// Test runs every check of every app on the machine and returns nil when all pass. The error names each check that
// did not, with what was expected and what came.
func (t *Tester) Test(ctx context.Context, m roller.Machine) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	failures := make([][]error, len(m.Apps)) // a place per check, so that their order is that of the topology
	for a, app := range m.Apps {
		base, err := baseURL(m.Server, app)
		if err != nil {
			failures[a] = []error{err}
			continue
		}
		failures[a] = make([]error, len(app.Smoke))
		for i, check := range app.Smoke {
			group.Go(func() error {
				if r := urltest.Check(ctx, t.client, base, check); r.Err != nil {
					failures[a][i] = fmt.Errorf("smoke test of %s on %s: %w", app.Name, m.Server.Name, r.Err)
				}
				return nil
			})
		}
	}
	_ = group.Wait() // failures are kept apart: one does not stop the others
	return errors.Join(slices.Concat(failures...)...)
}

// baseURL is where the app answers on the server: at the server's address, with the app's own port if it has one.
func baseURL(s fleet.Server, app fleet.App) (string, error) {
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return "", fmt.Errorf("smoke test of %s on %s: address %q: expected HOST:PORT, for example 127.0.0.1:18001", app.Name, s.Name, s.Address)
	}
	if app.Port != 0 {
		port = strconv.Itoa(app.Port)
	}
	return "http://" + net.JoinHostPort(host, port), nil
}
