package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

func newPlan() *cobra.Command {
	var (
		service link
		out     format
	)
	cmd := &cobra.Command{
		Use: "plan TRAIN|COACH", Short: "Show what would be rolled where, in which order and how, and how it comes back",
		Long: `Shows the plan of a Train, or of a Coach that travels alone: waves, pools, batches, how many servers, how long it should take by the last
rolls, what each app goes from and to, what a rollback would do, and everything that keeps it from departing, with who can do something about it.
What is shown is stored under its digest, and departure runs exactly that.`,
		Example: "  railyard plan hotel-line-3\n  railyard plan hotel-api-7.2 -o json", Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			preview, err := decoded[api.Preview](client.PreviewTrainWithResponse(cmd.Context(), args[0]))
			var refused refusal
			if errors.As(err, &refused) && refused.status == http.StatusNotFound {
				preview, err = decoded[api.Preview](client.PreviewCoachWithResponse(cmd.Context(), args[0]))
			}
			if err != nil {
				return about("Train or Coach", args[0], err)
			}
			return out.print(cmd.OutOrStdout(), preview, func(t *rows) { previewPage(t, preview) })
		},
	}
	service.bind(cmd)
	out.bind(cmd)
	return cmd
}

func previewPage(t *rows, p api.Preview) {
	t.add("plan of", strings.Replace(p.Object, "/", " ", 1))
	t.add("digest", or(p.Plan))
	t.add("policy", p.Policy)
	t.line("")
	t.add("COACH", "SBU", "VERSION", "APPS", "DEPARTS", "IF IT FAILS, GOES BACK WITH IT")
	for _, c := range p.Coaches {
		leaves := "yes"
		if !c.Leaves {
			leaves = "left behind"
		}
		t.add(c.Coach, c.Sbu, c.Version, strings.Join(c.Apps, ", "), leaves, strings.Join(c.TakesAlong, ", "))
	}
	for _, leg := range p.Environments {
		t.line("")
		t.line("%s, about %s", leg.Environment, lasting(leg.Seconds))
		t.add("CHILD", "WAVE", "POOL", "KIND", "CHANGES", "SERVERS", "BATCHES", "STAY UP", "BAKING", "TAKES")
		for _, child := range leg.Children {
			for i, w := range child.Waves {
				for _, s := range w.Stops {
					t.add(child.Name, i+1, s.Pool, s.Kind, planned(s.Changes), servers(s), batches(s.Batches), s.MinUp, baking(s), lasting(s.Seconds)+" ("+s.Basis+")")
				}
			}
		}
		for _, child := range leg.Children {
			t.line("the way back of %s: %s", child.Name, wayBack(child.Back))
		}
	}
	t.line("")
	if len(p.Blockers) == 0 {
		t.line("nothing keeps it from departing")
		return
	}
	t.add("WHAT KEEPS IT FROM DEPARTING", "WHO CAN DO SOMETHING ABOUT IT")
	for _, b := range p.Blockers {
		t.add(b.What, b.Who)
	}
}

func lasting(seconds int) string { return (time.Duration(seconds) * time.Second).String() }

func planned(list []api.PlannedChange) string {
	var texts []string
	for _, c := range list {
		from := or(c.From)
		if from == "" {
			from = "nothing"
		}
		text := fmt.Sprintf("%s %s → %s", c.App, from, c.To)
		if c.Config != nil {
			text += ", config " + *c.Config
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func servers(s api.LegStop) string {
	if s.Smoke == 0 {
		return fmt.Sprint(s.Servers)
	}
	return fmt.Sprintf("%d (%d smoke)", s.Servers, s.Smoke)
}

func batches(sizes []int) string { return strings.Trim(fmt.Sprint(sizes), "[]") }

func baking(s api.LegStop) string {
	if s.BakingWeight == 0 || s.Smoke == 0 {
		return ""
	}
	return fmt.Sprintf("%d %% for %s", s.BakingWeight, lasting(s.BakingSeconds))
}

// wayBack words what a rollback does, in its order.
func wayBack(steps [][]api.Return) string {
	var texts []string
	for _, step := range steps {
		var pools []string
		for _, r := range step {
			to := r.To
			if to == "" {
				to = "nothing to return to"
			}
			pools = append(pools, r.Pool+" ("+to+")")
		}
		texts = append(texts, strings.Join(pools, " + "))
	}
	return strings.Join(texts, ", then ")
}

func newOverride() *cobra.Command {
	var service link
	var reason string
	cmd := &cobra.Command{
		Use: "override coach|train ID FREEZE --reason TEXT", Short: "Let a Coach or a Train into production although a freeze holds it",
		Long:    `Says that a freeze of the topology's calendar shall not stop a Coach or a Train. It counts once a second person has said so too.`,
		Example: `  railyard override train hotel-line-3 golden-week --reason "the fix of the payment fault"`,
		Args:    cobra.ExactArgs(3), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := api.OverrideFreezeJSONRequestBody{Freeze: args[2], Reason: reason}
			switch args[0] {
			case "coach":
				body.Coach = &args[1]
			case "train":
				body.Train = &args[1]
			default:
				return usagef("%q: expected coach or train", args[0])
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			answer, err := client.OverrideFreezeWithResponse(cmd.Context(), body)
			if err := done(answer, err); err != nil {
				return about(args[0], args[1], err)
			}
			if answer.JSON200.Counts {
				cmd.Printf("freeze %s does not hold %s any more; overridden by %s\n", args[2], args[1], strings.Join(answer.JSON200.Given, " and "))
			} else {
				cmd.Printf("recorded; a second person must override freeze %s for %s too\n", args[2], args[1])
			}
			return nil
		},
	}
	service.bind(cmd)
	bindReason(cmd, &reason)
	return cmd
}

func newDeps() *cobra.Command {
	var (
		service     link
		environment string
		out         format
	)
	cmd := &cobra.Command{
		Use: "deps [APP]", Short: "Show who requires which version of which app, and what may not be rolled back alone",
		Long: `Shows every app that runs in an environment (the last one, production, unless another is named), who of those that run requires it, and whether
its pool may be rolled back alone: whoever requires it must be satisfied by the version that would come back, and that version by what runs.`,
		Example: "  railyard deps public-api", Args: cobra.MaximumNArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			var params api.ListDependenciesParams
			if environment != "" {
				params.Environment = &environment
			}
			if len(args) > 0 {
				params.App = &args[0]
			}
			found, err := decoded[[]api.Dependency](client.ListDependenciesWithResponse(cmd.Context(), &params))
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), found, func(t *rows) {
				t.add("APP", "POOL", "RUNS", "BEFORE", "REQUIRED BY", "BACK ALONE", "WHY NOT")
				for _, d := range found {
					alone := "yes"
					if !d.Alone {
						alone = "no"
					}
					t.add(d.App, d.Pool, d.Version, or(d.Before), requiredBy(d), alone, or(d.Why))
				}
			})
		},
	}
	service.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringVar(&environment, "environment", "", "the environment to look at")
	return cmd
}

func requiredBy(d api.Dependency) string {
	var texts []string
	for _, by := range d.RequiredBy {
		text := fmt.Sprintf("%s %s (%s)", by.App, by.Version, by.Needs)
		if !by.Met {
			text += " UNMET"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
