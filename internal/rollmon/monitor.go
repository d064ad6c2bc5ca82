package rollmon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// DefaultDeadline is how long one look waits for its slowest source.
const DefaultDeadline = 5 * time.Second

// Monitor answers the Roller's questions from the topology's indicators and the sources. It keeps no state between
// looks, so any replica may judge any look. It is safe for concurrent use.
type Monitor struct {
	topology func() *fleet.Topology
	sources  []Source
	clock    func() time.Time
	log      logrus.FieldLogger
	deadline time.Duration
	record   func(Look)
}

// NewMonitor returns a Monitor. topology returns the applied topology, nil while there is none. Each indicator is read by
// the first source that answers it.
func NewMonitor(topology func() *fleet.Topology, sources []Source, clock func() time.Time, log logrus.FieldLogger) *Monitor {
	return &Monitor{topology: topology, sources: sources, clock: clock, log: log, deadline: DefaultDeadline}
}

// WithDeadline returns a copy of m whose looks wait d for their slowest source.
func (m *Monitor) WithDeadline(d time.Duration) *Monitor {
	changed := *m
	changed.deadline = d
	return &changed
}

// WithRecord returns a copy of m that hands every look on, with all it was made from. record must not block.
func (m *Monitor) WithRecord(record func(Look)) *Monitor {
	changed := *m
	changed.record = record
	return &changed
}

// Judge reads all indicators of the question's site and stage side by side and judges them. It returns as soon as a
// hard breach is certain, otherwise when every source has answered or the deadline has passed: a slow source is then
// down, and named.
func (m *Monitor) Judge(ctx context.Context, q verdict.Question) verdict.Verdict {
	v, r := m.judge(ctx, q)
	v.At = m.clock()
	if m.record != nil && r != nil {
		m.record(Look{Record: *r, Verdict: v})
	}
	m.log.WithFields(logrus.Fields{"roll": q.Roll, "site": q.Site.String(), "stage": q.Stage, "batch": q.Batch, "outcome": v.Outcome}).
		Debug(v.Reason)
	return v
}

// judge answers a question, and returns what it was judged from; nil when nothing was read.
func (m *Monitor) judge(ctx context.Context, q verdict.Question) (verdict.Verdict, *Record) {
	t := m.topology()
	if t == nil {
		return doubt(q, "judge %s: no topology is applied yet", q.Site), nil
	}
	site, ok := t.Site(q.Site)
	if !ok {
		return doubt(q, "judge %s: the topology has no such site", q.Site), nil
	}
	indicators, leftOut := choose(t, q)
	now := m.clock()
	request := Request{
		Site: q.Site, Roll: q.Roll, Backend: site.Site.Balancer.Backend, Since: q.Since, Now: now,
		Exposed: describe(site, q.Exposed), Control: describe(site, q.Control),
	}
	r := Record{Question: q, Indicators: indicators, At: now}
	if len(q.Exposed) > 0 {
		r.Samples = m.gather(ctx, q, indicators, request)
	}
	v := r.Judge()
	if len(indicators) == 0 && len(leftOut) > 0 {
		v.Reason += ": " + strings.Join(leftOut, "; ")
	}
	return v, &r
}

// answer is one source's reading on its way back.
type answer struct {
	indicator int
	reading   Reading
}

// gather reads every indicator at the same time. An indicator whose answer is not there at the end has a reading that
// says why.
func (m *Monitor) gather(ctx context.Context, q verdict.Question, indicators []fleet.Indicator, r Request) Samples {
	ctx, cancel := context.WithTimeoutCause(ctx, m.deadline, fmt.Errorf("did not answer within %s", m.deadline))
	defer cancel()

	samples := make(Samples, len(indicators))
	answers := make(chan answer, len(indicators)) // holds them all: a source that answers too late blocks nothing
	missing := make(map[int]bool, len(indicators))
	for n, i := range indicators {
		source := m.sourceOf(i)
		if source == nil {
			samples[i.Name] = Reading{Failure: verdict.SourceDown, Reason: "no configured source reads this kind of indicator"}
			continue
		}
		missing[n] = true
		request := ask(r, i, q)
		go func() { answers <- answer{n, read(ctx, source, request)} }()
	}
	for len(missing) > 0 {
		a, err := next(ctx, answers)
		if err != nil {
			outcome := verdict.SourceDown
			if errors.Is(ctx.Err(), context.Canceled) {
				outcome = verdict.Pending // the look was cut off, which says nothing about the source
			}
			m.fill(samples, indicators, missing, outcome, err.Error())
			break
		}
		delete(missing, a.indicator)
		i := indicators[a.indicator]
		samples[i.Name] = a.reading
		if i.Hard && certain(q, indicators, i, samples, r.Now) {
			m.fill(samples, indicators, missing, verdict.Pending, "was not waited for: "+i.Name+" is a hard breach")
			break
		}
	}
	return samples
}

// ask is the request for one indicator: of the time behind its warm-up, and of as much of the time before the roll as its
// judge compares with.
func ask(r Request, i fleet.Indicator, q verdict.Question) Request {
	r.Indicator, r.Since = i, countedSince(r.Since, i)
	if back := i.LooksBack(); back > 0 && !q.Began.IsZero() {
		r.Before = &Window{From: q.Began.Add(-back.D()), Until: q.Began}
	}
	return r
}

// next waits for an answer. One that is there already is taken even when the time is over.
func next(ctx context.Context, answers <-chan answer) (answer, error) {
	select {
	case a := <-answers:
		return a, nil
	default:
	}
	select {
	case a := <-answers:
		return a, nil
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
}

// fill says of every missing answer why it is missing.
func (m *Monitor) fill(samples Samples, indicators []fleet.Indicator, missing map[int]bool, o verdict.Outcome, why string) {
	for n := range missing {
		i := indicators[n]
		samples[i.Name] = Reading{Source: m.sourceOf(i).Name(), Failure: o, Reason: why}
	}
}

// certain reports whether one hard indicator has breached, whatever the others will say.
func certain(q verdict.Question, all []fleet.Indicator, i fleet.Indicator, samples Samples, now time.Time) bool {
	l := newLook(q, all, now)
	for _, f := range l.judge(i, samples) {
		if f.Outcome == verdict.Hard {
			return true
		}
	}
	return false
}

// read asks a source. A source that panics is down, and says so; it does not take the monitor along.
func read(ctx context.Context, s Source, r Request) (reading Reading) {
	defer func() {
		if p := recover(); p != nil {
			reading = Reading{Failure: verdict.SourceDown, Reason: fmt.Sprintf("failed: %v", p)}
		}
		reading.Source = s.Name()
	}()
	return s.Read(ctx, r)
}

func (m *Monitor) sourceOf(i fleet.Indicator) Source {
	for _, s := range m.sources {
		if s.Answers(i) {
			return s
		}
	}
	return nil
}
