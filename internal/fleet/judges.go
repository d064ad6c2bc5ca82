package fleet

import (
	"slices"
	"time"
)

// RatioIndicator judges counted failures among counted attempts by an exact binomial test against Limit. The queries are
// PromQL with {{.Window}} (seconds), {{.Since}} and {{.Now}} (Unix seconds, for the @ modifier), {{.Environment}}, {{.Pool}},
// {{.Backend}}, {{.Servers}} and {{.Members}} (regular expressions of the servers' own names and of the balancer's)
// replaced, and must return one sample per server with the label "server". They must return whole counts: a counter now
// minus the counter at {{.Since}}, not increase() or rate(), which extrapolate.
type RatioIndicator struct {
	Failures    string   `yaml:"failures"`
	Attempts    string   `yaml:"attempts"`
	Limit       float64  `yaml:"limit"`                  // percent, 0–100: 1
	MinAttempts int      `yaml:"min_attempts,omitempty"` // fewer is "no traffic"; default 20
	Compare     *Compare `yaml:"compare,omitempty"`      // in percentage points: dead_zone: 0.5
}

// ValueIndicator judges a measured value: against Max and Min, against what it is elsewhere or was before, or both. With
// Consecutive or Total it judges every measurement since the exposure, one each Every, instead of the newest one alone.
type ValueIndicator struct {
	Query   string   `yaml:"query"`
	Max     *float64 `yaml:"max,omitempty"` // the largest value that is still good: 700
	Min     *float64 `yaml:"min,omitempty"` // the smallest value that is still good
	Compare *Compare `yaml:"compare,omitempty"`
	// Consecutive is how many measurements in a row may be bad; one more is a breach.
	Consecutive int `yaml:"consecutive,omitempty"`
	// Total is how many measurements since the exposure may be bad; one more is a breach. 0 = not judged.
	Total int      `yaml:"total,omitempty"`
	Every Duration `yaml:"every,omitempty"` // between two measurements; default 15s
}

// Step is the time between two measurements.
func (v ValueIndicator) Step() Duration { return orDuration(v.Every, defaultStep) }

// Repeated reports whether all measurements since the exposure are judged.
func (v ValueIndicator) Repeated() bool { return v.Consecutive > 0 || v.Total > 0 }

// RankIndicator judges whether measured values of the new revision tend to be worse than those of the servers not yet
// rolled, by the Mann-Whitney U test: for latencies and rates, whose distribution nobody knows. It judges all servers of
// a batch together and is soft, since a small certain difference is no reason to roll back.
type RankIndicator struct {
	Query    string   `yaml:"query"`
	Increase float64  `yaml:"increase"`            // percent that the median may get worse: 20
	DeadZone float64  `yaml:"dead_zone,omitempty"` // differences of medians up to this never count, in the value's unit
	Effect   float64  `yaml:"effect,omitempty"`    // P(new is worse than old) needed, 0.5–1; default 0.7
	Every    Duration `yaml:"every,omitempty"`     // between two measurements; default 15s
	Before   Duration `yaml:"before,omitempty"`    // how much of the time before the roll tells a slow server from a slow version; default 30m
}

// Step is the time between two measurements.
func (r RankIndicator) Step() Duration { return orDuration(r.Every, defaultStep) }

// Window is how much of the time before the roll is looked at.
func (r RankIndicator) Window() Duration { return orDuration(r.Before, defaultBefore) }

// LeastEffect is the effect size that a breach needs at least.
func (r RankIndicator) LeastEffect() float64 {
	if r.Effect == 0 {
		return 0.7
	}
	return r.Effect
}

// SaturationIndicator judges what fills up: a disk, a connection pool, a heap. It breaches when the value has reached Full,
// or when its linear trend since the exposure reaches it within Horizon.
type SaturationIndicator struct {
	Query   string   `yaml:"query"`
	Full    float64  `yaml:"full"`             // the value at which it is full: 95
	Horizon Duration `yaml:"horizon"`          // 30m
	Points  int      `yaml:"points,omitempty"` // measurements a trend needs at least; default 8
	Every   Duration `yaml:"every,omitempty"`  // between two measurements; default 15s
}

// Step is the time between two measurements.
func (s SaturationIndicator) Step() Duration { return orDuration(s.Every, defaultStep) }

// LeastPoints is how many measurements a trend needs.
func (s SaturationIndicator) LeastPoints() int {
	if s.Points == 0 {
		return 8
	}
	return s.Points
}

// ReportIndicator judges what somebody else has found: tests of a Jenkins build, a program's exit status, conditions of a
// container, the word of the test team. Until there is a report there is no pass.
type ReportIndicator struct {
	MaxFailed int `yaml:"max_failed,omitempty"` // how many may fail: 0
	MinPassed int `yaml:"min_passed,omitempty"` // how many must have passed; default 1
}

// LeastPassed is how many must have passed.
func (r ReportIndicator) LeastPassed() int { return max(r.MinPassed, 1) }

// The baselines of a comparison.
const (
	BaselineBefore  = "before"  // the same servers before the roll
	BaselineControl = "control" // the servers not yet rolled, at the same time
)

// Compare is a limit that is taken from a baseline b: a value is worse than b when it differs from it, in the bad direction, by
// more than Increase percent of b and by more than DeadZone. So with a baseline of zero the dead zone alone is the limit,
// and it should never be left out where zero is usual. With several baselines a breach is worse than each that has
// numbers: what was there before the roll, or is there on the old revision too, is not the new one's fault.
type Compare struct {
	Against  []string `yaml:"with"`                // "before", "control", or both
	Increase float64  `yaml:"increase"`            // percent of the baseline: 50
	DeadZone float64  `yaml:"dead_zone,omitempty"` // in the unit of the value: 0.5
	Before   Duration `yaml:"before,omitempty"`    // how much of the time before the roll is the baseline; default 30m
}

// With reports whether a baseline is compared with.
func (c Compare) With(baseline string) bool { return slices.Contains(c.Against, baseline) }

// Window is how much of the time before the roll is looked at.
func (c Compare) Window() Duration { return orDuration(c.Before, defaultBefore) }

// Limit is the worst value that a baseline allows, in a direction.
func (c Compare) Limit(baseline float64, d Direction) float64 {
	allowed := max(c.Increase/100*abs(baseline), c.DeadZone)
	if d == WorseLower {
		return baseline - allowed
	}
	return baseline + allowed
}

func abs(v float64) float64 { return max(v, -v) }

const (
	defaultStep   = Duration(15 * time.Second)
	defaultBefore = Duration(30 * time.Minute)
)

func orDuration(d, otherwise Duration) Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
