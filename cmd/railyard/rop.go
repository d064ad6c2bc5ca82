package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/internal/rop"
	"railyard/internal/yamlfile"
	"railyard/server/api"
)

// planFile is where a repository has its plan unless the topology says otherwise.
const planFile = ".railyard/rop.yaml"

func newROP() *cobra.Command {
	var service link
	cmd := group("rop", "Check, show, submit and approve roll-out plans", `A roll-out plan (ROP) is the file `+planFile+` on a release branch. Each push makes it the plan of a Coach, and it is
named by that Coach. A plan is withdrawn with its Coach: railyard coach revoke.`)
	service.bind(cmd)
	cmd.AddCommand(newROPCheck(), newROPSchema(), newROPList(&service), newROPShow(&service), newROPBookings(&service),
		newCoachOrder(&service, "rop", "submit", "Submit the plan of a Coach that is a draft",
			`Submits a plan, so that it can be approved. A plan is submitted by itself when its first environment is passed, unless it says
draft: true.`,
			func(cmd *cobra.Command, c *api.ClientWithResponses, id, reason string) error {
				return done(c.SubmitPlanWithResponse(cmd.Context(), id, api.SubmitPlanJSONRequestBody{Reason: reason}))
			}, "is being submitted"),
		newCoachOrder(&service, "rop", "approve", "Pass the plan of a Coach",
			`Passes the plan of a Coach that waits for it. The approval is bound to the plan file and the packages as they are now: it holds
for a later candidate of the same bytes, and for no other. Nobody who pushed or wrote a part of it can give it.`,
			func(cmd *cobra.Command, c *api.ClientWithResponses, id, reason string) error {
				return done(c.ApproveCoachWithResponse(cmd.Context(), id, api.ApproveCoachJSONRequestBody{Reason: reason}))
			}, "approved; it goes on by itself"))
	return cmd
}

func newROPCheck() *cobra.Command {
	cmd := newChecker("plan")
	cmd.Use, cmd.Short = "check [FILE…]", "Validate plan files, offline"
	cmd.Long = `Validates plan files without the service and prints every mistake with its position, what is wrong and what to write instead.
Without a FILE it reads ` + planFile + `; the file "-" is standard input. With --topology, plans are also checked against that
topology: SBU, apps, environments, kinds of resources, capacities, and the order of the way back.`
	cmd.Example = `  railyard rop check
  railyard rop check --topology topology.yaml --repository hotel/hotel-api ` + planFile
	check := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = []string{planFile}
		}
		return check(cmd, args)
	}
	return cmd
}

func newROPSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of the plan file, for editors", Args: cobra.NoArgs, Annotations: codes(ordinary),
		Long: `Prints the JSON Schema (draft-07) of the plan file. Editors that speak the YAML language server find it by a first line
# yaml-language-server: $schema=PATH. It sees less than rop check does.`,
		Example: "  railyard rop schema > .railyard/rop.schema.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), rop.Schema())
			return err
		},
	}
}

func newROPList(service *link) *cobra.Command {
	var (
		state string
		limit int
		out   format
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List plans by the Coaches that carry them, newest first", Args: cobra.NoArgs, Annotations: codes(ordinary),
		Example: "  railyard rop list --state submitted",
		RunE: func(cmd *cobra.Command, _ []string) error {
			params := api.ListCoachesParams{Limit: &limit}
			if state != "" {
				known := api.PlanState(strings.ReplaceAll(state, " ", "_"))
				if !known.Valid() {
					return usagef("--state %s: %s", state, yamlfile.Choose(state, planStates()))
				}
				params.Plan = &known
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			coaches, err := decoded[[]api.Coach](client.ListCoachesWithResponse(cmd.Context(), &params))
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), coaches, func(t *rows) {
				t.add("COACH", "SBU", "OWNER", "VERSION", "TRAIN", "PLAN", "SINCE", "REASON")
				for _, c := range coaches {
					if p := c.Plan; p != nil {
						t.add(c.Id, c.Sbu, p.Owner, p.Version, travels(*p), words(string(p.State)), when(p.Since), p.Reason)
					} else {
						t.add(c.Id, c.Sbu, "", "", "", "none", when(c.Created), c.Reason)
					}
				}
			})
		},
	}
	out.bind(cmd)
	cmd.Flags().StringVar(&state, "state", "", "only those in this state: "+strings.Join(planStates(), ", "))
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many, 1 to 500")
	return cmd
}

