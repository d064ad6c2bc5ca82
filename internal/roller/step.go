package roller

import (
	"fmt"
	"time"

	"railyard/internal/event"
)

// How often the effect of an order is looked for. Looking is cheap: one answer of the balancer covers the whole site.
const (
	pollSoon  = 15 * time.Millisecond  // while a change is expected within the second
	pollLater = 250 * time.Millisecond // after that
	soon      = 2 * time.Second
	fresh     = 100 * time.Millisecond // how long ago the balancer may have answered when a server is taken out
)

// work moves every active server one step further (pull out → switch → smoke-test → pull in), and keeps our flag right
// on those that are not in work.
func (d *decider) work() (settled bool) {
	if d.braked() || d.obs.SiteError != "" || d.Stage.Terminal() || d.Stage == Queued {
		return false
	}
	d.floor = newFloor(d.Roll, d.obs)
	for i := range d.Targets {
		t := &d.Targets[i]
		s, ok := d.obs.Servers[t.Server]
		if !ok || d.obs.Busy[t.Server] {
			continue
		}
		if t.State == Active {
			before := t.Step
			for d.step(t, s) {
			}
			settled = settled || t.State != Active || (t.Step == Hold && before != Hold)
		}
		if t.State != Active {
			d.rest(t, s)
		}
	}
	if d.heldUp && d.bringForward() {
		settled = true
	}
	return settled
}

// step makes one move of one server and reports whether another may follow at once.
func (d *decider) step(t *Target, s ServerState) bool {
	switch t.Step {
	case PullOut:
		return d.pullOut(t, s)
	case Switch:
		return !d.order(t, s, 0) && d.doSwitch(t, s)
	case Test:
		return !d.order(t, s, 0) && d.test(t)
	case Hold:
		d.order(t, s, 0)
	case PullIn:
		return d.pullIn(t, s)
	}
	return false
}

func (d *decider) to(t *Target, step Step, what, why string) bool {
	d.tell(event.Event{What: what, Server: t.Server, From: string(t.Step), To: string(step), Why: why})
	t.Step, t.Since, t.Note = step, d.now, ""
	return true
}

// goal is the revision the servers in work are taken to.
func (d *decider) goal() Revision {
	if d.Stage == RollingBack {
		return d.From
	}
	return d.To
}

// pullOut takes the server out of rotation and waits, within its bound, for its sessions to end. Until it is told to, the
// server is not ours: it may turn out to be done, or somebody's.
func (d *decider) pullOut(t *Target, s ServerState) bool {
	if !t.Pulled {
		return d.takeOut(t, s)
	}
	if s.Member.Foreign && !t.Touched && d.Stage != RollingBack {
		return d.to(t, PullIn, "server_put_back", "in somebody's maintenance: "+s.Member.Detail)
	}
	if d.order(t, s, 0) {
		return false
	}
	if s.Member.Sessions > 0 && d.now.Sub(later(t.Since, d.obs.BalancerSince)) < d.Strategy.DrainTimeout {
		d.poll(t)
		return false
	}
	why := "its sessions ended"
	if s.Member.Sessions > 0 {
		why = fmt.Sprintf("%d sessions did not end in %s", s.Member.Sessions, d.Strategy.DrainTimeout)
	}
	if d.Stage == RollingBack && d.From.ID == "" {
		t.State, t.Step, t.Note = Settled, "", "out of rotation: nothing to return to"
		return false
	}
	return d.to(t, Switch, "server_drained", why)
}

// takeOut decides whether a server may be taken, and counts it as taken from then on.
func (d *decider) takeOut(t *Target, s ServerState) bool {
	switch {
	case !s.Asked:
		return false
	case s.Host.Runs(d.goal()) && s.inRotation(d.Balanced) && !d.reweighs(t, s):
		return d.settle(t, "already on the revision")
	case s.Member.Foreign && !t.Touched:
		return d.owe(t, "in somebody's maintenance: "+s.Member.Detail)
	case d.unheld(s) != "" && !t.Touched:
		return d.owe(t, d.unheld(s))
	case !d.Balanced && d.Stage == RollingBack && d.From.ID == "":
		return d.settle(t, "keeps the revision: nothing to return to, and no balancer to take it out of")
	case d.Roll.Pause != nil, d.obs.BalancerError != "", s.Unlisted:
		return false // a paused roll takes no further server, and nothing is taken unseen
	case (d.Balanced || len(s.SharedWith) > 0) && !d.obs.BalancerAt.IsZero() && d.now.Sub(d.obs.BalancerAt) > fresh:
		d.wakeIn(time.Millisecond) // look first
		return false
	case !d.floor.take(s, d.Balanced):
		d.heldUp = true // another must come back first
		return false
	}
	t.Pulled, t.Since = true, d.now
	if !d.Balanced {
		return d.to(t, Switch, "server_taken", "nothing takes it out of rotation: it is switched where it is")
	}
	t.Ordered = true
	d.tell(event.Event{What: "server_pulled_out", Server: t.Server, Why: fmt.Sprintf("%d stay up", d.floor.up)})
	return true
}

// reweighs reports whether the server must still change its weight although it runs the goal.
func (d *decider) reweighs(t *Target, s ServerState) bool {
	return d.Balanced && s.Member.Weight != d.weight(t)
}

// order makes sure our flag of the server is at the weight and reports whether that is still to come.
func (d *decider) order(t *Target, s ServerState, weight int) bool {
	if !d.Balanced {
		return false
	}
	known := d.obs.BalancerError == "" && !s.Unlisted
	if known && s.Member.Weight == weight {
		return false
	}
	d.poll(t)
	if !known || (weight == 0 && !d.floor.again(s, true)) {
		return true
	}
	if d.mayTry(t, ActWeight) {
		d.actions = append(d.actions, Action{Kind: ActWeight, Server: t.Server, Weight: weight})
	}
	return true
}

