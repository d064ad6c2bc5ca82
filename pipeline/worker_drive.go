package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/rop"
)

// drive is one Coach in this replica's hands.
type drive struct {
	*Worker
	log    logrus.FieldLogger
	claim  Claim
	coach  rop.Coach
	until  time.Time // the lease, by our clock; past it nothing is done
	kicked chan struct{}
	hands  *hands
}

func newDrive(w *Worker, c Claim, asked time.Time) *drive {
	return &drive{
		Worker: w, claim: c, coach: c.Coach, log: w.Log.WithField("coach", c.Coach.ID),
		until: asked.Add(w.LeaseTTL), kicked: make(chan struct{}, 1),
	}
}

// run is the loop of one Coach: observe → Decide → save → act. It returns nil when the Coach is closed and given up. What Jenkins is asked
// runs beside it, so that a Jenkins that hangs keeps the Coach neither from its lease nor from people's commands.
func (d *drive) run(ctx context.Context) error {
	d.hands = newHands(ctx, d.Worker, d.log)
	defer d.hands.end()
	renew := time.NewTicker(d.LeaseTTL / 3)
	defer renew.Stop()
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		next, err := d.step(ctx)
		switch {
		case errors.Is(err, ErrFenced):
			return err
		case err == nil && d.coach.Closed:
			return d.release(ctx) // so that an order to go back need not wait for the lease
		case ctx.Err() != nil:
			return d.stop(ctx)
		case err != nil:
			return err
		}
		wake.Reset(next)
		select {
		case <-ctx.Done():
			return d.stop(ctx)
		case <-d.kicked:
		case done := <-d.hands.done:
			d.hands.finished(done)
		case <-wake.C:
		case <-renew.C:
			if err := d.renew(ctx); err != nil {
				return err
			}
		}
	}
}

// stop ends what is under way and gives the lease up, so that the next replica (or start) goes on at once.
func (d *drive) stop(ctx context.Context) error {
	d.hands.end()
	return errors.Join(ctx.Err(), d.release(ctx))
}

func (d *drive) release(ctx context.Context) error {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return d.Store.ReleaseCoach(call, d.claim)
}

// step makes one decision, saves it, and does what it asks.
func (d *drive) step(ctx context.Context) (time.Duration, error) {
	facts, err := d.Store.Facts(ctx, d.coach)
	if err != nil {
		return d.waitForStore(ctx, "read facts", err)
	}
	picture, err := d.pictures.get(ctx)
	if err != nil {
		return d.waitForStore(ctx, "read what runs", err)
	}
	d.poller.follow(d.coach.ID, d.coach.Builds)
	obs := Observation{
		Facts: facts, Picture: picture, Topology: d.Topology(), JobFacts: d.hands.seen(d.coach.Builds), Marked: d.hands.marked,
	}
	if repo, ok := obs.Topology.Repository(d.coach.Repository); ok && d.Statuses != nil {
		obs.Marks = d.Statuses.Marks(repo)
	}
	now := d.now()
	decision := Decide(d.coach, obs, now)
	if decision.Changed {
		if err := d.Store.SaveCoach(ctx, d.claim, decision.Save); err != nil {
			return d.waitForStore(ctx, "save coach", err)
		}
		d.coach = decision.Coach
	}
	if d.now().After(d.until) { // asked anew: the save may have taken its time
		return time.Second, nil // not ours any more
	}
	for _, a := range decision.Actions {
		d.hands.start(a, d.whose())
	}
	return decision.Wake, nil
}

// whose says for whom the hands ask.
func (d *drive) whose() whose {
	c := d.coach
	return whose{id: c.ID, coach: c, parameters: func(b rop.Build) (map[string]string, error) {
		repo, ok := d.Topology().Repository(c.Repository)
		if !ok {
			return nil, fmt.Errorf("repository %s is no longer in the topology: %w", c.Repository, ErrRefused)
		}
		return parameters(c, b, repo), nil
	}}
}

// waitForStore ends the drive when the Coach was lost, and otherwise lets it try again.
func (d *drive) waitForStore(ctx context.Context, what string, err error) (time.Duration, error) {
	if errors.Is(err, ErrFenced) || ctx.Err() != nil {
		return 0, err
	}
	if errors.Is(err, ErrConflict) { // a Train departed, or somebody else took what this one wanted: decide again on what is true now
		d.log.WithError(err).Info(what)
		d.pictures.forget()
		return 50 * time.Millisecond, nil
	}
	d.log.WithError(err).Warnf("%s: nothing is done until the database answers", what)
	return time.Second, nil
}

func (d *drive) renew(ctx context.Context) error {
	now := d.now()
	err := d.Store.RenewCoach(ctx, d.claim, now, d.LeaseTTL)
	switch {
	case errors.Is(err, ErrFenced):
		return err
	case err == nil:
		d.until = now.Add(d.LeaseTTL)
	case ctx.Err() == nil:
		d.log.WithError(err).Warn("renew the lease: the database does not answer")
	}
	return nil
}
