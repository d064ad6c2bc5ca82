package server

import (
	"context"
	"errors"
	"fmt"

	"railyard/internal/access"
	"railyard/internal/rop"
	"railyard/pipeline"
	"railyard/server/api"
)

// deployment is a build row, and the Coach or the Train that it follows.
type deployment struct {
	build rop.Build
	coach rop.Coach      // zero when it is a Train's job
	train pipeline.Train // zero when it is a Coach's build
}

// carrier is the id of the Coach or the Train.
func (d deployment) carrier() string { return d.coach.ID + d.train.ID }

func (d deployment) shown() api.Deployment {
	state := string(d.coach.State) + string(d.train.State)
	return api.Deployment{Deployment: d.build.Deployment, Coach: d.coach.ID, Train: optional(d.train.ID), App: d.build.App, State: state}
}

// deployment finds a build row by its id.
func (s *Server) deployment(ctx context.Context, id string) (deployment, error) {
	coach, err := s.Store.CoachOfDeployment(ctx, id)
	if errors.Is(err, pipeline.ErrNotFound) {
		return s.trainDeployment(ctx, id)
	}
	if err != nil {
		return deployment{}, database(err)
	}
	for _, b := range coach.Builds {
		if b.Deployment == id {
			return deployment{build: b, coach: coach}, nil
		}
	}
	return deployment{}, fmt.Errorf("deployment %s: %w: coach %s has no such build any more", id, errNotFound, coach.ID)
}

func (s *Server) trainDeployment(ctx context.Context, id string) (deployment, error) {
	train, err := s.Store.Train(ctx, pipeline.TrainOfDeployment(id))
	switch {
	case errors.Is(err, pipeline.ErrNotFound), err == nil && train.Job.Deployment != id:
		return deployment{}, fmt.Errorf("deployment %s: %w: no Coach and no Train has it", id, errNotFound)
	case err != nil:
		return deployment{}, database(err)
	}
	return deployment{build: train.Job, train: train}, nil
}

// deploymentFor finds a deployment and authorises a build to speak for it.
func (s *Server) deploymentFor(ctx context.Context, id string) (deployment, access.Actor, error) {
	d, err := s.deployment(ctx, id)
	if err != nil {
		return d, access.Actor{}, err
	}
	actor, err := s.authorize(ctx, access.Publish, access.Object{Name: "deployment/" + id, SBU: d.coach.SBU + d.train.SBU})
	return d, actor, err
}
