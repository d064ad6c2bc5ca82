// Package junit is the source of automated test results (ATP): what a Jenkins build for the Coach that is rolled found, from its
// JUnit XML artifacts or from the report Jenkins made of them.
package junit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// Ask says which builds are meant.
type Ask struct {
	Roll      string   // the roll whose Coach they are for
	Pool      string   // "hotel-api": without a job, the builds of its apps
	Job       string   // "atp/hotel-api"; "" = the Coach's own builds
	Artifacts []string // patterns of JUnit XML files; none = Jenkins' own report
}

// Build is what one build has to tell.
type Build struct {
	Name    string          // "atp/hotel-api #7"
	Running bool            // it has not ended: what it says may change
	Result  string          // "SUCCESS", "UNSTABLE", "FAILURE", "ABORTED"
	Files   [][]byte        // JUnit XML, where artifacts were asked for
	Report  *rollmon.Report // Jenkins' own report, where they were not; nil = the build has none
}

// Builds finds them. An error says that Jenkins could not be asked.
type Builds func(ctx context.Context, a Ask) ([]Build, error)

// Source reads test results. It is safe for concurrent use.
type Source struct {
	builds Builds

	mu    sync.Mutex
	known map[string]seen
}

type seen struct {
	reading rollmon.Reading
	at      time.Time
	final   bool
}

const (
	fresh = 2 * time.Second  // so old may what a running build says be: a roll is looked at twice a second
	again = 30 * time.Second // so long is one that has ended believed: somebody may test anew
	kept  = 256              // answers that are remembered
)

// New returns a Source that reads through builds.
func New(builds Builds) *Source { return &Source{builds: builds, known: map[string]seen{}} }

// Name is "junit".
func (*Source) Name() string { return fleet.SourceJUnit }

// Answers reports whether the indicator names this source.
func (*Source) Answers(i fleet.Indicator) bool {
	return i.Report != nil && i.ReadBy() == fleet.SourceJUnit
}

// Read tells of the tests of a Coach. A build that has ended is read seldom.
func (s *Source) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	settings := fleet.JUnitSource{}
	if j := r.Indicator.Source.JUnit; j != nil {
		settings = *j
	}
	a := Ask{Roll: r.Roll, Pool: r.Site.Pool, Job: settings.Job, Artifacts: settings.Artifacts}
	key := fmt.Sprintf("%q", []string{a.Roll, a.Pool, a.Job, strings.Join(a.Artifacts, "\n")})
	s.mu.Lock()
	known, ok := s.known[key]
	s.mu.Unlock()
	if age := r.Now.Sub(known.at); ok && (age < fresh || known.final && age < again) {
		return known.reading
	}
	reading, final := s.read(ctx, a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= kept {
		clear(s.known)
	}
	if reading.Failure != verdict.SourceDown {
		s.known[key] = seen{reading: reading, at: r.Now, final: final}
	}
	return reading
}

func (s *Source) read(ctx context.Context, a Ask) (_ rollmon.Reading, final bool) {
	out := rollmon.Reading{Source: s.Name()}
	builds, err := s.builds(ctx, a)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		out.Failure, out.Reason = verdict.SourceDown, "Jenkins: "+err.Error()
		return out, false
	}
	total, final := rollmon.Report{}, len(builds) > 0
	var by, said []string
	for _, b := range builds {
		final = final && !b.Running
		if b.Running {
			by = append(by, b.Name+" (running)")
			continue
		}
		by = append(by, b.Name)
		report, err := b.report(a)
		if err != nil {
			out.Failure, out.Reason = verdict.NoData, b.Name+": "+err.Error()
			return out, final
		}
		total.Passed, total.Failed = total.Passed+report.Passed, total.Failed+report.Failed
		if report.Words != "" {
			said = append(said, report.Words)
		}
	}
	running := !final && len(builds) > 0
	if running && total.Failed == 0 {
		total = rollmon.Report{} // what has passed so far is no pass yet
	}
	total.By, total.Words = strings.Join(by, ", "), strings.Join(said, "; ")
	out.Exposed = &rollmon.Sample{Report: &total}
	return out, final
}

// report is what a build that has ended found.
func (b Build) report(a Ask) (rollmon.Report, error) {
	if len(a.Artifacts) == 0 {
		if b.Report == nil {
			return rollmon.Report{}, fmt.Errorf("it has no test report: let the job publish one (junit step), or name its artifacts; its result is %s", b.Result)
		}
		return *b.Report, nil
	}
	if len(b.Files) == 0 {
		return rollmon.Report{}, fmt.Errorf("it archived no file that matches %s; its result is %s", strings.Join(a.Artifacts, ", "), b.Result)
	}
	var total rollmon.Report
	var said []string
	for _, file := range b.Files {
		one, err := Parse(file)
		if err != nil {
			return total, errors.Join(err)
		}
		total.Passed, total.Failed = total.Passed+one.Passed, total.Failed+one.Failed
		if one.Words != "" {
			said = append(said, one.Words)
		}
	}
	total.Words = strings.Join(said, "; ")
	return total, nil
}
