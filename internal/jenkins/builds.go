package jenkins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Build is one asked-for build, as Jenkins showed it at one moment.
type Build struct {
	Job         string // "deliver/hotel-api"
	Deployment  string // the id it was triggered with
	QueueID     int64  // 31; 0 unknown
	Number      int64  // 7; 0 while there is no build
	URL         string // as Jenkins gives it; "" while there is no build
	Queued      bool   // waits in the queue
	Why         string // it waits, in Jenkins' words: "Waiting for next available executor"
	Cancelled   bool   // taken out of the queue; there will be no build
	Building    bool   // its steps run, or it is finishing
	Result      string // "SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"; "" unknown
	Description string
	Started     time.Time
	Duration    time.Duration // 0 while it runs
}

// Done tells whether nothing more will happen: the build has its final result,
// or it was cancelled before it began. A result that shows while the build still
// runs is not final, and a queue item that has left without a build is not done.
func (b Build) Done() bool {
	return b.Cancelled || b.Number > 0 && !b.Building && b.Result != ""
}

// Ask names one build to look for.
type Ask struct {
	Job        string // "deliver/hotel-api"
	Deployment string
	QueueID    int64 // from Trigger; 0 when its reply was lost
}

// What of builds and queue items is read.
const (
	parametersTree = "actions[parameters[name,value]]"
	buildTree      = "number,url,queueId,building,inProgress,result,description,timestamp,duration," + parametersTree
	queueTree      = "items[id,why,task[url],inQueueSince," + parametersTree + "]"
)

const (
	minPage  = 50   // builds that one request reads at least
	maxDepth = 2000 // builds of a job that are looked through for a deployment
)

// Find looks for a deployment in the queue and among the builds of the job. It
// is the question to ask before triggering again: ErrNotFound means that Jenkins
// does not have it. (A request that is still on its way can arrive later; so a
// build begins by asking Railyard whether it is the one.)
func (c *Controller) Find(ctx context.Context, job, deployment string) (Build, error) {
	operation := "find deployment " + deployment + " in " + job
	ask := Ask{Job: job, Deployment: deployment}
	for attempt := range 2 {
		found, err := c.Poll(ctx, []Ask{ask})
		if err != nil {
			return Build{}, c.failed(operation, unwrapOnce(err))
		}
		if len(found) > 0 {
			return found[0], nil
		}
		if attempt == 0 {
			// It may be between queue and build: gone from the one and not yet
			// in the other.
			select {
			case <-time.After(c.settle):
			case <-ctx.Done():
				return Build{}, c.failed(operation, context.Cause(ctx))
			}
		}
	}
	return Build{}, c.failed(operation, ErrNotFound)
}

