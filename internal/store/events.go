package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/event"
)

// eventsAtOnce bounds the rows of one insert: SQLite takes at most 500 terms.
const eventsAtOnce = 100

// eventTries bounds how often an insert that lost its ids to another transaction is tried again.
const eventTries = 1000

// appendEvents writes the transaction's events as its last statement before COMMIT.
//
// Whoever follows the log asks for ids above the last one it saw, so an id must never become visible after a higher one.
// AUTO_INCREMENT gives ids in the order of inserts, and a cluster's nodes give them from ranges of their own. Here the
// insert takes the ids after the highest committed one. Two transactions at once take the same ids, and the primary key
// makes the second wait for the first to end and then, if it committed, take the next ones: without gaps, in the order of
// commits, whatever node they ran on. Store.tail lets the transactions of one process queue without bothering the server.
func (t *tx) appendEvents(ctx context.Context) error {
	for chunk := range slices.Chunk(t.events, eventsAtOnce) {
		query, args := insertEvents(chunk)
		for try := 1; ; try++ {
			_, err := t.raw.ExecContext(ctx, query, args...)
			if err == nil {
				break
			}
			if !t.engine.unique(err) || try == eventTries {
				return fmt.Errorf("append %d events: %w", len(chunk), err)
			}
		}
	}
	return nil
}

func insertEvents(events []event.Event) (string, []any) {
	var query strings.Builder
	query.WriteString("INSERT INTO events (id, at, actor, object, what, why, from_state, to_state, server, coach) " +
		"SELECT m.id + r.n, r.at, r.actor, r.object, r.what, r.why, r.from_state, r.to_state, r.server, r.coach " +
		"FROM (SELECT COALESCE(MAX(id), 0) AS id FROM events) m, (")
	args := make([]any, 0, 9*len(events))
	for i, e := range events {
		if i == 0 {
			query.WriteString("SELECT 1 AS n, ? AS at, ? AS actor, ? AS object, ? AS what, ? AS why, " +
				"? AS from_state, ? AS to_state, ? AS server, ? AS coach")
		} else {
			fmt.Fprintf(&query, " UNION ALL SELECT %d, ?, ?, ?, ?, ?, ?, ?, ?, ?", i+1)
		}
		args = append(args, micros(e.At), clean(e.Actor), clean(e.Object), e.What, clean(e.Why),
			clean(e.From), clean(e.To), clean(e.Server), clean(e.Coach))
	}
	query.WriteString(") r")
	return query.String(), args
}

// EventFilter chooses events. Empty fields choose all.
type EventFilter struct {
	After  int64  // only ids above it: the last one seen
	Coach  string // "hotel-api-7.2": its whole story
	Object string // "roll/r-31"
	Server string // "hotel-api-3"
	Newest bool   // the last Limit of them instead of the first
	Limit  int    // 0 = 100
}

// Events returns the chosen events in the order they were written. A follower that passes the last id it saw as After
// misses none and sees none twice, whichever replica wrote them.
func (s *Store) Events(ctx context.Context, f EventFilter) ([]event.Event, error) {
	var w where
	w.add("id > ?", f.After)
	w.eq("coach", f.Coach)
	w.eq("object", f.Object)
	w.eq("server", f.Server)
	order := "id"
	if f.Newest {
		order = "id DESC"
	}
	rows, err := s.counted(s.engine.reader(), progress).QueryContext(ctx,
		"SELECT id, at, actor, object, what, why, from_state, to_state, server, coach FROM events"+w.String()+
			" ORDER BY "+order+" LIMIT ?", append(w.args, limit(f.Limit))...)
	if err != nil {
		return nil, fmt.Errorf("read events after %d: %w", f.After, err)
	}
	defer rows.Close()
	events := []event.Event{}
	for rows.Next() {
		var e event.Event
		var at int64
		if err := rows.Scan(&e.ID, &at, &e.Actor, &e.Object, &e.What, &e.Why, &e.From, &e.To, &e.Server, &e.Coach); err != nil {
			return nil, fmt.Errorf("read events after %d: %w", f.After, err)
		}
		e.At = moment(at)
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read events after %d: %w", f.After, err)
	}
	if f.Newest {
		slices.Reverse(events)
	}
	return events, nil
}

// limit is how many rows a list returns when the caller did not say.
func limit(asked int) int32 {
	if asked <= 0 {
		return 100
	}
	return int32(min(asked, 100_000))
}
