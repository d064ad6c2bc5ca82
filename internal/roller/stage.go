package roller

import (
	"fmt"
	"strings"
	"time"

	"railyard/internal/fleet"
)

// advance makes at most one move of the whole roll and reports whether it did.
func (d *decider) advance() bool {
	if d.Roll.Pause != nil || d.obs.Braked {
		return false
	}
	switch d.Stage {
	case Queued:
		return d.begin()
	case Smoke:
		return d.smokeDone()
	case Baking:
		return d.bakingDone()
	case Rolling:
		return d.batchDone()
	case Watch:
		return d.watchDone()
	case RollingBack:
		return d.backDone()
	}
	return false
}

// begin fixes what the roll needs once it holds the lock and has seen every server: revisions, floor, batches.
func (d *decider) begin() bool {
	if d.obs.LockHolder != d.ID {
		if d.obs.LockHolder != "" {
			d.Reason = fmt.Sprintf("waits for %s, which %s is rolling", d.obs.LockSite, d.obs.LockHolder)
		}
		return false
	}
	if d.obs.Current == nil || !d.seen() {
		if d.obs.SiteError != "" || d.obs.BalancerError != "" {
			d.Reason = "waits until the site can be seen: " + d.obs.SiteError + d.obs.BalancerError
		}
		d.wakeIn(100 * time.Millisecond)
		return false
	}
	if d.Kind == Rollback && d.From.ID != "" && d.From.ID != d.obs.Current.ID {
		d.enter(Revoked, 0, fmt.Sprintf("%s: %s runs %s, not %s, from which this roll was to go back; no server was touched", ErrNewer, d.Site,
			d.obs.Current.words(), d.From.words()))
		return true
	}
	d.From = *d.obs.Current
	if d.Kind.Brings() {
		d.To = d.From.With(d.Changes...)
	}
	if why, barred := d.obs.Barred[d.To.ID]; barred {
		d.enter(Revoked, 0, fmt.Sprintf("revision %s is barred on %s: %s; railyard bar clear lets it return", d.To.ID, d.Site, why))
		return true
	}
	d.Size = len(d.obs.Servers)
	d.MinUp = d.Strategy.Floor(d.Size)
	layout(&d.Roll, d.obs, d.now)
	d.Began = d.now
	if len(d.Targets) > 0 && d.Targets[0].Batch == 0 {
		d.enter(Smoke, 0, fmt.Sprintf("lock taken; %d servers, at least %d stay up", d.Size, d.MinUp))
		return true
	}
	d.enter(Rolling, 1, fmt.Sprintf("lock taken; %d servers in %d batches, at least %d stay up", d.Size, d.Batches, d.MinUp))
	return true
}

// seen reports whether the whole site was observed: topology, balancer and every server.
func (d *decider) seen() bool {
	for _, s := range d.obs.Servers {
		if !s.Asked {
			return false
		}
	}
	return d.obs.SiteError == "" && d.obs.BalancerError == "" && len(d.obs.Servers) > 0
}

// activate puts the waiting servers of a batch to work and reports whether any server is still in work.
func (d *decider) activate(batch int) (working bool) {
	for i := range d.Targets {
		t := &d.Targets[i]
		if t.State == Waiting && t.Batch == batch {
			t.State, t.Step, t.Since = Active, PullOut, d.now
		}
		if t.State == Active && t.Step != Hold {
			working = true
		}
	}
	return working
}

// settled starts the judged time of the batch once no server is in work. It returns false while some are.
// A roll over its budget stops at once: what is in work is finished, and no further server is taken.
func (d *decider) settled(batch int) bool {
	if d.overBudget() {
		return false
	}
	if d.activate(batch) || d.loose() {
		d.SettledAt = time.Time{}
		return false
	}
	if d.SettledAt.IsZero() {
		d.SettledAt = d.now
	}
	return true
}

func (d *decider) smokeDone() bool {
	if !d.settled(0) {
		return d.Stage != Smoke
	}
	held := d.inBatch(0, func(t Target) bool { return t.State == Active && t.Step == Hold })
	if held == 0 {
		return d.nothingToBake()
	}
	if !d.judged(0) {
		return d.Stage != Smoke
	}
	d.enter(Baking, 0, "smoke servers passed their tests")
	d.release()
	return true
}

// nothingToBake goes on without a smoke stage when the smoke servers run the revision already, or when a person says so.
func (d *decider) nothingToBake() bool {
	if d.inBatch(0, func(t Target) bool { return t.State == Settled }) == 0 && !d.Accepted {
		d.pause(CauseDoubt, "no smoke server took the revision; bring one back and retry, or resume without the smoke stage")
		return false
	}
	d.enter(Rolling, 1, "no smoke server is left to bake")
	return true
}

