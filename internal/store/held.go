package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/pipeline"
)

// AddHeldRoll keeps a roll that was planned by what its site runs (its From) and takes its locks for it, in one
// transaction: nothing changes the site between the plan and the start. errors.Is: pipeline.ErrConflict when another roll
// holds the site, when it runs another revision by now, or when the roll's id is taken.
func (s *Store) AddHeldRoll(ctx context.Context, r roller.Roll, ttl time.Duration, events ...event.Event) error {
	for {
		err := s.write(ctx, fact, "add roll "+r.ID, func(t *tx) error {
			holder, err := t.lockSites(ctx, r.Locks(), r.ID, r.Purpose(), r.Created, ttl)
			if err != nil {
				return err
			}
			if holder.Roll != r.ID {
				return fmt.Errorf("site %s is held by roll %s: try again when it has ended: %w", holder.Site, holder.Roll, pipeline.ErrConflict)
			}
			now, err := belief(ctx, t.Queries, r.Site)
			if err != nil {
				return err
			}
			if now.Revision.ID != r.From.ID {
				return fmt.Errorf("site %s went from %q to %q meanwhile: look at it, and ask again: %w", r.Site, r.From.ID, now.Revision.ID, pipeline.ErrConflict)
			}
			t.events = append(t.events, events...)
			return t.insertRoll(ctx, r)
		})
		if !errors.Is(err, errAgain) || ctx.Err() != nil {
			return err
		}
	}
}
