package past_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/past"
	"railyard/internal/verdict"
)

// store gives the minutes of a test.
type store struct {
	minutes []rollmon.Minute
	err     error
}

func (store) TakeMinute(context.Context, fleet.SiteRef, time.Time, string) (bool, error) {
	return false, nil
}
func (store) SaveMinute(context.Context, fleet.SiteRef, time.Time, string, rollmon.Samples) error {
	return nil
}
func (s store) Minutes(context.Context, fleet.SiteRef, rollmon.Window) ([]rollmon.Minute, error) {
	return s.minutes, s.err
}

type nothing struct{}

func (nothing) Name() string                 { return "nothing" }
func (nothing) Answers(fleet.Indicator) bool { return true }
func (nothing) Read(context.Context, rollmon.Request) rollmon.Reading {
	return rollmon.Reading{Source: "nothing"}
}

func TestTheMinutesOfASourceWithoutHistoryAreItsPast(t *testing.T) {
	began := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	minute := func(ago int, r rollmon.Reading) rollmon.Minute {
		return rollmon.Minute{At: began.Add(-time.Duration(ago) * time.Minute), Samples: rollmon.Samples{"i": r}}
	}
	of := func(s rollmon.Sample) rollmon.Reading {
		return rollmon.Reading{Servers: map[string]rollmon.Sample{"s-1": s}}
	}
	read := func(s store) *rollmon.Past {
		return past.NewSampled(nothing{}, s).Read(t.Context(), rollmon.Request{Indicator: fleet.Indicator{Name: "i"},
			Before: &rollmon.Window{From: began.Add(-time.Hour), Until: began}, Now: began.Add(time.Minute)}).Before
	}
	values := read(store{minutes: []rollmon.Minute{minute(3, of(rollmon.Sample{Value: new(5.0)})), minute(2, rollmon.Reading{Failure: verdict.SourceDown}),
		minute(1, of(rollmon.Sample{Value: new(7.0)}))}}).Servers["s-1"]
	if len(values.Points) != 2 || values.Points[0].Value != 5 || !values.Points[0].At.Equal(began.Add(-3*time.Minute)) || *values.Value != 7 {
		t.Errorf("values %+v", values)
	}
	counts := read(store{minutes: []rollmon.Minute{minute(2, of(rollmon.Sample{Count: &rollmon.Count{Failures: 1, Attempts: 10}})),
		minute(1, of(rollmon.Sample{Count: &rollmon.Count{Failures: 2, Attempts: 20}}))}}).Servers["s-1"]
	if *counts.Count != (rollmon.Count{Failures: 3, Attempts: 30}) {
		t.Errorf("counts %+v", counts.Count)
	}
	tries := read(store{minutes: []rollmon.Minute{minute(2, of(rollmon.Sample{Tries: &rollmon.Tries{Runs: 2, Failed: 2, Words: "500"}})),
		minute(1, of(rollmon.Sample{Tries: &rollmon.Tries{Runs: 1}}))}}).Servers["s-1"]
	if *tries.Tries != (rollmon.Tries{Runs: 3, Failed: 2, Words: "500"}) {
		t.Errorf("tries %+v", tries.Tries)
	}
	if p := read(store{minutes: []rollmon.Minute{{At: began}}}); p.Failure != verdict.NoData || !strings.Contains(p.Reason, "nothing was sampled") {
		t.Errorf("without samples %+v", p)
	}
	if p := read(store{err: errors.New("away")}); p.Failure != verdict.SourceDown {
		t.Errorf("without a database %+v", p)
	}
}
