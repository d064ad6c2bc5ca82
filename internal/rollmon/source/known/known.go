// Package known has the sources of what Railyard knows by itself or was told: what people say of a Coach, whether machine and
// container are ready, and how the steps of the roll went. They answer report indicators.
package known

import (
	"context"
	"sync"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// answers reports whether an indicator is a report of the named source.
func answers(i fleet.Indicator, source string) bool { return i.ReadBy() == source && i.Report != nil }

// failed is the reading of a source that cannot say anything.
func failed(source string, o verdict.Outcome, why string) rollmon.Reading {
	return rollmon.Reading{Source: source, Failure: o, Reason: why}
}

// atOnce bounds the servers that one reading asks at a time.
const atOnce = 32

// each asks about every exposed server, side by side.
func each(ctx context.Context, r rollmon.Request, one func(ctx context.Context, server string) rollmon.Sample) map[string]rollmon.Sample {
	var (
		mu     sync.Mutex
		all    sync.WaitGroup
		places = make(chan struct{}, atOnce)
		found  = make(map[string]rollmon.Sample, len(r.Exposed))
	)
	for _, s := range r.Exposed {
		all.Go(func() {
			sample := rollmon.Sample{Problem: "it did not answer before the look had to end"}
			select {
			case places <- struct{}{}:
				sample = one(ctx, s.Name)
				<-places
			case <-ctx.Done():
			}
			mu.Lock()
			defer mu.Unlock()
			found[s.Name] = sample
		})
	}
	all.Wait()
	return found
}
