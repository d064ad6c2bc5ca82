package jenkins

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Ask names one build to look for.
type Ask struct {
	Job        string // "deliver/hotel-api"
	Deployment string // what was given to Trigger as DeploymentParam
	QueueID    int64  // what Trigger returned; 0 when its reply was lost
}

// Find looks for a deployment in the queue and among all builds of the job. It
// is the question to ask before triggering again: ErrNotFound means that Jenkins
// does not have it. (A request that is still on its way can arrive later; so a
// build begins by asking Railyard whether it is the one.)
func (c *Controller) Find(ctx context.Context, a Ask) (Build, error) {
	operation := "find deployment " + a.Deployment + " in " + a.Job
	b, err := c.lookFor(ctx, a)
	if errors.Is(err, ErrNotFound) {
		// It may be between queue and build: gone from the one and not yet in
		// the other.
		select {
		case <-time.After(c.settle):
		case <-ctx.Done():
			return Build{}, c.failed(operation, context.Cause(ctx))
		}
		b, err = c.lookFor(ctx, a)
	}
	if err != nil {
		return Build{}, c.failed(operation, err)
	}
	return b, nil
}

// lookFor looks once: in the queue, among the builds, and at the queue item that
// has left.
func (c *Controller) lookFor(ctx context.Context, a Ask) (Build, error) {
	queue, err := c.queue(ctx)
	if err != nil {
		return Build{}, err
	}
	found, ok := queue[jobKey(a.Job)][a.Deployment]
	err = c.pages(ctx, a.Job, 0, pageMargin, func(page []Build) bool {
		for _, b := range page {
			if b.Deployment == a.Deployment {
				found, ok = theOne(found, b), true
			}
		}
		return ok && found.Result != notBuilt // a duplicate; the build may be an older one
	})
	switch {
	case err != nil:
		return Build{}, err
	case ok:
		found.Job = a.Job
		return found, nil
	case a.QueueID > 0:
		return c.leftItem(ctx, a)
	}
	return Build{}, ErrNotFound
}

// leftItem asks for one queue item that is not in the live queue: it may have
// been cancelled, or be about to become a build. Jenkins forgets it in minutes.
func (c *Controller) leftItem(ctx context.Context, a Ask) (Build, error) {
	var item struct {
		Cancelled  bool         `json:"cancelled"`
		Why        string       `json:"why"`
		Actions    []actionJSON `json:"actions"`
		Executable *struct {
			Number int64  `json:"number"`
			URL    string `json:"url"`
		} `json:"executable"`
	}
	if err := c.get(ctx, "/queue/item/"+strconv.FormatInt(a.QueueID, 10), &item, nil); err != nil {
		return Build{}, err
	}
	if parameter(item.Actions, DeploymentParam) != a.Deployment {
		return Build{}, ErrNotFound // after a loss of the queue its counter can repeat
	}
	b := Build{Job: a.Job, Deployment: a.Deployment, QueueID: a.QueueID, Cancelled: item.Cancelled, Why: item.Why}
	switch {
	case item.Executable != nil:
		b.Number, b.URL, b.Building = item.Executable.Number, item.Executable.URL, true
	case !item.Cancelled:
		b.Queued = true // on its way to an executor
	}
	return b, nil
}

// queue reads the live queue: jobKey → deployment → item.
func (c *Controller) queue(ctx context.Context) (map[string]map[string]Build, error) {
	var q struct {
		Items *[]struct {
			ID      int64                `json:"id"`
			Why     string               `json:"why"`
			Task    struct{ URL string } `json:"task"`
			Actions []actionJSON         `json:"actions"`
		} `json:"items"`
	}
	if err := c.get(ctx, "/queue", &q, map[string]string{"tree": queueTree}); err != nil {
		return nil, err
	}
	if q.Items == nil {
		return nil, fmt.Errorf("%w: the queue has no items field", ErrNotJenkins)
	}
	out := map[string]map[string]Build{}
	for _, item := range *q.Items {
		deployment, key := parameter(item.Actions, DeploymentParam), jobKeyOf(item.Task.URL)
		if deployment == "" {
			continue
		}
		if out[key] == nil {
			out[key] = map[string]Build{}
		}
		out[key][deployment] = Build{Deployment: deployment, QueueID: item.ID, Queued: true, Why: item.Why}
	}
	return out, nil
}

// theOne is the build that a deployment's result is read from, given what was
// found so far and an older build: the oldest, and any rather than a queue item.
// Of two builds that begin at once the newer may be the one that Railyard lets
// work; then the older ends NOT_BUILT.
func theOne(have, older Build) Build {
	if have.Number > 0 && have.Result != notBuilt && older.Result == notBuilt && older.Done() {
		return have
	}
	return older
}

// notBuilt is the result of a build that found nothing to do.
const notBuilt = "NOT_BUILT"
