package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

const (
	pollQueries = 2    // requests for builds that one Poll makes, besides the one for the queue
	pollMargin  = 20   // builds of a job that are read beyond those that are known to run
	pageMargin  = 50   // builds of a job in a first page of its own
	maxDepth    = 2000 // builds of a job that are looked through
	splitTurn   = 3    // jobs asked one by one in a Poll while the folder cannot be read
)

// Poll returns the present state of all recent builds and queue items of the
// jobs that carry a deployment id. It needs one request for the queue and at most
// pollQueries for the builds, however many jobs and builds there are. A job with
// running builds that it did not know to be so far down costs one more, once, and
// so does a build that ended NOT_BUILT, whose original may lie deeper.
//
// A deployment that is not in the answer may be on its way from queue to build,
// or be lost with the queue, or be old: ask Find. If a deployment was triggered
// twice, its first build is the one that did not end NOT_BUILT. A job that does not exist has no builds.
// After an error for one job, what was found for the others is returned too; as
// long as it lasts, the jobs of the same query are asked in turn, a few per Poll.
func (c *Controller) Poll(ctx context.Context, jobs []string) ([]Build, error) {
	// The queue first: what leaves it meanwhile is seen as a build.
	queue, err := c.queue(ctx)
	if err != nil {
		return nil, c.failed("poll the queue", err)
	}
	need := map[string]int{}
	for _, job := range jobs {
		need[job] = c.depth(job) + pollMargin
	}
	l := look{c: c, found: map[string]map[string]Build{}}
	for job := range need {
		l.found[job] = queue[jobKey(job)]
		if l.found[job] == nil {
			l.found[job] = map[string]Build{}
		}
	}
	for _, q := range cover(need, pollQueries) {
		l.take(ctx, q)
	}
	var out []Build
	for job, builds := range l.found {
		for _, b := range builds {
			b.Job = job
			out = append(out, b)
		}
	}
	return out, errors.Join(l.failures...)
}

// look is one Poll under way.
type look struct {
	c        *Controller
	found    map[string]map[string]Build // job → deployment → build
	failures []error
}

// take makes one query and what its answer makes necessary.
func (l *look) take(ctx context.Context, q query) {
	pages, err := l.c.read(ctx, q)
	var refused *RefusedError
	switch {
	case errors.Is(err, ErrNotFound): // neither has any job in it builds
	case errors.As(err, &refused) && len(q.jobs) > 1:
		l.fail(q, fmt.Errorf("%w: asking its %d jobs one by one", err, len(q.jobs)))
		for _, job := range l.c.nextTurn(q.jobs) {
			l.take(ctx, query{at: job, depth: q.depth, jobs: []string{job}})
		}
	case err != nil:
		l.fail(q, err)
	default:
		for _, job := range q.jobs {
			if err := l.deeper(ctx, job, pages[job], q.depth); err != nil && !errors.Is(err, ErrNotFound) {
				l.fail(query{at: job}, err)
			}
		}
	}
}

func (l *look) fail(q query, err error) {
	at := q.at
	if at == "" {
		at = "the top folder"
	}
	l.failures = append(l.failures, l.c.failed("poll "+at, err))
}

// deeper notes a page of a job's newest builds, and reads on while the end of
// what was read has builds that run.
func (l *look) deeper(ctx context.Context, job string, page []Build, size int) error {
	deepest, seen := 0, 0
	note := func(page []Build) (enough bool) {
		for _, b := range page {
			seen++
			if b.Building {
				deepest = seen
			}
			if b.Deployment != "" {
				l.found[job][b.Deployment] = theOne(l.found[job][b.Deployment], b)
			}
		}
		return seen-deepest >= pollMargin
	}
	if !note(page) && len(page) >= size {
		if err := l.c.pages(ctx, job, size, 4*size, note); err != nil {
			return err
		}
	}
	l.c.setDepth(job, deepest)
	return l.originals(ctx, job, size)
}

