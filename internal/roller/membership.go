package roller

import (
	"fmt"
	"slices"

	"railyard/internal/event"
)

// membership takes in that servers left, returned or joined while the roll runs. Returned and joined ones go into one last
// batch; on the way back nobody joins.
func (d *decider) membership() {
	if d.Stage == Queued || d.obs.SiteError != "" {
		return
	}
	d.leave()
	if d.Stage == RollingBack {
		d.findAgain()
		return
	}
	late := d.lateBatch()
	before := len(d.Targets)
	came, met := d.comeBack(late), d.join(late)
	if came || met || len(d.Targets) > before {
		d.Batches = max(d.Batches, late)
		sortTargets(d.Targets)
	}
}

// findAgain takes back servers that had left the topology with the revision on them and are in it again.
func (d *decider) findAgain() {
	for i := range d.Targets {
		t := &d.Targets[i]
		if s, there := d.obs.Servers[t.Server]; there && t.State == Left && t.Touched && s.Asked {
			t.State, t.Since, t.Note = Waiting, d.now, returned
			d.tell(event.Event{What: "server_returned", Server: t.Server, Why: "it goes back with the others"})
		}
	}
}

// lateBatch is the batch for latecomers: the last one if it is theirs and has not started, else a new one.
func (d *decider) lateBatch() int {
	open := d.inBatch(d.Batches, func(t Target) bool { return t.State == Waiting && (t.Note == returned || t.Note == joined) })
	if open > 0 && d.Batch < d.Batches {
		return d.Batches
	}
	return d.Batches + 1
}

// bringForward lets servers that are out of rotation already go before their batch, when the floor holds up the batch in work and
// nobody is on the way back: bringing one back costs nobody anything, and then another may go. It reports whether there were any.
// The live ones stay in their batches.
func (d *decider) bringForward() (any bool) {
	onTheWay := func(t Target) bool { return t.State == Active && (t.Pulled || t.Step != PullOut) }
	if d.Stage != Rolling || d.Roll.Pause != nil || d.obs.BalancerError != "" || d.inBatch(-1, onTheWay) > 0 {
		return false
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		s := d.obs.Servers[t.Server]
		if t.State == Waiting && t.Batch > d.Batch && s.Asked && !s.Unlisted && !s.inRotation(d.Balanced) {
			d.tell(event.Event{What: "server_brought_forward", Server: t.Server,
				Why: fmt.Sprintf("it is out of rotation, and batch %d cannot go before another is back", d.Batch)})
			t.Batch, any = d.Batch, true
		}
	}
	if any {
		sortTargets(d.Targets)
	}
	return any
}

const (
	returned = "returned"
	joined   = "joined"
)

func (d *decider) leave() {
	for i := range d.Targets {
		t := &d.Targets[i]
		if _, exists := d.obs.Servers[t.Server]; !exists && t.State != Left {
			d.tell(event.Event{What: "server_left", Server: t.Server, Why: "no longer in the topology"})
			t.State, t.Step, t.Since = Left, "", d.now
		}
	}
}

func (d *decider) comeBack(batch int) (any bool) {
	for i := range d.Targets {
		t := &d.Targets[i]
		s, there := d.obs.Servers[t.Server]
		away := !there || !s.Reachable || d.obstacle(s) != "" || d.obs.BalancerError != ""
		if (t.State != Owed && t.State != Left) || away {
			continue
		}
		t.State, t.Batch, t.Since, t.Note = Waiting, batch, d.now, returned
		d.tell(event.Event{What: "server_returned", Server: t.Server, Why: "it is caught up in the last batch"})
		any = true
	}
	return any
}

func (d *decider) join(batch int) (any bool) {
	if d.obs.BalancerError != "" {
		return false
	}
	known := map[string]bool{}
	for _, t := range d.Targets {
		known[t.Server] = true
	}
	var names []string
	for name, s := range d.obs.Servers {
		if !known[name] && s.Asked {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		t := newTarget(&d.Roll, d.obs.Servers[name], batch, d.now)
		if t.State == Waiting {
			t.Note, any = joined, true
		}
		d.Targets = append(d.Targets, t)
		d.tell(event.Event{What: "server_joined", Server: name, Why: "it goes into the last batch"})
	}
	return any
}
