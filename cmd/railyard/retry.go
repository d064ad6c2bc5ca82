package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// patience is how a command behaves while the service is away, say because it is being upgraded.
type patience struct {
	limit time.Duration // how long it is waited for; 0 = as long as the context lasts
	tell  func(line string)
}

// patiently runs an operation until it succeeds, fails for good, or patience ends. That the service is away, and that it is
// back, is told once. The operation must be safe to repeat.
func patiently[T any](ctx context.Context, p patience, operation func() (T, error)) (T, error) {
	steps := backoff.NewExponentialBackOff()
	steps.InitialInterval, steps.MaxInterval = 200*time.Millisecond, 5*time.Second
	var away time.Time
	result, err := backoff.Retry(ctx, func() (T, error) {
		value, err := operation()
		if err != nil && !passing(err) {
			err = backoff.Permanent(err)
		}
		return value, err
	}, backoff.WithBackOff(steps), backoff.WithMaxElapsedTime(p.limit), backoff.WithNotify(func(err error, _ time.Duration) {
		if away.IsZero() {
			away = time.Now()
			p.tell(fmt.Sprintf("Railyard is away, waiting for it: %s", err))
		}
	}))
	if err == nil && !away.IsZero() {
		p.tell(fmt.Sprintf("Railyard is back after %s", time.Since(away).Round(time.Second)))
	}
	return result, err
}
