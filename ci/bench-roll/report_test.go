package main

import (
	"testing"
	"time"
)

func TestWrkNamesFailuresOnlyWhenThereAreSome(t *testing.T) {
	const head = "Running 60m test @ http://127.0.0.1:20500/\n  1 threads and 16 connections\n"
	tests := []struct {
		name, said       string
		requests, failed int
		wrong            bool
	}{
		{"nothing failed", head + "  11894 requests in 4.62s, 1.35MB read\nRequests/sec:   2574.10\n", 11894, 0, false},
		{"answers that are no success", head + "  100 requests in 4.62s, 1.35MB read\n  Non-2xx or 3xx responses: 7\n", 100, 7, false},
		{"broken connections", head + "  100 requests in 4.62s, 1.35MB read\n  Socket errors: connect 1, read 2, write 3, timeout 4\n", 100, 10, false},
		{"both", head + "  100 requests in 4.62s, 1.35MB read\n  Socket errors: connect 0, read 2, write 0, timeout 0\n  Non-2xx or 3xx responses: 7\n", 100, 9, false},
		{"no figures", "unable to connect to 127.0.0.1:20500 Connection refused\n", 0, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requests, failed, err := count(tt.said)
			if requests != tt.requests || failed != tt.failed || (err != nil) != tt.wrong {
				t.Errorf("count = %d, %d, %v; want %d, %d, an error: %t", requests, failed, err, tt.requests, tt.failed, tt.wrong)
			}
		})
	}
}

func TestTheReportComparesMediansWithTheFloor(t *testing.T) {
	var r report
	for _, ms := range []time.Duration{2500, 9000, 2000} {
		r.add(measurement{name: "railyard", took: ms * time.Millisecond, requests: 10, failed: 1})
	}
	for _, ms := range []time.Duration{3000, 1000} {
		r.add(measurement{name: "floor", took: ms * time.Millisecond, requests: 10})
	}
	want := "railyard: median 2.50 s, from 2.00 to 9.00 s in 3 rolls, 3 failed of 30 requests; 1.25 × the floor (goal: at most 1.15)\n" +
		"floor: median 2.00 s, from 1.00 to 3.00 s in 2 rolls, 0 failed of 20 requests\n"
	if got := r.String(); got != want {
		t.Errorf("report:\n%s\nwant:\n%s", got, want)
	}
}
