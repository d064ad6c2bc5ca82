package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// PublishPackage keeps that a deployment's package is in the package store, synced to disk. The same package again
// changes nothing and writes no event. errors.Is: pipeline.ErrConflict when the deployment has published other bytes,
// pipeline.ErrNotFound when no Coach has such a deployment.
func (s *Store) PublishPackage(ctx context.Context, p pipeline.Package, events ...event.Event) error {
	return s.write(ctx, fact, "publish the package of "+p.Deployment, func(t *tx) error {
		if _, err := t.DeploymentCoachBody(ctx, p.Deployment); err != nil {
			return found(err)
		}
		err := t.InsertPackage(ctx, db.InsertPackageParams{Deployment: p.Deployment, App: p.App, Digest: p.Digest, Size: p.Size, At: micros(p.At)})
		if err == nil {
			t.events = append(t.events, events...)
			return nil
		}
		if !t.engine.unique(err) {
			return err
		}
		first, err := t.PackageOf(ctx, p.Deployment)
		if err == nil && (first.Digest != p.Digest || first.App != p.App) {
			err = fmt.Errorf("it published %s (%s) before, this is %s (%s): %w", first.Digest, first.App, p.Digest, p.App, pipeline.ErrConflict)
		}
		return err
	})
}

// found turns a missing row into ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return pipeline.ErrNotFound
	}
	return err
}

