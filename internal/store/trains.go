package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/rop"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// CreateTrain keeps a new Train as the next of its line and returns it with its number and id. told makes the event that tells
// of it. errors.Is: pipeline.ErrConflict when another one was created at the same moment.
func (s *Store) CreateTrain(ctx context.Context, train pipeline.Train, told func(pipeline.Train) event.Event) (pipeline.Train, error) {
	err := s.write(ctx, fact, "create a Train of line "+train.Line, func(t *tx) error {
		last, err := t.LastTrain(ctx, train.Line)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		train.Number = int(last) + 1
		train.ID = pipeline.TrainID(train.Line, train.Number)
		body, err := encode(train)
		if err != nil {
			return err
		}
		t.events = append(t.events, told(train))
		err = t.InsertTrain(ctx, db.InsertTrainParams{ID: train.ID, Line: train.Line, Number: int64(train.Number), Sbu: train.SBU,
			State: string(train.State), Created: micros(train.Created), Body: body})
		return t.taken(err, "Train "+train.ID+" exists")
	})
	return train, err
}

// taken turns a broken unique key into ErrConflict.
func (t *tx) taken(err error, what string) error {
	if err != nil && t.engine.unique(err) {
		return fmt.Errorf("%s: %w", what, pipeline.ErrConflict)
	}
	return err
}

// Train returns a Train by its id. errors.Is: pipeline.ErrNotFound.
func (s *Store) Train(ctx context.Context, id string) (pipeline.Train, error) {
	body, err := s.read().TrainBody(ctx, id)
	if err != nil {
		return pipeline.Train{}, fmt.Errorf("read Train %s: %w", id, found(err))
	}
	return decode[pipeline.Train](body)
}

// TrainFilter chooses Trains. Empty fields choose all.
type TrainFilter struct {
	Line   string
	SBU    string
	Active bool // only those that have not ended
}

// Trains returns at most limit (0 = 100) of the chosen Trains, newest first.
func (s *Store) Trains(ctx context.Context, f TrainFilter, most int) ([]pipeline.Train, error) {
	var w where
	w.eq("line", f.Line)
	w.eq("sbu", f.SBU)
	if f.Active {
		w.add("terminal = FALSE")
	}
	trains, err := list[pipeline.Train](ctx, s.counted(s.engine.reader(), progress), "SELECT body FROM trains"+w.String()+
		" ORDER BY created DESC, id DESC LIMIT ?", append(w.args, limit(most))...)
	if err != nil {
		return nil, fmt.Errorf("list Trains: %w", err)
	}
	return trains, nil
}

// Couple gives a Coach a seat. errors.Is: pipeline.ErrNotFound, ErrFinished when the Coach has ended, pipeline.ErrConflict when the
// Coach has a seat already or the Train has departed.
func (s *Store) Couple(ctx context.Context, seat pipeline.Seat, events ...event.Event) error {
	return s.write(ctx, fact, fmt.Sprintf("couple coach %s into Train %s", seat.Coach, seat.Train), func(t *tx) error {
		if err := listening(t.CoachTerminal(ctx, seat.Coach)); err != nil {
			return err
		}
		t.events = append(t.events, events...)
		return t.seat(ctx, seat)
	})
}

func (t *tx) seat(ctx context.Context, seat pipeline.Seat) error {
	state, err := t.TrainState(ctx, seat.Train)
	if err != nil {
		return found(err)
	}
	if state != string(pipeline.TrainOpen) {
		return fmt.Errorf("Train %s is %s, and Coaches are coupled until departure: %w", seat.Train, state, pipeline.ErrConflict)
	}
	if other, err := t.SeatOf(ctx, seat.Coach); err == nil {
		return fmt.Errorf("coach %s is in Train %s already: %w", seat.Coach, other.Train, pipeline.ErrConflict)
	}
	err = t.InsertSeat(ctx, db.InsertSeatParams{Coach: seat.Coach, Train: seat.Train, State: string(pipeline.RiderCoupled), Actor: clean(seat.By), At: micros(seat.At)})
	return t.taken(err, "coach "+seat.Coach+" is in a Train already")
}

// Uncouple gives a Coach's seat up. errors.Is: pipeline.ErrNotFound when it has none in the Train, pipeline.ErrConflict when
// the Train has departed.
func (s *Store) Uncouple(ctx context.Context, coach, train string, events ...event.Event) error {
	return s.write(ctx, fact, fmt.Sprintf("uncouple coach %s from Train %s", coach, train), func(t *tx) error {
		seat, err := t.SeatOf(ctx, coach)
		if err != nil || seat.Train != train {
			return fmt.Errorf("it has no seat there: %w", pipeline.ErrNotFound)
		}
		t.events = append(t.events, events...)
		return t.vacate(ctx, coach, train)
	})
}