func planStates() (names []string) {
	for _, s := range rop.PlanStates() {
		names = append(names, string(s))
	}
	return names
}

// travels says by which Train a plan goes.
func travels(p api.Plan) string {
	train := or(p.Train)
	switch {
	case p.Urgent:
		return "urgent"
	case train == "":
		return "alone"
	}
	return train
}

func newROPShow(service *link) *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use: "show COACH", Short: "Show the plan of a Coach, and who passed it", Example: "  railyard rop show hotel-api-7.2", Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			c, err := decoded[api.Coach](client.GetCoachWithResponse(cmd.Context(), args[0], &api.GetCoachParams{}))
			if err != nil {
				return about("Coach", args[0], err)
			}
			if c.Plan == nil {
				return fmt.Errorf("the plan of Coach %s cannot be shown: %s", c.Id, clean(c.Reason))
			}
			return out.print(cmd.OutOrStdout(), c.Plan, func(t *rows) { planPage(t, c, *c.Plan) })
		},
	}
	out.bind(cmd)
	return cmd
}

func planPage(t *rows, c api.Coach, p api.Plan) {
	list := func(name string, items []string) {
		for i, item := range items {
			if i > 0 {
				name = " "
			}
			t.add(name, item)
		}
	}
	t.add("plan", fmt.Sprintf("%s %s of Coach %s", c.Project, p.Version, c.Id))
	t.add("state", words(string(p.State))+" since "+when(p.Since))
	t.add("reason", p.Reason)
	t.add("owner", p.Owner+", "+c.Sbu)
	list("apps", p.Apps)
	if len(p.Environments) > 0 {
		t.add("environments", strings.Join(p.Environments, " → "))
	}
	list("requires", p.Requires)
	list("resources", p.Resources)
	if p.Window != nil {
		t.add("window", span(p.Window.From, p.Window.To))
	}
	for _, b := range p.Bookings {
		t.add("books", fmt.Sprintf("%s of %s, %s", count(b.Servers, "server"), b.Capacity, span(b.From, b.To)))
	}
	t.add("train", travels(p))
	back := "in the release order reversed"
	if len(p.Rollback.Order) > 0 {
		back = "in the order " + strings.Join(p.Rollback.Order, ", ")
	}
	t.add("rollback", fmt.Sprintf("to %s, %s, by %s", p.Rollback.To, back, strings.Join(p.Rollback.Who, " or ")))
	if a := c.Approval; a != nil {
		t.add("approved", fmt.Sprintf("by %s at %s: %s", a.Actor, when(a.At), a.Reason))
	}
	t.add("digest", p.Digest)
	for _, b := range c.Builds {
		t.add("package", fmt.Sprintf("%s %s", b.App, or(b.Package)))
	}
}

// span is a time from … to, as people on this machine read it.
func span(from, to time.Time) string { return when(from) + " to " + when(to) }

func newROPBookings(service *link) *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use: "bookings", Short: "List the servers that plans have booked ahead", Example: "  railyard rop bookings", Args: cobra.NoArgs, Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			bookings, err := decoded[[]api.Booking](client.ListBookingsWithResponse(cmd.Context()))
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), bookings, func(t *rows) {
				t.add("CAPACITY", "SERVERS", "FROM", "TO", "PLAN")
				for _, b := range bookings {
					t.add(b.Capacity, b.Servers, when(b.From), when(b.To), b.Plan)
				}
			})
		},
	}
	out.bind(cmd)
	return cmd
}
