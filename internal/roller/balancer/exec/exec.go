// Package exec lets a user's program be the driver of a balancer that Railyard does not know. The program is described in
// docs/drivers.md; the contract is that of roller.Balancer, and package balancertest can be run over it.
package exec

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/script"
)

// limit bounds one run of the program.
const limit = 30 * time.Second

// Balancer runs the program for each question. It is safe for concurrent use if the program is.
type Balancer struct {
	program string
	backend string
}

// New returns the balancer of a site whose topology says `driver: exec` and names the program as its address.
func New(b fleet.Balancer) (*Balancer, error) {
	if !filepath.IsAbs(b.Address) {
		return nil, fmt.Errorf("read balancer address %q: expected the absolute path of a program, as driver exec runs one", b.Address)
	}
	return &Balancer{program: b.Address, backend: b.Backend}, nil
}

// request is what the program is asked.
type request struct {
	Do      string `json:"do"`      // "observe" or "set_weight"
	Backend string `json:"backend"` // "PROD_hotel-api", from the topology
	Member  string `json:"member,omitempty"`
	Weight  *int   `json:"weight,omitempty"` // 0–100
}

// member is what it answers of one. All fields but detail are required: what was not said is not known.
type member struct {
	Weight   *int   `json:"weight"`
	Up       *bool  `json:"up"`
	Foreign  *bool  `json:"foreign"`
	Sessions *int   `json:"sessions"`
	Detail   string `json:"detail"`
}

// Observe asks the program for all members.
func (b *Balancer) Observe(ctx context.Context) (map[string]roller.Member, error) {
	var answer struct {
		Members map[string]member `json:"members"`
	}
	if err := b.ask(ctx, request{Do: "observe"}, &answer); err != nil {
		return nil, fmt.Errorf("observe backend %s: %w", b.backend, err)
	}
	if answer.Members == nil {
		return nil, fmt.Errorf("observe backend %s: %s answered without members", b.backend, b.program)
	}
	members := make(map[string]roller.Member, len(answer.Members))
	for name, m := range answer.Members {
		if m.Weight == nil || m.Up == nil || m.Foreign == nil || m.Sessions == nil {
			return nil, fmt.Errorf("observe backend %s: %s answered of member %s without weight, up, foreign or sessions; each is needed", b.backend, b.program, name)
		}
		members[name] = roller.Member{Weight: *m.Weight, Up: *m.Up, Foreign: *m.Foreign, Sessions: *m.Sessions, Detail: m.Detail}
	}
	return members, nil
}

// SetWeight has the program set our flag.
func (b *Balancer) SetWeight(ctx context.Context, name string, weight int) error {
	err := errors.New("expected a percentage between 0 and 100")
	if weight >= 0 && weight <= 100 {
		err = b.ask(ctx, request{Do: "set_weight", Member: name, Weight: &weight}, &struct{}{})
	}
	if err != nil {
		return fmt.Errorf("set weight %d of member %s in backend %s: %w", weight, name, b.backend, err)
	}
	return nil
}

func (b *Balancer) ask(ctx context.Context, r request, answer any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	r.Backend = b.backend
	return script.Run(ctx, b.program, r, answer)
}