// originals looks once for the older build of a deployment of which only one that
// ended NOT_BUILT was seen: that may be a duplicate.
func (l *look) originals(ctx context.Context, job string, from int) error {
	open := map[string]Build{} // deployment → what may be a duplicate
	for d, b := range l.found[job] {
		if b.Result != notBuilt || !b.Done() {
			continue
		}
		if known, ok := l.c.original(b); ok {
			l.found[job][d] = known
		} else {
			open[d] = b
		}
	}
	if len(open) == 0 {
		return nil
	}
	left := len(open)
	err := l.c.pages(ctx, job, from, 4*from, func(page []Build) (enough bool) {
		for _, b := range page {
			if _, asked := open[b.Deployment]; asked && l.found[job][b.Deployment].Result == notBuilt {
				l.found[job][b.Deployment] = theOne(l.found[job][b.Deployment], b)
				if b.Result != notBuilt {
					left--
				}
			}
		}
		return left == 0
	})
	if err != nil {
		return err
	}
	for d, duplicate := range open {
		if b := l.found[job][d]; b.Done() {
			l.c.setOriginal(duplicate, b)
		}
	}
	return nil
}

const maxOriginals = 10_000 // answers that are remembered

// original is what was found for a build that ended NOT_BUILT: an older build, or itself.
func (c *Controller) original(duplicate Build) (Build, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.originals[originalKey(duplicate)]
	return b, ok
}

func (c *Controller) setOriginal(duplicate, b Build) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.originals == nil || len(c.originals) >= maxOriginals {
		c.originals = map[string]Build{}
	}
	c.originals[originalKey(duplicate)] = b
}

// originalKey has the deployment in it: after a job was deleted its numbers repeat.
func originalKey(b Build) string { return fmt.Sprintf("%s#%d %s", b.Job, b.Number, b.Deployment) }

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

// nextTurn is the next few of some jobs, so that all have their turn.
func (c *Controller) nextTurn(jobs []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(splitTurn, len(jobs))
	var out []string
	for i := range n {
		out = append(out, jobs[(c.turn+i)%len(jobs)])
	}
	c.turn += n
	return out
}

// read makes one query: the newest builds of each of its jobs.
func (c *Controller) read(ctx context.Context, q query) (map[string][]Build, error) {
	at := ""
	if q.at != "" {
		at = jobPath(q.at)
	}
	var top jobJSON
	if err := c.get(ctx, at, &top, map[string]string{"tree": q.tree()}); err != nil {
		return nil, err
	}
	if q.levels == 0 {
		if top.AllBuilds == nil {
			return nil, noBuilds(q.at)
		}
		return map[string][]Build{q.at: buildsOf(q.at, *top.AllBuilds)}, nil
	}
	pages := map[string][]Build{}
	var walk func(jobJSON)
	walk = func(j jobJSON) {
		if j.AllBuilds != nil {
			pages[j.FullName] = buildsOf(j.FullName, *j.AllBuilds)
		}
		for _, k := range j.Jobs {
			walk(k)
		}
	}
	walk(top)
	return pages, nil
}

// tree is the query's tree parameter.
func (q query) tree() string {
	builds := fmt.Sprintf("allBuilds[%s]{0,%d}", buildTree, q.depth)
	if q.levels == 0 {
		return builds
	}
	tree := ""
	for range q.levels {
		if tree != "" {
			tree = "," + tree
		}
		tree = "jobs[fullName," + builds + tree + "]"
	}
	return tree
}

// pages reads the builds of a job, newest first, beyond the first few, in pages
// that grow, until enough says so.
func (c *Controller) pages(ctx context.Context, job string, from, size int, enough func([]Build) bool) error {
	for ; from < maxDepth; from, size = from+size, 4*size {
		var j jobJSON
		if err := c.get(ctx, jobPath(job), &j, map[string]string{
			"tree": fmt.Sprintf("allBuilds[%s]{%d,%d}", buildTree, from, from+size),
		}); err != nil {
			return err
		}
		if j.AllBuilds == nil {
			return noBuilds(job)
		}
		page := buildsOf(job, *j.AllBuilds)
		if enough(page) || len(page) < size {
			return nil
		}
	}
	return nil
}

func noBuilds(job string) error {
	return &RefusedError{Status: http.StatusOK, Object: "job " + job, Reason: "it has no builds", Hint: "name a job, not a folder"}
}

func buildsOf(job string, all []buildJSON) []Build {
	page := make([]Build, len(all))
	for i, b := range all {
		page[i] = b.build(job)
	}
	return page
}
