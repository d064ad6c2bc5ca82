package jenkins

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// wakePrefix begins the ids of inputs that only wake a build: "railyard-3", which Jenkins upper-cases.
const wakePrefix = "Railyard-"

// Wake answers the input with which a build waits, so that it looks how things stand, unless its id says that it has seen
// milepost already. It reports whether that is settled: the build was woken, or knows, or will never ask, because it has
// ended, is no Pipeline, or Jenkins does not know it. A build that asks nothing yet, or whose input was answered by somebody
// else meanwhile, is not settled: ask again later. So is any error.
//
// It makes at most four requests, and two for a build that does not wait.
func (c *Controller) Wake(ctx context.Context, job string, number int64, milepost string) (settled bool, err error) {
	pending, err := c.Inputs(ctx, job, number)
	var refused *RefusedError
	switch {
	case errors.Is(err, ErrNotFound), errors.As(err, &refused) && refused.Status == 404:
		return true, nil
	case err != nil:
		return false, err
	}
	for _, in := range pending {
		if !strings.HasPrefix(in.ID, wakePrefix) {
			continue
		}
		if in.ID == wakePrefix+milepost {
			return true, nil
		}
		err := c.Proceed(ctx, job, number, in.ID, nil)
		if errors.Is(err, ErrAnswered) {
			return false, nil
		}
		return err == nil, err
	}
	var b buildJSON
	err = c.get(ctx, buildPath(job, number), &b, map[string]string{"tree": "building,inProgress"})
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, c.failed(fmt.Sprintf("wake %s #%d", job, number), err)
	}
	return !b.Building && !b.InProgress, nil
}
