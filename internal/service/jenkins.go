package service

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sirupsen/logrus"

	"railyard/internal/jenkins"
	"railyard/internal/rop"
	"railyard/pipeline"
)

// controllers is the pipeline's view of all Jenkins controllers.
type controllers map[string]controller

// controller is one controller and the folder of its buttons.
type controller struct {
	*jenkins.Controller
	buttons string // "railyard"
}

// Open makes the controller's client; it sends nothing.
func (j Jenkins) Open(log logrus.FieldLogger) (*jenkins.Controller, error) {
	token, err := j.Token.Resolve()
	if err != nil {
		return nil, fmt.Errorf("jenkins controller %q: %w", j.Name, err)
	}
	return jenkins.New(jenkins.Config{Name: j.Name, URL: j.URL, User: j.User, Token: token, CAFile: j.CAFile}, log)
}

func newControllers(configs []Jenkins, log logrus.FieldLogger) (controllers, error) {
	all := controllers{}
	for _, c := range configs {
		client, err := c.Open(log)
		if err != nil {
			return nil, err
		}
		all[c.Name] = controller{client, c.ButtonFolder()}
	}
	return all, nil
}

func (cs controllers) get(name string) (controller, error) {
	if c, ok := cs[name]; ok {
		return c, nil
	}
	return controller{}, fmt.Errorf("jenkins controller %q is named by the topology but not configured in this service: %w", name, pipeline.ErrRefused)
}

// Trigger implements pipeline.Jenkins.
func (cs controllers) Trigger(ctx context.Context, controller, job string, parameters map[string]string) (int64, error) {
	c, err := cs.get(controller)
	if err != nil {
		return 0, err
	}
	id, err := c.Trigger(ctx, job, parameters)
	return id, refused(err)
}

// refused marks errors that only a person can clear.
func refused(err error) error {
	var permission *jenkins.PermissionError
	var no *jenkins.RefusedError
	if errors.As(err, &permission) || errors.As(err, &no) || errors.Is(err, jenkins.ErrNotFound) || errors.Is(err, jenkins.ErrUnauthorized) {
		return fmt.Errorf("%w: %w", pipeline.ErrRefused, err)
	}
	return err
}

// Poll implements pipeline.Jenkins.
func (cs controllers) Poll(ctx context.Context, controller string, asks []pipeline.Ask) (map[string]pipeline.BuildFact, error) {
	c, err := cs.get(controller)
	if err != nil {
		return nil, err
	}
	var jobs []string
	for _, a := range asks {
		if !slices.Contains(jobs, a.Job) {
			jobs = append(jobs, a.Job)
		}
	}
	builds, err := c.Poll(ctx, jobs)
	facts := map[string]pipeline.BuildFact{}
	for _, b := range builds {
		facts[b.Deployment] = fact(b)
	}
	return facts, err
}

func fact(b jenkins.Build) pipeline.BuildFact {
	f := pipeline.BuildFact{
		Known: true, QueueID: b.QueueID, Number: b.Number, URL: b.URL, Running: b.Building, Done: b.Done(), Result: b.Result,
	}
	if b.Cancelled {
		f.Result = "cancelled in the queue"
	}
	return f
}

// Find implements pipeline.Jenkins.
func (cs controllers) Find(ctx context.Context, controller, job, deployment string) (pipeline.BuildFact, error) {
	c, err := cs.get(controller)
	if err != nil {
		return pipeline.BuildFact{}, err
	}
	b, err := c.Find(ctx, jenkins.Ask{Job: job, Deployment: deployment})
	if errors.Is(err, jenkins.ErrNotFound) {
		return pipeline.BuildFact{}, nil
	}
	if err != nil {
		return pipeline.BuildFact{}, refused(err)
	}
	return fact(b), nil
}

// Tell implements pipeline.Jenkins.
func (cs controllers) Tell(ctx context.Context, b rop.Build, text, coach string, buttons []string) error {
	c, err := cs.get(b.Controller)
	if err != nil {
		return err
	}
	return c.Describe(ctx, b.Job, b.Number, text+jenkins.ButtonLinks(b.URL, c.buttons, coach, buttons))
}

// Keep implements pipeline.Jenkins.
func (cs controllers) Keep(ctx context.Context, b rop.Build) error {
	c, err := cs.get(b.Controller)
	if err != nil {
		return err
	}
	return c.Keep(ctx, b.Job, b.Number, true)
}

// Wake implements pipeline.Jenkins.
func (cs controllers) Wake(ctx context.Context, controller, job string, number int64, milepost string) (settled bool, err error) {
	c, err := cs.get(controller)
	if err != nil {
		return false, err
	}
	return c.Wake(ctx, job, number, milepost)
}
