package jenkinstest

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

const (
	maintenanceTick = 5 * time.Second // Jenkins looks at its queue at least this often
	leftItemExpiry  = 5 * time.Minute // for so long a left item can still be asked about
)

// queueState is where in the queue an item is.
type queueState string

const (
	stateWaiting   queueState = "WaitingItem"   // in its quiet period
	stateBlocked   queueState = "BlockedItem"   // the job is busy
	stateBuildable queueState = "BuildableItem" // waits for an executor
	stateLeft      queueState = "LeftItem"      // cancelled or given to an executor
)

// queueItem is one asked-for build. Guarded by controller.mu.
type queueItem struct {
	id        int64
	job       *item
	params    []param
	causes    []Cause
	since     time.Time // entered the queue
	due       time.Time // end of the quiet period
	buildable time.Time // end of waiting: became blocked or buildable
	state     queueState
	pending   bool // an executor was found and is about to take it
	cancelled bool
	number    int64 // of the build; 0 while it does not exist
	leftAt    time.Time
}

// schedule asks for a build. When an equal item is queued already the two
// become one and coalesced is true.
func (c *controller) schedule(job *item, params []param, why Cause, quiet time.Duration) (q *queueItem, coalesced bool) {
	now := c.o.Clock.Now()
	due := now.Add(quiet)
	for _, old := range c.queue {
		if old.job == job && !old.pending && sameParams(old.params, params) {
			old.causes = append(old.causes, why)
			if due.Before(old.due) {
				old.due = due
			}
			c.maintain()
			return old, true
		}
	}
	q = &queueItem{
		id: c.nextQueueID, job: job, params: params, causes: []Cause{why},
		since: now, due: due, state: stateWaiting,
	}
	c.nextQueueID++
	c.queue = append(c.queue, q)
	c.saveQueue()
	c.maintain()
	return q, false
}

func sameParams(a, b []param) bool {
	if len(a) != len(b) {
		return false
	}
	for _, p := range a {
		if !slices.Contains(b, p) {
			return false
		}
	}
	return true
}

// maintain moves items on: out of the quiet period, between blocked and
// buildable, and to executors that are free. It runs on every event and tick.
func (c *controller) maintain() {
	if c.closing {
		return
	}
	if c.freed != nil && !c.quieting && c.freeExecutor() != nil {
		close(c.freed) // Pipelines that wait for a node look again
		c.freed = nil
	}
	now := c.o.Clock.Now()
	for id, q := range c.left {
		if now.Sub(q.leftAt) >= leftItemExpiry {
			delete(c.left, id)
		}
	}
	for _, q := range slices.Clone(c.queue) {
		if q.pending || q.state == stateWaiting && q.due.After(now) {
			continue
		}
		if q.state == stateWaiting {
			q.buildable = now
		}
		if c.blocker(q) != "" {
			q.state = stateBlocked
			if q.job.config.abortPrevious {
				q.job.supersede()
			}
			continue
		}
		q.state = stateBuildable
		if !c.quieting {
			c.assign(q)
		}
	}
}

// blocker says why the job of q cannot be built now; "" when it can.
func (c *controller) blocker(q *queueItem) string {
	if q.job.config.concurrent || q.job.active == 0 {
		return ""
	}
	for b := range q.job.newest() {
		if b.inProgress() {
			eta := "N/A"
			if e := q.job.estimate(); e > 0 {
				eta = span(max(0, e-c.o.Clock.Now().Sub(b.Started)))
			}
			return fmt.Sprintf("Build %s is already in progress (ETA: %s)", b.name(), eta)
		}
	}
	return "A build of this job is about to start"
}

// supersede interrupts the builds that run, for disableConcurrentBuilds(abortPrevious: true).
func (i *item) supersede() {
	for _, b := range i.builds {
		if b.isBuilding() && !b.superseded {
			b.superseded = true
			b.interrupt(&Interrupt{Result: NotBuilt, Cause: "Superseded by #" + strconv.FormatInt(i.next, 10)})
		}
	}
}

// assign gives q to a free executor, if there is one.
func (c *controller) assign(q *queueItem) {
	run := c.runners[q.job.config.class]
	var slot *executor
	if run.needsExecutor() {
		if slot = c.freeExecutor(); slot == nil {
			return
		}
		slot.busy = true
	}
	q.pending = true
	q.job.active++
	c.wg.Go(func() { c.execute(q, slot, run) })
}

// leave takes q out of the live queue and keeps it for a while.
func (c *controller) leave(q *queueItem, cancelled bool) {
	c.queue = slices.DeleteFunc(c.queue, func(x *queueItem) bool { return x == q })
	q.state, q.cancelled, q.pending = stateLeft, cancelled, false
	q.leftAt = c.o.Clock.Now()
	c.left[q.id] = q
	c.saveQueue()
}

// queued finds an item by id, live or left; nil when unknown or expired.
func (c *controller) queued(id int64) *queueItem {
	for _, q := range c.queue {
		if q.id == id {
			return q
		}
	}
	q := c.left[id]
	if q != nil && c.o.Clock.Now().Sub(q.leftAt) >= leftItemExpiry {
		return nil
	}
	return q
}

// why is the reason an item waits, in Jenkins' words; "" once it has left.
func (c *controller) why(q *queueItem) string {
	switch q.state {
	case stateWaiting:
		return "In the quiet period. Expires in " + span(max(0, q.due.Sub(c.o.Clock.Now())))
	case stateBlocked:
		return c.blocker(q)
	case stateBuildable:
		if c.quieting {
			return "Jenkins is about to shut down"
		}
		return "Waiting for next available executor"
	}
	return ""
}

// span writes a duration as Jenkins does: "4.2 sec", "12 sec", "3 min 4 sec".
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f sec", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d sec", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d sec", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d hr %d min", int(d.Hours()), int(d.Minutes())%60)
}
