package store

import (
	"context"
	"fmt"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// AddOverride keeps that a person overrode a freeze for a Coach or a Train. errors.Is: pipeline.ErrConflict when the same
// person did before: a second one is needed.
func (s *Store) AddOverride(ctx context.Context, o ar.Override, events ...event.Event) error {
	return s.write(ctx, fact, fmt.Sprintf("override freeze %s for %s", o.Freeze, o.Object), func(t *tx) error {
		t.events = append(t.events, events...)
		err := t.InsertOverride(ctx, db.InsertOverrideParams{Object: o.Object, Freeze: o.Freeze, Actor: clean(o.Actor), Reason: clean(o.Reason), At: micros(o.At)})
		return t.taken(err, o.Actor+" has overridden it already, and a second person must")
	})
}

// Overrides are those of one Coach or Train, oldest first.
func (s *Store) Overrides(ctx context.Context, object string) ([]ar.Override, error) {
	overrides, err := overridesOf(ctx, s.read(), object)
	if err != nil {
		return nil, fmt.Errorf("read the overrides for %s: %w", object, err)
	}
	return overrides, nil
}

func overridesOf(ctx context.Context, q *db.Queries, object string) (overrides []ar.Override, err error) {
	rows, err := q.OverridesOf(ctx, object)
	for _, r := range rows {
		overrides = append(overrides, ar.Override{Object: r.Object, Freeze: r.Freeze, Actor: r.Actor, Reason: r.Reason, At: moment(r.At)})
	}
	return overrides, err
}

var _ pipeline.TrainStore = (*Store)(nil)
