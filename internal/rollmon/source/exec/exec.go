// Package exec lets a user's program be the source of indicators that nothing else reads. It is described in docs/drivers.md:
// one JSON document on its standard input says what is asked about, one on its standard output has the numbers.
package exec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/script"
	"railyard/internal/verdict"
)

// patience is how long the program may take, and atOnce how many of them run at a time, over all looks.
const (
	patience = 4 * time.Second
	atOnce   = 16
)

// Source runs the indicator's program for each look. It is safe for concurrent use if the programs are.
type Source struct {
	places chan struct{}
}

// New returns a Source.
func New() *Source { return &Source{places: make(chan struct{}, atOnce)} }

// Name is "exec".
func (*Source) Name() string { return fleet.SourceExec }

// Answers reports whether the indicator names a program.
func (*Source) Answers(i fleet.Indicator) bool {
	return i.Source.Exec != nil && i.ReadBy() == fleet.SourceExec
}

// Read asks the program about all servers at once.
func (s *Source) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	out := rollmon.Reading{Source: s.Name()}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("did not answer within %s", patience))
	defer cancel()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		out.Failure, out.Reason = verdict.SourceDown, "its turn to be run did not come in time"
		return out
	}
	var a answer
	if err := script.Run(ctx, r.Indicator.Source.Exec.Program, requestOf(ctx, r), &a); err != nil {
		out.Failure, out.Reason = explain(err), err.Error()
		return out
	}
	return a.reading(out, r)
}

// explain tells a program that has no numbers from one that does not work.
func explain(err error) verdict.Outcome {
	var ended *script.Error
	if errors.As(err, &ended) && ended.Code == script.CodePermanent {
		return verdict.NoData
	}
	return verdict.SourceDown
}
