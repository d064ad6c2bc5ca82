package rollmon

import (
	"fmt"
	"math"
	"time"

	"railyard/internal/fleet"
)

// subject is what one finding is about: a server, the batch or the site, with what the source said of it.
type subject struct {
	server string // "" = not one server
	where  string // "hotel-api-1 (batch 1)"
	sample Sample
	known  bool // the source said something
}

// subjects are those of an indicator's scope. Only servers are several.
func (l look) subjects(i fleet.Indicator, r Reading) []subject {
	if i.In() != fleet.ScopeServer {
		s := subject{where: l.together(len(l.Exposed))}
		if i.In() == fleet.ScopePool {
			s.where = "the whole pool"
		}
		if r.Exposed != nil {
			s.sample, s.known = *r.Exposed, true
		}
		return []subject{s}
	}
	all := make([]subject, 0, len(l.Exposed))
	for _, server := range l.Exposed {
		all = append(all, l.subject(server, r))
	}
	return all
}

func (l look) subject(server string, r Reading) subject {
	s := subject{server: server, where: server + " " + l.batchWords()}
	s.sample, s.known = r.Servers[server]
	return s
}

// together names n of the judged servers as one: "5 servers together (batch 1)".
func (l look) together(n int) string {
	if len(l.Exposed) == 1 {
		return l.Exposed[0] + " " + l.batchWords()
	}
	return servers(n) + " together " + l.batchWords()
}

// problem says why a subject has no numbers that can be used; "" when the source gave some.
func (s subject) problem() string {
	switch {
	case !s.known && s.server == "":
		return "the source has no data"
	case !s.known:
		return "the source has no data about it"
	}
	return s.sample.Problem
}

// largest is the size from which a number is no measurement: a mean or a trend of such must stay a number too.
const largest = math.MaxFloat64 / 4

// usable says why a measured value is none.
func usable(v float64) string {
	if math.IsNaN(v) || math.Abs(v) > largest {
		return fmt.Sprintf("its value is %v, not a number", v)
	}
	return ""
}

// slack is how far the clocks of a source and of the judge may be apart.
const slack = time.Minute

// series is a subject's measurements in a span of time, checked: numbers, in order, of that time, and none twice.
func series(points []Point, from, until time.Time) ([]Point, string) {
	if len(points) == 0 {
		return nil, "the source has no measurements of it"
	}
	var last time.Time
	for n, p := range points {
		switch {
		case math.IsNaN(p.Value) || math.Abs(p.Value) > largest:
			return nil, fmt.Sprintf("its measurement of %s is %v, not a number", clock(p.At), p.Value)
		case p.At.After(until.Add(slack)):
			return nil, fmt.Sprintf("it has a measurement of %s, which is %s after the look: a clock is off", dated(p.At).UTC().Format(time.RFC3339), p.At.Sub(until).Round(time.Second))
		case p.At.Before(from.Add(-slack)):
			return nil, fmt.Sprintf("it has a measurement of %s, which is %s before the time that was asked for", dated(p.At).UTC().Format(time.RFC3339), from.Sub(p.At).Round(time.Second))
		case n > 0 && p.At.Equal(last):
			return nil, fmt.Sprintf("it has two measurements of %s", clock(p.At))
		case n > 0 && p.At.Before(last):
			return nil, fmt.Sprintf("its measurement of %s comes after that of %s", clock(p.At), clock(last))
		}
		last = p.At
	}
	return points, ""
}

// stale says why measurements are too old to judge by: none was made for several steps.
func stale(points []Point, step time.Duration, now time.Time) string {
	const steps = 5
	if age := now.Sub(points[len(points)-1].At); age > steps*step+slack {
		return fmt.Sprintf("its newest measurement is %s old, with one wanted every %s", age.Round(time.Second), step)
	}
	return ""
}

func clock(t time.Time) string { return dated(t).UTC().Format("15:04:05") }

// values are the measured values alone.
func values(points []Point) []float64 {
	all := make([]float64, 0, len(points))
	for _, p := range points {
		all = append(all, p.Value)
	}
	return all
}