func (d *decider) doSwitch(t *Target, s ServerState) bool {
	goal := d.goal()
	if !s.Asked {
		return false // what it runs is being asked
	}
	if s.Host.Runs(goal) {
		if d.Stage != RollingBack {
			t.Touched = true
		}
		if d.Kind == Migration {
			return d.to(t, Test, "server_migrated", goal.ran())
		}
		return d.to(t, Test, "server_switched", "runs "+goal.ID)
	}
	last := d.obs.Last[t.Server]
	if last.Action == ActSwitch && last.Revision == goal.ID && last.At.After(t.Since) && last.Permanent {
		return d.fail(t, "switch: "+last.Err)
	}
	if d.overdue(t, d.Strategy.StepTimeout) {
		return d.fail(t, timedOut("switch", d.Strategy.StepTimeout, last))
	}
	if d.Stage != RollingBack {
		t.Touched = true
	}
	if d.mayTry(t, ActSwitch) {
		d.actions = append(d.actions, Action{Kind: ActSwitch, Server: t.Server, Revision: goal})
	}
	return false
}

func (d *decider) test(t *Target) bool {
	last := d.obs.Last[t.Server]
	if last.Action == ActTest && last.Err == "" && last.At.After(t.Since) {
		if d.Stage == Smoke {
			return d.to(t, Hold, "server_tested", "smoke test passed; kept without public traffic")
		}
		return d.to(t, PullIn, "server_tested", "smoke test passed")
	}
	if d.overdue(t, d.Strategy.StepTimeout) {
		return d.fail(t, timedOut("smoke test", d.Strategy.StepTimeout, last))
	}
	if d.mayTry(t, ActTest) {
		d.actions = append(d.actions, Action{Kind: ActTest, Server: t.Server})
	}
	return false
}

// weight is what a server's flag should be at the end of its way.
func (d *decider) weight(t *Target) int {
	if d.Stage == Baking && t.Batch == 0 && d.bakingWeight() > 0 {
		return d.bakingWeight()
	}
	return 100
}

func (d *decider) bakingWeight() int {
	if !d.Balanced {
		return 0
	}
	return d.Strategy.BakingWeight
}

func (d *decider) pullIn(t *Target, s ServerState) bool {
	t.Pulled = false
	if d.Stage != RollingBack && t.Touched {
		t.Exposed = true
	}
	if !d.Balanced {
		return d.settle(t, "runs "+d.goal().ID)
	}
	t.Ordered = true
	weight := d.weight(t)
	away := d.obs.BalancerError != "" || s.Unlisted // not the server's fault; if it lasts, the roll makes no progress and says so
	switch {
	case away || s.Member.Weight != weight:
	case s.inRotation(true):
		return d.settle(t, fmt.Sprintf("in rotation at weight %d", weight))
	case s.Member.Foreign:
		return d.owe(t, "in somebody's maintenance: "+s.Member.Detail)
	}
	if !away && d.overdue(t, d.Strategy.StepTimeout) {
		return d.fail(t, timedOut("pull in: the balancer says "+s.Member.Detail, d.Strategy.StepTimeout, d.obs.Last[t.Server]))
	}
	d.order(t, s, weight)
	d.poll(t)
	return false
}

func (d *decider) settle(t *Target, why string) bool {
	d.tell(event.Event{What: "server_settled", Server: t.Server, From: string(t.Step), Why: why})
	t.State, t.Step, t.Since, t.Note, t.Pulled = Settled, "", d.now, "", false
	return false
}

// owe leaves a server to whoever holds it; it is caught up when they are done.
func (d *decider) owe(t *Target, why string) bool {
	d.tell(event.Event{What: "server_owed", Server: t.Server, From: string(t.Step), Why: why})
	t.State, t.Step, t.Since, t.Note = Owed, "", d.now, why
	return false
}

// fail leaves the server out of rotation and counts it; rest sees to it that it stays out.
func (d *decider) fail(t *Target, why string) bool {
	d.tell(event.Event{What: "server_failed", Server: t.Server, From: string(t.Step), Why: why})
	t.State, t.Step, t.Note, t.Since = Failed, "", why, d.now
	t.Pulled, t.Ordered = true, d.Balanced
	return false
}

// overdue reports whether the step has taken longer than it may, not counting the time in which nobody looked or the
// balancer did not answer.
func (d *decider) overdue(t *Target, bound time.Duration) bool {
	since := later(t.Since, d.obs.Since)
	if d.Balanced {
		since = later(since, d.obs.BalancerSince)
	}
	return d.now.Sub(since) >= bound
}

func timedOut(step string, after time.Duration, last Result) string {
	text := fmt.Sprintf("%s: not done in %s", step, after)
	if last.Err != "" {
		text += ": " + last.Err
	}
	return text
}

// mayTry spaces the tries of an action that failed: at once first, then every 25 ms, and every second after two seconds.
func (d *decider) mayTry(t *Target, kind ActionKind) bool {
	last := d.obs.Last[t.Server]
	if last.Action != kind || last.At.Before(t.Since) {
		return true
	}
	wait := 25 * time.Millisecond
	if kind == ActSwitch {
		wait = 500 * time.Millisecond
	}
	if d.now.Sub(t.Since) > soon {
		wait = time.Second
	}
	if due := last.At.Add(wait); d.now.Before(due) {
		d.wakeIn(due.Sub(d.now))
		return false
	}
	return true
}

func (d *decider) poll(t *Target) {
	if d.now.Sub(t.Since) > soon {
		d.wakeIn(pollLater)
		return
	}
	d.wakeIn(pollSoon)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
