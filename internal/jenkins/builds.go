package jenkins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Build is one asked-for build, as Jenkins showed it at one moment.
type Build struct {
	Job         string // "deliver/hotel-api"
	Deployment  string // the id it was triggered with
	QueueID     int64  // 31; 0 unknown
	Number      int64  // 7; 0 while there is no build
	URL         string // as Jenkins gives it; "" while there is no build
	Queued      bool   // waits in the queue
	Why         string // it waits, in Jenkins' words: "Waiting for next available executor"
	Cancelled   bool   // taken out of the queue; there will be no build
	Building    bool   // its steps run, or it is finishing
	Result      string // "SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"; "" unknown
	Description string
	Name        string // display name: "#7" unless somebody changed it
	Kept        bool   // Jenkins must not delete it
	Started     time.Time
	Duration    time.Duration // 0 while it runs
}

// Done tells whether nothing more will happen: the build has its final result,
// or it was cancelled before it began. A result that shows while the build still
// runs is not final, and a queue item that has left without a build is not done.
func (b Build) Done() bool {
	return b.Cancelled || b.Number > 0 && !b.Building && b.Result != ""
}

// Describe sets the description of a build.
func (c *Controller) Describe(ctx context.Context, job string, number int64, description string) error {
	err := c.act(ctx, buildPath(job, number)+"/submitDescription", url.Values{"description": {description}})
	if err != nil {
		return c.failed(fmt.Sprintf("describe %s #%d", job, number), err)
	}
	return nil
}

// Stop asks a build to end. It succeeds also for a build that has ended; whether
// and how it ends shows in Poll.
func (c *Controller) Stop(ctx context.Context, job string, number int64) error {
	if err := c.act(ctx, buildPath(job, number)+"/stop", url.Values{}); err != nil {
		return c.failed(fmt.Sprintf("stop %s #%d", job, number), err)
	}
	return nil
}

// Rename sets the display name of a build ("hotel-api 1.2"); its description
// stays, unless somebody changes it at the same moment.
func (c *Controller) Rename(ctx context.Context, job string, number int64, name string) error {
	operation := fmt.Sprintf("rename %s #%d", job, number)
	var b struct{ Description string }
	if err := c.get(ctx, buildPath(job, number), &b, map[string]string{"tree": "description"}); err != nil {
		return c.failed(operation, err)
	}
	// Jenkins takes a key that is missing for a mistake.
	form, err := json.Marshal(map[string]string{"displayName": name, "description": b.Description})
	if err != nil {
		return c.failed(operation, err)
	}
	if err := c.act(ctx, buildPath(job, number)+"/configSubmit", url.Values{"json": {string(form)}}); err != nil {
		return c.failed(operation, err)
	}
	return nil
}

// Keep protects a build from being deleted by Jenkins' rotation, or ends that.
// Jenkins can only toggle, so the present state is read before and after.
func (c *Controller) Keep(ctx context.Context, job string, number int64, keep bool) error {
	operation := fmt.Sprintf("keep %s #%d", job, number)
	for tries := 3; ; tries-- { // somebody else may toggle at the same moment
		var b struct{ KeepLog *bool }
		if err := c.get(ctx, buildPath(job, number), &b, map[string]string{"tree": "keepLog"}); err != nil {
			return c.failed(operation, err)
		}
		if b.KeepLog == nil {
			return c.failed(operation, fmt.Errorf("%w: the build has no keepLog field", ErrNotJenkins))
		}
		if *b.KeepLog == keep {
			return nil
		}
		if tries == 0 {
			return c.failed(operation, errors.New("somebody else changes it all the time"))
		}
		if err := c.act(ctx, buildPath(job, number)+"/toggleLogKeep", url.Values{}); err != nil {
			return c.failed(operation, err)
		}
	}
}
