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
)

// work moves every active server one step further: pull out → switch → smoke-test → pull in.
func (d *decider) work() {
	if d.braked() || d.obs.SiteError != "" || d.Stage.Terminal() || d.Stage == Queued {
		return
	}
	d.floor = newFloor(d.Roll, d.obs)
	for i := range d.Targets {
		t := &d.Targets[i]
		if t.State != Active || d.obs.Busy[t.Server] {
			continue
		}
		s, ok := d.obs.Servers[t.Server]
		if !ok {
			continue
		}
		for d.step(t, s) {
		}
	}
}

// step makes one move of one server and reports whether another may follow at once.
func (d *decider) step(t *Target, s ServerState) bool {
	switch t.Step {
	case PullOut:
		return d.pullOut(t, s)
	case Switch:
		return d.doSwitch(t, s)
	case Test:
		return d.test(t)
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

func (d *decider) pullOut(t *Target, s ServerState) bool {
	if s.Host.Runs(d.goal()) && s.inRotation(d.Balanced) && !t.Pulled && !d.reweighs(t, s) {
		return d.settle(t, "already on the revision")
	}
	if !t.Pulled {
		if d.obs.BalancerError != "" || !d.floor.take(s, d.Balanced) {
			return false // another server must come back first
		}
		if !d.Balanced {
			return d.to(t, Switch, "server_taken", "no balancer: the switch takes it out")
		}
		t.Pulled, t.Since = true, d.now
		d.tell(event.Event{What: "server_pulled_out", Server: t.Server, Why: fmt.Sprintf("%d stay up", d.floor.up)})
	}
	if d.order(t, s, 0) {
		return false
	}
	waited := d.now.Sub(t.Since)
	if s.Member.Sessions > 0 && waited < d.Strategy.DrainTimeout {
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

// reweighs reports whether the server must still change its weight although it runs the goal.
func (d *decider) reweighs(t *Target, s ServerState) bool {
	return d.Balanced && s.Member.Weight != d.weight(t)
}

// order makes sure our flag of the server is at the weight and reports whether it had to be told.
func (d *decider) order(t *Target, s ServerState, weight int) bool {
	if !d.Balanced || s.Member.Weight == weight {
		return false
	}
	if d.obs.BalancerError == "" && d.mayTry(t, ActWeight) {
		d.actions = append(d.actions, Action{Kind: ActWeight, Server: t.Server, Weight: weight})
	}
	d.poll(t)
	return true
}

func (d *decider) doSwitch(t *Target, s ServerState) bool {
	goal := d.goal()
	if s.Host.Runs(goal) {
		if d.Stage != RollingBack {
			t.Touched = true
		}
		return d.to(t, Test, "server_switched", "runs "+goal.ID)
	}
	last := d.obs.Last[t.Server]
	if last.Action == ActSwitch && last.Revision == goal.ID && last.At.After(t.Since) && last.Permanent {
		return d.fail(t, s, "switch: "+last.Err)
	}
	if d.now.Sub(t.Since) >= d.Strategy.StepTimeout {
		return d.fail(t, s, timedOut("switch", d.Strategy.StepTimeout, last))
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
	if last.Action == ActTest && last.Err == "" && !last.At.Before(t.Since) {
		if d.Stage == Smoke {
			return d.to(t, Hold, "server_tested", "smoke test passed; kept without public traffic")
		}
		return d.to(t, PullIn, "server_tested", "smoke test passed")
	}
	if d.now.Sub(t.Since) >= d.Strategy.StepTimeout {
		return d.fail(t, d.obs.Servers[t.Server], timedOut("smoke test", d.Strategy.StepTimeout, last))
	}
	if d.mayTry(t, ActTest) {
		d.actions = append(d.actions, Action{Kind: ActTest, Server: t.Server})
	}
	return false
}

// weight is what a server's flag should be at the end of its way.
func (d *decider) weight(t *Target) int {
	if d.Stage == Baking && t.Batch == 0 {
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
	if !d.Balanced {
		return d.settle(t, "runs "+d.goal().ID)
	}
	weight := max(1, d.weight(t))
	if d.Stage == Baking && d.bakingWeight() == 0 {
		weight = 100
	}
	t.Pulled = false
	if d.Stage != RollingBack && t.Touched {
		t.Exposed = true
	}
	if !d.order(t, s, weight) && s.inRotation(true) {
		return d.settle(t, fmt.Sprintf("in rotation at weight %d", weight))
	}
	if d.now.Sub(t.Since) >= d.Strategy.StepTimeout {
		return d.fail(t, s, timedOut("pull in: the balancer says "+s.Member.Detail, d.Strategy.StepTimeout, d.obs.Last[t.Server]))
	}
	d.poll(t)
	return false
}

func (d *decider) settle(t *Target, why string) bool {
	d.tell(event.Event{What: "server_settled", Server: t.Server, From: string(t.Step), Why: why})
	t.State, t.Step, t.Since, t.Note, t.Pulled = Settled, "", d.now, "", false
	return false
}

// fail leaves the server out of rotation and counts it.
func (d *decider) fail(t *Target, s ServerState, why string) bool {
	d.tell(event.Event{What: "server_failed", Server: t.Server, From: string(t.Step), Why: why})
	t.State, t.Note, t.Since = Failed, why, d.now
	if d.Balanced {
		t.Pulled = true
		if s.Member.Weight != 0 {
			d.actions = append(d.actions, Action{Kind: ActWeight, Server: t.Server})
		}
	}
	t.Step = ""
	return false
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
