package main

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

func newPress() *cobra.Command {
	var (
		service link
		build   api.BeginDeploymentJSONRequestBody
		button  api.PressButtonJSONRequestBody
		url     string
		limit   time.Duration
	)
	cmd := &cobra.Command{
		Use:   "press",
		Short: "Say that a person has pressed a button in Jenkins: the step of the jobs Promote, Rollback, Brake and Resume",
		Long: `Says that this build of a button's job runs, and prints what Railyard did. Nothing that the build says of itself counts: Railyard
asks Jenkins who has started the build and with which parameters, and does what the button says in that person's name, with that
person's rights. Saying it again changes nothing.

In a Jenkins build the job and number come from JOB_NAME and BUILD_NUMBER.`,
		Example:     `  railyard press --job railyard/Brake --number 12`,
		Args:        cobra.NoArgs,
		Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromJenkins(&build, &url); err != nil {
				return err
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			button.Job, button.Number = build.Job, build.Number
			if name := os.Getenv("RAILYARD_CONTROLLER"); button.Controller == nil && name != "" {
				button.Controller = &name
			}
			answer, err := patiently(cmd.Context(), patience{limit, toErr(cmd)}, func() (pressed, error) {
				r, err := client.PressButtonWithResponse(cmd.Context(), button)
				if err := done(r, err); err != nil {
					return pressed{}, err
				}
				return pressed{r.JSON200.Person, r.JSON200.Did}, nil
			})
			if err != nil {
				return about("button", build.Job, err)
			}
			cmd.Printf("for %s: %s\n", clean(answer.person), clean(strings.Join(answer.did, ", ")))
			return nil
		},
	}
	service.bind(cmd)
	cmd.Flags().StringVar(&build.Job, "job", "", "full name of the job (default $JOB_NAME)")
	cmd.Flags().Int64Var(&build.Number, "number", 0, "number of the build (default $BUILD_NUMBER)")
	bindPatience(cmd, &limit)
	return cmd
}

// pressed is what became of a press.
type pressed struct {
	person string
	did    []string
}

func newBrake() *cobra.Command {
	var (
		service            link
		deployment, reason string
		limit              time.Duration
	)
	cmd := &cobra.Command{
		Use:   "brake --deployment ID --reason TEXT",
		Short: "Brake what the Coach or Train of a deployment is rolling, because the build that follows it was aborted",
		Long: `Brakes every roll of the deployment's Coach (or of the Train whose job it is) that has not ended: no new action begins, no server is left half done, and a person
decides how it goes on. It is what an aborted build asks for; people brake a roll with ` + "`railyard roll brake`" + `.`,
		Example:     `  railyard brake --deployment hotel-api-7.2-hotel-api-a1 --reason "build jenkins-deliver-hotel-api-12 was aborted"`,
		Args:        cobra.NoArgs,
		Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			braked, err := patiently(cmd.Context(), patience{limit, toErr(cmd)}, func() ([]string, error) {
				r, err := client.BrakeDeploymentWithResponse(cmd.Context(), deployment, api.BrakeDeploymentJSONRequestBody{Reason: reason})
				if err := done(r, err); err != nil {
					return nil, err
				}
				return r.JSON200.Braked, nil
			})
			switch {
			case err != nil:
				return about("deployment", deployment, err)
			case len(braked) == 0:
				cmd.Println("nothing is rolling, so nothing was braked; it goes on")
			default:
				cmd.Printf("braked %s\n", clean(strings.Join(braked, ", ")))
			}
			return nil
		},
	}
	service.bind(cmd)
	cmd.Flags().StringVar(&deployment, "deployment", "", "the deployment, as Railyard named it in the build's parameter")
	bindPatience(cmd, &limit)
	bindReason(cmd, &reason)
	_ = cmd.MarkFlagRequired("deployment")
	return cmd
}
