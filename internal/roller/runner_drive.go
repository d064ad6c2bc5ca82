package roller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/verdict"
)

// drive is one roll in this replica's hands.
type drive struct {
	*Runner
	log    logrus.FieldLogger
	claim  Claim
	roll   Roll
	until  time.Time   // the lease, by our clock; past it nothing is done
	braked atomic.Bool // see Runner.Brake
	kicked chan struct{}

	site      OpenSite
	siteError string
	eyes      *eyes // what is observed of the site
	hands     *hands
	verdict   *verdict.Verdict
	asked     time.Time
	answers   chan verdict.Verdict
	asking    bool
	holder    string
	commands  []Command
	heard     time.Time // when the commands were last read
	current   *Revision
	barred    map[string]string
}

func newDrive(r *Runner, c Claim) *drive {
	return &drive{
		Runner: r, claim: c, roll: c.Roll,
		until:   r.now().Add(r.LeaseTTL),
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
		next, err := d.decide(ctx)
		if err != nil || d.roll.Stage.Terminal() {
			return err
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
			d.eyes.sawHost(seen)
			d.eyes.lookAtHosts(d.site)
		case done := <-d.hands.done:
			d.hands.finished(done)
			d.eyes.after(done, d.site)
		case v := <-d.answers:
			d.verdict, d.asking = &v, false
		case <-wake.C:
			d.eyes.lookAtBalancer(d.site)
		}
	}
}

// decide makes one decision, saves it and starts its actions. It returns how long nothing needs to be looked at.
func (d *drive) decide(ctx context.Context) (time.Duration, error) {
	now := d.now()
	obs := d.eyes.observation(d.site, d.siteError)
	obs.LockHolder, obs.Current, obs.Barred = d.holder, d.current, d.barred
	obs.Verdict, obs.Commands = d.verdict, d.commands
	obs.Last, obs.Busy = d.hands.last, d.hands.busy
	decision := Decide(d.roll, obs, now)
	if decision.Changed {
		if err := d.Store.SaveRoll(ctx, d.claim, decision.Save); err != nil {
			if errors.Is(err, ErrFenced) || ctx.Err() != nil {
				return 0, err
			}
			d.log.WithError(err).Warn("save roll: nothing is done until the database answers")
			return time.Second, nil
		}
		d.roll, d.commands = decision.Roll, nil
		if d.roll.Pause == nil && len(decision.Save.Handled) > 0 {
			d.braked.Store(false)
		}
		if d.Saved != nil {
			d.Saved(d.roll)
		}
	}
	if now.After(d.until) || d.braked.Load() {
		return time.Second, nil // not ours any more, or a person said stop
	}
	for _, a := range decision.Actions {
		d.hands.start(a, d.site, d.roll.Strategy.StepTimeout)
	}
	if decision.Asks {
		d.ask(ctx, obs, now)
	}
	return decision.Wake, nil
}

// ask puts the roll's question to the monitor, one at a time.
func (d *drive) ask(ctx context.Context, obs Observation, now time.Time) {
	q, ok := d.roll.Question(obs)
	if !ok || d.asking || now.Sub(d.asked) < judgeEvery {
		return
	}
	d.asking, d.asked = true, now
	go func() {
		v := d.Judge.Judge(ctx, q)
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
	d.heard = now
	site, err := d.Sites.OpenSite(d.roll.Site)
	d.siteError = ""
	if err != nil {
		d.siteError = err.Error()
	} else {
		d.site = site
	}
	d.eyes.lookAtHosts(d.site)
	if commands, err := d.Store.PendingCommands(ctx, d.roll.ID); err == nil {
		d.commands = commands
	} else if ctx.Err() == nil {
		d.log.WithError(err).Warn("read commands: the database does not answer")
	}
	if d.roll.Stage == Queued {
		d.lookAtSite(ctx, now)
	}
}

// lookAtSite reads what only a roll that has not begun needs.
func (d *drive) lookAtSite(ctx context.Context, now time.Time) {
	if err := d.lock(ctx, now); err != nil {
		return
	}
	current, err := d.Store.SiteRevision(ctx, d.roll.Site)
	if err != nil {
		return
	}
	barred, err := d.Store.BarredRevisions(ctx, d.roll.Site)
	if err != nil {
		return
	}
	d.current, d.barred = &current, barred
}

func (d *drive) lock(ctx context.Context, now time.Time) error {
	holder, err := d.Store.LockSite(ctx, d.roll.Site, d.roll.ID, "roll of "+d.roll.Coach, now, 3*d.LeaseTTL)
	if err != nil {
		return fmt.Errorf("lock %s: %w", d.roll.Site, err)
	}
	d.holder = holder
	return nil
}

// renew extends the lease and the lock. Losing the lease ends the drive; a database that does not answer does not, but past
// the lease nothing is done.
func (d *drive) renew(ctx context.Context) error {
	now := d.now()
	err := d.Store.RenewRoll(ctx, d.claim, now, d.LeaseTTL)
	if errors.Is(err, ErrFenced) {
		return err
	}
	if err == nil {
		err = d.lock(ctx, now)
	}
	if err != nil {
		if ctx.Err() == nil {
			d.log.WithError(err).Warn("renew the lease: the database does not answer")
		}
		return nil
	}
	d.until = now.Add(d.LeaseTTL)
	return nil
}

// handOver gives the lease up on a clean stop, so that the next replica (or start) goes on at once.
func (d *drive) handOver() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return d.Store.ReleaseRoll(ctx, d.claim)
}
