package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/internal/rop"
	"railyard/server/api"
)

// pollTime is how long the service may hold a poll while nothing changes. Answers may take a little longer.
const pollTime = 30 * time.Second

// errTimeout is the cause of a wait's end by --timeout.
var errTimeout = errors.New("timeout")

func newWait() *cobra.Command {
	var (
		service           link
		deployment, coach string
		timeout           time.Duration
	)
	cmd := &cobra.Command{
		Use:   "wait (--deployment ID | --coach ID)",
		Short: "Follow a Coach until its verdict",
		Long: `Follows a Coach until it has ended, by its own id or that of one of its deployments, and prints each change as a line. It
outlives restarts of the service. Ending this command never ends or changes the release.`,
		Example: `  railyard wait --deployment hotel-api-7.2-hotel-api-a1
  railyard wait --coach hotel-api-7.2 --timeout 1h`,
		Args: cobra.NoArgs,
		Annotations: codes("0  released\n1  rolled back, stopped or failed; or it could not be followed\n2  the command line is wrong\n" +
			"3  superseded or revoked\n5  timeout: there is no verdict yet, the Coach goes on\n130  interrupted by a signal; the Coach goes on"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(pollTime + quick)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeout)
				defer cancel()
			}
			f := &follower{client: client, say: func(text string) { sayAt(cmd.OutOrStdout(), time.Now(), text) }}
			if coach == "" {
				if coach, err = f.coachOf(ctx, deployment); err != nil {
					return f.ended(ctx, "deployment "+deployment, timeout, err)
				}
			}
			if err := f.follow(ctx, coach); err != nil {
				return f.ended(ctx, "Coach "+coach, timeout, err)
			}
			return f.verdict()
		},
	}
	service.bind(cmd)
	cmd.Flags().StringVar(&deployment, "deployment", "", "follow the Coach of this deployment")
	cmd.Flags().StringVar(&coach, "coach", "", "follow this Coach")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time (default: wait for ever)")
	cmd.MarkFlagsOneRequired("deployment", "coach")
	cmd.MarkFlagsMutuallyExclusive("deployment", "coach")
	return cmd
}

// follower follows one Coach.
type follower struct {
	client *api.ClientWithResponses
	say    func(line string)
	known  *api.Coach // what was last seen
}

func (f *follower) patience() patience { return patience{tell: f.say} }

func (f *follower) coachOf(ctx context.Context, deployment string) (string, error) {
	d, err := patiently(ctx, f.patience(), func() (api.Deployment, error) {
		return decoded[api.Deployment](f.client.GetDeploymentWithResponse(ctx, deployment))
	})
	if d.Train != nil {
		return "", usagef("deployment %s is the job of Train %s, and only Coaches are waited for: see railyard train show %s", deployment, *d.Train, *d.Train)
	}
	return d.Coach, err
}

// follow says every change until the Coach has ended.
func (f *follower) follow(ctx context.Context, id string) error {
	for {
		asked := time.Now()
		coach, err := patiently(ctx, f.patience(), func() (api.Coach, error) { return f.poll(ctx, id) })
		if err != nil {
			return err
		}
		lines := changes(f.known, coach)
		for _, line := range lines {
			f.say(line)
		}
		same := f.known != nil && f.known.Progress == coach.Progress
		f.known = &coach
		if coach.Ended {
			return nil
		}
		if same && time.Since(asked) < time.Second { // a proxy or a service that does not hold polls must not be flooded
			if err := sleep(ctx, time.Second); err != nil {
				return err
			}
		}
	}
}

func (f *follower) poll(ctx context.Context, id string) (api.Coach, error) {
	var params api.GetCoachParams
	if f.known != nil {
		seconds := int(pollTime / time.Second)
		params.Wait, params.Than = &seconds, &f.known.Progress
	}
	return decoded[api.Coach](f.client.GetCoachWithResponse(ctx, id, &params))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ended is the exit of a wait that saw no verdict.
func (f *follower) ended(ctx context.Context, what string, timeout time.Duration, err error) error {
	where := "it was never reached"
	if f.known != nil {
		where = "it is " + place(*f.known)
		if f.known.Reason != "" {
			where += ": " + f.known.Reason
		}
	}
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		f.say(fmt.Sprintf("%s has no verdict after %s, and goes on; %s", what, timeout, where))
		return exit{code: exitTimeout}
	case ctx.Err() != nil:
		f.say(fmt.Sprintf("no longer following %s, which goes on; %s", what, where))
		return exit{code: exitInterrupted}
	}
	kind, id, _ := strings.Cut(what, " ")
	return about(kind, id, err)
}

// sayAt prints a text with the time of day. A mistake in a file brings its line and carets along, which stand below it.
func sayAt(w io.Writer, at time.Time, text string) {
	for i, line := range strings.Split(text, "\n") {
		mark := at.Format("15:04:05")
		if i > 0 {
			mark = strings.Repeat(" ", len(mark))
		}
		fmt.Fprintf(w, "%s  %s\n", mark, clean(line))
	}
}

// verdict says how it ended, in one line, and exits accordingly.
func (f *follower) verdict() error {
	c := *f.known
	why := firstOf(or(c.Verdict), c.Reason)
	if c.Reason != "" && !strings.Contains(why, c.Reason) {
		why += "; " + c.Reason
	}
	f.say(fmt.Sprintf("%s %s%s: %s", c.Id, strings.ToUpper(words(c.State)), took(c), firstOf(why, "no reason was given")))
	switch rop.State(c.State) {
	case rop.Released:
		return nil
	case rop.Superseded, rop.Revoked:
		return exit{code: exitWithdrawn}
	}
	return exit{code: exitFailed}
}

// took tells how long the stages took: " (build 12s, FAT 5s, UAT 6s, PROD 2m10s)".
func took(c api.Coach) string {
	var stages []string
	for _, s := range c.Stages {
		if s.End != nil {
			stages = append(stages, fmt.Sprintf("%s %s", s.Name, s.End.Sub(s.Start).Round(time.Second)))
		}
	}
	if len(stages) == 0 {
		return ""
	}
	return " (" + strings.Join(stages, ", ") + ")"
}
