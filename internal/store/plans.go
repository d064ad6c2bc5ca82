package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"railyard/internal/rop"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// planFacts reads what other plans hold, as long as the Coach's plan has not passed: afterwards nothing is decided by it.
func planFacts(ctx context.Context, q *db.Queries, c rop.Coach, into *pipeline.Facts) error {
	waiting := c.ROP.State == rop.PlanDraft || c.ROP.State == rop.PlanSubmitted || c.ROP.State == ""
	if !waiting || c.State == rop.Building || len(c.Plan.Apps) == 0 {
		return nil
	}
	holders, err := q.AppHolders(ctx, c.Plan.Apps)
	if err != nil {
		return err
	}
	for _, h := range holders {
		if into.Holders == nil {
			into.Holders = map[string]string{}
		}
		into.Holders[h.App] = h.Plan
	}
	capacities := capacitiesOf(c.Plan.Bookings)
	if len(capacities) == 0 {
		return nil
	}
	turns, err := q.CapacityTurns(ctx, capacities)
	if err != nil {
		return err
	}
	into.Turns = map[string]int64{}
	for _, t := range turns {
		into.Turns[t.Capacity] = t.Turn
	}
	rows, err := q.BookingsOf(ctx, capacities)
	for _, r := range rows {
		into.Booked = append(into.Booked, rop.Booked{Plan: r.Plan, Capacity: r.Capacity, Servers: int(r.Servers), From: moment(r.FromAt), To: moment(r.ToAt)})
	}
	return err
}

func capacitiesOf(bookings []rop.Booking) (names []string) {
	for _, b := range bookings {
		names = append(names, b.Capacity)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// reserve lets a plan hold its apps and bookings. pipeline.ErrConflict when another plan holds one of the apps, or has booked
// of the same stock since the decision's facts were read.
func (t *tx) reserve(ctx context.Context, r rop.Reserved, now time.Time) error {
	for _, capacity := range capacitiesOf(r.Bookings) {
		if err := t.takeTurn(ctx, capacity, r.Turns[capacity]); err != nil {
			return err
		}
	}
	if err := t.holdApps(ctx, r); err != nil {
		return err
	}
	if err := t.DropBookings(ctx, r.Plan); err != nil { // those of an earlier candidate
		return err
	}
	if len(r.Bookings) > 0 {
		if err := t.DropPastBookings(ctx, micros(now)); err != nil {
			return err
		}
	}
	for _, b := range r.Bookings {
		err := t.InsertBooking(ctx, db.InsertBookingParams{Plan: r.Plan, Capacity: b.Capacity, Servers: int64(b.Servers),
			FromAt: micros(b.Window.From.Time), ToAt: micros(b.Window.To.Time)})
		if err != nil {
			return err
		}
	}
	return nil
}

// takeTurn makes this the only booking of the stock that was decided on the given turn.
func (t *tx) takeTurn(ctx context.Context, capacity string, turn int64) error {
	taken, err := t.TakeCapacityTurn(ctx, db.TakeCapacityTurnParams{Capacity: capacity, Turn: turn})
	if err != nil || taken == 1 {
		return err
	}
	conflict := fmt.Errorf("another plan has booked of %s meanwhile: %w", capacity, pipeline.ErrConflict)
	if turn != 0 {
		return conflict
	}
	err = t.FirstCapacityTurn(ctx, capacity)
	if err != nil && t.engine.unique(err) {
		return conflict
	}
	return err
}

func (t *tx) holdApps(ctx context.Context, r rop.Reserved) error {
	if len(r.Apps) == 0 {
		return nil
	}
	holders, err := t.AppHolders(ctx, r.Apps)
	if err != nil {
		return err
	}
	held := map[string]string{}
	for _, h := range holders {
		held[h.App] = h.Plan
	}
	for _, app := range r.Apps {
		if held[app] == r.Plan {
			continue
		}
		if held[app] == "" {
			err := t.HoldApp(ctx, db.HoldAppParams{App: app, Plan: r.Plan})
			if err == nil || !t.engine.unique(err) {
				if err != nil {
					return err
				}
				continue
			}
		}
		return fmt.Errorf("app %s is held by another plan that passed: %w", app, pipeline.ErrConflict)
	}
	return nil
}

// letGo gives up what a plan holds.
func (t *tx) letGo(ctx context.Context, r pipeline.Release) error {
	if err := t.LetAppsGo(ctx, r.Plan); err != nil || !r.Bookings {
		return err
	}
	return t.DropBookings(ctx, r.Plan)
}

// Bookings lists the bookings whose time is not over, by stock and time.
func (s *Store) Bookings(ctx context.Context, now time.Time) ([]rop.Booked, error) {
	rows, err := s.read().AllBookings(ctx, micros(now))
	if err != nil {
		return nil, fmt.Errorf("list bookings: %w", err)
	}
	booked := make([]rop.Booked, len(rows))
	for i, r := range rows {
		booked[i] = rop.Booked{Plan: r.Plan, Capacity: r.Capacity, Servers: int(r.Servers), From: moment(r.FromAt), To: moment(r.ToAt)}
	}
	return booked, nil
}