func (t *tx) vacate(ctx context.Context, coach, train string) error {
	n, err := t.LeaveSeat(ctx, db.LeaveSeatParams{Coach: coach, Train: train})
	if err == nil && n == 0 {
		return fmt.Errorf("Train %s has departed with %s: %w", train, coach, pipeline.ErrConflict)
	}
	return err
}

// AddTrainCommand keeps a person's order to a Train until its owner reads it. errors.Is: pipeline.ErrNotFound, ErrFinished.
func (s *Store) AddTrainCommand(ctx context.Context, c pipeline.TrainCommand, events ...event.Event) (id int64, err error) {
	err = s.write(ctx, fact, fmt.Sprintf("keep the command to %s Train %s", c.Kind, c.Train), func(t *tx) error {
		state, err := t.TrainState(ctx, c.Train)
		if err := listening(pipeline.TrainState(state).Terminal(), err); err != nil {
			return err
		}
		t.events = append(t.events, events...)
		id, err = t.InsertTrainCommand(ctx, db.InsertTrainCommandParams{Train: c.Train, Kind: string(c.Kind), Plan: c.Plan, Actor: clean(c.Actor),
			Reason: clean(c.Reason), At: micros(c.At)})
		return err
	})
	return id, err
}

// ClaimTrains implements pipeline.TrainStore, as ClaimCoaches does.
func (s *Store) ClaimTrains(ctx context.Context, owner string, now time.Time, ttl time.Duration) ([]pipeline.TrainClaim, error) {
	rows, err := db.New(s.counted(s.engine.reader(), lease)).ClaimableTrains(ctx, micros(now))
	if err != nil {
		return nil, fmt.Errorf("look for Trains to claim: %w", err)
	}
	return claimEach(ctx, s, "train", rows, func(t *tx, row unheld) (pipeline.TrainClaim, error) {
		n, err := t.ClaimTrain(ctx, db.ClaimTrainParams{Owner: owner, LeaseUntil: micros(now.Add(ttl)), ID: row.ID, Fence: row.Fence, Now: micros(now)})
		if err := fenced(n, err, pipeline.ErrFenced); err != nil {
			return pipeline.TrainClaim{}, err
		}
		body, err := t.TrainBody(ctx, row.ID)
		if err != nil {
			return pipeline.TrainClaim{}, err
		}
		train, err := decode[pipeline.Train](body)
		return pipeline.TrainClaim{Train: train, Owner: owner, Fence: row.Fence + 1}, err
	})
}

// RenewTrain implements pipeline.TrainStore.
func (s *Store) RenewTrain(ctx context.Context, c pipeline.TrainClaim, now time.Time, ttl time.Duration) error {
	return s.write(ctx, lease, "renew Train "+c.Train.ID, func(t *tx) error {
		n, err := t.RenewTrain(ctx, db.RenewTrainParams{LeaseUntil: micros(now.Add(ttl)), ID: c.Train.ID, Fence: c.Fence})
		return fenced(n, err, pipeline.ErrFenced)
	})
}

// ReleaseTrain implements pipeline.TrainStore. It raises the fence, so that nothing can be saved under the claim afterwards.
func (s *Store) ReleaseTrain(ctx context.Context, c pipeline.TrainClaim) error {
	return s.write(ctx, lease, "release Train "+c.Train.ID, func(t *tx) error {
		n, err := t.ReleaseTrain(ctx, db.ReleaseTrainParams{ID: c.Train.ID, Fence: c.Fence})
		return fenced(n, err, pipeline.ErrFenced)
	})
}

// SaveTrain implements pipeline.TrainStore. When the connection broke during COMMIT the error is ErrFenced and
// ErrUnknownOutcome, as that of SaveCoach.
func (s *Store) SaveTrain(ctx context.Context, c pipeline.TrainClaim, save pipeline.TrainSave) error {
	id := c.Train.ID
	body, err := encode(save.Train)
	if err != nil {
		return fmt.Errorf("save Train %s: %w", id, err)
	}
	err = s.write(ctx, fact, "save Train "+id, func(t *tx) error {
		n, err := t.UpdateTrain(ctx, db.UpdateTrainParams{State: string(save.Train.State), Terminal: save.Train.State.Terminal(),
			Closed: save.Train.Closed, Body: body, ID: id, Fence: c.Fence})
		if err := fenced(n, err, pipeline.ErrFenced); err != nil {
			return err
		}
		if err := t.seats(ctx, id, save); err != nil {
			return err
		}
		if err := t.holdSites(ctx, id, save); err != nil {
			return err
		}
		if err := t.useQuotas(ctx, save.Use); err != nil {
			return err
		}
		for _, r := range save.NewRolls {
			if err := t.insertRoll(ctx, r); err != nil {
				return err
			}
		}
		for _, command := range save.RollCommands {
			if _, err := t.insertRollCommand(ctx, command); err != nil {
				return err
			}
		}
		t.events = append(t.events, save.Events...)
		if len(save.Handled) == 0 {
			return nil
		}
		return t.HandleTrainCommands(ctx, db.HandleTrainCommandsParams{Train: id, Ids: save.Handled})
	})
	return unsure(err, pipeline.ErrFenced)
}

