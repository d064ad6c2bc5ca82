package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

func newCoach() *cobra.Command {
	var service link
	cmd := group("coach", "Show, withdraw or roll back Coaches", "")
	service.bind(cmd)
	cmd.AddCommand(newCoachList(&service), newCoachShow(&service),
		newCoachOrder(&service, "coach", "revoke", "Withdraw a Coach and its plan",
			`Withdraws a Coach and its plan. Its running rolls are taken back server by server; it ends when they have.`,
			func(cmd *cobra.Command, c *api.ClientWithResponses, id, reason string) error {
				return done(c.RevokeCoachWithResponse(cmd.Context(), id, api.RevokeCoachJSONRequestBody{Reason: reason}))
			}, "is being withdrawn"),
		newCoachOrder(&service, "coach", "alone", "Let a Coach go on without a Train",
			`Lets a Coach that waits for a Train, or left one before it departed, go on to production on its own.`,
			func(cmd *cobra.Command, c *api.ClientWithResponses, id, reason string) error {
				return done(c.LetCoachGoAloneWithResponse(cmd.Context(), id, api.LetCoachGoAloneJSONRequestBody{Reason: reason}))
			}, "goes on alone"), newCoachRollback(&service))
	return cmd
}

func newCoachRollback(service *link) *cobra.Command {
	emergency := false
	cmd := newCoachOrder(service, "coach", "rollback", "Take a Coach out of production again, also after it was released",
		`Takes a Coach out of production again. Its running rolls are turned around; what had completed goes back to what ran before, in the
reverse of the release order, dependents first, each pool batched and judged. What the Coach brought is barred. Refused when a pool
runs something newer by now, and when there is nothing to go back to. Asking again changes nothing.`,
		func(cmd *cobra.Command, c *api.ClientWithResponses, id, reason string) error {
			body := api.GoBackCoachJSONRequestBody{Reason: reason, Emergency: &emergency}
			return done(c.GoBackCoachWithResponse(cmd.Context(), id, body))
		}, "is being taken out of production")
	cmd.Flags().BoolVar(&emergency, "emergency", false, "without smoke stage, baking and judgement, as parallel as the floor allows; also hastens a rollback")
	return cmd
}

func newCoachList(service *link) *cobra.Command {
	var (
		project string
		active  bool
		limit   int
		out     format
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List Coaches, newest first", Example: "  railyard coach list --active", Args: cobra.NoArgs, Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			params := api.ListCoachesParams{Limit: &limit}
			if project != "" {
				params.Project = &project
			}
			if active {
				params.Active = &active
			}
			coaches, err := decoded[[]api.Coach](client.ListCoachesWithResponse(cmd.Context(), &params))
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), coaches, func(t *rows) {
				t.add("COACH", "SBU", "VERSION", "BRANCH", "COMMIT", "CREATED", "STATE", "REASON")
				for _, c := range coaches {
					t.add(c.Id, c.Sbu, or(c.Version), c.Branch, fmt.Sprintf("%.8s", c.Commit), when(c.Created), place(c), c.Reason)
				}
			})
		},
	}
	out.bind(cmd)
	cmd.Flags().StringVar(&project, "project", "", "only those of this project")
	cmd.Flags().BoolVar(&active, "active", false, "only those that have not ended")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many, 1 to 500")
	return cmd
}

func newCoachShow(service *link) *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use: "show COACH", Short: "Show a Coach with its builds, rolls and stages", Example: "  railyard coach show hotel-api-7.2",
		Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			c, err := decoded[api.Coach](client.GetCoachWithResponse(cmd.Context(), args[0], &api.GetCoachParams{}))
			if err != nil {
				return about("Coach", args[0], err)
			}
			return out.print(cmd.OutOrStdout(), c, func(t *rows) { coachPage(t, c) })
		},
	}
	out.bind(cmd)
	return cmd
}

func coachPage(t *rows, c api.Coach) {
	t.add("coach", c.Id)
	t.add("state", place(c))
	why := strings.Split(c.Reason, "\n") // a mistake in a plan brings its line and carets along
	t.add("reason", why[0])
	for _, more := range why[1:] {
		t.add(" ", more)
	}
	t.add("verdict", or(c.Verdict))
	if c.Train != nil {
		t.add("train", *c.Train)
	}
	t.add("commit", fmt.Sprintf("%s of %s, %s", c.Commit, c.Repository, c.Branch))
	t.add("subject", or(c.Subject))
	t.add("author", strings.TrimSuffix(c.Author+", "+c.Sbu, ", "))
	t.add("created", when(c.Created))
	t.line("")
	t.add("STAGE", "SINCE", "TOOK")
	for _, s := range c.Stages {
		lasted := "still going"
		if s.End != nil {
			lasted = s.End.Sub(s.Start).Round(time.Second).String()
		}
		t.add(s.Name, when(s.Start), lasted)
	}
	t.line("")
	t.add("BUILD", "STATE", "JENKINS", "PACKAGE", "NOTE")
	for _, b := range c.Builds {
		jenkins := b.Job
		if b.Number != nil {
			jenkins = fmt.Sprintf("%s #%d", b.Job, *b.Number)
		}
		t.add(b.Deployment, words(b.State), jenkins, fmt.Sprintf("%.19s", or(b.Package)), or(b.Note))
	}
	t.line("")
	t.add("ROLL", "STAGE", "REASON")
	for _, r := range c.Rolls {
		t.add(r.Id, stageAndPause(r), r.Reason)
	}
}

func stageAndPause(r api.Roll) string {
	if r.Pause != nil {
		return stage(r) + ", PAUSED"
	}
	return stage(r)
}

// newCoachOrder is a command that orders something of a Coach, with a reason that goes into the event log.
func newCoachOrder(service *link, parent, verb, short, long string, order func(*cobra.Command, *api.ClientWithResponses, string, string) error, answer string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: verb + " COACH --reason TEXT", Short: short, Long: long, Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		Example: fmt.Sprintf("  railyard %s %s hotel-api-7.2 --reason %q", parent, verb, "agreed with the hotel team"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			if err := order(cmd, client, args[0], reason); err != nil {
				return about("Coach", args[0], err)
			}
			cmd.Printf("Coach %s %s\n", args[0], answer)
			return nil
		},
	}
	bindReason(cmd, &reason)
	return cmd
}

// bindReason adds the reason, without which nobody can read the event log later.
func bindReason(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "why; it is kept in the event log")
	_ = cmd.MarkFlagRequired("reason")
}
