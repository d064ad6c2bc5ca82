package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/internal/rop"
	"railyard/pipeline"
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
		Short: "Say in one line how the Coach or Train of a deployment stands, for a Jenkins build that waits for it",
		Long: `Says in one line how the Coach of a deployment stands (or the Train whose job it is), and does not wait: a word, how far it is, and why.

  WAIT 2 hotel-api-7.2: delivering FAT: FAT/hotel-api rolling batch 2 of 3
  PASSED 3 hotel-api-7.2: FAT is passed
  FAILURE end hotel-api-7.2: rolled back: …

WAIT: it is not decided yet. PASSED: the stage that was asked for is passed, or without one the Coach is released, the Train has arrived. BOARDED: it
travels on in a Train, whose own job carries the verdict. Everything else is the result a Jenkins build should have: FAILURE (rolled back, stopped,
failed or, of a Train, returned), ABORTED (revoked or, of a Train, cancelled) and NOT_BUILT (superseded).`,
		Example:     `  railyard outcome --deployment hotel-api-7.2-hotel-api-a1 --stage FAT`,
		Args:        cobra.NoArgs,
		Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			now, err := patiently(cmd.Context(), patience{limit, toErr(cmd)}, func() (standing, error) {
				return standingOf(cmd.Context(), client, deployment)
			})
			if err != nil {
				return about("deployment", deployment, err)
			}
			cmd.Println(clean(now.outcome(stage)))
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

// standing is how a Coach or a Train stands, as far as an outcome says it.
type standing struct {
	id, where, reason, verdict string
	stages                     []api.Stage
	ended, released, boarded   bool
	result                     string // what a build becomes by an end that was not a release
}

// standingOf asks how the Coach of a deployment stands, or the Train whose job it is.
func standingOf(ctx context.Context, client *api.ClientWithResponses, deployment string) (standing, error) {
	d, err := decoded[api.Deployment](client.GetDeploymentWithResponse(ctx, deployment))
	if err != nil {
		return standing{}, err
	}
	if d.Train != nil {
		t, err := decoded[api.Train](client.GetTrainWithResponse(ctx, *d.Train, &api.GetTrainParams{}))
		return standingOfTrain(t), err
	}
	c, err := decoded[api.Coach](client.GetCoachWithResponse(ctx, d.Coach, &api.GetCoachParams{}))
	return standingOfCoach(c), err
}

func standingOfCoach(c api.Coach) standing {
	state := rop.State(c.State)
	s := standing{
		id: c.Id, where: place(c), reason: c.Reason, verdict: or(c.Verdict), stages: c.Stages, ended: c.Ended,
		released: state == rop.Released, boarded: state == rop.Aboard, result: "FAILURE",
	}
	switch state {
	case rop.Revoked:
		s.result = "ABORTED"
	case rop.Superseded:
		s.result = "NOT_BUILT" // as Jenkins' own milestone does with a build that a newer one has overtaken
	}
	if s.ended {
		s.where = words(c.State)
	}
	return s
}

func standingOfTrain(t api.Train) standing {
	state := pipeline.TrainState(t.State)
	s := standing{
		id: t.Id, where: trainState(t), reason: t.Reason, verdict: or(t.Verdict), stages: t.Stages, ended: t.Ended,
		released: state == pipeline.TrainArrived, result: "FAILURE",
	}
	if state == pipeline.TrainCancelled {
		s.result = "ABORTED"
	}
	return s
}

// outcome is the line for a build that waits for a stage ("" = the end).
func (s standing) outcome(stage string) string {
	say := func(word, why string) string {
		return fmt.Sprintf("%s %s %s: %s", word, rop.Milepost(len(s.stages), s.ended), s.id, strings.Join(strings.Fields(why), " "))
	}
	why := firstOf(s.verdict, s.reason)
	switch {
	case s.released:
		return say("PASSED", why)
	case stage != "" && s.passed(stage):
		return say("PASSED", stage+" is passed")
	case s.boarded:
		return say("BOARDED", why)
	case s.ended:
		return say(s.result, s.where+": "+why)
	}
	return say("WAIT", s.where+": "+firstOf(s.reason, "it goes on"))
}

// passed reports whether it went on from a stage to the next one; going back is none.
func (s standing) passed(stage string) bool {
	at := slices.IndexFunc(s.stages, func(s api.Stage) bool { return s.Name == stage })
	return at >= 0 && at+1 < len(s.stages) && s.stages[at+1].Name != "return"
}
