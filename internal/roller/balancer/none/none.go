// Package none is the balancer of a pool that has none: a job pool, or a pool that is only deployed to. It has no
// members, and an order to it has nothing to change. A roll over such a pool has Balanced = false and asks neither for
// weights nor for sessions.
package none

import (
	"context"

	"railyard/internal/roller"
)

// Balancer has no state and is ready to use.
type Balancer struct{}

// Observe returns no members.
func (Balancer) Observe(ctx context.Context) (map[string]roller.Member, error) {
	return map[string]roller.Member{}, context.Cause(ctx)
}

// SetWeight does nothing.
func (Balancer) SetWeight(ctx context.Context, _ string, _ int) error { return context.Cause(ctx) }
