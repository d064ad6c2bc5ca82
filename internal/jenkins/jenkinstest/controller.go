package jenkinstest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// errShutdown is the cause of a build's cancellation by the end of the controller.
var errShutdown = errors.New("the controller is shutting down")

// controller is what lives in one Java process: items, queue, executors,
// builds. The Server replaces it at a restart. All state is guarded by mu;
// methods expect it to be held unless they say otherwise.
type controller struct {
	mu           sync.Mutex
	o            *Options
	rootURL      string // "" when not configured
	root         *item
	queue        []*queueItem // live items, oldest first
	left         map[int64]*queueItem
	nextQueueID  int64
	executors    []*executor
	runners      map[string]runner
	workspaces   map[string]bool     // taken directories
	groups       map[int]bool        // process groups of running steps
	quieting     bool                // no build starts
	closing      bool                // nothing moves any more
	dead         bool                // nothing is written any more
	placeholders map[*Run]*queueItem // node steps that wait for an executor: shown in the queue, and not saved
	freed        chan struct{}       // closed when an executor becomes free; nil when nobody waits
	stopTick     func() bool
	wg           sync.WaitGroup // one per executing build
}

// executor is one slot of the built-in node.
type executor struct {
	number int
	busy   bool
	build  *build // nil while idle or about to start
}

// runner does the work of the builds of one kind of job.
type runner interface {
	// needsExecutor tells whether such a build occupies an executor.
	needsExecutor() bool
	// run does the work and returns the result. It returns soon after ctx is
	// cancelled; context.Cause says why. It is called without controller.mu.
	run(ctx context.Context, e *execution) Result
}

// newController loads what Options.Dir holds and starts to work on the queue.
func newController(o *Options, rootURL string) (*controller, error) {
	c := &controller{
		o: o, rootURL: rootURL, left: map[int64]*queueItem{}, nextQueueID: 1,
		placeholders: map[*Run]*queueItem{},
		workspaces:   map[string]bool{}, groups: map[int]bool{},
		root: &item{dir: o.Dir, kids: map[string]*item{}},
	}
	c.runners = map[string]runner{classFreestyle: freestyle{}, classPipeline: pipelines{o.Engine}}
	for n := range o.Executors {
		c.executors = append(c.executors, &executor{number: n})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(); err != nil {
		return nil, err
	}
	c.resume()
	c.tick()
	return c, nil
}

// tick maintains the queue and arms the next tick.
func (c *controller) tick() {
	c.maintain()
	c.stopTick = c.o.Clock.AfterFunc(maintenanceTick, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closing {
			c.tick()
		}
	})
}

func (c *controller) freeExecutor() *executor {
	for _, e := range c.executors {
		if !e.busy {
			return e
		}
	}
	return nil
}

// resume goes on with the Pipelines that the last controller left running.
func (c *controller) resume() {
	for _, b := range c.running() {
		ctx, cancel := context.WithCancelCause(context.Background())
		b.cancel = cancel
		b.job.active++
		c.wg.Go(func() {
			defer cancel(nil)
			c.work(ctx, b, c.runners[classPipeline])
		})
	}
}