// BeginBuild gives the deployment to the first Jenkins build that asks, named by buildKey ("main/deliver/hotel-api#17") and
// found at b. The same build may ask again. errors.Is: ErrDuplicate when another build has it, pipeline.ErrNotFound when no Coach and no
// Train has such a deployment.
func (s *Store) BeginBuild(ctx context.Context, deployment, buildKey string, b pipeline.Begun, at time.Time, events ...event.Event) error {
	what := fmt.Sprintf("begin build %s of %s", buildKey, deployment)
	if err := fits(255, given{"the build's name", buildKey}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return s.write(ctx, fact, what, func(t *tx) error {
		if err := t.hasDeployment(ctx, deployment); err != nil {
			return found(err)
		}
		err := t.InsertBuildBegun(ctx, db.InsertBuildBegunParams{Deployment: deployment, BuildKey: buildKey,
			Number: b.Number, Url: clean(b.URL), At: micros(at)})
		if err == nil {
			t.events = append(t.events, events...)
			return nil
		}
		if !t.engine.unique(err) {
			return err
		}
		first, err := t.BuildBegun(ctx, deployment)
		if err == nil && first != buildKey {
			err = fmt.Errorf("%w: %s", ErrDuplicate, first)
		}
		return err
	})
}

// hasDeployment fails when a deployment is neither a Coach's nor a Train's.
func (t *tx) hasDeployment(ctx context.Context, deployment string) error {
	_, err := t.DeploymentCoachBody(ctx, deployment)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	body, err := t.TrainBody(ctx, pipeline.TrainOfDeployment(deployment))
	if err != nil {
		return err
	}
	train, err := decode[pipeline.Train](body)
	if err == nil && train.Job.Deployment != deployment {
		err = pipeline.ErrNotFound
	}
	return err
}

// AddApproval keeps a person's approval until the Coach's owner reads it. errors.Is: pipeline.ErrNotFound, ErrFinished.
func (s *Store) AddApproval(ctx context.Context, coach string, a rop.Approval, events ...event.Event) error {
	packages, err := encode(a.Packages)
	if err != nil {
		return fmt.Errorf("keep the approval of coach %s: %w", coach, err)
	}
	return s.write(ctx, fact, "keep the approval of coach "+coach, func(t *tx) error {
		ended, err := t.CoachTerminal(ctx, coach)
		if err := listening(ended, err); err != nil {
			return err
		}
		t.events = append(t.events, events...)
		return t.InsertApproval(ctx, db.InsertApprovalParams{Coach: coach, Actor: clean(a.Actor), At: micros(a.At), Plan: a.Plan,
			Packages: packages, Reason: clean(a.Reason)})
	})
}

// AddCoachCommand keeps a person's order to a Coach until its owner reads it. A Coach that has ended still takes the order to go
// back, and is worked on again. errors.Is: pipeline.ErrNotFound, ErrFinished.
func (s *Store) AddCoachCommand(ctx context.Context, c pipeline.Command, events ...event.Event) (id int64, err error) {
	err = s.write(ctx, fact, fmt.Sprintf("keep the command to %s coach %s", c.Kind, c.Coach), func(t *tx) error {
		reopens := c.Kind == pipeline.CmdRollback || c.Kind == pipeline.CmdEmergency
		if reopens { // first: whoever closes the Coach meanwhile meets us in its row, and then finds the command
			if _, err := t.ReopenCoach(ctx, c.Coach); err != nil {
				return err
			}
		}
		ended, err := t.CoachTerminal(ctx, c.Coach)
		if err := listening(ended && !reopens, err); err != nil {
			return err
		}
		t.events = append(t.events, events...)
		id, err = t.insertCoachCommand(ctx, c)
		return err
	})
	return id, err
}

func (t *tx) insertCoachCommand(ctx context.Context, c pipeline.Command) (int64, error) {
	return t.InsertCoachCommand(ctx, db.InsertCoachCommandParams{Coach: c.Coach, Kind: string(c.Kind), Actor: clean(c.Actor),
		Reason: clean(c.Reason), At: micros(c.At)})
}

// Facts implements pipeline.Store. All of it is of one moment.
func (s *Store) Facts(ctx context.Context, c rop.Coach) (pipeline.Facts, error) {
	var facts pipeline.Facts
	err := s.snapshot(ctx, "read the facts about coach "+c.ID, func(q *db.Queries) error {
		facts = pipeline.Facts{Packages: map[string]pipeline.Package{}, Begun: map[string]pipeline.Begun{}, Rolls: map[string]pipeline.RollFact{}}
		if err := buildFacts(ctx, q, c, facts); err != nil {
			return err
		}
		var err error
		if facts.Rolls, err = rollFacts(ctx, q, c.ID); err != nil {
			return err
		}
		newest, err := q.NewestCandidate(ctx, db.NewestCandidateParams{Project: c.Project, Series: int64(c.Series)})
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if newest != c.ID {
			facts.Newer = newest
		}
		if facts.Approvals, err = approvalFacts(ctx, q, c); err != nil {
			return err
		}
		if err := planFacts(ctx, q, c, &facts); err != nil {
			return err
		}
		if err := seatFacts(ctx, q, c, &facts); err != nil {
			return err
		}
		commands, err := q.PendingCoachCommands(ctx, c.ID)
		for _, r := range commands {
			facts.Commands = append(facts.Commands, pipeline.Command{ID: r.ID, Coach: r.Coach, Kind: pipeline.CommandKind(r.Kind),
				Actor: r.Actor, Reason: r.Reason, At: moment(r.At)})
		}
		return err
	})
	return facts, err
}

// rollFact is how a roll stands; its reason is why it waits for a person, or else why it moved last.
func rollFact(r roller.Roll) pipeline.RollFact {
	fact := pipeline.RollFact{ID: r.ID, Kind: r.Kind, Stage: r.Stage, Batch: r.Batch, Of: r.Batches, Paused: r.Pause != nil, Reason: r.Reason, From: r.From, To: r.To}
	if r.Pause != nil {
		fact.Reason = r.Pause.Reason
	}
	return fact
}

// buildFacts reads what the Coach's builds said of themselves.
func buildFacts(ctx context.Context, q *db.Queries, c rop.Coach, into pipeline.Facts) error {
	if len(c.Builds) == 0 {
		return nil
	}
	deployments := make([]string, len(c.Builds))
	for i, b := range c.Builds {
		deployments[i] = b.Deployment
	}
	if err := begunFacts(ctx, q, deployments, into.Begun); err != nil {
		return err
	}
	packages, err := q.Packages(ctx, deployments)
	for _, r := range packages {
		into.Packages[r.Deployment] = pipeline.Package{Deployment: r.Deployment, App: r.App, Digest: r.Digest, Size: r.Size, At: moment(r.At)}
	}
	return err
}

// begunFacts reads which builds said that they do some deployments.
func begunFacts(ctx context.Context, q *db.Queries, deployments []string, into map[string]pipeline.Begun) error {
	rows, err := q.BuildsBegun(ctx, deployments)
	for _, r := range rows {
		into[r.Deployment] = pipeline.Begun{Number: r.Number, URL: r.Url}
	}
	return err
}

func approvalFacts(ctx context.Context, q *db.Queries, c rop.Coach) ([]rop.Approval, error) {
	rows, err := q.Approvals(ctx, db.ApprovalsParams{Project: c.Project, Series: int64(c.Series)})
	if err != nil {
		return nil, err
	}
	var approvals []rop.Approval
	for _, r := range rows {
		packages, err := decode[map[string]string](r.Packages)
		if err != nil {
			return nil, err
		}
		approvals = append(approvals, rop.Approval{Coach: r.Coach, Actor: r.Actor, At: moment(r.At), Plan: r.Plan, Packages: packages, Reason: r.Reason})
	}
	return approvals, nil
}
