package roller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/verdict"
)

// drive is one roll in this replica's hands.
type drive struct {
	*Runner
	log      logrus.FieldLogger
	claim    Claim
	roll     Roll
	until    time.Time    // the lease, by our clock; past it nothing is done
	listened time.Time    // when the commands were asked for that were read last
	braked   atomic.Int64 // see Runner.Brake: since when, in Unix microseconds; 0 = not
	kicked   chan struct{}

	site      OpenSite
	siteError string
	since     time.Time // see Observation.Since
	eyes      *eyes     // what is observed of the site
	hands     *hands
	verdict   *verdict.Verdict
	asked     time.Time
	answers   chan verdict.Verdict
	asking    bool
	holder    LockHolder
	unsaved   *Decision // of which it is not known whether it was saved
	commands  []Command
	heard     time.Time // when the commands were last asked for
	current   *Revision
	barred    map[string]string
}

const (
	storePatience = 2 * time.Second  // a database that takes longer does not answer
	judgePatience = 30 * time.Second // a monitor that takes longer does not answer
	brakeTime     = 2 * time.Second  // a stored brake takes effect within it, or the commands cannot be read and nothing is done
)

var errStorePatience = errors.New("the database gave no answer in time")

func newDrive(r *Runner, c Claim, asked time.Time) *drive {
	return &drive{
		Runner: r, claim: c, roll: c.Roll,
		until: asked.Add(r.LeaseTTL), since: r.now(),
		log:     r.Log.WithFields(logrus.Fields{"roll": c.Roll.ID, "site": c.Roll.Site.String()}),
		kicked:  make(chan struct{}, 1),
		answers: make(chan verdict.Verdict, 1),
	}
}

func (d *drive) kick() {
	select {
	case d.kicked <- struct{}{}:
	default:
	}
}

// run is the loop of one roll. It returns nil when the roll ended, ErrFenced when it was lost, ctx's error on a clean stop.
func (d *drive) run(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	d.eyes = newEyes(work, d.now)
	d.hands = newHands(work, d.now)
	renew := time.NewTicker(d.LeaseTTL / 3)
	defer renew.Stop()
	if err := d.renew(ctx); err != nil {
		return err
	}
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		d.look(ctx)
		next, err := d.decide(work)
		if ctx.Err() != nil && !d.roll.Stage.Terminal() {
			return errors.Join(ctx.Err(), d.handOver())
		}
		if err != nil || d.roll.Stage.Terminal() {
			return err
		}
		if d.now().Sub(d.eyes.lookingSince) >= next {
			d.eyes.lookAtBalancer(d.site) // also when other news keeps the timer from ever ringing
		}
		wake.Reset(next)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), d.handOver())
		case <-renew.C:
			if err := d.renew(ctx); err != nil {
				return err
			}
		case <-d.kicked:
			d.heard = time.Time{}
		case seen := <-d.eyes.balancer:
			d.eyes.sawBalancer(seen)
		case seen := <-d.eyes.host:
			d.eyes.sawHost(seen, d.site)
			d.eyes.lookAtHosts(d.site, d.refresh())
		case done := <-d.hands.done:
			d.hands.finished(done)
			d.eyes.after(done, d.site)
		case v := <-d.answers:
			brief := v.Brief()
			d.verdict, d.asking = &brief, false
		case <-wake.C:
		}
	}
}

// decide makes one decision, saves it and starts its actions. It returns how long nothing needs to be looked at.
func (d *drive) decide(ctx context.Context) (time.Duration, error) {
	if d.unsaved != nil {
		if saved, err := d.save(ctx, *d.unsaved); !saved {
			return time.Second, err
		}
	}
	now := d.now()
	obs := d.observation()
	decision := Decide(d.roll, obs, now)
	if decision.Changed {
		if saved, err := d.save(ctx, decision); !saved {
			return time.Second, err
		}
	}
	if decision.Asks && !d.roll.Stage.Terminal() {
		d.ask(ctx, obs, decision.AskedBy, now)
	}
	for _, a := range decision.Actions {
		if d.mayAct() {
			d.hands.start(a, d.site, d.roll.Strategy.StepTimeout)
		}
	}
	return decision.Wake, nil
}

func (d *drive) observation() Observation {
	obs := d.eyes.observation(d.site, d.siteError)
	switch {
	case d.roll.Balanced && d.site.Balancer == nil && d.siteError == "":
		obs.BalancerError = "the topology names no balancer for the site any more"
	case !d.roll.Balanced && d.site.Balancer != nil:
		obs.SiteError = "the site got a balancer after the roll was made; revoke the roll and make it again"
	}
	obs.LockHolder, obs.LockSite, obs.Current, obs.Barred = d.holder.Roll, d.holder.Site, d.current, d.barred
	obs.Verdict, obs.Commands = d.verdict, d.commands
	obs.Last, obs.Busy = d.hands.last, d.hands.busy
	obs.Since, obs.Braked = d.since, d.braked.Load() != 0
	obs.flipped = d.flipped
	return obs
}

// mayAct reports whether a new action may start: the lease and the site's lock are ours, nobody braked here, and if somebody
// braked elsewhere, it was not more than a moment ago.
func (d *drive) mayAct() bool {
	now := d.now()
	return now.Before(d.until) && d.holder.Roll == d.roll.ID && now.Sub(d.listened) <= brakeTime && d.braked.Load() == 0
}

