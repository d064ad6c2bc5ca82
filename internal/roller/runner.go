package roller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Runner drives every roll this replica holds: observe → Decide → save → act. It owns no rule. One goroutine per roll owns
// that roll's state; actions and observations run beside it and report to it, so a server, a balancer or a source that
// hangs never keeps the roll from hearing a person's command.
type Runner struct {
	Store    Store
	Sites    Sites
	Judge    Judge
	Log      logrus.FieldLogger
	Owner    string           // this replica's name, unique per process: "host-4711-9f3a"
	LeaseTTL time.Duration    // default 10s
	Now      func() time.Time // default time.Now
	// Saved, if set, is called after each saved decision, so that whoever waits for the roll can look. It must not block.
	Saved func(Roll)

	flipped rule // set by tests only

	mu    sync.Mutex
	rolls map[string]*drive
}

// Run claims and drives rolls until ctx ends, then gives its leases up. It looks for new work every second and whenever
// there may be some.
func (r *Runner) Run(ctx context.Context, news <-chan struct{}) error {
	r.defaults()
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		asked := r.now()
		claims, err := r.claim(ctx, asked)
		if err != nil && ctx.Err() == nil {
			r.Log.WithError(err).Warn("claim rolls: the database does not answer; trying again")
		}
		for _, c := range claims {
			r.start(ctx, &wg, c, asked)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		case <-tick.C:
		}
	}
}

func (r *Runner) defaults() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rolls == nil {
		r.rolls = map[string]*drive{}
	}
	if r.LeaseTTL == 0 {
		r.LeaseTTL = 10 * time.Second
	}
	if r.Now == nil {
		r.Now = time.Now
	}
}

// now is the time all decisions and rows of this replica use: UTC, microseconds, no monotonic part, as the store keeps it.
func (r *Runner) now() time.Time { return r.Now().UTC().Truncate(time.Microsecond) }

// claim takes new work. It is given up before the first lease it took would be over.
func (r *Runner) claim(ctx context.Context, now time.Time) ([]Claim, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.LeaseTTL/2, errStorePatience)
	defer cancel()
	return r.Store.ClaimRolls(ctx, r.Owner, now, r.LeaseTTL)
}

// start drives a roll that was claimed by a call made at the given time. A brake that could not be stored yet holds on when
// this process claims the roll anew.
func (r *Runner) start(ctx context.Context, wg *sync.WaitGroup, c Claim, asked time.Time) {
	d := newDrive(r, c, asked)
	r.mu.Lock()
	if before := r.rolls[c.Roll.ID]; before != nil {
		d.braked.Store(before.braked.Load())
	}
	r.rolls[c.Roll.ID] = d
	r.mu.Unlock()
	wg.Go(func() {
		err := d.run(ctx)
		r.mu.Lock()
		if r.rolls[c.Roll.ID] == d {
			delete(r.rolls, c.Roll.ID)
		}
		r.mu.Unlock()
		if err != nil && !errors.Is(err, context.Canceled) {
			d.log.WithError(err).Warn("roll handed over")
		}
	})
}

// Kick makes the roll read its commands now. It does nothing when another replica drives it (that one polls).
func (r *Runner) Kick(roll string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.rolls[roll]; d != nil {
		d.kick()
	}
}

// Brake stops new actions of the roll at once, in memory, before and even without the database. The stored command that
// follows makes it a pause that survives; a resume or a rollback asked for later ends it. It does nothing when another
// replica drives the roll: that one reads the stored command within a second.
func (r *Runner) Brake(roll string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.rolls[roll]; d != nil {
		d.braked.Store(r.Now().UnixMicro())
	}
}
