package service

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/jenkins"
	"railyard/internal/roller"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/junit"
	"railyard/internal/rop"
)

// testReports finds what Jenkins' builds found about a Coach.
type testReports struct {
	controllers controllers
	topology    func() *fleet.Topology
	roll        func(ctx context.Context, id string) (roller.Roll, error)
	coach       func(ctx context.Context, id string) (rop.Coach, error)
}

// coachParameter is the build parameter by which a job that tests Coaches says which one.
const coachParameter = "RAILYARD_COACH"

// builds implements junit.Builds.
func (t testReports) builds(ctx context.Context, a junit.Ask) ([]junit.Build, error) {
	roll, err := t.roll(ctx, a.Roll)
	if err != nil {
		return nil, fmt.Errorf("what roll %s brings is not known: %w", a.Roll, err)
	}
	if roll.Coach == "" {
		return nil, nil
	}
	coach, err := t.coach(ctx, roll.Coach)
	if err != nil {
		return nil, fmt.Errorf("Coach %s is not known: %w", roll.Coach, err)
	}
	if a.Job != "" {
		return t.job(ctx, a, coach)
	}
	var all []junit.Build
	for _, b := range coach.Builds {
		app, ok := t.topology().App(b.App)
		if !ok || app.Pool != a.Pool || b.Number == 0 {
			continue
		}
		c, err := t.controllers.get(b.Controller)
		if err != nil {
			return nil, err
		}
		one, err := read(ctx, c.Controller, a, jenkins.Build{Job: b.Job, Number: b.Number})
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// job finds the newest build of a job that tested the Coach, at the controller of the pool's first app.
func (t testReports) job(ctx context.Context, a junit.Ask, coach rop.Coach) ([]junit.Build, error) {
	apps := t.topology().AppsOf(a.Pool)
	if len(apps) == 0 {
		return nil, fmt.Errorf("pool %s has no app whose Jenkins could be asked", a.Pool)
	}
	c, err := t.controllers.get(apps[0].Jenkins.Controller)
	if err != nil {
		return nil, err
	}
	b, err := c.NewestWith(ctx, a.Job, coachParameter, coach.ID)
	if errors.Is(err, jenkins.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	one, err := read(ctx, c.Controller, a, b)
	return []junit.Build{one}, err
}

// read reads a build's report. One that runs may have published it already: a Coach's own build runs until the verdict.
func read(ctx context.Context, c *jenkins.Controller, a junit.Ask, b jenkins.Build) (junit.Build, error) {
	out := junit.Build{Name: fmt.Sprintf("%s #%d", b.Job, b.Number)}
	standing, err := c.Standing(ctx, b.Job, b.Number)
	if err != nil {
		return out, err
	}
	out.Result = standing.Result
	if len(a.Artifacts) > 0 {
		out.Files, err = c.Artifacts(ctx, b.Job, b.Number, a.Artifacts)
		out.Running = standing.Building && len(out.Files) == 0
		return out, err
	}
	report, err := c.TestReport(ctx, b.Job, b.Number)
	switch {
	case errors.Is(err, jenkins.ErrNotFound):
		out.Running = standing.Building
		return out, nil
	case err != nil:
		return out, err
	}
	out.Report = &rollmon.Report{Passed: report.Passed, Failed: report.Failed, Words: strings.Join(report.FailedTests, "; ")}
	return out, nil
}
