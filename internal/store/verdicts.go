package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"railyard/internal/store/db"
	"railyard/internal/verdict"
)

// verdictsKept bounds the verdicts of one roll; the oldest go first.
const verdictsKept = 500

// SaveVerdict keeps a verdict on a roll.
func (s *Store) SaveVerdict(ctx context.Context, roll string, v verdict.Verdict) error {
	body, err := encode(v)
	if err != nil {
		return fmt.Errorf("save verdict on roll %s: %w", roll, err)
	}
	return s.write(ctx, progress, "save verdict on roll "+roll, func(t *tx) error {
		err := t.InsertVerdict(ctx, db.InsertVerdictParams{Roll: roll, Stage: v.Stage, Batch: int64(v.Batch), At: micros(v.At),
			Outcome: string(v.Outcome), Body: body})
		if err != nil {
			return err
		}
		oldest, err := t.OldVerdict(ctx, db.OldVerdictParams{Roll: roll, Offset: verdictsKept})
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return t.DeleteVerdicts(ctx, db.DeleteVerdictsParams{Roll: roll, Oldest: oldest})
	})
}

// Verdicts returns at most limit (0 = 100) verdicts on a roll, newest first.
func (s *Store) Verdicts(ctx context.Context, roll string, most int) ([]verdict.Verdict, error) {
	bodies, err := s.read().VerdictBodies(ctx, db.VerdictBodiesParams{Roll: roll, Limit: limit(most)})
	if err != nil {
		return nil, fmt.Errorf("read the verdicts on roll %s: %w", roll, err)
	}
	return decodeAll[verdict.Verdict](bodies)
}