// save writes a decision and makes its state ours. When it is not known whether the database took it, the same decision is
// written again before any other is made: another one could differ in what the first, if it was taken, has done already.
func (d *drive) save(ctx context.Context, decision Decision) (saved bool, err error) {
	call, cancel := d.patience(ctx)
	defer cancel()
	err = d.Store.SaveRoll(call, d.claim, decision.Save)
	if errors.Is(err, ErrFenced) || (err != nil && ctx.Err() != nil) {
		return false, err
	}
	if err != nil {
		d.unsaved = &decision
		d.log.WithError(err).Warn("save roll: nothing is done until the database answers")
		return false, nil
	}
	d.unsaved, d.roll = nil, decision.Roll
	d.releaseBrake(decision.Save.Handled)
	d.commands = slices.DeleteFunc(d.commands, func(c Command) bool { return slices.Contains(decision.Save.Handled, c.ID) })
	if d.Saved != nil {
		d.Saved(d.roll)
	}
	return true, nil
}

// releaseBrake ends the brake in memory: the stored one takes over, or a person let go after it.
func (d *drive) releaseBrake(handled []int64) {
	since := d.braked.Load()
	for _, c := range d.commands {
		if since == 0 || !slices.Contains(handled, c.ID) {
			continue
		}
		letsGo := c.Kind != CmdRetry && c.Kind != CmdSkip && c.At.UnixMicro() >= since
		if c.Kind == CmdBrake || letsGo {
			d.braked.CompareAndSwap(since, 0)
			d.since = d.now()
			return
		}
	}
}

// patience bounds one call of the database.
func (d *drive) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, storePatience, errStorePatience)
}

// ask puts the roll's question to the monitor, one at a time and not too often, but at once when the answer before does not
// count any more.
func (d *drive) ask(ctx context.Context, obs Observation, by, now time.Time) {
	q, ok := d.roll.Question(obs)
	if !ok || (d.asking && now.Sub(d.asked) < judgePatience) || (now.Sub(d.asked) < judgeEvery && !d.asked.Before(by)) {
		return
	}
	d.asking, d.asked = true, now
	go func() {
		call, cancel := context.WithTimeout(ctx, judgePatience)
		defer cancel()
		v := d.Judge.Judge(call, q)
		select {
		case d.answers <- v:
		case <-ctx.Done():
		}
	}()
}

// look reads what the store and the topology say, at most once a second.
func (d *drive) look(ctx context.Context) {
	now := d.now()
	if now.Sub(d.heard) < time.Second {
		return
	}
	defer func() { d.heard = d.now() }() // a slow database leaves time for everything else
	site, err := d.Sites.OpenSite(d.roll.Site)
	d.siteError = ""
	if err != nil {
		d.siteError = err.Error()
	} else {
		d.site = site
	}
	d.eyes.lookAtHosts(d.site, d.refresh())
	call, cancel := d.patience(ctx)
	defer cancel()
	if commands, err := d.Store.PendingCommands(call, d.roll.ID); err == nil {
		d.commands, d.listened = commands, now
	} else if ctx.Err() == nil {
		d.log.WithError(err).Warn("read commands: the database does not answer")
		return
	}
	if d.roll.Stage == Queued {
		d.lookAtSite(ctx, now)
	}
}

// refresh is how often servers are asked anew what they run, 0 = not: where no balancer tells who is well, and on the way
// back, where a late order of a process before could bring the bad revision again.
func (d *drive) refresh() time.Duration {
	if !d.roll.Balanced || d.roll.Stage == RollingBack {
		return hostAgain
	}
	return 0
}

// lookAtSite reads what only a roll that has not begun needs.
func (d *drive) lookAtSite(ctx context.Context, now time.Time) {
	if err := d.lock(ctx, now); err != nil {
		return
	}
	call, cancel := d.patience(ctx)
	defer cancel()
	current, err := d.Store.SiteRevision(call, d.roll.Site)
	if err != nil {
		return
	}
	barred, err := d.Store.BarredRevisions(call, d.roll.Site)
	if err != nil {
		return
	}
	d.current, d.barred = &current, barred
}

func (d *drive) lock(ctx context.Context, now time.Time) error {
	call, cancel := d.patience(ctx)
	defer cancel()
	holder, err := d.Store.LockSites(call, d.roll.Locks(), d.roll.ID, d.roll.Purpose(), now, 3*d.LeaseTTL)
	if err != nil {
		return fmt.Errorf("lock %s: %w", d.roll.Site, err)
	}
	if holder.Roll == d.roll.ID && d.holder.Roll != d.roll.ID && d.roll.Stage == Queued {
		d.forget()
	}
	d.holder = holder
	return nil
}

// forget drops what was seen of the site before its lock was ours: the roll that held it may have changed everything.
func (d *drive) forget() {
	d.current, d.barred, d.heard = nil, nil, time.Time{}
	d.eyes.forget()
	d.eyes.lookAtHosts(d.site, d.refresh())
}

// renew extends the lease and the lock. Losing the lease ends the drive; a database that does not answer does not, but past
// the lease nothing is done.
func (d *drive) renew(ctx context.Context) error {
	now := d.now()
	call, cancel := d.patience(ctx)
	defer cancel()
	err := d.Store.RenewRoll(call, d.claim, now, d.LeaseTTL)
	if errors.Is(err, ErrFenced) {
		return err
	}
	if err == nil {
		d.until = now.Add(d.LeaseTTL)
		err = d.lock(ctx, now)
	}
	if err != nil && ctx.Err() == nil {
		d.log.WithError(err).Warn("renew the lease: the database does not answer")
	}
	return nil
}

// handOver gives the lease up on a clean stop, so that the next replica (or start) goes on at once.
func (d *drive) handOver() error {
	ctx, cancel := d.patience(context.Background())
	defer cancel()
	return d.Store.ReleaseRoll(ctx, d.claim)
}
