// Package verdict is the vocabulary between the Roller, which asks, and the Roller Monitor, which judges.
//
// A Question names the servers that run the new revision, those that do not yet, and since when; a Verdict answers with
// one Outcome and the Findings it was made from. No data is never a pass: the outcomes tell doubt apart.
package verdict

import (
	"slices"
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

	// Findings say these two, verdicts never do.
	Abstain Outcome = "abstain" // cannot be judged here, and says why: too few servers for a test to ever decide
	Warn    Outcome = "warn"    // a soft breach too light to stop the roll by itself
)

var severity = map[Outcome]int{Abstain: 0, Pass: 1, Warn: 2, Pending: 3, NoTraffic: 4, NoData: 5, SourceDown: 6, Soft: 7, Hard: 8}

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
	Site    fleet.SiteRef `json:"site"`
	Roll    string        `json:"roll"`              // "r-31"
	Stage   string        `json:"stage"`             // "baking"
	Batch   int           `json:"batch"`             // 0 = smoke servers
	Exposed []string      `json:"exposed"`           // servers on the new revision that take part in this look: ["hotel-api-1"]
	Control []string      `json:"control,omitempty"` // servers of the site still on the old revision and in rotation
	Since   time.Time     `json:"since"`             // when the judged servers began to take traffic on the new revision
	// Began is when the roll began: what was measured before it is the old revision on every server. Zero = unknown, and
	// nothing is compared with the time before.
	Began time.Time `json:"began,omitzero"`
	// Stricter is what the plan asks beyond the topology.
	Stricter []fleet.Override `json:"stricter,omitempty"`
}

// Verdict answers a Question.
type Verdict struct {
	Outcome  Outcome   `json:"outcome"`
	Reason   string    `json:"reason"` // the deciding finding in words, for people
	At       time.Time `json:"at"`     // when it was judged
	Stage    string    `json:"stage"`
	Batch    int       `json:"batch"`
	Findings []Finding `json:"findings"` // one per indicator and server (or per indicator where the scope is wider)
	// Left is how many findings Brief left out.
	Left int `json:"left,omitempty"`
}

// briefly is how many findings a brief verdict has at most.
const briefly = 40

// Brief is the verdict with its worst findings alone, the worst first: what a roll carries along and people look at. One on
// 500 servers has thousands; all of them are kept with what they were made from.
func (v Verdict) Brief() Verdict {
	if len(v.Findings) <= briefly {
		return v
	}
	worst := slices.Clone(v.Findings)
	slices.SortStableFunc(worst, func(a, b Finding) int { return rank(b.Outcome) - rank(a.Outcome) })
	v.Left += len(worst) - briefly
	v.Findings = slices.Clip(worst[:briefly])
	return v
}

// Finding is one indicator's part of a verdict, with the numbers it was made from.
type Finding struct {
	Indicator string   `json:"indicator"`          // "5xx"
	Server    string   `json:"server,omitempty"`   // "hotel-api-3"; "" = of the batch or the site
	Outcome   Outcome  `json:"outcome"`            //
	Value     float64  `json:"value"`              // 4.8 (percent for ratios)
	Limit     float64  `json:"limit"`              // 1
	Baseline  *float64 `json:"baseline,omitempty"` // the control servers' value at the same time
	Before    *float64 `json:"before,omitempty"`   // the same servers' value before the roll
	Samples   int64    `json:"samples,omitempty"`  // attempts a ratio, measurements a test was made from
	Test      string   `json:"test,omitempty"`     // "binomial", "fisher", "mann-whitney", "trend"
	P         *float64 `json:"p,omitempty"`        // the test's p-value, when there was a test
	Level     *float64 `json:"level,omitempty"`    // what p had to be at most, of the roll's budget of false alarms
	Effect    *float64 `json:"effect,omitempty"`   // P(a new value is worse than an old one) of a rank test: 0.93
	Weight    int      `json:"weight,omitempty"`   // percent, of a soft indicator that breached
	Reason    string   `json:"reason"`             // in words
}

// Entered is a verdict that a person gave on a Coach: the test team's, for example.
type Entered struct {
	Coach       string    `json:"coach"`       // "hotel-api-7.2"
	Environment string    `json:"environment"` // where it was tried: "UAT"
	Actor       string    `json:"actor"`       // "person:lin"
	Pass        bool      `json:"pass"`        //
	Reason      string    `json:"reason"`      // "booked and cancelled a room"
	At          time.Time `json:"at"`
}
