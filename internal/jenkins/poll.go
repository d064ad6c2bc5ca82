package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Ask names one build to look for.
type Ask struct {
	Job        string // "deliver/hotel-api"
	Deployment string // what was given to Trigger as DeploymentParam
	QueueID    int64  // what Trigger returned; 0 when its reply was lost
}

const (
	pageMargin = 50   // builds read beyond those that are known to matter
	maxDepth   = 2000 // builds of a job that are looked through for a deployment
)

// Poll returns the present state of all recent builds and queue items of the
// jobs that carry a deployment id. It needs one request for the queue and one
// per job, however many builds run.
//
// A deployment that is not in the answer may be on its way from queue to build,
// or be lost with the queue, or be old: ask Find. If a deployment was triggered
// twice, its first build is the one. A job that does not exist has no builds.
// After an error for one job, what was found for the others is returned too.
func (c *Controller) Poll(ctx context.Context, jobs []string) ([]Build, error) {
	// The queue first: what leaves it meanwhile is seen as a build.
	queue, err := c.queue(ctx)
	if err != nil {
		return nil, c.failed("poll the queue", err)
	}
	var out []Build
	var failures []error
	for _, job := range jobs {
		found := queue[jobKey(job)]
		if found == nil {
			found = map[string]Build{}
		}
		if err := c.recent(ctx, job, found); err != nil && !errors.Is(err, ErrNotFound) {
			failures = append(failures, c.failed("poll "+job, err))
		}
		for _, b := range found {
			b.Job = job
			out = append(out, b)
		}
	}
	return out, errors.Join(failures...)
}

// recent adds the builds of a job to found, down to the oldest that still runs
// or did so at the last look.
func (c *Controller) recent(ctx context.Context, job string, found map[string]Build) error {
	depth, seen := 0, 0
	err := c.pages(ctx, job, c.depth(job)+pageMargin, func(page []Build) (enough bool) {
		enough = true
		for _, b := range page {
			seen++
			if b.Building {
				depth, enough = seen, false
			}
			if b.Deployment != "" {
				found[b.Deployment] = b // an older one replaces a newer one
			}
		}
		return enough
	})
	if err == nil {
		c.setDepth(job, depth)
	}
	return err
}

// depth is how far down the last Poll saw a build of the job running.
func (c *Controller) depth(job string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.depths[job]
}

func (c *Controller) setDepth(job string, depth int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.depths[job] = depth
}

// pages reads the builds of a job from the newest on, in pages that grow, until
// enough says so.
func (c *Controller) pages(ctx context.Context, job string, size int, enough func([]Build) bool) error {
	for from := 0; from < maxDepth; from, size = from+size, 4*size {
		var j struct {
			AllBuilds *[]buildJSON `json:"allBuilds"`
		}
		if err := c.get(ctx, jobPath(job), &j, map[string]string{
			"tree": fmt.Sprintf("allBuilds[%s]{%d,%d}", buildTree, from, from+size),
		}); err != nil {
			return err
		}
		if j.AllBuilds == nil {
			return &RefusedError{Status: http.StatusOK, Object: "job " + job, Reason: "it has no builds", Hint: "name a job, not a folder"}
		}
		page := make([]Build, len(*j.AllBuilds))
		for i, b := range *j.AllBuilds {
			page[i] = b.build(job)
		}
		if enough(page) || len(page) < size {
			return nil
		}
	}
	return nil
}

// Find looks for a deployment in the queue and among all builds of the job. It
// is the question to ask before triggering again: ErrNotFound means that Jenkins
// does not have it. (A request that is still on its way can arrive later; so a
// build begins by asking Railyard whether it is the one.)
func (c *Controller) Find(ctx context.Context, a Ask) (Build, error) {
	operation := "find deployment " + a.Deployment + " in " + a.Job
	b, err := c.look(ctx, a)
	if errors.Is(err, ErrNotFound) {
		// It may be between queue and build: gone from the one and not yet in
		// the other.
		select {
		case <-time.After(c.settle):
		case <-ctx.Done():
			return Build{}, c.failed(operation, context.Cause(ctx))
		}
		b, err = c.look(ctx, a)
	}
	if err != nil {
		return Build{}, c.failed(operation, err)
	}
	return b, nil
}

// look looks once: in the queue, among the builds, and at the queue item that
// has left.
func (c *Controller) look(ctx context.Context, a Ask) (Build, error) {
	queue, err := c.queue(ctx)
	if err != nil {
		return Build{}, err
	}
	found, ok := queue[jobKey(a.Job)][a.Deployment]
	err = c.pages(ctx, a.Job, pageMargin, func(page []Build) bool {
		for _, b := range page {
			if b.Deployment == a.Deployment {
				found, ok = b, true // an older one replaces a newer one, and any replaces an item
			}
		}
		return ok
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

// What of builds and queue items is read.
const (
	parametersTree = "actions[parameters[name,value]]"
	buildTree      = "number,url,queueId,building,inProgress,result,description,timestamp,duration," + parametersTree
	queueTree      = "items[id,why,task[url]," + parametersTree + "]"
)

type actionJSON struct {
	Parameters []struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	} `json:"parameters"`
}

func parameter(actions []actionJSON, name string) string {
	for _, a := range actions {
		for _, p := range a.Parameters {
			if text, ok := p.Value.(string); ok && p.Name == name {
				return text
			}
		}
	}
	return ""
}

type buildJSON struct {
	Number      int64        `json:"number"`
	URL         string       `json:"url"`
	QueueID     int64        `json:"queueId"`
	Building    bool         `json:"building"`
	InProgress  bool         `json:"inProgress"` // true also while it finishes; older versions lack it
	Result      string       `json:"result"`
	Description string       `json:"description"`
	Timestamp   int64        `json:"timestamp"` // ms
	Duration    int64        `json:"duration"`  // ms
	Actions     []actionJSON `json:"actions"`
}

func (b buildJSON) build(job string) Build {
	return Build{
		Job: job, Deployment: parameter(b.Actions, DeploymentParam), QueueID: max(b.QueueID, 0), Number: b.Number, URL: b.URL,
		Building: b.Building || b.InProgress, Result: b.Result, Description: b.Description,
		Started: time.UnixMilli(b.Timestamp), Duration: time.Duration(b.Duration) * time.Millisecond,
	}
}
