package rollmon

import (
	"fmt"
	"math"
)

// tally is a checked count: whole numbers, failures ≤ attempts.
type tally struct{ failures, attempts int64 }

func (t tally) plus(o tally) tally { return tally{t.failures + o.failures, t.attempts + o.attempts} }

func (t tally) percent() float64 {
	if t.attempts == 0 {
		return 0
	}
	return 100 * float64(t.failures) / float64(t.attempts)
}

// sum adds the tallies that can be used, and names the servers whose cannot.
func sum(names []string, samples map[string]Sample) (total tally, usable int, problems []string) {
	for _, name := range names {
		sample, known := samples[name]
		t, problem := checked(subject{server: name, sample: sample, known: known})
		if problem != "" {
			problems = append(problems, name)
			continue
		}
		total = total.plus(t)
		usable++
	}
	return total, usable, problems
}

// maxCount is more than any server answers in a roll, and small enough that a sum over a whole fleet is exact.
const maxCount = 1e12

// checked returns a subject's tally, or why its numbers are none.
func checked(s subject) (tally, string) {
	if problem := s.problem(); problem != "" {
		return tally{}, problem
	}
	if s.sample.Count == nil {
		return tally{}, "the source gave no counts"
	}
	failures, problem := wholeNumber("failures", s.sample.Count.Failures)
	if problem != "" {
		return tally{}, problem
	}
	attempts, problem := wholeNumber("attempts", s.sample.Count.Attempts)
	if problem != "" {
		return tally{}, problem
	}
	if failures > attempts {
		return tally{}, fmt.Sprintf("%d failures of only %d attempts: the two queries do not count the same requests", failures, attempts)
	}
	return tally{failures, attempts}, ""
}

// wholeNumber takes a count apart from what only looks like one.
func wholeNumber(what string, v float64) (int64, string) {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, fmt.Sprintf("its %s are %v, not a number", what, v)
	case v < 0:
		return 0, fmt.Sprintf("its %s went down by %s: the counter was reset", what, number(-v))
	case v > maxCount:
		return 0, fmt.Sprintf("its %s are %g, too many to be a count", what, v)
	case math.Abs(v-math.Round(v)) > 1e-6:
		return 0, fmt.Sprintf("its %s are %s, not a whole number: take the difference of a counter, not increase() or rate(), which extrapolate", what, number(v))
	}
	return int64(math.Round(v)), ""
}
