package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

func newTrain() *cobra.Command {
	var service link
	cmd := group("train", "Couple Coaches into Trains, and let them depart",
		`A Train takes several Coaches through UAT and production together. Coaches whose plans name its line board it by themselves; people
couple others. Until it departs, Coaches may be coupled and uncoupled; railyard plan shows what would depart.`)
	service.bind(cmd)
	cmd.AddCommand(newTrainList(&service), newTrainShow(&service), newTrainCreate(&service), newTrainSeat(&service, "couple"), newTrainSeat(&service, "uncouple"),
		newTrainCommand(&service, "depart", "Let a Train depart with the plan that was looked at",
			`Lets a Train depart. --plan names the plan that was looked at, as railyard plan shows it: when it is another by now, because the topology, a
Coach, a package or what runs changed, departure is refused and it has to be looked at again. Coaches that are not ready are left behind.`, "departs"),
		newTrainCommand(&service, "confirm", "Confirm the plan of an automatic departure",
			`Says that a Train which departs by time, or when all are ready, may do so with the plan that --plan names. When it is another by then, the
Train waits until somebody has looked again. Without a confirmation it departs with whatever the plan is then.`, "may depart with this plan"),
		newTrainCommand(&service, "cancel", "Cancel a Train, or take it back",
			`Before departure the Coaches are let go. After it, everything that the Train changed in the environment where it is now is taken back, in the reverse
of the release order.`, "is being cancelled"))
	return cmd
}

func newTrainList(service *link) *cobra.Command {
	var (
		line   string
		active bool
		limit  int
		out    format
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List Trains, newest first", Example: "  railyard train list --active", Args: cobra.NoArgs, Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			params := api.ListTrainsParams{Limit: &limit}
			if line != "" {
				params.Line = &line
			}
			if active {
				params.Active = &active
			}
			trains, err := decoded[[]api.Train](client.ListTrainsWithResponse(cmd.Context(), &params))
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), trains, func(t *rows) {
				t.add("TRAIN", "SBU", "CREATED", "DEPARTS", "POLICY", "COACHES", "STATE", "REASON")
				for _, train := range trains {
					t.add(train.Id, train.Sbu, when(train.Created), departs(train), train.Policy, len(train.Riders), trainState(train), train.Reason)
				}
			})
		},
	}
	out.bind(cmd)
	cmd.Flags().StringVar(&line, "line", "", "only those of this line")
	cmd.Flags().BoolVar(&active, "active", false, "only those that have not ended")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many, 1 to 500")
	return cmd
}

func departs(t api.Train) string {
	switch {
	case t.Departed != nil:
		return "departed " + when(*t.Departed)
	case t.At != nil:
		return "at " + when(*t.At)
	case t.Mode == "ready":
		return "when all are ready"
	}
	return "by hand"
}

func trainState(t api.Train) string {
	return strings.TrimSpace(words(t.State) + " " + or(t.Environment))
}

func newTrainShow(service *link) *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use: "show TRAIN", Short: "Show a Train with its riders and rolls", Example: "  railyard train show hotel-line-3",
		Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			train, err := decoded[api.Train](client.GetTrainWithResponse(cmd.Context(), args[0], &api.GetTrainParams{}))
			if err != nil {
				return about("Train", args[0], err)
			}
			return out.print(cmd.OutOrStdout(), train, func(t *rows) { trainPage(t, train) })
		},
	}
	out.bind(cmd)
	return cmd
}

func trainPage(t *rows, train api.Train) {
	t.add("train", train.Id)
	t.add("state", trainState(train))
	t.add("reason", train.Reason)
	t.add("verdict", or(train.Verdict))
	t.add("departs", departs(train))
	t.add("policy", train.Policy)
	t.add("plan", or(train.Plan))
	t.add("created", when(train.Created)+" by "+train.By)
	if train.Job != nil {
		t.add("job", strings.TrimSpace(fmt.Sprintf("%s %s %s", train.Job.State, or(train.Job.Url), or(train.Job.Note))))
	}
	for _, p := range train.Problems {
		t.add("problem", p)
	}
	t.line("")
	t.add("COACH", "STATE", "WHERE", "REASON")
	for _, r := range train.Riders {
		t.add(r.Coach, words(r.State), or(r.Environment), r.Reason)
	}
	t.line("")
	t.add("ROLL", "CHILD", "WAVE", "WHAT", "STAGE", "REASON")
	for _, r := range train.Rolls {
		what := "there"
		if r.Back {
			what = "back"
		}
		t.add(r.Id, r.Child, r.Wave, what, words(r.Stage), r.Reason)
	}
}

