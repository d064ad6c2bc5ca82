package known

import (
	"context"
	"strings"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// Condition is one thing that is ready on a server, or why it is not.
type Condition struct {
	Name    string // "machine", "hotel-api", "balancer"
	Problem string // "" = ready; "runs 9f86d0, expected 15bec7"
}

// Conditions looks at one server of a roll. An error says that it could not be found out.
type Conditions func(ctx context.Context, roll string, site fleet.SiteRef, server string) ([]Condition, error)

// Readiness is the source of what is ready: the machine answers, each app runs its release, the balancer calls it up.
type Readiness struct{ conditions Conditions }

// NewReadiness returns a Readiness that looks through conditions.
func NewReadiness(conditions Conditions) *Readiness { return &Readiness{conditions} }

// Name is "readiness".
func (*Readiness) Name() string { return fleet.SourceReadiness }

// Answers reports whether the indicator names this source.
func (*Readiness) Answers(i fleet.Indicator) bool { return answers(i, fleet.SourceReadiness) }

// again is how long a server that is not ready is left alone before it is looked at once more in the same reading, so that
// one lost packet is no breach.
const again = 300 * time.Millisecond

// Read looks at every exposed server. A server that does not answer is not ready: it is the failing thing itself here.
func (s *Readiness) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	if r.Roll == "" {
		return failed(s.Name(), verdict.NoData, "no roll says what should run")
	}
	return rollmon.Reading{Source: s.Name(), Servers: each(ctx, r, func(ctx context.Context, server string) rollmon.Sample {
		sample := s.look(ctx, r, server)
		if sample.Report == nil || sample.Report.Failed == 0 {
			return sample
		}
		timer := time.NewTimer(again)
		defer timer.Stop()
		select {
		case <-timer.C:
			return s.look(ctx, r, server)
		case <-ctx.Done():
			return rollmon.Sample{Problem: "it did not answer before the look had to end"}
		}
	})}
}

func (s *Readiness) look(ctx context.Context, r rollmon.Request, server string) rollmon.Sample {
	conditions, err := s.conditions(ctx, r.Roll, r.Site, server)
	switch {
	case ctx.Err() != nil:
		return rollmon.Sample{Problem: "it did not answer before the look had to end"}
	case err != nil:
		return rollmon.Sample{Problem: err.Error()}
	}
	report := rollmon.Report{}
	var problems []string
	for _, c := range conditions {
		if c.Problem == "" {
			report.Passed++
			continue
		}
		report.Failed++
		problems = append(problems, c.Name+" "+c.Problem)
	}
	report.Words = strings.Join(problems, "; ")
	return rollmon.Sample{Report: &report}
}
