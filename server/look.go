package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// SiteLook is a site as its balancer and its servers are now. What could not be read is absent, never guessed.
type SiteLook struct {
	Problem  string                   // why something could not be read: "haproxy: connect: no such file"; "" = all was
	Balanced bool                     // the site has a balancer
	Members  map[string]roller.Member // by server name; absent = the balancer does not say
	Hosts    map[string]roller.HostState
}

// lookPatience bounds one look at a site.
const lookPatience = 2 * time.Second

// LookAt looks at a site through its drivers: the balancer once, and every server side by side. It takes at most two seconds; what
// has not answered by then is absent.
func LookAt(ctx context.Context, site roller.OpenSite) SiteLook {
	ctx, cancel := context.WithTimeoutCause(ctx, lookPatience, errors.New("no answer in time"))
	defer cancel()
	look := SiteLook{Balanced: site.Balancer != nil, Members: map[string]roller.Member{}, Hosts: map[string]roller.HostState{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var problems []string
	if site.Balancer != nil {
		wg.Go(func() {
			members, err := site.Balancer.Observe(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				problems = append(problems, err.Error())
			}
			for name, machine := range site.Machines {
				if m, ok := members[roller.MemberName(machine.Server)]; ok {
					look.Members[name] = m
				}
			}
		})
	}
	for name, machine := range site.Machines {
		wg.Go(func() {
			state, err := site.Host.Observe(ctx, machine)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: %v", name, err))
				return
			}
			look.Hosts[name] = state
		})
	}
	wg.Wait()
	slices.Sort(problems)
	look.Problem = strings.Join(problems, "; ")
	return look
}

// looks keeps the last look at each site for as long as somebody is looking, so that ten open pages ask a balancer once.
type looks struct {
	look func(ctx context.Context, site fleet.SiteRef) SiteLook
	mu   sync.Mutex
	last map[fleet.SiteRef]*lookEntry
}

// lookEntry is one look: under way while done is open.
type lookEntry struct {
	done  chan struct{}
	value SiteLook
	at    time.Time // when it was done
	prior *lookEntry
}

const (
	lookFresh = time.Second            // a look this young is shown again
	lookStale = 10 * time.Second       // an older one is never shown
	lookWait  = 300 * time.Millisecond // a page waits this long for a new look before it shows the last one
)

func newLooks(look func(context.Context, fleet.SiteRef) SiteLook) *looks {
	return &looks{look: look, last: map[fleet.SiteRef]*lookEntry{}}
}

// at returns how the site is now, or was at most ten seconds ago when it answers slowly.
func (l *looks) at(ctx context.Context, site fleet.SiteRef) SiteLook {
	entry, prior := l.entry(site)
	var late <-chan time.Time
	if prior != nil {
		timer := time.NewTimer(lookWait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-entry.done:
		return entry.value
	case <-late:
		return prior.value
	case <-ctx.Done():
		return SiteLook{Problem: "no answer in time"}
	}
}

// entry returns the current look, beginning one when there is none that is fresh, and the one before if it may still be shown.
func (l *looks) entry(site fleet.SiteRef) (entry, prior *lookEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry = l.last[site]
	switch {
	case entry == nil:
	case entry.under():
		return entry, entry.prior
	case time.Since(entry.at) < lookFresh:
		return entry, nil
	case time.Since(entry.at) < lookStale:
		prior = entry
	}
	begun := &lookEntry{done: make(chan struct{}), prior: prior}
	l.last[site] = begun
	go func() { // belongs to nobody's request: others wait for it too
		ctx, cancel := context.WithTimeout(context.Background(), 2*lookPatience)
		defer cancel()
		value := l.look(ctx, site)
		l.mu.Lock()
		begun.value, begun.at, begun.prior = value, time.Now(), nil
		l.mu.Unlock()
		close(begun.done)
	}()
	return begun, prior
}

// under reports whether the look is under way. The caller holds the lock.
func (e *lookEntry) under() bool { return e.at.IsZero() }