// seats closes, gives up and changes seats.
func (t *tx) seats(ctx context.Context, train string, save pipeline.TrainSave) error {
	for _, coach := range save.Depart {
		n, err := t.CloseSeat(ctx, db.CloseSeatParams{Coach: coach, Train: train})
		if err := fenced(n, err, pipeline.ErrConflict); err != nil {
			return fmt.Errorf("close the seat of %s: %w", coach, err)
		}
	}
	for _, coach := range save.Leave {
		if _, err := t.LeaveSeat(ctx, db.LeaveSeatParams{Coach: coach, Train: train}); err != nil {
			return err
		}
	}
	for _, r := range save.Seats {
		_, err := t.UpdateSeat(ctx, db.UpdateSeatParams{State: string(r.State), Environment: r.Environment, Reason: clean(r.Reason), Coach: r.Coach, Train: train})
		if err != nil {
			return err
		}
	}
	return nil
}

// changeSeat does what a Coach's decision means for its seat. errors.Is: pipeline.ErrConflict when the Train has departed.
func (t *tx) changeSeat(ctx context.Context, coach string, c pipeline.SeatChange, at time.Time) error {
	switch {
	case c.Take:
		return t.seat(ctx, pipeline.Seat{Coach: coach, Train: c.Train, By: event.Railyard, At: at})
	case c.Heir == "":
		return t.vacate(ctx, coach, c.Train)
	}
	if _, err := t.SeatOf(ctx, c.Heir); err == nil {
		return t.vacate(ctx, coach, c.Train) // it was coupled already
	}
	n, err := t.PassSeat(ctx, db.PassSeatParams{Heir: c.Heir, Coach: coach, Train: c.Train})
	return fenced(n, err, pipeline.ErrConflict)
}

// savedCoachAt is when the decision was made, as its last event says.
func savedCoachAt(save pipeline.Save) time.Time {
	if n := len(save.Events); n > 0 {
		return save.Events[n-1].At
	}
	return save.Coach.Created
}

// seatFacts reads a Coach's seat, and who of its project is ahead of it in a Train.
func seatFacts(ctx context.Context, q *db.Queries, c rop.Coach, into *pipeline.Facts) error {
	row, err := q.SeatOf(ctx, c.ID)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil {
		seat := seatOf(row)
		into.Seat = &seat
	}
	ahead, err := q.AheadInTrain(ctx, db.AheadInTrainParams{Project: c.Project, Coach: c.ID})
	for _, a := range ahead {
		into.Ahead = a.Coach + " in Train " + a.Train
	}
	if err != nil {
		return err
	}
	into.Overrides, err = overridesOf(ctx, q, "coach/"+c.ID)
	return err
}

func (t *tx) holdSites(ctx context.Context, train string, save pipeline.TrainSave) error {
	if save.Free {
		return t.FreeTrainSites(ctx, train)
	}
	for _, site := range save.Hold {
		err := t.InsertTrainSite(ctx, db.InsertTrainSiteParams{Site: site.String(), Train: train})
		if err := t.taken(err, "site "+site.String()+" is another Train's"); err != nil {
			return err
		}
	}
	return nil
}

// useQuotas counts changes that enter. errors.Is: pipeline.ErrConflict when a quota is used up meanwhile.
func (t *tx) useQuotas(ctx context.Context, takes []ar.QuotaTake) error {
	for _, q := range takes {
		n, err := t.UseQuota(ctx, db.UseQuotaParams{Changes: int64(q.Changes), Quota: q.Quota, WindowFrom: micros(q.From), Most: int64(q.Most)})
		if err != nil {
			return err
		}
		if n == 1 {
			continue
		}
		err = t.InsertQuotaUse(ctx, db.InsertQuotaUseParams{Quota: q.Quota, WindowFrom: micros(q.From), Used: int64(q.Changes)})
		if err := t.taken(err, "quota "+q.Quota+" was used up meanwhile"); err != nil {
			return err
		}
	}
	return nil
}
