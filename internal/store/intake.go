package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"railyard/internal/event"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// SaveDelivery keeps an accepted webhook before it is answered, synced to disk. A delivery whose provider and key are known
// changes nothing: duplicate is true and id is the first one's. A push that moved several branches is one delivery for
// each, their keys told apart by the caller. errors.Is: ErrTooLong.
func (s *Store) SaveDelivery(ctx context.Context, d pipeline.Delivery, events ...event.Event) (id int64, duplicate bool, err error) {
	what := fmt.Sprintf("save delivery %s/%s", d.Provider, d.Key)
	if err := errors.Join(
		fits(64, given{"the provider", d.Provider}, given{"the commit", d.After}),
		fits(255, given{"the delivery id", d.Key}, given{"the repository", d.Repository}, given{"the branch", d.Branch}, given{"the pusher", d.Pusher})); err != nil {
		return 0, false, fmt.Errorf("%s: %w", what, err)
	}
	d.Provider, d.Key = clean(d.Provider), clean(d.Key)
	err = s.write(ctx, fact, what, func(t *tx) error {
		var err error
		id, err = t.InsertDelivery(ctx, db.InsertDeliveryParams{Provider: d.Provider, DeliveryKey: d.Key, Repository: clean(d.Repository),
			Branch: clean(d.Branch), AfterCommit: clean(d.After), Pusher: clean(d.Pusher), At: micros(d.At), Tries: int64(d.Tries),
			RetryAt: micros(d.RetryAt), Note: clean(d.Note)})
		if duplicate = err != nil && t.engine.unique(err); duplicate {
			id, err = t.DeliveryID(ctx, db.DeliveryIDParams{Provider: d.Provider, DeliveryKey: d.Key})
			return err
		}
		t.events = append(t.events, events...)
		return err
	})
	return id, duplicate, err
}

// PendingDeliveries implements pipeline.Store.
func (s *Store) PendingDeliveries(ctx context.Context, now time.Time, most int) ([]pipeline.Delivery, error) {
	rows, err := s.read().PendingDeliveries(ctx, db.PendingDeliveriesParams{Now: micros(now), Limit: limit(most)})
	if err != nil {
		return nil, fmt.Errorf("read pending deliveries: %w", err)
	}
	deliveries := make([]pipeline.Delivery, len(rows))
	for i, r := range rows {
		deliveries[i] = pipeline.Delivery{ID: r.ID, Provider: r.Provider, Key: r.DeliveryKey, Repository: r.Repository, Branch: r.Branch,
			After: r.AfterCommit, Pusher: r.Pusher, At: moment(r.At), Tries: int(r.Tries), RetryAt: moment(r.RetryAt), Note: r.Note}
	}
	return deliveries, nil
}

// PutOffDelivery implements pipeline.Store. It raises the delivery's number of tries. errors.Is: pipeline.ErrNotFound.
func (s *Store) PutOffDelivery(ctx context.Context, id int64, note string, retryAt time.Time) error {
	return s.write(ctx, progress, fmt.Sprintf("put off delivery %d", id), func(t *tx) error {
		n, err := t.PutOffDelivery(ctx, db.PutOffDeliveryParams{Note: clean(note), RetryAt: micros(retryAt), ID: id})
		if err == nil && n == 0 {
			err = pipeline.ErrNotFound
		}
		return err
	})
}

// Tip implements pipeline.Store.
func (s *Store) Tip(ctx context.Context, repository, branch string) (string, error) {
	tip, err := s.read().Tip(ctx, db.TipParams{Repository: repository, Branch: branch})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read the tip of %s %s: %w", repository, branch, err)
	}
	return tip, nil
}

// Tips implements pipeline.Store.
func (s *Store) Tips(ctx context.Context, repository string) (map[string]string, error) {
	rows, err := s.read().Tips(ctx, repository)
	if err != nil {
		return nil, fmt.Errorf("read the tips of %s: %w", repository, err)
	}
	tips := make(map[string]string, len(rows))
	for _, r := range rows {
		tips[r.Branch] = r.Tip
	}
	return tips, nil
}

// TakeIn implements pipeline.Store. It is a conflict, too, when a delivery was processed meanwhile or the Coach's id is
// taken.
func (s *Store) TakeIn(ctx context.Context, in pipeline.TakeIn) error {
	return s.write(ctx, fact, fmt.Sprintf("take in %s %s at %.12s", in.Repository, in.Branch, in.NewTip), func(t *tx) error {
		if err := t.moveTip(ctx, in); err != nil {
			return err
		}
		if n := len(in.Deliveries); n > 0 {
			done, err := t.FinishDeliveries(ctx, in.Deliveries)
			if err != nil {
				return err
			}
			if done != int64(n) {
				return fmt.Errorf("%d of %d deliveries were processed already: %w", int64(n)-done, n, pipeline.ErrConflict)
			}
		}
		if in.Coach != nil {
			if err := t.insertCoach(ctx, *in.Coach); err != nil {
				return err
			}
			if err := t.SetTipCoach(ctx, db.SetTipCoachParams{Coach: in.Coach.ID, Repository: in.Repository, Branch: in.Branch}); err != nil {
				return err
			}
		}
		t.events = append(t.events, in.Events...)
		return t.tellNewest(ctx, in.Command)
	})
}

// tellNewest keeps a command to the branch's newest Coach, unless that one has ended.
func (t *tx) tellNewest(ctx context.Context, c *pipeline.Command) error {
	if c == nil {
		return nil
	}
	ended, err := t.CoachTerminal(ctx, c.Coach)
	if err != nil || ended {
		return err
	}
	_, err = t.insertCoachCommand(ctx, *c)
	return err
}

func (t *tx) moveTip(ctx context.Context, in pipeline.TakeIn) error {
	moved, err := t.MoveTip(ctx, db.MoveTipParams{NewTip: in.NewTip, Repository: in.Repository, Branch: in.Branch, OldTip: in.OldTip})
	if err != nil || moved == 1 {
		return err
	}
	conflict := fmt.Errorf("its tip is no longer %q: %w", in.OldTip, pipeline.ErrConflict)
	if in.OldTip != "" {
		return conflict
	}
	err = t.InsertTip(ctx, db.InsertTipParams{Repository: in.Repository, Branch: in.Branch, Tip: in.NewTip})
	if err != nil && t.engine.unique(err) {
		return conflict
	}
	return err
}
