// Package urlcheck is the source of check indicators: URL tests on each exposed server directly, or of the site through its
// balancer. What does not answer is the failing thing itself here, so this source is never down.
package urlcheck

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/urltest"
)

const (
	// tries is how often a failing check is asked at one look: once more than a lost packet explains.
	tries = 2
	// between is how long a failing check is left alone before it is repeated.
	between = 300 * time.Millisecond
	// atOnce bounds the checks under way, over all looks.
	atOnce = 64
)

// Addresses finds where a server's application answers: "127.0.0.1:18001".
type Addresses func(site fleet.SiteRef, server string) (address string, ok bool)

// Source runs the URL test of an indicator on the exposed servers. It is safe for concurrent use.
type Source struct {
	addresses Addresses
	client    *http.Client
	places    *semaphore.Weighted
}

// New returns a Source that asks with client; urltest.NewClient makes a fitting one.
func New(addresses Addresses, client *http.Client) *Source {
	return &Source{addresses: addresses, client: client, places: semaphore.NewWeighted(atOnce)}
}

// Name is "url".
func (s *Source) Name() string { return fleet.SourceURL }

// Answers reports whether the indicator is a check.
func (s *Source) Answers(i fleet.Indicator) bool {
	return i.Check != nil && i.ReadBy() == fleet.SourceURL
}

// Read tests every exposed server side by side, or the site. A test that fails is repeated once, within the same reading, so
// that a breach needs no memory of earlier looks.
func (s *Source) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	if u := r.Indicator.Source.URL; u != nil && u.Through != "" {
		base := strings.NewReplacer("{{.Environment}}", r.Site.Environment, "{{.Pool}}", r.Site.Pool, "{{.Backend}}", r.Backend).Replace(u.Through)
		sample := s.try(ctx, r, strings.TrimRight(base, "/"))
		return rollmon.Reading{Source: s.Name(), Exposed: &sample}
	}
	var (
		mu      sync.Mutex
		all     sync.WaitGroup
		servers = make(map[string]rollmon.Sample, len(r.Exposed))
	)
	for _, server := range r.Exposed {
		all.Go(func() {
			sample := rollmon.Sample{Problem: "the topology has no address for it"}
			if address, ok := s.addresses(r.Site, server.Name); ok {
				sample = s.try(ctx, r, "http://"+address)
			}
			mu.Lock()
			defer mu.Unlock()
			servers[server.Name] = sample
		})
	}
	all.Wait()
	return rollmon.Reading{Source: s.Name(), Servers: servers}
}

// try tests one address until it passes or the tries are used up.
func (s *Source) try(ctx context.Context, r rollmon.Request, base string) rollmon.Sample {
	if err := s.places.Acquire(ctx, 1); err != nil {
		return rollmon.Sample{Problem: "its turn to be checked did not come in time"}
	}
	defer s.places.Release(1)

	var t rollmon.Tries
	for t.Runs < tries {
		if t.Runs > 0 && !pause(ctx, between) {
			break
		}
		result := urltest.Check(ctx, s.client, base, *r.Indicator.Check)
		if result.Err != nil && ctx.Err() != nil {
			break // cut off by us, which says nothing about the server
		}
		t.Runs++
		if result.Err == nil {
			break
		}
		t.Failed++
		t.Words = result.Err.Error()
	}
	if t.Runs == 0 {
		return rollmon.Sample{Problem: "it did not answer before the look had to end"}
	}
	return rollmon.Sample{Tries: &t}
}

// pause waits, and reports whether the time was left to do so.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
