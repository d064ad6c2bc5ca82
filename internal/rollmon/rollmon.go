// Package rollmon is the Roller Monitor: it judges the servers that run a new revision by the indicators the topology
// declares, and says pass, stop (soft), roll back (hard), or which kind of doubt there is.
//
//	Question ─► Monitor ─► Source … Source ─► Samples ─► Judge (pure) ─► Verdict, with every number it was made from
//
// A Source reads numbers and says what is wrong with them; it never judges. Judge turns numbers into findings and never
// reads. Counts are judged over the whole time since the servers were exposed, so nothing has to be remembered between
// two looks and a restart changes no verdict. The statistics, and how a roll's budget of false alarms is spent, are in
// alpha.go.
package rollmon

import (
	"context"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
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
	Backend   string    // the balancer's name for the site: "PROD_hotel-api"
	Exposed   []Server  // on the new revision
	Control   []Server  // still on the old one, for comparison
	Since     time.Time // counts begin here
	Now       time.Time // and end here
}

// Server names a server as people and as its balancer know it.
type Server struct {
	Name   string // "hotel-api-1"
	Member string // "hotel-api-1", in the balancer's counters
}

// Samples is what the sources said at one look, by indicator name.
type Samples map[string]Reading

// Reading is a source's answer about one indicator.
type Reading struct {
	Source string `json:"source,omitempty"` // "prometheus"
	// Failure is set when the whole reading is unusable: SourceDown (it does not answer, or not in its language), NoData (it
	// answers, but not this) or Pending (it was not waited for). Reason says why, in words.
	Failure verdict.Outcome `json:"failure,omitempty"`
	Reason  string          `json:"reason,omitempty"` // "answered 503 Service Unavailable"
	// Servers holds the numbers by server name. A server that is missing here has no data.
	Servers map[string]Sample `json:"servers,omitempty"`
}

// Sample is what is known of one server. The field that belongs to the indicator's kind is set, or Problem is.
type Sample struct {
	Problem string   `json:"problem,omitempty"` // why the numbers cannot be used: "its failures are NaN"
	Count   *Count   `json:"count,omitempty"`   // of a ratio
	Value   *float64 `json:"value,omitempty"`   // of a value
	Tries   *Tries   `json:"tries,omitempty"`   // of a check
}

// Count is how many attempts there were since the server was exposed, and how many of them failed. Both are counts:
// anything else than whole numbers is refused by Judge, since an exact test of an estimate would be exact about nothing.
type Count struct {
	Failures float64 `json:"failures"` // 24
	Attempts float64 `json:"attempts"` // 500
}

// Tries is what a check did at one look. A source repeats a failed check once, so that one lost packet is no breach.
type Tries struct {
	Runs   int    `json:"runs"`            // 2
	Failed int    `json:"failed"`          // 2
	Words  string `json:"words,omitempty"` // of the last failure: "GET /healthz answered 500, expected 200"
}
