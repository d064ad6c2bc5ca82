package fleet

import (
	"testing"
	"time"
)

func TestWindows(t *testing.T) {
	once := Window{From: "2026-10-01T00:00:00+08:00", To: "2026-10-08T00:00:00+08:00"}
	night := Window{Days: []string{"fri"}, From: "18:00", To: "08:00", Zone: "Asia/Shanghai"}
	evening := Window{Days: []string{"mon", "tue"}, From: "17:00", To: "22:00"}
	berlin := Window{Days: []string{"sun"}, From: "00:00", To: "12:00", Zone: "Europe/Berlin"}
	for _, tc := range []struct {
		rule     string
		window   Window
		now      string
		from, to string // "" = outside
	}{
		{"a window contains its beginning", once, "2026-09-30T16:00:00Z", "2026-09-30T16:00:00Z", "2026-10-07T16:00:00Z"},
		{"and not its end", once, "2026-10-07T16:00:00Z", "", ""},
		{"a night begins on its day", night, "2026-03-06T10:00:00Z", "2026-03-06T10:00:00Z", "2026-03-07T00:00:00Z"},
		{"and lasts into the next morning", night, "2026-03-06T23:59:00Z", "2026-03-06T10:00:00Z", "2026-03-07T00:00:00Z"},
		{"the night after is another one", night, "2026-03-07T12:00:00Z", "", ""},
		{"an evening is UTC when no zone is named", evening, "2026-03-03T21:59:59Z", "2026-03-03T17:00:00Z", "2026-03-03T22:00:00Z"},
		{"the days that are not named are free", evening, "2026-03-04T18:00:00Z", "", ""},
		{"the day on which the clock is put forward is an hour shorter", berlin, "2026-03-29T09:59:00Z", "2026-03-28T23:00:00Z", "2026-03-29T10:00:00Z"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			now, err := time.Parse(time.RFC3339, tc.now)
			if err != nil {
				t.Fatal(err)
			}
			span, in := tc.window.Around(now)
			from, to := "", ""
			if in {
				from, to = span.From.Format(time.RFC3339), span.To.Format(time.RFC3339)
			}
			if from != tc.from || to != tc.to {
				t.Errorf("got %s to %s, want %s to %s", from, to, tc.from, tc.to)
			}
		})
	}
}
