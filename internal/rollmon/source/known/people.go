package known

import (
	"context"
	"fmt"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// Entered finds what people said of the Coach that a roll carries, oldest first.
type Entered func(ctx context.Context, roll string) ([]verdict.Entered, error)

// People is the source of what people say: the newest word of each person in the site's environment counts.
type People struct{ entered Entered }

// NewPeople returns a People that reads through entered.
func NewPeople(entered Entered) *People { return &People{entered} }

// Name is "people".
func (*People) Name() string { return fleet.SourcePeople }

// Answers reports whether the indicator names this source.
func (*People) Answers(i fleet.Indicator) bool { return answers(i, fleet.SourcePeople) }

// Read counts words.
func (p *People) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	all, err := p.entered(ctx, r.Roll)
	if err != nil {
		return failed(p.Name(), verdict.SourceDown, "the database does not say what people said: "+err.Error())
	}
	report := count(all, r.Site.Environment)
	return rollmon.Reading{Source: p.Name(), Exposed: &rollmon.Sample{Report: &report}}
}

// count is how many people say pass, and how many fail. The words are those of the newest fail, else of the newest pass.
func count(all []verdict.Entered, environment string) rollmon.Report {
	newest := map[string]verdict.Entered{}
	var report rollmon.Report
	for _, e := range all {
		if e.Environment == environment {
			newest[e.Actor] = e
		}
	}
	var told verdict.Entered
	for _, e := range newest {
		worse := told.Actor == "" || told.Pass && !e.Pass
		if worse || told.Pass == e.Pass && e.At.After(told.At) {
			told = e
		}
		if e.Pass {
			report.Passed++
		} else {
			report.Failed++
		}
	}
	report.By, report.Words = told.Actor, told.Reason
	if len(newest) > 1 {
		report.By += fmt.Sprintf(" and %d more", len(newest)-1)
	}
	return report
}