// execute takes q through its build. It is called without the lock.
func (c *controller) execute(q *queueItem, slot *executor, run runner) {
	c.mu.Lock()
	if c.closing { // it stays in the queue for the next process
		c.release(q.job, slot)
		c.mu.Unlock()
		return
	}
	c.leave(q, false)
	c.mu.Unlock()
	if c.o.BeforeExecutable != nil {
		c.o.BeforeExecutable(q.id)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	c.mu.Lock()
	b, err := c.newBuild(q, slot, cancel)
	c.mu.Unlock()
	if err != nil {
		// As in Jenkins: the item has left and no build will ever exist.
		c.o.Log.WithError(err).Errorf("build of %s could not be created", q.job.fullName())
		c.mu.Lock()
		c.release(q.job, slot)
		c.mu.Unlock()
		return
	}
	c.work(ctx, b, run)
}

// work runs a build and completes it, unless it is to go on after a restart.
// Called without the lock.
func (c *controller) work(ctx context.Context, b *build, run runner) {
	result := c.runBuild(ctx, b, run)
	if b.job.config.class == classPipeline && errors.Is(context.Cause(ctx), ErrSuspended) {
		if err := b.console.Close(); err != nil {
			c.o.Log.WithError(err).Warnf("close the log of %s #%d", b.job.fullName(), b.Number)
		}
		return
	}
	c.finish(b, result)
}

// newBuild creates the build of q on disk and in memory.
func (c *controller) newBuild(q *queueItem, slot *executor, cancel context.CancelCauseFunc) (*build, error) {
	job := q.job
	if job.gone {
		return nil, errors.New("the job was deleted")
	}
	b := &build{job: job, slot: slot, cancel: cancel, record: record{
		Number: job.next, QueueID: q.id, State: stateBuilding, Params: q.params, Causes: q.causes,
		Started: c.o.Clock.Now(), Cookie: rand.Text(),
	}}
	if err := os.MkdirAll(b.dir(), 0o755); err != nil {
		return nil, err
	}
	var err error
	if b.console, err = createConsole(b.dir(), c.secrets()); err != nil {
		return nil, err
	}
	job.next++
	job.builds[b.Number] = b
	job.order = append(job.order, b.Number)
	q.number = b.Number
	if slot != nil {
		slot.build = b
	}
	c.saveBuild(b)
	if c.closing {
		cancel(errShutdown)
	}
	return b, nil
}

// secrets are what no console may show.
func (c *controller) secrets() []string {
	out := make([]string, 0, len(c.o.Secrets))
	for _, s := range c.o.Secrets {
		out = append(out, s)
	}
	for _, cred := range c.o.Credentials {
		out = append(out, cred.Secret)
	}
	return out
}

// runBuild calls the runner with what a build needs. Called without the lock.
func (c *controller) runBuild(ctx context.Context, b *build, run runner) Result {
	for _, why := range b.Causes {
		if b.resumed {
			break
		}
		// The name carries a console note, as in Jenkins: bytes that are in the
		// log and counted, but cut out when it is read.
		fmt.Fprintf(b.console, "Started by user %s%s\n", consoleNote("hudson.console.ModelHyperlinkNote"), why.User)
	}
	e, err := c.newExecution(b)
	if err != nil {
		fmt.Fprintf(b.console, "FATAL: %v\n", err)
		return Failure
	}
	defer e.close()
	result := run.run(ctx, e)
	switch why := context.Cause(ctx); {
	case why == nil:
	case errors.Is(why, errShutdown), errors.Is(why, errKilled):
		result = worse(result, Aborted)
	default:
		result = worse(result, Aborted)
		fmt.Fprintf(b.console, "Build was aborted\n%s\n", why)
	}
	return result
}

// finish completes a build: first the result is known and building is false,
// then the log ends, then the record is final. Called without the lock.
func (c *controller) finish(b *build, result Result) {
	c.mu.Lock()
	result = worse(b.Result, result)
	b.State, b.Result = statePost, result
	dead := c.dead
	c.mu.Unlock()
	if !dead {
		fmt.Fprintf(b.console, "Finished: %s\n", result)
	}
	if err := b.console.Close(); err != nil {
		c.o.Log.WithError(err).Warnf("close the log of %s #%d", b.job.fullName(), b.Number)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b.State, b.Duration = stateCompleted, c.o.Clock.Now().Sub(b.Started)
	c.saveBuild(b)
	c.release(b.job, b.slot)
}

// release frees what a build held and lets the queue move on.
func (c *controller) release(job *item, slot *executor) {
	job.active--
	if slot != nil {
		slot.busy, slot.build = false, nil
	}
	c.maintain()
}

// shutdown ends the controller as a restart does: running builds are aborted
// and saved. Called without the lock.
func (c *controller) shutdown() {
	c.mu.Lock()
	c.closing = true
	c.stopTick()
	for _, b := range c.running() {
		b.stop(errShutdown)
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// crash ends the controller as kill -9 does: nothing more is written. The
// processes of builds, which would outlive Jenkins, are killed. Called without
// the lock.
func (c *controller) crash() {
	c.mu.Lock()
	c.closing, c.dead = true, true
	c.stopTick()
	for group := range c.groups {
		_ = syscall.Kill(-group, syscall.SIGKILL) // it may have ended meanwhile
	}
	for _, b := range c.running() {
		b.stop(errShutdown)
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// running lists the builds that have not completed.
func (c *controller) running() []*build {
	var out []*build
	var walk func(*item)
	walk = func(i *item) {
		for _, b := range i.builds {
			if b.inProgress() {
				out = append(out, b)
			}
		}
		for _, k := range i.kids {
			walk(k)
		}
	}
	walk(c.root)
	return out
}
