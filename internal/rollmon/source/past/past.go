// Package past remembers what was measured before a roll. It does not change any more, and a roll is looked at twice a second.
package past

import (
	"encoding/json"
	"sync"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
)

// kept bounds how many answers are remembered; the oldest goes first. An answer about 500 servers is some megabytes.
const kept = 64

// settled is how long after its end a time may still be written: scrapes that are under way, agents that send late.
const settled = 30 * time.Second

// Memory remembers answers about the time before a roll. The zero value is empty and ready. It is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex
	known map[string]*rollmon.Past
	order []string
}

// Read returns what is known about the request's Before, and reads it if it is not. Failures are not remembered, nor what may
// still change. It returns nil when the request asks for none.
func (m *Memory) Read(r rollmon.Request, read func() *rollmon.Past) *rollmon.Past {
	if r.Before == nil {
		return nil
	}
	key := keyOf(r)
	m.mu.Lock()
	known := m.known[key]
	m.mu.Unlock()
	if known != nil {
		return known
	}
	found := read()
	if found != nil && found.Failure == "" && r.Now.Sub(r.Before.Until) > settled {
		m.keep(key, found)
	}
	return found
}

func (m *Memory) keep(key string, p *rollmon.Past) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]*rollmon.Past{}
	}
	if m.known[key] == nil {
		m.order = append(m.order, key)
	}
	m.known[key] = p
	if len(m.order) > kept {
		delete(m.known, m.order[0])
		m.order = m.order[1:]
	}
}

// keyOf names everything an answer depends on: a topology that changes the query asks anew.
func keyOf(r rollmon.Request) string {
	key, err := json.Marshal(struct {
		Site             fleet.SiteRef
		Backend          string
		Indicator        fleet.Indicator
		Before           rollmon.Window
		Exposed, Control []rollmon.Server
	}{r.Site, r.Backend, r.Indicator, *r.Before, r.Exposed, r.Control})
	if err != nil {
		return "" // a limit that is no number; the answer does not depend on it, but is read anew
	}
	return string(key)
}
