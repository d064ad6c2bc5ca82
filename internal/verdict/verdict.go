// Package verdict is the vocabulary between the Roller, which asks, and the Roller Monitor, which judges.
//
// A Question names the servers that run the new revision, those that do not yet, and since when; a Verdict answers with
// one Outcome and the Findings it was made from. No data is never a pass: the outcomes tell doubt apart.
package verdict

import (
	"time"

	"railyard/internal/fleet"
)

// Outcome is what a verdict or a finding says.
type Outcome string

// The outcomes. Worse reports their order.
const (
	Pass       Outcome = "pass"        // enough data, nothing breached
	Pending    Outcome = "pending"     // too early to say: warm-up, or samples still coming
	NoTraffic  Outcome = "no_traffic"  // the source answers, but visitors have not come yet
	NoData     Outcome = "no_data"     // the source answers, but not about these servers
	SourceDown Outcome = "source_down" // the source does not answer, or not in its language
	Soft       Outcome = "soft"        // a soft indicator breached: stop and call a person
	Hard       Outcome = "hard"        // a hard indicator breached: roll back at once
)

var severity = map[Outcome]int{Pass: 0, Pending: 1, NoTraffic: 2, NoData: 3, SourceDown: 4, Soft: 5, Hard: 6}

// Worse returns the worse of two outcomes. An unknown outcome counts as NoData.
func Worse(a, b Outcome) Outcome {
	if rank(b) > rank(a) {
		return b
	}
	return a
}

func rank(o Outcome) int {
	if r, ok := severity[o]; ok {
		return r
	}
	return severity[NoData]
}

// Question asks how the judged servers of one roll are doing.
type Question struct {
	Site    fleet.SiteRef
	Roll    string    // "r-31"
	Stage   string    // "baking"
	Batch   int       // 0 = smoke servers
	Exposed []string  // servers on the new revision that take part in this look: ["hotel-api-1"]
	Control []string  // servers of the site still on the old revision and in rotation
	Since   time.Time // when the judged servers began to take traffic on the new revision
}

// Verdict answers a Question.
type Verdict struct {
	Outcome  Outcome   `json:"outcome"`
	Reason   string    `json:"reason"` // the deciding finding in words, for people
	At       time.Time `json:"at"`     // when it was judged
	Stage    string    `json:"stage"`
	Batch    int       `json:"batch"`
	Findings []Finding `json:"findings"` // one per indicator and server (or per indicator where the scope is wider)
}

// Finding is one indicator's part of a verdict, with the numbers it was made from.
type Finding struct {
	Indicator string   `json:"indicator"`          // "5xx"
	Server    string   `json:"server,omitempty"`   // "hotel-api-3"
	Outcome   Outcome  `json:"outcome"`            //
	Value     float64  `json:"value"`              // 4.8 (percent for ratios)
	Limit     float64  `json:"limit"`              // 1
	Baseline  *float64 `json:"baseline,omitempty"` // the control servers' value at the same time
	Samples   int64    `json:"samples,omitempty"`  // attempts a ratio was made from
	P         *float64 `json:"p,omitempty"`        // the test's p-value, when there was a test
	Reason    string   `json:"reason"`             // in words
}