func newTrainCreate(service *link) *cobra.Command {
	var (
		sbu, at, policy, reason string
		ready                   bool
	)
	cmd := &cobra.Command{
		Use: "create LINE --sbu SBU --reason TEXT", Short: "Create the next Train of a line",
		Long: `Creates the next Train of a line. It departs by hand, unless --at or --when-ready is given. The policy says who goes back when a Coach
fails on its way: the coach (with who shares a pool with it or requires it), also its dependents (whose pools come after its pools), or the whole train.`,
		Example: `  railyard train create hotel-line --sbu hotel --reason "release of week 12"
  railyard train create hotel-line --sbu hotel --at 2026-03-17T22:00:00+08:00 --policy train --reason "release of week 12"`,
		Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := api.CreateTrainJSONRequestBody{Line: args[0], Sbu: sbu, Reason: reason}
			if at != "" {
				moment, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return usagef("--at %s: expected date, time and zone, such as 2026-03-17T22:00:00+08:00", at)
				}
				body.At, body.Mode = &moment, new(api.CreateTrainJSONBodyMode("time"))
			}
			if ready {
				if at != "" {
					return usagef("--at and --when-ready: choose one")
				}
				body.Mode = new(api.CreateTrainJSONBodyMode("ready"))
			}
			if policy != "" {
				body.Policy = new(api.CreateTrainJSONBodyPolicy(policy))
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			answer, err := client.CreateTrainWithResponse(cmd.Context(), body)
			if err := done(answer, err); err != nil {
				return fmt.Errorf("create a Train of line %s: %w", args[0], err)
			}
			cmd.Printf("Train %s is open; couple Coaches (railyard train couple), look at the plan (railyard plan %s)\n", answer.JSON201.Id, answer.JSON201.Id)
			return nil
		},
	}
	cmd.Flags().StringVar(&sbu, "sbu", "", "the business unit that manages it")
	_ = cmd.MarkFlagRequired("sbu")
	cmd.Flags().StringVar(&at, "at", "", "depart at this time, with who is ready then")
	cmd.Flags().BoolVar(&ready, "when-ready", false, "depart as soon as every coupled Coach is ready")
	cmd.Flags().StringVar(&policy, "policy", "", "coach, dependents or train (default dependents)")
	bindReason(cmd, &reason)
	return cmd
}

// newTrainSeat is couple or uncouple.
func newTrainSeat(service *link, verb string) *cobra.Command {
	var reason string
	short, long := "Couple a Coach into a Train", "Gives a Coach a seat. It may be coupled from its first build on; until departure a newer candidate takes its seat over."
	if verb == "uncouple" {
		short, long = "Take a Coach out of a Train that has not departed", `Takes a Coach's seat away. A Coach whose plan names the line waits for the next Train; another one waits until it is coupled again or
let go alone (railyard coach alone).`
	}
	cmd := &cobra.Command{
		Use: verb + " TRAIN COACH --reason TEXT", Short: short, Long: long, Args: cobra.ExactArgs(2), Annotations: codes(ordinary),
		Example: fmt.Sprintf("  railyard train %s hotel-line-3 hotel-api-7.2 --reason %q", verb, "agreed with the hotel team"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			if verb == "couple" {
				err = done(client.CoupleCoachWithResponse(cmd.Context(), args[0], api.CoupleCoachJSONRequestBody{Coach: args[1], Reason: reason}))
			} else {
				err = done(client.UncoupleCoachWithResponse(cmd.Context(), args[0], api.UncoupleCoachJSONRequestBody{Coach: args[1], Reason: reason}))
			}
			if err != nil {
				return about("Train", args[0], err)
			}
			cmd.Printf("Coach %s is %sd\n", args[1], verb)
			return nil
		},
	}
	bindReason(cmd, &reason)
	return cmd
}

// newTrainCommand is depart, confirm or cancel.
func newTrainCommand(service *link, verb, short, long, answer string) *cobra.Command {
	var plan, reason string
	use, example := verb+" TRAIN --plan DIGEST --reason TEXT", fmt.Sprintf("  railyard train %s hotel-line-3 --plan 3f9a0c12b4d5 --reason %q", verb, "looked at with both teams")
	if verb == "cancel" {
		use, example = verb+" TRAIN --reason TEXT", `  railyard train cancel hotel-line-3 --reason "the partner postponed"`
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := api.CommandTrainJSONRequestBody{Command: api.CommandTrainJSONBodyCommand(verb), Reason: reason}
			if verb != "cancel" {
				body.Plan = &plan
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			if err := done(client.CommandTrainWithResponse(cmd.Context(), args[0], body)); err != nil {
				return about("Train", args[0], err)
			}
			cmd.Printf("Train %s %s; follow it with railyard train show %s\n", args[0], answer, args[0])
			return nil
		},
	}
	if verb != "cancel" {
		cmd.Flags().StringVar(&plan, "plan", "", "digest of the plan that was looked at, from railyard plan")
		_ = cmd.MarkFlagRequired("plan")
	}
	bindReason(cmd, &reason)
	return cmd
}
