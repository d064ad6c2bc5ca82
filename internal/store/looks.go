package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/store/db"
	"railyard/internal/verdict"
	"railyard/pipeline"
)

var _ rollmon.LookStore = (*Store)(nil)

// looksKept bounds the looks of one roll; the oldest go first.
const looksKept = 500

// SaveLook keeps what a verdict was made from. One that did not turn takes the place of the one before it of the same batch.
func (s *Store) SaveLook(ctx context.Context, l rollmon.Look) error {
	roll, v := l.Question.Roll, l.Verdict
	body, err := pack(l)
	if err != nil {
		return fmt.Errorf("save look at roll %s: %w", roll, err)
	}
	return s.write(ctx, lease, "save look at roll "+roll, func(t *tx) error {
		if !l.Turned {
			if err := t.DropLastLook(ctx, db.DropLastLookParams{Roll: roll, Stage: v.Stage, Batch: int64(v.Batch)}); err != nil {
				return err
			}
		}
		err := t.InsertLook(ctx, db.InsertLookParams{Roll: roll, Stage: v.Stage, Batch: int64(v.Batch), At: micros(v.At),
			Outcome: string(v.Outcome), Turned: l.Turned, Body: body})
		if err != nil {
			return err
		}
		oldest, err := t.OldLook(ctx, db.OldLookParams{Roll: roll, Offset: looksKept})
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return t.DeleteLooks(ctx, db.DeleteLooksParams{Roll: roll, Oldest: oldest})
	})
}

// Looks returns at most limit (0 = 100) kept looks at a roll, newest first.
func (s *Store) Looks(ctx context.Context, roll string, most int) ([]rollmon.Look, error) {
	bodies, err := s.read().Looks(ctx, db.LooksParams{Roll: roll, Limit: limit(most)})
	if err != nil {
		return nil, fmt.Errorf("read the looks at roll %s: %w", roll, err)
	}
	looks := make([]rollmon.Look, len(bodies))
	for i, body := range bodies {
		if err := unpack(body, &looks[i]); err != nil {
			return nil, fmt.Errorf("read the looks at roll %s: %w", roll, err)
		}
	}
	return looks, nil
}

// AddTestVerdict keeps what a person said of a Coach. errors.Is: pipeline.ErrNotFound for an unknown Coach.
func (s *Store) AddTestVerdict(ctx context.Context, e verdict.Entered, events ...event.Event) error {
	return s.write(ctx, fact, "add verdict on coach "+e.Coach, func(t *tx) error {
		if _, err := t.CoachBody(ctx, e.Coach); errors.Is(err, sql.ErrNoRows) {
			return pipeline.ErrNotFound
		} else if err != nil {
			return err
		}
		t.events = append(t.events, events...)
		return t.InsertTestVerdict(ctx, db.InsertTestVerdictParams{Coach: e.Coach, Environment: e.Environment, Actor: e.Actor, Pass: e.Pass,
			Reason: clean(e.Reason), At: micros(e.At)})
	})
}

// TestVerdicts returns what people said of a Coach, oldest first.
func (s *Store) TestVerdicts(ctx context.Context, coach string) ([]verdict.Entered, error) {
	rows, err := s.read().TestVerdicts(ctx, coach)
	if err != nil {
		return nil, fmt.Errorf("read the verdicts people gave on coach %s: %w", coach, err)
	}
	all := make([]verdict.Entered, len(rows))
	for i, r := range rows {
		all[i] = verdict.Entered{Coach: r.Coach, Environment: r.Environment, Actor: r.Actor, Pass: r.Pass, Reason: r.Reason, At: moment(r.At)}
	}
	return all, nil
}

// TakeMinute implements rollmon.SampleStore: one insert decides which replica samples a site in a minute.
func (s *Store) TakeMinute(ctx context.Context, site fleet.SiteRef, minute time.Time, owner string) (taken bool, err error) {
	err = s.write(ctx, lease, fmt.Sprintf("take a minute of site %s", site), func(t *tx) error {
		err := t.TakeMinute(ctx, db.TakeMinuteParams{Site: site.String(), Minute: micros(minute), Owner: owner, Body: []byte{}})
		if err != nil && t.engine.unique(err) {
			taken = false
			return nil // another replica was faster
		}
		taken = err == nil
		return err
	})
	return taken && err == nil, err
}

// SaveMinute implements rollmon.SampleStore.
func (s *Store) SaveMinute(ctx context.Context, site fleet.SiteRef, minute time.Time, owner string, samples rollmon.Samples) error {
	body, err := pack(samples)
	if err != nil {
		return fmt.Errorf("save the samples of site %s: %w", site, err)
	}
	return s.write(ctx, lease, fmt.Sprintf("save the samples of site %s", site), func(t *tx) error {
		_, err := t.SaveMinute(ctx, db.SaveMinuteParams{Body: body, Site: site.String(), Minute: micros(minute), Owner: owner})
		return err
	})
}

// Minutes implements rollmon.SampleStore.
func (s *Store) Minutes(ctx context.Context, site fleet.SiteRef, w rollmon.Window) ([]rollmon.Minute, error) {
	fail := func(err error) ([]rollmon.Minute, error) {
		return nil, fmt.Errorf("read the samples of site %s: %w", site, err)
	}
	rows, err := s.read().Minutes(ctx, db.MinutesParams{Site: site.String(), FromMinute: micros(w.From), UntilMinute: micros(w.Until)})
	if err != nil {
		return fail(err)
	}
	var all []rollmon.Minute
	for _, r := range rows {
		if len(r.Body) == 0 {
			continue // taken, and never finished
		}
		m := rollmon.Minute{At: moment(r.Minute)}
		if err := unpack(r.Body, &m.Samples); err != nil {
			return fail(err)
		}
		all = append(all, m)
	}
	return all, nil
}

// Prune deletes looks and samples from before these times, and returns how many rows went.
func (s *Store) Prune(ctx context.Context, looks, samples time.Time) (rows int64, err error) {
	err = s.write(ctx, lease, "prune looks and samples", func(t *tx) error {
		old, err := t.PruneLooks(ctx, micros(looks))
		if err != nil {
			return err
		}
		minutes, err := t.PruneMinutes(ctx, micros(samples))
		rows = old + minutes
		return err
	})
	return rows, err
}

// pack is a value in JSON, compressed: samples repeat their words.
func pack(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err = w.Write(text)
	err = errors.Join(err, w.Close()) // before the bytes are taken
	return b.Bytes(), err
}

// unpackLimit bounds what a row may unpack to, bytes: ours are far below.
const unpackLimit = 256 << 20

func unpack(body []byte, into any) error {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("decode %T: %w", into, err)
	}
	if err := json.NewDecoder(io.LimitReader(r, unpackLimit)).Decode(into); err != nil {
		return fmt.Errorf("decode %T: %w", into, err)
	}
	return r.Close()
}
