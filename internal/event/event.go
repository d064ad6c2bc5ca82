// Package event is the vocabulary of the event log: every transition of everything is one row that says who, what, when
// and why. The store appends events in the same transaction as the change they tell of, so the log never lies.
package event

import "time"

// Event is one row of the log. It is written once and never changed.
type Event struct {
	ID     int64     // 1, 2, 3 … in the order of writing; 0 before it is stored
	At     time.Time // UTC, microseconds
	Actor  string    // "person:release-engineer", "service:jenkins", "railyard" when a rule acted
	Object string    // "coach/hotel-api-7.2", "roll/r-31", "site/PROD/hotel-api", "delivery/42"
	What   string    // the transition, past tense, snake_case: "stage_changed", "server_switched"
	Why    string    // the named reason in words: "hard breach: hotel-api 5xx 4.8 % …"
	From   string    // state before, "" if none
	To     string    // state after, "" if none
	Server string    // the server it happened to, "" if none: "hotel-api-3"
	Coach  string    // the coach it belongs to, "" if none, so that a coach's whole story is one query
}

// Railyard is the actor of everything a rule did by itself.
const Railyard = "railyard"
