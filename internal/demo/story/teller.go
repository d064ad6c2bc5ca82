//go:build linux

package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/gitserver"
	"railyard/internal/demo/yard"
	"railyard/server/api"
)

// teller pushes and tells what comes of it.
type teller struct {
	yard    *yard.Yard
	started time.Time

	mu  sync.Mutex
	out io.Writer
}

func (t *teller) say(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text == "" {
		fmt.Fprintln(t.out)
		return
	}
	fmt.Fprintf(t.out, "%6.1fs  %s\n", time.Since(t.started).Seconds(), text)
}

func (t *teller) introduce() {
	t.say("Railyard      " + t.yard.URL + "/")
	t.say("Jenkins       " + t.yard.Jenkins.URL + "/ (release-engineer, API token in " + t.yard.TokenFile("") + "; buttons in the folder railyard)")
	t.say("Prometheus    " + t.yard.Prometheus.URL() + "/")
	t.say("HAProxy       metrics at http://" + t.yard.Balancer.MetricsAddress() + "/metrics")
	t.say("git           " + t.yard.Git.CloneURL(yard.Repository(apps.HotelAPI)))
}

const branch = "release/1.0"

// pushInTurn pushes several chapters one after the other, follows all of them at once, and waits for all.
func (t *teller) pushInTurn(ctx context.Context, chapters []chapter) ([]Push, error) {
	pushes := make([]Push, len(chapters))
	group, following := errgroup.WithContext(ctx)
	for i, c := range chapters {
		coach, began, err := t.start(following, c)
		if err != nil {
			return pushes, errors.Join(err, group.Wait())
		}
		group.Go(func() (err error) {
			pushes[i], err = t.finish(following, c, coach, began, nil)
			return err
		})
	}
	return pushes, group.Wait()
}

// push pushes one chapter's change and follows its Coach to the end.
func (t *teller) push(ctx context.Context, c chapter) (Push, error) {
	failed, err := t.failures(ctx)
	if err != nil {
		return Push{}, err
	}
	coach, began, err := t.start(ctx, c)
	if err != nil {
		return Push{}, err
	}
	return t.finish(ctx, c, coach, began, failed)
}

// start pushes a chapter's change and waits until it is a Coach.
func (t *teller) start(ctx context.Context, c chapter) (coach api.Coach, began time.Time, err error) {
	options := c.options
	if options.Plan == "" {
		options.Plan = plan(c.app, options.Version)
		if c.app == apps.HotelDB {
			options.Plan += databasePlan
		}
	}
	files, err := apps.Source(c.app, options)
	if err != nil {
		return coach, began, err
	}
	pushed, err := t.yard.Git.Push(ctx, gitserver.Change{
		Repository: yard.Repository(c.app), Branch: branch, Author: "developer", Message: c.app + ": version " + options.Version, Files: files,
	})
	if err != nil {
		return coach, began, err
	}
	if coach, err = t.coachOf(ctx, c.app, pushed.Commit); err != nil {
		return coach, began, err
	}
	t.say(fmt.Sprintf("%-14s git push took %d ms; commit %.8s", coach.Id, pushed.Duration.Milliseconds(), pushed.Commit))
	return coach, pushed.Began, nil
}

// failures counts the failed requests of each production server since the beginning, as the balancer does.
func (t *teller) failures(ctx context.Context) (map[string]int64, error) {
	stats, err := t.yard.Balancer.Stats(ctx)
	if err != nil {
		return nil, err
	}
	failed := map[string]int64{}
	for _, s := range stats {
		if strings.HasPrefix(s.Backend, "PROD_") {
			failed[s.Server] = s.Failed
		}
	}
	return failed, nil
}

// finish follows a chapter's Coach to its end and sums up.
func (t *teller) finish(ctx context.Context, c chapter, coach api.Coach, began time.Time, failed map[string]int64) (Push, error) {
	coach, err := t.followCoach(ctx, coach)
	if err != nil {
		return Push{}, err
	}
	ended := time.Now()
	// The counters of a second are complete when it is over.
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return Push{}, ctx.Err()
	}
	p, err := t.sum(ctx, c, coach, began, ended)
	if err != nil || c.first {
		return p, err
	}
	now, err := t.failures(ctx)
	for server, n := range now {
		if n > failed[server] {
			p.FailedByServer[server] = n - failed[server]
		}
	}
	return p, err
}

func plan(app, version string) string {
	return fmt.Sprintf(`# What this release is, who owns it, and how it comes back.
project: %s
sbu: hotel
owner: %s-team
apps: [%s]
version: %s
rollback:
  to: previous
  who: [release-engineer]
`, app, app, app, version)
}

// coachOf waits until the pushed commit is a Coach.
func (t *teller) coachOf(ctx context.Context, project, commit string) (api.Coach, error) {
	deadline, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("the push did not become a Coach in 20s"))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := t.yard.API.ListCoachesWithResponse(deadline, &api.ListCoachesParams{Project: &project})
		if err == nil && answer.JSON200 != nil {
			for _, c := range *answer.JSON200 {
				if c.Commit == commit {
					return c, nil
				}
			}
		}
		select {
		case <-deadline.Done():
			return api.Coach{}, fmt.Errorf("push %s of %s: %w", commit, project, context.Cause(deadline))
		case <-tick.C:
		}
	}
}

// followCoach prints what happens to a Coach until it has ended.
func (t *teller) followCoach(ctx context.Context, c api.Coach) (api.Coach, error) {
	limit, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("it did not end in ten minutes"))
	defer cancel()
	shown, wait := "", 20
	for {
		if words := c.State + " " + deref(c.Environment) + ": " + c.Reason; words != shown {
			t.say(fmt.Sprintf("%-14s %s", c.Id, words))
			shown = words
		}
		if c.Ended {
			return c, nil
		}
		than := c.Progress
		answer, err := t.yard.API.GetCoachWithResponse(limit, c.Id, &api.GetCoachParams{Wait: &wait, Than: &than})
		switch {
		case limit.Err() != nil:
			return c, fmt.Errorf("follow %s (%s): %w", c.Id, c.Reason, context.Cause(limit))
		case err != nil:
			return c, fmt.Errorf("follow %s: %w", c.Id, err)
		case answer.StatusCode() != http.StatusOK:
			return c, fmt.Errorf("follow %s: %s", c.Id, answer.Body)
		}
		c = *answer.JSON200
	}
}

// follow prints every Coach's transitions until ctx ends.
func (t *teller) follow(ctx context.Context) {
	var after int64
	first := true
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		params := &api.ListEventsParams{}
		if !first {
			params.After = &after
		}
		if answer, err := t.yard.API.ListEventsWithResponse(ctx, params); err == nil && answer.JSON200 != nil {
			for _, e := range *answer.JSON200 {
				after = max(after, e.Id)
				if !first {
					t.say(fmt.Sprintf("%-14s %s: %s", deref(e.Coach), e.What, e.Why))
				}
			}
			first = false
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
