// Package rollmon is the Roller Monitor: it judges the servers that run a new revision by the indicators the topology
// declares, and says pass, stop (soft), roll back (hard), or which kind of doubt there is.
//
//	Question ─► Monitor ─► Source … Source ─► Samples ─► Judge (pure) ─► Verdict, with every number it was made from
//
// A Source reads numbers and says what is wrong with them; it never judges. Judge turns numbers into findings and never
// reads. Counts are judged over the whole time since the servers were exposed, so nothing has to be remembered between
// two looks and a restart changes no verdict. How a roll's budget of false alarms is spent is in
// alpha.go, what becomes of the findings in compose.go, and each judge with its statistics in a file of its own. docs/indicators.md
// teaches all of it to those who declare indicators; package score says how good it is.
package rollmon

import (
	"context"
	"time"

	"railyard/internal/fleet"
)

// Source reads indicators somewhere. Implementations pass the conformance suite in sourcetest.
type Source interface {
	// Name is the source's name in verdicts: "prometheus".
	Name() string
	// Answers reports whether this source reads the indicator.
	Answers(i fleet.Indicator) bool
	// Read reads one indicator of all servers of a request at once. It returns soon after ctx ends, and says what went
	// wrong in the reading, in words for people. It is safe for concurrent use.
	Read(ctx context.Context, r Request) Reading
}

// Request asks a source for one indicator.
type Request struct {
	Indicator fleet.Indicator
	Site      fleet.SiteRef
	Roll      string    // "r-31"; "" when nobody rolls and the site is only sampled
	Backend   string    // the balancer's name for the site: "PROD_hotel-api"
	Exposed   []Server  // on the new revision
	Control   []Server  // still on the old one, for comparison
	Since     time.Time // counts begin here
	Now       time.Time // and end here
	// Before is the time before the roll that the judge compares with; nil when it asks for none. Sources that keep
	// history read it in the same Read, and put what they found into Reading.Before.
	Before *Window
}

// Window is a span of time.
type Window struct {
	From  time.Time
	Until time.Time
}

// Server names a server as people and as its balancer know it.
type Server struct {
	Name   string // "hotel-api-1"
	Member string // "hotel-api-1", in the balancer's counters
}
