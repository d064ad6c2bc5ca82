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

// Topology is one applied version of the topology file.
type Topology struct {
	Version   int64  // 1, 2, 3 …
	Digest    string // fleet.Topology.Digest
	Text      string // the file
	AppliedBy string // actor
	AppliedAt time.Time
}

// ApplyTopology makes the file the one in force and returns its version. The digest in force again changes nothing and
// writes no event: applied is false.
func (s *Store) ApplyTopology(ctx context.Context, t Topology, events ...event.Event) (version int64, applied bool, err error) {
	err = s.write(ctx, fact, "apply topology "+t.Digest, func(tx *tx) error {
		current, err := tx.CurrentTopology(ctx)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		version = current.Version
		if applied = err != nil || current.Digest != t.Digest; !applied {
			return nil
		}
		version++
		tx.events = append(tx.events, events...)
		err = tx.InsertTopology(ctx, db.InsertTopologyParams{Version: version, Digest: t.Digest, Body: clean(t.Text),
			AppliedBy: clean(t.AppliedBy), AppliedAt: micros(t.AppliedAt)})
		if err != nil && tx.engine.unique(err) {
			return fmt.Errorf("another topology was applied at the same time: %w", pipeline.ErrConflict)
		}
		return err
	})
	return version, applied, err
}

// CurrentTopology returns the file in force. errors.Is: pipeline.ErrNotFound when none was applied.
func (s *Store) CurrentTopology(ctx context.Context) (Topology, error) {
	r, err := s.read().CurrentTopology(ctx)
	if err != nil {
		return Topology{}, fmt.Errorf("read the topology in force: %w", found(err))
	}
	return Topology{Version: r.Version, Digest: r.Digest, Text: r.Body, AppliedBy: r.AppliedBy, AppliedAt: moment(r.AppliedAt)}, nil
}

// Topologies returns at most limit (0 = 100) applied versions without their texts, newest first.
func (s *Store) Topologies(ctx context.Context, most int) ([]Topology, error) {
	rows, err := s.read().Topologies(ctx, limit(most))
	if err != nil {
		return nil, fmt.Errorf("list topologies: %w", err)
	}
	versions := make([]Topology, len(rows))
	for i, r := range rows {
		versions[i] = Topology{Version: r.Version, Digest: r.Digest, AppliedBy: r.AppliedBy, AppliedAt: moment(r.AppliedAt)}
	}
	return versions, nil
}