// unwrapOnce takes off the operation of an inner call.
func unwrapOnce(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// Poll returns the present state of the builds that are asked for. It needs one
// request for the queue and one per job; more only for a build that is so old
// that it is not among the newest, and for one that is nowhere to be seen.
//
// A build that Jenkins does not show is left out of the answer. That is no
// verdict: it may be on its way from queue to build, or the queue may be lost.
// Ask Find before triggering it again. If a deployment was triggered twice, the
// first build is the one. With an error, what was found for other jobs is
// returned too.
func (c *Controller) Poll(ctx context.Context, asks []Ask) ([]Build, error) {
	// The queue first: what leaves it meanwhile is seen as a build.
	queue, err := c.queue(ctx)
	if err != nil {
		return nil, c.failed("poll the queue", err)
	}
	found := map[Ask]Build{}
	byJob := map[string][]Ask{}
	for _, a := range asks {
		byJob[a.Job] = append(byJob[a.Job], a)
		if item, ok := queue[queueKey(jobKey(a.Job), a.Deployment)]; ok {
			found[a] = Build{Job: a.Job, Deployment: a.Deployment, QueueID: item.ID, Queued: true, Why: item.Why}
		}
	}
	var failures []error
	for job, asks := range byJob {
		if err := c.pollJob(ctx, job, asks, found); err != nil {
			failures = append(failures, c.failed("poll "+job, err))
		}
	}
	if len(failures) == 0 {
		failures = c.pollItems(ctx, asks, found)
	}
	var out []Build
	for _, a := range asks {
		if b, ok := found[a]; ok {
			out = append(out, b)
		}
	}
	return out, errors.Join(failures...)
}

// pollJob reads builds of one job, the newest first, until all asked for are
// found that are not in the queue. A build counts more than a queue item.
func (c *Controller) pollJob(ctx context.Context, job string, asks []Ask, found map[Ask]Build) error {
	wanted := map[string]Ask{}
	missing := map[string]bool{}
	for _, a := range asks {
		wanted[a.Deployment] = a
		missing[a.Deployment] = !found[a].Queued
	}
	maps.DeleteFunc(missing, func(_ string, is bool) bool { return !is })
	page := max(minPage, 2*len(asks))
	for from := 0; len(missing) > 0 && from < maxDepth; from, page = from+page, 4*page {
		var j struct {
			AllBuilds *[]buildJSON `json:"allBuilds"`
		}
		if err := c.get(ctx, jobPath(job), &j, map[string]string{
			"tree": fmt.Sprintf("allBuilds[%s]{%d,%d}", buildTree, from, from+page),
		}); err != nil {
			return err
		}
		if j.AllBuilds == nil {
			return fmt.Errorf("%w: %s has no builds: name a job, not a folder", ErrNotJenkins, job)
		}
		for _, b := range *j.AllBuilds {
			deployment := parameter(b.Actions, DeploymentParam)
			if a, ok := wanted[deployment]; ok {
				found[a] = b.build(a) // an older one replaces a newer one
				delete(missing, deployment)
			}
		}
		if len(*j.AllBuilds) < page {
			return nil
		}
	}
	return nil
}

// pollItems asks for the queue items of what has not been found.
func (c *Controller) pollItems(ctx context.Context, asks []Ask, found map[Ask]Build) (failures []error) {
	for _, a := range asks {
		if _, ok := found[a]; ok || a.QueueID <= 0 {
			continue
		}
		b, ok, err := c.pollItem(ctx, a)
		if err != nil {
			failures = append(failures, c.failed(fmt.Sprintf("poll queue item %d", a.QueueID), err))
		}
		if ok {
			found[a] = b
		}
	}
	return failures
}

// pollItem asks for one queue item that is not in the live queue: it may have
// been cancelled, or be about to become a build. It is forgotten after minutes.
func (c *Controller) pollItem(ctx context.Context, a Ask) (Build, bool, error) {
	var item struct {
		Class      string `json:"_class"`
		Cancelled  bool   `json:"cancelled"`
		Why        string `json:"why"`
		Actions    []actionJSON
		Executable *struct {
			Number int64  `json:"number"`
			URL    string `json:"url"`
		} `json:"executable"`
	}
	err := c.get(ctx, "/queue/item/"+strconv.FormatInt(a.QueueID, 10), &item, nil)
	if errors.Is(err, ErrNotFound) {
		return Build{}, false, nil
	}
	// After a loss of the queue the counter can repeat: it must be our item.
	if err != nil || parameter(item.Actions, DeploymentParam) != a.Deployment {
		return Build{}, false, err
	}
	b := Build{Job: a.Job, Deployment: a.Deployment, QueueID: a.QueueID, Cancelled: item.Cancelled, Why: item.Why}
	switch {
	case item.Executable != nil:
		b.Number, b.URL, b.Building = item.Executable.Number, item.Executable.URL, true
	case !item.Cancelled:
		b.Queued = true // on its way to an executor
	}
	return b, true, nil
}

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

func (b buildJSON) build(a Ask) Build {
	return Build{
		Job: a.Job, Deployment: a.Deployment, QueueID: max(b.QueueID, 0), Number: b.Number, URL: b.URL,
		Building: b.Building || b.InProgress, Result: b.Result, Description: b.Description,
		Started: time.UnixMilli(b.Timestamp), Duration: time.Duration(b.Duration) * time.Millisecond,
	}
}

type itemJSON struct {
	ID      int64                `json:"id"`
	Why     string               `json:"why"`
	Task    struct{ URL string } `json:"task"`
	Actions []actionJSON         `json:"actions"`
}

func queueKey(jobKey, deployment string) string { return jobKey + " " + deployment }

// queue reads the live queue once.
func (c *Controller) queue(ctx context.Context) (map[string]itemJSON, error) {
	var q struct {
		Items *[]itemJSON `json:"items"`
	}
	if err := c.get(ctx, "/queue", &q, map[string]string{"tree": queueTree}); err != nil {
		return nil, err
	}
	if q.Items == nil {
		return nil, fmt.Errorf("%w: the queue has no items field", ErrNotJenkins)
	}
	out := map[string]itemJSON{}
	for _, item := range *q.Items {
		if id := parameter(item.Actions, DeploymentParam); id != "" {
			out[queueKey(jobKeyOf(item.Task.URL), id)] = item
		}
	}
	return out, nil
}

// Describe sets the description of a build.
func (c *Controller) Describe(ctx context.Context, job string, number int64, description string) error {
	err := c.act(ctx, buildPath(job, number)+"/submitDescription", url.Values{"description": {description}})
	if err != nil {
		return c.failed(fmt.Sprintf("describe %s #%d", job, number), err)
	}
	return nil
}

// Stop asks a build to end. It succeeds also for a build that has ended; whether
// and how it ends shows in Poll.
func (c *Controller) Stop(ctx context.Context, job string, number int64) error {
	if err := c.act(ctx, buildPath(job, number)+"/stop", url.Values{}); err != nil {
		return c.failed(fmt.Sprintf("stop %s #%d", job, number), err)
	}
	return nil
}

const maxLog = 8 << 20 // bytes of console that one call returns

// Log reads a build's console from start on (0, then the last next). more tells
// whether there can be more later; it outlives the build's result for a moment.
func (c *Controller) Log(ctx context.Context, job string, number, start int64) (text []byte, next int64, more bool, err error) {
	operation := fmt.Sprintf("read the console of %s #%d", job, number)
	answer, err := c.send(ctx, http.MethodGet, fmt.Sprintf("%s/logText/progressiveText?start=%d", buildPath(job, number), start), nil)
	if err != nil {
		return nil, start, false, c.failed(operation, err)
	}
	defer answer.Body.Close()
	// Positions count bytes that Jenkins cuts out of the text, so the length of
	// the text says nothing about where to go on.
	next, err = strconv.ParseInt(answer.Header.Get("X-Text-Size"), 10, 64)
	if err != nil {
		return nil, start, false, c.failed(operation, fmt.Errorf("%w: it has no X-Text-Size header: check the controller's URL", ErrNotJenkins))
	}
	text, leftOut, err := readAll(answer.Body, maxLog)
	if err != nil {
		return nil, start, false, c.failed(operation, fmt.Errorf("%w: %w", ErrUnreachable, err))
	}
	if leftOut > 0 {
		text = fmt.Appendf(text, "\n… (%d bytes left out; see the console in Jenkins)\n", leftOut)
	}
	return text, next, answer.Header.Get("X-More-Data") == "true", nil
}
