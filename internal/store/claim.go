package store

import (
	"context"
	"errors"
	"fmt"

	"railyard/internal/roller"
	"railyard/pipeline"
)

// unheld is a row whose lease nobody held when it was looked for: a roll, a Coach or a Train.
type unheld struct {
	ID    string
	Fence int64
}

// claimEach claims rows, each in a transaction of its own, so that one that cannot be claimed for a fault of its own row is
// logged and hides no other. The claim raises the row's fence first and reads the row then, as its last owner left it: the
// saves of that one find another fence now.
func claimEach[R ~struct {
	ID    string
	Fence int64
}, C any](ctx context.Context, s *Store, what string, rows []R, claim func(*tx, unheld) (C, error)) (claims []C, err error) {
	for _, r := range rows {
		var claimed C
		err := s.try(ctx, lease, func(t *tx) (err error) {
			claimed, err = claim(t, unheld(r))
			return err
		})
		switch {
		case err == nil:
			claims = append(claims, claimed)
		case ctx.Err() != nil:
			return claims, fmt.Errorf("claim %s %s: %w", what, unheld(r).ID, context.Cause(ctx))
		case errors.Is(err, roller.ErrFenced) || errors.Is(err, pipeline.ErrFenced) || s.engine.again(err):
			// Another replica was faster, or holds the row: the next round will see.
		default:
			s.log.WithError(err).WithField(what, unheld(r).ID).Error("claim " + what)
		}
	}
	return claims, nil
}
