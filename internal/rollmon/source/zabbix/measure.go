package zabbix

import (
	"fmt"
	"slices"
	"time"

	"railyard/internal/rollmon"
)

// counted is what two counters counted within a time.
func counted(failures, attempts history, in span) rollmon.Sample {
	f, problem := difference("failures", failures.points, in)
	if problem != "" {
		return rollmon.Sample{Problem: problem}
	}
	a, problem := difference("attempts", attempts.points, in)
	if problem != "" {
		return rollmon.Sample{Problem: problem}
	}
	return rollmon.Sample{Count: &rollmon.Count{Failures: f, Attempts: a}}
}

// difference is the last value until the end minus the last value until the beginning.
func difference(what string, points []point, in span) (float64, string) {
	first := last(points, in.from)
	if first < 0 {
		return 0, fmt.Sprintf("its %s have no value from before %s to count from", what, clock(in.from))
	}
	for n := first + 1; n < len(points); n++ {
		if points[n].value < points[n-1].value {
			return 0, fmt.Sprintf("its %s went down at %s, so the counter was reset", what, clock(points[n].at))
		}
	}
	return points[len(points)-1].value - points[first].value, ""
}

// last is the place of the last point until a time; -1 if there is none.
func last(points []point, until time.Time) int {
	n, _ := slices.BinarySearchFunc(points, until, func(p point, at time.Time) int {
		if p.at.After(at) {
			return 1
		}
		return -1
	})
	return n - 1
}

// measured is a host's values of a time: all of them, and the newest.
func (s *Source) measured(a ask, h history, in span, exposed bool) rollmon.Sample {
	points := h.points
	since := in.from
	if !exposed && !a.points {
		since = in.from.Add(-s.options.MaxAge) // the old revision's value from shortly before is one too
	}
	points = points[last(points, since.Add(-1))+1:]
	if len(points) == 0 {
		newest := "none at all lately"
		if n := len(h.points); n > 0 {
			newest = "the newest is from " + clock(h.points[n-1].at)
		}
		return rollmon.Sample{Problem: fmt.Sprintf("it has no value since %s: %s", clock(since), newest)}
	}
	newest := points[len(points)-1]
	if age := in.until.Sub(newest.at); in.now && age > s.options.MaxAge {
		return rollmon.Sample{Problem: fmt.Sprintf("its newest value is %s old", age.Round(time.Second))}
	}
	sample := rollmon.Sample{Value: &newest.value}
	if a.points || !in.now {
		for _, p := range points {
			sample.Points = append(sample.Points, rollmon.Point{At: p.at, Value: p.value})
		}
	}
	return sample
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
