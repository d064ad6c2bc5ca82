package store

import (
	"context"
	"time"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// TrainFacts implements pipeline.TrainStore. All of it is of one moment.
func (s *Store) TrainFacts(ctx context.Context, train pipeline.Train) (pipeline.TrainFacts, error) {
	var facts pipeline.TrainFacts
	err := s.snapshot(ctx, "read the facts about Train "+train.ID, func(q *db.Queries) error {
		facts = pipeline.TrainFacts{Coaches: map[string]rop.Coach{}, Begun: map[string]pipeline.Begun{}}
		rows, err := q.SeatsOf(ctx, train.ID)
		if err != nil {
			return err
		}
		for _, r := range rows {
			facts.Seats = append(facts.Seats, seatOf(r))
		}
		bodies, err := q.SeatedCoaches(ctx, train.ID)
		if err != nil {
			return err
		}
		coaches, err := decodeAll[rop.Coach](bodies)
		if err != nil {
			return err
		}
		for _, c := range coaches {
			facts.Coaches[c.ID] = c
		}
		if facts.Rolls, err = rollFacts(ctx, q, train.ID); err != nil {
			return err
		}
		if facts.Overrides, err = overridesOf(ctx, q, "train/"+train.ID); err != nil {
			return err
		}
		if err := begunFacts(ctx, q, []string{train.Job.Deployment}, facts.Begun); err != nil {
			return err
		}
		commands, err := q.PendingTrainCommands(ctx, train.ID)
		for _, r := range commands {
			facts.Commands = append(facts.Commands, pipeline.TrainCommand{ID: r.ID, Train: r.Train, Kind: pipeline.TrainCommandKind(r.Kind), Plan: r.Plan,
				Actor: r.Actor, Reason: r.Reason, At: moment(r.At)})
		}
		return err
	})
	return facts, err
}

func seatOf(r db.TrainSeat) pipeline.Seat {
	return pipeline.Seat{Coach: r.Coach, Train: r.Train, Departed: r.Departed, State: pipeline.RiderState(r.State), Environment: r.Environment,
		Reason: r.Reason, By: r.Actor, At: moment(r.At)}
}

// rollFacts are how the rolls of a Coach or a Train stand.
func rollFacts(ctx context.Context, q *db.Queries, carrier string) (map[string]pipeline.RollFact, error) {
	heads, err := q.RollHeadersOfCoach(ctx, carrier)
	if err != nil {
		return nil, err
	}
	rolls, err := decodeAll[roller.Roll](heads)
	if err != nil {
		return nil, err
	}
	facts := make(map[string]pipeline.RollFact, len(rolls))
	for _, r := range rolls {
		facts[r.ID] = rollFact(r)
	}
	return facts, nil
}

// quotaMemory is how long ago a quota's window may have begun to be looked at.
const quotaMemory = 90 * 24 * time.Hour

// Picture implements pipeline.TrainStore. All of it is of one moment.
func (s *Store) Picture(ctx context.Context, now time.Time) (pipeline.Picture, error) {
	var p pipeline.Picture
	err := s.snapshot(ctx, "read what runs and which Trains there are", func(q *db.Queries) error {
		p = pipeline.Picture{Running: ar.Running{}, Held: map[fleet.SiteRef]string{}, Used: map[ar.QuotaUse]int{}}
		sites, err := q.SiteRevisions(ctx)
		if err != nil {
			return err
		}
		for _, r := range sites {
			site, err := fleet.ParseSiteRef(r.Site)
			if err != nil {
				return err
			}
			if p.Running[site], err = decode[roller.Revision](r.Revision); err != nil {
				return err
			}
		}
		bodies, err := q.TrainBodies(ctx)
		if err != nil {
			return err
		}
		if p.Trains, err = decodeAll[pipeline.Train](bodies); err != nil {
			return err
		}
		held, err := q.TrainSites(ctx)
		if err != nil {
			return err
		}
		for _, r := range held {
			site, err := fleet.ParseSiteRef(r.Site)
			if err != nil {
				return err
			}
			p.Held[site] = r.Train
		}
		uses, err := q.QuotaUses(ctx, micros(now.Add(-quotaMemory)))
		for _, r := range uses {
			p.Used[ar.QuotaUse{Quota: r.Quota, From: moment(r.WindowFrom)}] = int(r.Used)
		}
		return err
	})
	return p, err
}