// release lets the held smoke servers into rotation.
func (d *decider) release() {
	for i := range d.Targets {
		t := &d.Targets[i]
		if t.State == Active && t.Step == Hold {
			t.Step, t.Since = PullIn, d.now
		}
	}
}

func (d *decider) bakingDone() bool {
	if !d.settled(0) {
		return d.Stage != Baking
	}
	exposed := d.inBatch(0, func(t Target) bool { return t.Exposed && t.State == Settled })
	if d.bakingWeight() > 0 && exposed > 0 && !d.judged(d.Strategy.BakingTime) {
		return d.Stage != Baking
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		if t.Batch == 0 && t.State == Settled && t.Touched && d.bakingWeight() > 0 {
			t.State, t.Step, t.Since = Active, PullIn, d.now // to the full weight
		}
	}
	d.enter(Rolling, 1, "baking passed")
	return true
}

func (d *decider) batchDone() bool {
	if d.Batch > d.Batches {
		d.enter(Watch, d.Batches, "every batch is rolled")
		return true
	}
	if !d.settled(d.Batch) {
		return d.Stage != Rolling
	}
	exposed := d.inBatch(d.Batch, func(t Target) bool { return t.Exposed && t.State == Settled })
	if exposed > 0 && d.Strategy.Pause > 0 && !d.judged(d.Strategy.Pause) {
		return d.Stage != Rolling
	}
	if d.Batch < d.Batches {
		d.enter(Rolling, d.Batch+1, fmt.Sprintf("batch %d of %d passed", d.Batch, d.Batches))
		return true
	}
	d.enter(Watch, d.Batch, "every batch is rolled")
	return true
}

func (d *decider) watchDone() bool {
	if d.inBatch(-1, func(t Target) bool { return t.State == Waiting }) > 0 {
		d.enter(Rolling, d.firstWaiting(), "servers joined or returned: one more batch")
		return true
	}
	if !d.settled(d.Batch) {
		return d.Stage != Watch
	}
	exposed := d.inBatch(-1, func(t Target) bool { return t.Exposed && t.State == Settled })
	if exposed > 0 && d.Strategy.Watch > 0 && !d.judged(d.Strategy.Watch) {
		return d.Stage != Watch
	}
	d.enter(Done, d.Batch, d.summary())
	return true
}

// firstWaiting is the lowest batch that still has to be rolled.
func (d *decider) firstWaiting() int {
	first := d.Batches
	for _, t := range d.Targets {
		if t.State == Waiting {
			first = min(first, t.Batch)
		}
	}
	return first
}

// inBatch counts the targets of a batch (any batch when -1) for which the question is true.
func (d *decider) inBatch(batch int, is func(Target) bool) int {
	n := 0
	for _, t := range d.Targets {
		if (batch < 0 || t.Batch == batch) && is(t) {
			n++
		}
	}
	return n
}

func (d *decider) failures() int {
	return d.inBatch(-1, func(t Target) bool { return t.State == Failed })
}

// overBudget stops the roll when more servers failed than the budget allows. It reports whether the roll was stopped.
func (d *decider) overBudget() bool {
	failed := d.failures() - d.Forgiven
	if d.Emergency || failed <= d.Strategy.FailureBudget {
		return false
	}
	var which []string
	for _, t := range d.Targets {
		if t.State == Failed {
			which = append(which, t.Server+" ("+t.Note+")")
		}
	}
	why := fmt.Sprintf("%d failed, the budget is %d: %s", failed, d.Strategy.FailureBudget, strings.Join(which, "; "))
	if d.Strategy.OnFailure == fleet.OnFailureRollback && d.Kind == Migration {
		d.giveUpMigration(why)
		return true
	}
	if d.Strategy.OnFailure == fleet.OnFailureRollback && d.noWayBack() == "" {
		d.rollBack(why)
		return true
	}
	if d.Kind == Migration {
		d.pause(CauseBudget, why+"; mend it and retry, or revoke it")
		return true
	}
	d.pause(CauseBudget, why+"; retry them, resume without them, or roll back")
	return true
}

// summary says how a finished roll ended: which servers are owed or left out.
func (d *decider) summary() string {
	by := map[TargetState][]string{}
	for _, t := range d.Targets {
		by[t.State] = append(by[t.State], t.Server)
	}
	text := fmt.Sprintf("%d of %d servers", len(by[Settled]), len(d.Targets))
	for _, state := range []TargetState{Failed, Owed, Skipped} {
		if names := by[state]; len(names) > 0 {
			text += fmt.Sprintf("; %s: %s", state, strings.Join(names, ", "))
		}
	}
	return text
}
