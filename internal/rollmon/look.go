package rollmon

import (
	"context"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// Look is a Record with the verdict that was given then.
type Look struct {
	Record
	Verdict verdict.Verdict `json:"verdict"`
	Turned  bool            `json:"turned,omitempty"` // its outcome is another than that of the look before, or it is a batch's first
}

// LookStore keeps looks.
type LookStore interface {
	// SaveLook keeps a look. One that did not turn takes the place of the last of its roll, stage and batch that did not.
	SaveLook(ctx context.Context, l Look) error
}

// Minute is what was measured of a site in one minute.
type Minute struct {
	At      time.Time
	Samples Samples
}

// SampleStore keeps what sources without a history said each minute.
type SampleStore interface {
	// TakeMinute reports whether it is the caller's turn to sample the site in that minute. Of all replicas one is told so.
	TakeMinute(ctx context.Context, site fleet.SiteRef, minute time.Time, owner string) (taken bool, err error)
	// SaveMinute keeps what was measured in a minute that was taken.
	SaveMinute(ctx context.Context, site fleet.SiteRef, minute time.Time, owner string, samples Samples) error
	// Minutes returns what was measured in a time, oldest first. Minutes in which nobody finished are left out.
	Minutes(ctx context.Context, site fleet.SiteRef, w Window) ([]Minute, error)
}
