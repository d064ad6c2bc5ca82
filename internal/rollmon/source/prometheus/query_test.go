package prometheus

import (
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
)

func TestAQueryIsFilledInWithThePlaceAndTheTime(t *testing.T) {
	now := time.UnixMilli(1_700_000_042_250)
	for _, c := range []struct {
		rule, query, want string
		since             time.Time
	}{
		{rule: "place", query: "{{.Environment}} {{.Pool}} {{.Backend}}", want: "PROD hotel-api PROD_hotel-api"},
		{rule: "servers are one expression, exposed and control", query: "{{.Servers}} {{.Members}}", want: "hotel-api-1|hotel[.]2 srv1|srv2"},
		{rule: "times are exact", query: "{{.Since}} {{.Now}} {{.Window}}", want: "1700000000.000 1700000042.250 43"},
		{rule: "the window is at least a second", since: now, query: "{{.Window}}", want: "1"},
		{rule: "a future exposure is now", since: now.Add(time.Hour), query: "{{.Since}} {{.Window}}", want: "1700000042.250 1"},
		{rule: "the window is bounded", since: now.Add(-48 * time.Hour), query: "{{.Window}}", want: "3600"},
		{rule: "no beginning is the longest window", since: time.Unix(0, 0), query: "{{.Window}}", want: "3600"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			r := rollmon.Request{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Backend: "PROD_hotel-api", Now: now, Since: c.since,
				Indicator: fleet.Indicator{Value: &fleet.ValueIndicator{Query: c.query}},
				Exposed:   []rollmon.Server{{Name: "hotel-api-1", Member: "srv1"}}, Control: []rollmon.Server{{Name: "hotel.2", Member: "srv2"}}}
			if r.Since.IsZero() {
				r.Since = time.UnixMilli(1_700_000_000_000)
			}
			got, err := render(r, span{r.Since, r.Now}, time.Hour)
			if err != nil || got != c.want {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestARatioIsOneQuery(t *testing.T) {
	r := rollmon.Request{Indicator: fleet.Indicator{Ratio: &fleet.RatioIndicator{Failures: "f", Attempts: "a"}}, Now: time.Unix(100, 0), Since: time.Unix(90, 0)}
	got, err := render(r, span{r.Since, r.Now}, time.Hour)
	want := `label_replace(f, "railyard_part", "failures", "", "") or label_replace(a, "railyard_part", "attempts", "", "")`
	if err != nil || strings.ReplaceAll(got, "\n", "") != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestTheTwoSidesOfABatchAreOneQuery(t *testing.T) {
	r := rollmon.Request{Indicator: fleet.Indicator{Scope: fleet.ScopeBatch, Value: &fleet.ValueIndicator{Query: "q{{.Servers}}"}}, Now: time.Unix(100, 0), Since: time.Unix(90, 0),
		Exposed: []rollmon.Server{{Name: "a"}, {Name: "b"}}, Control: []rollmon.Server{{Name: "c"}}}
	got, err := render(r, span{r.Since, r.Now}, time.Hour)
	want := `label_replace(qa|b, "railyard_side", "exposed", "", "") or label_replace(qc, "railyard_side", "control", "", "")`
	if err != nil || strings.ReplaceAll(got, "\n", "") != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
