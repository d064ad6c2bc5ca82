package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// trainDrive is one Train in this replica's hands.
type trainDrive struct {
	*Worker
	log    logrus.FieldLogger
	claim  TrainClaim
	train  Train
	until  time.Time // the lease, by our clock; past it nothing is done
	kicked chan struct{}
	hands  *hands
}

func (w *Worker) claimTrains(ctx context.Context, wg *sync.WaitGroup) {
	if w.Trains == nil {
		return
	}
	asked := w.now()
	claims, err := w.Trains.ClaimTrains(ctx, w.Owner, asked, w.LeaseTTL)
	if err != nil && ctx.Err() == nil {
		w.Log.WithError(err).Warn("claim Trains: the database does not answer; trying again")
	}
	for _, c := range claims {
		w.startTrain(ctx, wg, c, asked)
	}
}

// startTrain drives a Train, as start does a Coach.
func (w *Worker) startTrain(ctx context.Context, wg *sync.WaitGroup, c TrainClaim, asked time.Time) {
	d := &trainDrive{
		Worker: w, claim: c, train: c.Train, log: w.Log.WithField("train", c.Train.ID),
		until: asked.Add(w.LeaseTTL), kicked: make(chan struct{}, 1),
	}
	w.mu.Lock()
	w.trains[c.Train.ID] = d
	w.mu.Unlock()
	wg.Go(func() {
		err := d.run(ctx)
		w.poller.forget(c.Train.ID)
		w.mu.Lock()
		if w.trains[c.Train.ID] == d {
			delete(w.trains, c.Train.ID)
		}
		w.mu.Unlock()
		if err != nil && !errors.Is(err, context.Canceled) {
			d.log.WithError(err).Warn("Train handed over")
		}
	})
}

// run is the loop of one Train: observe → DecideTrain → save → act. It rolls whether Jenkins answers or not: Jenkins is asked beside
// the loop. It returns nil when the Train is closed.
func (d *trainDrive) run(ctx context.Context) error {
	d.hands = newHands(ctx, d.Worker, d.log)
	defer d.hands.end()
	renew := time.NewTicker(d.LeaseTTL / 3)
	defer renew.Stop()
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		next, err := d.step(ctx)
		switch {
		case errors.Is(err, ErrFenced), err == nil && d.train.Closed:
			return err
		case ctx.Err() != nil:
			return d.stop(ctx)
		case err != nil:
			d.log.WithError(err).Warn("nothing is done until the database answers")
			next = time.Second
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
func (d *trainDrive) stop(ctx context.Context) error {
	d.hands.end()
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return errors.Join(ctx.Err(), d.Trains.ReleaseTrain(release, d.claim))
}

// step makes one decision, saves it, and does what it asks. A decision that another one overtook (a Coach that left while its Train departed, a pool or
// a quota that somebody else took) is not saved, and made again.
func (d *trainDrive) step(ctx context.Context) (time.Duration, error) {
	facts, err := d.Trains.TrainFacts(ctx, d.train)
	if err != nil {
		return 0, err
	}
	picture, err := d.pictures.get(ctx)
	if err != nil {
		return 0, err
	}
	if d.now().After(d.until) {
		return time.Second, nil // not ours any more
	}
	d.poller.follow(d.train.ID, d.train.Jobs())
	obs := TrainObservation{TrainFacts: facts, JobFacts: d.hands.seen(d.train.Jobs()), Picture: picture, Topology: d.Topology()}
	decision := DecideTrain(d.train, obs, d.now())
	if decision.Changed {
		if saved, err := d.save(ctx, decision); !saved {
			return 10 * time.Millisecond, err
		}
	}
	if d.now().After(d.until) {
		return time.Second, nil
	}
	for _, a := range decision.Actions {
		d.hands.start(a, whose{id: d.train.ID, parameters: d.train.jobParameters})
	}
	return decision.Wake, nil
}

// save writes a decision. saved is false also without an error, when another decision was faster.
func (d *trainDrive) save(ctx context.Context, decision TrainDecision) (saved bool, err error) {
	err = d.Trains.SaveTrain(ctx, d.claim, decision.Save)
	if errors.Is(err, ErrConflict) {
		d.log.WithError(err).Info("decided on what has changed meanwhile; looking again")
		d.pictures.forget()
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d.train = decision.Train
	for _, r := range decision.Save.Seats {
		d.Kick(r.Coach)
	}
	if len(decision.Save.Hold) > 0 || decision.Save.Free {
		d.pictures.forget()
	}
	return true, nil
}

func (d *trainDrive) renew(ctx context.Context) error {
	now := d.now()
	err := d.Trains.RenewTrain(ctx, d.claim, now, d.LeaseTTL)
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

// pictures keeps what Trains and Coaches have in common for a second, so that any number of them reads it once.
type pictures struct {
	read func(ctx context.Context, now time.Time) (Picture, error)
	now  func() time.Time

	mu   sync.Mutex
	at   time.Time
	last Picture
}

const pictureFresh = time.Second

func (p *pictures) get(ctx context.Context) (Picture, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if age := now.Sub(p.at); age >= 0 && age < pictureFresh {
		return p.last, nil
	}
	if p.read == nil {
		return Picture{}, nil
	}
	read, err := p.read(ctx, now)
	if err != nil {
		return Picture{}, err
	}
	p.last, p.at = read, now
	return read, nil
}

// forget makes the next look a new one.
func (p *pictures) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = time.Time{}
}
