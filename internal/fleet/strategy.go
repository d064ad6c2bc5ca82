package fleet

import (
	"fmt"
	"strings"
	"time"
)

// Strategy says how a site is rolled, as written in the file. A field left out takes the environment's value, then
// Default's; that is why a zero must be told from an absence. Rolls use Resolved.
type Strategy struct {
	Smoke   *bool     `yaml:"smoke,omitempty"`   // roll the smoke servers first, tested without public traffic
	Baking  *Baking   `yaml:"baking,omitempty"`  // weight 0 = no baking, also where the environment bakes
	Pattern []int     `yaml:"pattern,omitempty"` // percent per batch: [25] (equal parts) or [10, 40, 50]
	Pause   *Duration `yaml:"pause,omitempty"`   // judged time after each batch, the last one included
	Watch   *Duration `yaml:"watch,omitempty"`   // time hard indicators stay armed after the last batch
	// MinUp is the floor: how many servers must stay healthy and in rotation, percent of the site's servers, rounded up.
	MinUp *int `yaml:"min_up,omitempty"`
	// FailureBudget is how many servers may fail in one roll before it stops. 0 = none.
	FailureBudget *int `yaml:"failure_budget,omitempty"`
	// DrainTimeout bounds the wait for a pulled-out server's sessions to end.
	DrainTimeout *Duration `yaml:"drain_timeout,omitempty"`
	// StepTimeout bounds each step on a server: switch, smoke test, pull-in until UP.
	StepTimeout *Duration `yaml:"step_timeout,omitempty"`
	// OnFailure says what an exhausted failure budget does: OnFailurePause or OnFailureRollback.
	OnFailure string `yaml:"on_failure,omitempty"`
	// DoubtBound is how long no traffic or no data is waited out before the roll pauses.
	DoubtBound *Duration `yaml:"doubt_bound,omitempty"`
	// Progress is how long a roll may make no progress before it pauses and says where it hangs.
	Progress *Duration `yaml:"progress,omitempty"`
}

// Baking is the period in which the new version takes production traffic on the smoke servers.
type Baking struct {
	Weight int      `yaml:"weight"`         // percent of a full server's share: 25; 0 = no baking
	Time   Duration `yaml:"time,omitempty"` // how long it is compared: 5m
}

// Duration is a time.Duration that is written "90s" in files.
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String returns "1m30s", and "5m" rather than "5m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "90s", "5m" or "1h30m". A number needs its unit, and no duration here is negative.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("%q is no duration; write a number with its unit, such as 30s, 5m or 1h", text)
	case v < 0:
		return fmt.Errorf("%q is negative; a duration is 0s or more", text)
	}
	*d = Duration(v)
	return nil
}

// ApprovalPolicy grants approval of plans automatically. Only the topology can (never the author's own plan file).
type ApprovalPolicy struct {
	SBU   string   `yaml:"sbu,omitempty"`   // "" = every SBU
	Kinds []Kind   `yaml:"kinds,omitempty"` // empty = every kind
	Apps  []string `yaml:"apps,omitempty"`  // empty = every app
}
