// Package haproxy pulls servers out of and into a HAProxy backend over its runtime API.
//
// Our flag is the weight: 0 = pulled out, 1–100 = percent of a full share. Weights are set as absolute numbers on servers
// configured with `weight 100`, because a percentage of the default weight 1 rounds to 0. State and admin state belong to
// people: this package reads them and never sets them, since `state ready` would clear somebody's maintenance.
//
//	show servers state B  → weight, operational state, administrative state (Foreign)
//	show stat N 4 -1      → sessions, and HAProxy's own word for the status
//
// A member's sessions are scur + qcur: requests it is answering and requests waiting in its own queue, which will still
// be sent to it. In HTTP mode an idle keep-alive connection is in neither, so that a quiet server drains at once; in TCP
// mode, and for WebSockets, every open connection counts until it is closed. The caller bounds that wait.
//
// Weight 0 leaves the status "UP" and the administrative state 0: "DRAIN" and "MAINT" are always somebody else's.
// "UP 2/3" is not up for us: HAProxy still sends visitors there, but the last check failed. A restart takes less time than
// it takes to be called DOWN, so that the first check which passes afterwards is the first that is about the new process.
// Runtime weights are lost when HAProxy is reloaded; Observe then shows it, and the roll orders the weight again.
package haproxy

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// fullWeight is what servers must be configured with, so that a weight is a percentage.
const fullWeight = 100

// answerTime bounds one question to HAProxy, which answers within milliseconds when it is well.
const answerTime = 5 * time.Second

// names are what HAProxy accepts as names of backends and servers; anything else would be another command.
var names = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

// Balancer is one backend of one HAProxy. It is safe for concurrent use: every call has a connection of its own.
type Balancer struct {
	socket  socket
	backend string
	// id is the backend's number, under which `show stat` finds it also when a frontend has the same name. 0 = not learnt;
	// a reload may change it.
	id atomic.Int64
}

// New returns the balancer of a site. It does not connect.
func New(b fleet.Balancer) (*Balancer, error) {
	s, err := parseAddress(b.Address)
	if err != nil {
		return nil, err
	}
	if !names.MatchString(b.Backend) {
		return nil, fmt.Errorf("read balancer backend %q: expected the name of a HAProxy backend (letters, digits, _ . : -)", b.Backend)
	}
	return &Balancer{socket: s, backend: b.Backend}, nil
}

// Observe reads all servers of the backend, also those that the topology does not know.
func (b *Balancer) Observe(ctx context.Context) (map[string]roller.Member, error) {
	members, err := b.observe(ctx)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy backend %s at %s: %w", b.backend, b.socket, err)
	}
	return members, nil
}

func (b *Balancer) observe(ctx context.Context) (map[string]roller.Member, error) {
	states, stats, err := b.read(ctx)
	if err == nil && b.learn(states) {
		states, stats, err = b.read(ctx) // the number was another backend's
	}
	if err != nil {
		return nil, err
	}
	members := make(map[string]roller.Member, len(states))
	for name, s := range states {
		stat, ok := stats[name]
		if !ok {
			return nil, fmt.Errorf("server %s is in `show servers state` but not in `show stat`: HAProxy was being changed; ask again", name)
		}
		members[name] = roller.Member{
			Weight:   s.weight,
			Up:       s.up() && !stat.failing(),
			Foreign:  s.foreign(),
			Sessions: stat.sessions,
			Detail:   stat.status,
		}
	}
	return members, nil
}

// read asks for both tables in one question.
func (b *Balancer) read(ctx context.Context) (map[string]state, map[string]stat, error) {
	id := b.id.Load()
	if id == 0 {
		id = -1 // every backend: answered in full, read in part
	}
	answer, err := b.socket.ask(ctx, fmt.Sprintf("show servers state %s;show stat %d 4 -1", b.backend, id))
	if err != nil {
		return nil, nil, err
	}
	states, rest, err := parseStates(answer, b.backend)
	if err != nil {
		return nil, nil, err
	}
	stats, err := parseStats(rest, b.backend)
	return states, stats, err
}

// learn keeps the backend's number and reports whether another one was believed before.
func (b *Balancer) learn(states map[string]state) (wrong bool) {
	for _, s := range states {
		before := b.id.Swap(int64(s.backend))
		return before != 0 && before != int64(s.backend)
	}
	return false
}

// SetWeight orders the weight and reads it back. It returns an error that names backend, member and the fix when the
// server does not exist, is not configured with `weight 100`, or did not keep the weight.
func (b *Balancer) SetWeight(ctx context.Context, member string, weight int) error {
	if err := b.setWeight(ctx, member, weight); err != nil {
		return fmt.Errorf("set weight %d of server %s in HAProxy backend %s at %s: %w", weight, member, b.backend, b.socket, err)
	}
	return nil
}

func (b *Balancer) setWeight(ctx context.Context, member string, weight int) error {
	if weight < 0 || weight > fullWeight {
		return fmt.Errorf("expected a percentage between 0 and %d", fullWeight)
	}
	if !names.MatchString(member) {
		return fmt.Errorf("%q cannot be a HAProxy server's name; set `member:` of the server in the topology", member)
	}
	answer, err := b.socket.ask(ctx, "show servers state "+b.backend)
	if err != nil {
		return err
	}
	if _, err := b.find(answer, member); err != nil {
		return err
	}

	show := "show servers state " + b.backend
	answer, err = b.socket.ask(ctx, fmt.Sprintf("set server %s/%s weight %d;%s", b.backend, member, weight, show))
	if err != nil {
		return err
	}
	// HAProxy answers an order that it took with an empty line, and any other with text.
	said, after := answer, ""
	if i := strings.Index(answer, stateFormat); i >= 0 {
		said, after = answer[:i], answer[i:]
	}
	if said = strings.TrimSpace(said); said != "" {
		return refused(said)
	}
	now, err := b.find(after, member)
	if err != nil {
		return err
	}
	if now.weight != weight {
		return fmt.Errorf("HAProxy took the order but the weight is %d: something else sets it too (an agent-check, another tool)", now.weight)
	}
	return nil
}

// find returns the member's state from the answer to `show servers state`, if it can carry our flag.
func (b *Balancer) find(answer, member string) (state, error) {
	states, _, err := parseStates(answer, b.backend)
	if err != nil {
		return state{}, err
	}
	s, ok := states[member]
	if !ok {
		return state{}, fmt.Errorf("the backend has no such server, only %s; correct `member:` of the server in the topology, or the HAProxy configuration",
			strings.Join(slices.Sorted(maps.Keys(states)), ", "))
	}
	if s.configured != fullWeight {
		return state{}, fmt.Errorf("the server is configured with weight %d; configure it with `weight %d`, so that Railyard's weights are percentages",
			s.configured, fullWeight)
	}
	return s, nil
}

// refused explains an answer to `set server` that is not empty.
func refused(said string) error {
	if strings.Contains(said, "ermission denied") {
		return fmt.Errorf("HAProxy answered %q; give the stats socket `level admin`", said)
	}
	return fmt.Errorf("HAProxy answered %q", excerpt(said))
}
