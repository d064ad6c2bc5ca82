package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/internal/rop"
	"railyard/server/api"
)

func newOutcome() *cobra.Command {
	var (
		service           link
		deployment, stage string
		limit             time.Duration
	)
	cmd := &cobra.Command{
		Use:   "outcome --deployment ID",
		Short: "Say in one line how the Coach of a deployment stands, for a Jenkins build that waits for it",
		Long: `Says in one line how the Coach of a deployment stands, and does not wait: a word, how far the Coach is, and why.

  WAIT 2 hotel-api-7.2: delivering FAT: FAT/hotel-api rolling batch 2 of 3
  PASSED 3 hotel-api-7.2: FAT is passed
  FAILURE end hotel-api-7.2: rolled back: …

WAIT: it is not decided yet. PASSED: the stage that was asked for is passed, or without one the Coach is released. BOARDED: it travels
on in a Train, whose own job carries the verdict. Everything else is the result a Jenkins build should have: FAILURE (rolled back, stopped or failed), ABORTED (revoked) and NOT_BUILT (superseded).`,
		Example:     `  railyard outcome --deployment hotel-api-7.2-hotel-api-a1 --stage FAT`,
		Args:        cobra.NoArgs,
		Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			coach, err := patiently(cmd.Context(), patience{limit, toErr(cmd)}, func() (api.Coach, error) {
				d, err := decoded[api.Deployment](client.GetDeploymentWithResponse(cmd.Context(), deployment))
				if err != nil {
					return api.Coach{}, err
				}
				return decoded[api.Coach](client.GetCoachWithResponse(cmd.Context(), d.Coach, &api.GetCoachParams{}))
			})
			if err != nil {
				return about("deployment", deployment, err)
			}
			cmd.Println(clean(outcome(coach, stage)))
			return nil
		},
	}
	service.bind(cmd)
	cmd.Flags().StringVar(&deployment, "deployment", "", "the deployment, as Railyard named it in the build's parameter")
	cmd.Flags().StringVar(&stage, "stage", "", "stage that is waited for: build, an environment, or approval (default: all of it)")
	bindPatience(cmd, &limit)
	_ = cmd.MarkFlagRequired("deployment")
	return cmd
}

// outcome is the line for a build that waits for a stage ("" = the Coach's end).
func outcome(c api.Coach, stage string) string {
	say := func(word, why string) string {
		return fmt.Sprintf("%s %s %s: %s", word, rop.Milepost(len(c.Stages), c.Ended), c.Id, strings.Join(strings.Fields(why), " "))
	}
	why := firstOf(or(c.Verdict), c.Reason)
	switch {
	case rop.State(c.State) == rop.Released:
		return say("PASSED", why)
	case stage != "" && stagePassed(c, stage):
		return say("PASSED", stage+" is passed")
	case rop.State(c.State) == rop.Aboard:
		return say("BOARDED", why)
	case c.Ended:
		return say(result(rop.State(c.State)), words(c.State)+": "+why)
	}
	return say("WAIT", place(c)+": "+firstOf(c.Reason, "it goes on"))
}

// stagePassed reports whether the Coach went on from a stage to the next one; going back is none.
func stagePassed(c api.Coach, stage string) bool {
	at := slices.IndexFunc(c.Stages, func(s api.Stage) bool { return s.Name == stage })
	return at >= 0 && at+1 < len(c.Stages) && c.Stages[at+1].Name != "return"
}

// result is what a Jenkins build becomes by the end of its Coach, when that was not a release.
func result(s rop.State) string {
	switch s {
	case rop.Revoked:
		return "ABORTED"
	case rop.Superseded:
		return "NOT_BUILT" // as Jenkins' own milestone does with a build that a newer one has overtaken
	}
	return "FAILURE"
}
