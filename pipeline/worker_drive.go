package pipeline

import (
	"context"
	"errors"
	"maps"
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

	triggered map[string]Triggered
	told      map[string]Telling
}

func newDrive(w *Worker, c Claim) *drive {
	return &drive{
		Worker: w, claim: c, coach: c.Coach, log: w.Log.WithField("coach", c.Coach.ID),
		until: w.now().Add(w.LeaseTTL), kicked: make(chan struct{}, 1),
		triggered: map[string]Triggered{}, told: map[string]Telling{},
	}
}

// run is the loop of one Coach: observe → Decide → save → act. It returns nil when the Coach is closed.
func (d *drive) run(ctx context.Context) error {
	renew := time.NewTicker(d.LeaseTTL / 3)
	defer renew.Stop()
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		next, err := d.step(ctx)
		if err != nil || d.coach.Closed {
			return err
		}
		wake.Reset(next)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), d.handOver())
		case <-d.kicked:
		case <-wake.C:
		case <-renew.C:
			if err := d.renew(ctx); err != nil {
				return err
			}
		}
	}
}

// step makes one decision, saves it, and does what it asks.
func (d *drive) step(ctx context.Context) (time.Duration, error) {
	facts, err := d.Store.Facts(ctx, d.coach)
	if err != nil {
		return d.waitForStore(ctx, "read facts", err)
	}
	d.poller.follow(d.coach)
	obs := Observation{
		Facts: facts, Topology: d.Topology(), Builds: d.poller.known(d.coach),
		Triggered: maps.Clone(d.triggered), Told: maps.Clone(d.told),
	}
	now := d.now()
	decision := Decide(d.coach, obs, now)
	if decision.Changed {
		if err := d.Store.SaveCoach(ctx, d.claim, decision.Save); err != nil {
			return d.waitForStore(ctx, "save coach", err)
		}
		d.coach = decision.Coach
	}
	if now.After(d.until) {
		return time.Second, nil // not ours any more
	}
	for _, a := range decision.Actions {
		d.act(ctx, a)
	}
	if len(decision.Actions) > 0 {
		return time.Millisecond, nil // there is something new to look at
	}
	return decision.Wake, nil
}

// waitForStore ends the drive when the Coach was lost, and otherwise lets it try again.
func (d *drive) waitForStore(ctx context.Context, what string, err error) (time.Duration, error) {
	if errors.Is(err, ErrFenced) || ctx.Err() != nil {
		return 0, err
	}
	d.log.WithError(err).Warnf("%s: nothing is done until the database answers", what)
	return time.Second, nil
}

func (d *drive) act(ctx context.Context, a Action) {
	ctx, cancel := context.WithTimeoutCause(ctx, jenkinsPatience, errors.New("Jenkins gave no answer in time"))
	defer cancel()
	switch a.Kind {
	case ActTell:
		said := Telling{Text: a.Text}
		if err := d.Jenkins.Tell(ctx, a.Build.Controller, a.Build.Job, a.Build.Number, a.Text); err != nil {
			said.Err = err.Error()
			d.log.WithError(err).Warn("tell Jenkins; trying again")
		}
		said.At = d.now()
		d.told[a.Build.Deployment] = said
	case ActTrigger, ActEnsure:
		result := d.trigger(ctx, a)
		if result.Err != "" {
			d.log.WithField("build", a.Build.Deployment).Warn("trigger build; trying again: " + result.Err)
		}
		d.triggered[a.Build.Deployment] = result
	}
}

// trigger starts the build; after a try whose end is unknown, only when Jenkins does not have it already.
func (d *drive) trigger(ctx context.Context, a Action) Triggered {
	repo, ok := d.Topology().Repository(d.coach.Repository)
	if !ok {
		return Triggered{At: d.now(), Err: "repository " + d.coach.Repository + " is no longer in the topology", Refused: true}
	}
	if a.Kind == ActEnsure {
		fact, err := d.Jenkins.Find(ctx, a.Build.Controller, a.Build.Job, a.Build.Deployment)
		if err == nil && fact.Known {
			return Triggered{At: d.now(), QueueID: fact.QueueID}
		}
		if err != nil {
			return Triggered{At: d.now(), Err: err.Error(), Refused: errors.Is(err, ErrRefused)}
		}
	}
	queueID, err := d.Jenkins.Trigger(ctx, a.Build.Controller, a.Build.Job, parameters(d.coach, a.Build, repo))
	if err != nil {
		return Triggered{At: d.now(), Err: err.Error(), Refused: errors.Is(err, ErrRefused)}
	}
	return Triggered{At: d.now(), QueueID: queueID}
}

const jenkinsPatience = 15 * time.Second

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

// handOver gives the lease up on a clean stop, so that the next replica (or start) goes on at once.
func (d *drive) handOver() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return d.Store.ReleaseCoach(ctx, d.claim)
}
