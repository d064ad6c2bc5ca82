package pipeline

import (
	"context"
	"errors"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
)

// rescan looks at every followed repository from time to time, and at once after a start, for pushes that nobody told of.
// One repository after the other: there is no hurry.
func (w *Worker) rescan(ctx context.Context, pushed chan<- struct{}) error {
	tick := time.NewTicker(w.Rescan)
	defer tick.Stop()
	for {
		for _, r := range w.Topology().Repositories {
			look, cancel := context.WithTimeoutCause(ctx, fetchPatience, errors.New("the code host gave no answer in time"))
			err := w.rescanOne(look, r)
			cancel()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				w.Log.WithError(err).WithField("repository", r.Name).Warn("look for missed pushes; trying again later")
			}
		}
		nudge(pushed)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (w *Worker) rescanOne(ctx context.Context, r fleet.Repository) error {
	mirror, err := w.Mirror(r)
	if err != nil {
		return err
	}
	// Known first: a push that is taken in meanwhile is then seen as missed, and found to be nothing new.
	known, err := w.Store.Tips(ctx, r.Name)
	if err != nil {
		return err
	}
	if err := mirror.Fetch(ctx); err != nil {
		return err
	}
	tips, err := mirror.Branches()
	if err != nil {
		return err
	}
	deliveries, adopted := Missed(r, w.Topology(), tips, known, w.now())
	for _, d := range deliveries {
		if _, _, err := w.Store.SaveDelivery(ctx, d); err != nil {
			return err
		}
	}
	for _, t := range adopted {
		t.Events = []event.Event{{
			At: w.now(), Actor: event.Railyard, Object: "branch/" + t.Repository + "/" + t.Branch, What: "branch_adopted",
			To: t.NewTip, Why: "the repository has just joined: what was there before is not built",
		}}
		if err := w.Store.TakeIn(ctx, t); err != nil && !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return nil
}
