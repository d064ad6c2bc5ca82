package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

func newVerdict() *cobra.Command {
	var (
		service             link
		pass, fail          bool
		reason, environment string
		out                 format
	)
	cmd := &cobra.Command{
		Use:   "verdict COACH [(--pass | --fail) --reason TEXT]",
		Short: "Show what was judged of a Coach, or say whether it is good",
		Long: `Shows the verdicts on the rolls of a Coach with every number they were made from, and what people said of it. With --pass or
--fail it says what the test team found. That is an event, and a number of the indicators whose source is "people"; the newest
word of each person counts.`,
		Example: `  railyard verdict hotel-api-7.2
  railyard verdict hotel-api-7.2 --fail --reason "cancelling a booking fails with 2 rooms"`,
		Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (pass || fail) && reason == "" {
				return usagef("say why: --reason TEXT")
			}
			if !pass && !fail && (reason != "" || environment != "") {
				return usagef("--reason and --environment go with --pass or --fail")
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			if pass || fail {
				body := api.EnterVerdictJSONRequestBody{Pass: pass, Reason: reason}
				if environment != "" {
					body.Environment = &environment
				}
				said, err := decoded[api.EnteredVerdict](client.EnterVerdictWithResponse(cmd.Context(), args[0], body))
				if err != nil {
					return about("Coach", args[0], err)
				}
				return out.print(cmd.OutOrStdout(), said, func(t *rows) { t.line("%s in %s: %s", args[0], said.Environment, entered(said)) })
			}
			all, err := decoded[api.Verdicts](client.ListVerdictsWithResponse(cmd.Context(), args[0]))
			if err != nil {
				return about("Coach", args[0], err)
			}
			return out.print(cmd.OutOrStdout(), all, func(t *rows) { verdictTable(t, args[0], all) })
		},
	}
	service.bind(cmd)
	out.bind(cmd)
	out.bindJSON(cmd)
	cmd.Flags().BoolVar(&pass, "pass", false, "say that it is good")
	cmd.Flags().BoolVar(&fail, "fail", false, "say that it is not")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people")
	cmd.Flags().StringVar(&environment, "environment", "", "where it was tried (default: where the Coach is)")
	cmd.MarkFlagsMutuallyExclusive("pass", "fail")
	return cmd
}

// entered words what a person said.
func entered(e api.EnteredVerdict) string {
	word := "fail"
	if e.Pass {
		word = "pass"
	}
	return fmt.Sprintf("%s, by %s%s", word, e.Actor, because(e.Reason))
}

func verdictTable(t *rows, coach string, all api.Verdicts) {
	for _, e := range all.People {
		t.line("%s  %s: %s", when(e.At), e.Environment, entered(e))
	}
	shown := len(all.People)
	for _, r := range all.Rolls {
		for _, v := range r.Verdicts {
			shown++
			batch := fmt.Sprintf("batch %d", v.Batch)
			if v.Batch == 0 {
				batch = "smoke servers"
			}
			t.line("")
			t.line("%s  %s/%s, roll %s, %s, %s: %s%s", when(v.At), r.Environment, r.Pool, r.Roll, words(v.Stage), batch, words(string(v.Outcome)), because(v.Reason))
			if len(v.Findings) == 0 {
				continue
			}
			t.add("INDICATOR", "SERVER", "OUTCOME", "VALUE", "LIMIT", "NOT ROLLED", "BEFORE", "SAMPLES", "TEST", "P", "LEVEL", "EFFECT", "WEIGHT", "WHY")
			for _, f := range v.Findings {
				t.add(f.Indicator, or(f.Server), words(f.Outcome), figure(f.Value), figure(f.Limit), figure(f.Baseline), figure(f.Before), whole(f.Samples),
					or(f.Test), figure(f.P), figure(f.Level), figure(f.Effect), whole(f.Weight), f.Reason)
			}
		}
	}
	if shown == 0 {
		t.line("nothing was judged of %s yet", coach)
	}
}

// figure is a number as short as it can be told apart, "" when there is none.
func figure(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', 4, 64)
}

func whole[T int | int64](v *T) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v)
}
