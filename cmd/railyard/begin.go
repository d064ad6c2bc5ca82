package main

import (
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

func newBegin() *cobra.Command {
	var (
		service    link
		deployment string
		build      api.BeginDeploymentJSONRequestBody
		buildURL   string
		limit      time.Duration
	)
	cmd := &cobra.Command{
		Use:   "begin --deployment ID",
		Short: "Say that this build does a deployment",
		Long: `Says that this build does a deployment. It is the first step of a build: when another build does this deployment already,
this one is a duplicate (exit code 4) and has nothing to do. Saying it again from the same build changes nothing.

In a Jenkins build the job, number and address come from JOB_NAME, BUILD_NUMBER and BUILD_URL.`,
		Example:     `  railyard begin --deployment hotel-api-7.2-hotel-api-a1`,
		Args:        cobra.NoArgs,
		Annotations: codes("0  go on\n1  refused or failed; the message says why\n2  the command line is wrong\n4  duplicate: another build does this deployment"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromJenkins(&build, &buildURL); err != nil {
				return err
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			d, err := patiently(cmd.Context(), patience{limit, toErr(cmd)}, func() (api.Deployment, error) {
				return decoded[api.Deployment](client.BeginDeploymentWithResponse(cmd.Context(), deployment, build))
			})
			switch {
			case refusedAs(err, api.Conflict):
				return exit{exitDuplicate, about("deployment", deployment, err)}
			case err != nil:
				return about("deployment", deployment, err)
			}
			what := "builds " + d.App + " of Coach " + d.Coach
			if d.Train != nil {
				what = "follows Train " + *d.Train
			}
			cmd.Printf("%s #%d %s (%s)\n", build.Job, build.Number, clean(what), clean(d.State))
			return nil
		},
	}
	service.bind(cmd)
	flags := cmd.Flags()
	flags.StringVar(&deployment, "deployment", "", "the deployment, as Railyard named it in the build's parameter")
	flags.StringVar(&build.Job, "job", "", "full name of the job (default $JOB_NAME)")
	flags.Int64Var(&build.Number, "number", 0, "number of the build (default $BUILD_NUMBER)")
	flags.StringVar(&buildURL, "url", "", "address of the build (default $BUILD_URL)")
	bindPatience(cmd, &limit)
	_ = cmd.MarkFlagRequired("deployment")
	return cmd
}

// bindPatience adds the flag that says how long the service is waited for.
func bindPatience(cmd *cobra.Command, limit *time.Duration) {
	cmd.Flags().DurationVar(limit, "patience", 5*time.Minute, "how long to try while the service is away")
}

// toErr prints lines to the command's standard error.
func toErr(cmd *cobra.Command) func(string) {
	return func(line string) { cmd.PrintErrln(clean(line)) }
}

// fromJenkins fills what the command line leaves out from the environment of a Jenkins build.
func fromJenkins(build *api.BeginDeploymentJSONRequestBody, address *string) error {
	build.Job = firstOf(build.Job, os.Getenv("JOB_NAME"))
	if text := os.Getenv("BUILD_NUMBER"); build.Number == 0 && text != "" {
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return usagef("BUILD_NUMBER is %q, not a number; give --number", text)
		}
		build.Number = number
	}
	if build.Job == "" || build.Number < 1 {
		return usagef("which build is this? Give --job and --number, or run it in a Jenkins build (JOB_NAME, BUILD_NUMBER)")
	}
	if url := firstOf(*address, os.Getenv("BUILD_URL")); url != "" {
		build.Url = &url
	}
	return nil
}
