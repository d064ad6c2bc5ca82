package known

import (
	"context"
	"sync"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// Step is one event of a roll on one of its servers.
type Step struct {
	ID      int64 // in the order of the log
	Server  string
	Failed  bool
	Settled bool   // the server is done and well: what failed before was tried again
	Words   string // "switch: connection refused"
}

// Steps returns the events on the servers of a roll after one of them, in their order.
type Steps func(ctx context.Context, roll string, after int64) ([]Step, error)

// RollingLog is the source of the roll's own log: how many of its steps on a server failed, and how many went well. The log
// only grows, so each look reads what is new. It is safe for concurrent use.
type RollingLog struct {
	steps Steps

	mu    sync.Mutex
	rolls map[string]*tally
	order []string
}

// tally is what was read of a roll so far.
type tally struct {
	mu      sync.Mutex
	after   int64
	servers map[string]rollmon.Report
}

// followed bounds the rolls that are remembered; one that was forgotten is read from its beginning.
const followed = 64

// NewRollingLog returns a RollingLog that reads through steps.
func NewRollingLog(steps Steps) *RollingLog {
	return &RollingLog{steps: steps, rolls: map[string]*tally{}}
}

// Name is "rolling_log".
func (*RollingLog) Name() string { return fleet.SourceRollingLog }

// Answers reports whether the indicator names this source.
func (*RollingLog) Answers(i fleet.Indicator) bool { return answers(i, fleet.SourceRollingLog) }

// Read counts the steps on every exposed server.
func (l *RollingLog) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	t := l.tally(r.Roll)
	t.mu.Lock()
	defer t.mu.Unlock()
	steps, err := l.steps(ctx, r.Roll, t.after)
	if err != nil {
		return failed(l.Name(), verdict.SourceDown, "the database does not say how the steps went: "+err.Error())
	}
	for _, s := range steps {
		report := t.servers[s.Server]
		switch {
		case s.Failed:
			report.Failed++
			report.Words = s.Words
		case s.Settled:
			report.Passed, report.Failed, report.Words = report.Passed+1, 0, ""
		default:
			report.Passed++
		}
		t.servers[s.Server], t.after = report, s.ID
	}
	out := rollmon.Reading{Source: l.Name(), Servers: make(map[string]rollmon.Sample, len(r.Exposed))}
	for _, s := range r.Exposed {
		if report, ok := t.servers[s.Name]; ok {
			out.Servers[s.Name] = rollmon.Sample{Report: &report}
		}
	}
	return out
}

func (l *RollingLog) tally(roll string) *tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.rolls[roll]; t != nil {
		return t
	}
	t := &tally{servers: map[string]rollmon.Report{}}
	l.rolls[roll] = t
	if l.order = append(l.order, roll); len(l.order) > followed {
		delete(l.rolls, l.order[0])
		l.order = l.order[1:]
	}
	return t
}
