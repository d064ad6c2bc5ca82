package jenkins

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// DeploymentParam is the build parameter that carries the deployment id. It is
// unique per build, so Jenkins never merges two of ours, and a repeated request
// is merged with the first.
const DeploymentParam = "RAILYARD_DEPLOYMENT"

// Trigger asks for one build of job ("deliver/hotel-api"). params must hold the
// deployment id under DeploymentParam, and the job must declare every one of
// them: Jenkins silently drops what a job does not declare.
//
// It returns the id of the queue item, be it new or one that Jenkins already
// had for the same parameters. It never triggers twice: after an error that is
// ErrUnreachable the build may or may not have been asked for, and the caller
// has to ask Find first.
func (c *Controller) Trigger(ctx context.Context, job string, params map[string]string) (queueID int64, err error) {
	operation := "trigger " + job
	if params[DeploymentParam] == "" {
		return 0, c.failed(operation, fmt.Errorf("no parameter %s given", DeploymentParam))
	}
	if err := c.checkDeclared(ctx, job, params); err != nil {
		return 0, c.failed(operation, err)
	}
	form := url.Values{}
	for name, value := range params {
		form.Set(name, value)
	}
	answer, err := c.send(ctx, http.MethodPost, jobPath(job)+"/buildWithParameters", form)
	if err != nil {
		return 0, c.failed(operation, err)
	}
	answer.Body.Close()
	where := answer.Header.Get("Location")
	switch answer.StatusCode {
	case http.StatusCreated, http.StatusSeeOther:
		if queueID, ok := queueIDOf(where); ok {
			return queueID, nil
		}
	}
	return 0, c.failed(operation, &RefusedError{
		Status: answer.StatusCode, Object: "POST " + jobPath(job) + "/buildWithParameters",
		Reason: fmt.Sprintf("it leads to %q, not to a queue item", where),
		Hint:   "a plugin of Jenkins vetoed the build; see the controller's log",
	})
}

// checkDeclared fails unless the job can be built and declares all parameters.
func (c *Controller) checkDeclared(ctx context.Context, job string, params map[string]string) error {
	var j struct {
		Buildable *bool `json:"buildable"`
		Property  []struct {
			ParameterDefinitions []struct{ Name string }
		} `json:"property"`
	}
	if err := c.get(ctx, jobPath(job), &j, map[string]string{
		"tree": "buildable,property[parameterDefinitions[name]]",
	}); err != nil {
		return err
	}
	refuse := func(reason, hint string) error {
		return &RefusedError{Status: http.StatusOK, Object: "job " + job, Reason: reason, Hint: hint}
	}
	if j.Buildable == nil {
		return refuse("it is not a job that can be built", "name a job, not a folder")
	}
	declared := map[string]bool{}
	for _, p := range j.Property {
		for _, d := range p.ParameterDefinitions {
			declared[d.Name] = true
		}
	}
	var missing []string
	for name := range params {
		if !declared[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return refuse("it does not declare the parameters "+strings.Join(missing, ", "),
			"tick “This project is parameterized” and add them as String parameters, or let Railyard write the job again")
	}
	if !*j.Buildable {
		return refuse("it is disabled", "enable the job in Jenkins")
	}
	return nil
}

// queueIDOf reads ".../queue/item/31/".
func queueIDOf(location string) (int64, bool) {
	u, err := url.Parse(location)
	if err != nil || path.Base(path.Dir(path.Clean(u.Path))) != "item" {
		return 0, false
	}
	id, err := strconv.ParseInt(path.Base(path.Clean(u.Path)), 10, 64)
	return id, err == nil && id > 0
}

// Cancel takes an item out of the queue. ErrNotFound: Jenkins does not know it
// (any more). A *RefusedError: it has left the queue, so Stop its build instead.
func (c *Controller) Cancel(ctx context.Context, queueID int64) error {
	err := c.act(ctx, "/queue/cancelItem?id="+strconv.FormatInt(queueID, 10), url.Values{})
	if err != nil {
		return c.failed(fmt.Sprintf("cancel queue item %d", queueID), err)
	}
	return nil
}
