package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/store"
	"railyard/pipeline"
)

// topology holds the topology in force. The database decides which that is, so a replica follows what another applied.
type topology struct {
	store   *store.Store
	log     logrus.FieldLogger
	current atomic.Pointer[fleet.Topology]
}

// get returns the topology in force; an empty one, which names nothing, before the first.
func (t *topology) get() *fleet.Topology {
	if current := t.current.Load(); current != nil {
		return current
	}
	return &fleet.Topology{}
}

// sites are those of the topology in force.
func (t *topology) sites() (all []fleet.SiteRef) {
	for _, pool := range t.get().Pools {
		for _, site := range pool.Sites {
			all = append(all, fleet.SiteRef{Environment: site.Environment, Pool: pool.Name})
		}
	}
	return all
}

// apply validates a topology file, makes it the one in force and takes it up.
func (t *topology) apply(ctx context.Context, name, actor string, text []byte) error {
	loaded, err := fleet.Load(name, text)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	_, _, err = t.store.ApplyTopology(ctx, store.Topology{Digest: loaded.Digest, Text: string(text), AppliedBy: actor, AppliedAt: now}, event.Event{
		At: now, Actor: actor, Object: "topology", What: "topology_applied", To: loaded.Digest, Why: name,
	})
	if err != nil {
		return err
	}
	t.current.Store(loaded)
	return nil
}

func (t *topology) applyFile(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("apply topology: %w", err)
	}
	return t.apply(ctx, path, event.Railyard, text)
}

// refresh takes up what is in force in the database.
func (t *topology) refresh(ctx context.Context) error {
	row, err := t.store.CurrentTopology(ctx)
	if errors.Is(err, pipeline.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if current := t.current.Load(); current != nil && current.Digest == row.Digest {
		return nil
	}
	loaded, err := fleet.Load("topology in force", []byte(row.Text))
	if err != nil {
		return fmt.Errorf("the topology in force was applied by a newer Railyard and cannot be read: %w", err)
	}
	t.current.Store(loaded)
	return nil
}

// follow refreshes from time to time until ctx ends.
func (t *topology) follow(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := t.refresh(ctx); err != nil && ctx.Err() == nil {
				t.log.WithError(err).Warn("read the topology in force; keeping the last one")
			}
		}
	}
}
