package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

// rollOrders are the commands people may give a roll.
var rollOrders = []struct {
	command     api.CommandRollJSONBodyCommand
	short, long string
}{
	{api.Brake, "Stop a roll within seconds",
		"Brakes a roll: no new action starts, on any server, until it is resumed or taken back."},
	{api.Resume, "Let a paused roll go on",
		"Resumes a paused roll and accepts what it was paused for: a soft breach, a doubt, or the servers that failed."},
	{api.Retry, "Try the failed servers of a roll again",
		"Puts the failed servers of a roll to work again."},
	{api.Skip, "Leave one server out of a roll",
		"Leaves a server out of the roll. It stays as it is, and is shown as skipped."},
	{api.Revoke, "Withdraw a roll",
		"Withdraws a roll. Servers that it has touched are taken back; untouched ones never change."},
	{api.Rollback, "Roll back, in batches and judged",
		`Rolls back regularly: in batches, each judged, never below the pool's floor. A roll that has completed is taken back by a roll of
its own, to what ran before it, and what it brought is barred; where it is all that its Coach has in production, the Coach goes back.
Refused when the site runs something newer by now, and when there is nothing to go back to.`},
	{api.Emergency, "Roll back as fast as the floor allows",
		`Rolls back in an emergency: without smoke stage, baking and judgement, as many servers at once as the pool's floor allows. A roll
that has completed is taken back as with rollback; a way back that is under way is hastened.`},
}

func newRoll() *cobra.Command {
	var service link
	cmd := group("roll", "Show, brake, resume and roll back rolls",
		`A roll takes one pool in one environment from one revision to another. Each command takes the id of a roll, or that of a
Coach that has exactly one running roll.`)
	service.bind(cmd)
	cmd.AddCommand(newRollShow(&service))
	for _, o := range rollOrders {
		cmd.AddCommand(newRollOrder(&service, o.command, o.short, o.long))
	}
	return cmd
}

func newRollShow(service *link) *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use: "show ROLL", Short: "Show a roll with its servers and its last verdict", Example: "  railyard roll show hotel-api-7.2-PROD-hotel-api",
		Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			r, err := findRoll(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), r, func(t *rows) { rollPage(t, r) })
		},
	}
	out.bind(cmd)
	return cmd
}

func newRollOrder(service *link, order api.CommandRollJSONBodyCommand, short, long string) *cobra.Command {
	var reason string
	servers := 0 // how many server names follow the roll
	use, example := string(order)+" ROLL --reason TEXT", fmt.Sprintf("  railyard roll %s hotel-api-7.2 --reason %q", order, "errors in the booking log")
	if order == api.Skip {
		servers = 1
		use, example = "skip ROLL SERVER --reason TEXT", `  railyard roll skip hotel-api-7.2 hotel-api-3 --reason "its disk is being replaced"`
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1 + servers), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			r, err := findRoll(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			body := api.CommandRollJSONRequestBody{Command: order, Reason: reason}
			if servers > 0 {
				body.Server = &args[1]
			}
			answer, err := client.CommandRollWithResponse(cmd.Context(), r.Id, body)
			if err := done(answer, err); err != nil {
				return about("roll", r.Id, err)
			}
			obeys := r.Id
			if answer.JSON202 != nil {
				obeys = answer.JSON202.Roll
			}
			cmd.Printf("roll %s: %s is ordered; follow it with railyard events --follow --object roll/%s\n", r.Id, order, obeys)
			return nil
		},
	}
	bindReason(cmd, &reason)
	return cmd
}

// findRoll returns the roll of this id, or the only running one of the Coach of this id.
func findRoll(ctx context.Context, client *api.ClientWithResponses, id string) (api.Roll, error) {
	r, err := decoded[api.Roll](client.GetRollWithResponse(ctx, id))
	if !refusedAs(err, api.NotFound) {
		if err != nil {
			err = about("roll", id, err)
		}
		return r, err
	}
	c, err := decoded[api.Coach](client.GetCoachWithResponse(ctx, id, &api.GetCoachParams{}))
	if refusedAs(err, api.NotFound) {
		return r, fmt.Errorf("there is no roll and no Coach %q; see railyard coach list", id)
	}
	if err != nil {
		return r, about("Coach", id, err)
	}
	var running, ids []string
	for _, roll := range c.Rolls {
		ids = append(ids, roll.Id)
		if !roll.Ended {
			running = append(running, roll.Id)
			r = roll
		}
	}
	switch {
	case len(running) == 1:
		return r, nil
	case len(running) > 1:
		return r, fmt.Errorf("Coach %s has %d running rolls; name one of %s", id, len(running), strings.Join(running, ", "))
	case len(ids) > 0:
		return r, fmt.Errorf("Coach %s has no running roll; it had %s. To take it out of production: railyard coach rollback %s", id,
			strings.Join(ids, ", "), id)
	}
	return r, fmt.Errorf("Coach %s has no roll yet: it is %s", id, place(c))
}

func rollPage(t *rows, r api.Roll) {
	t.add("roll", r.Id)
	t.add("kind", fmt.Sprintf("%s of %s in %s", words(r.Kind), r.Pool, r.Environment))
	t.add("stage", stage(r))
	t.add("reason", r.Reason)
	if p := r.Pause; p != nil {
		t.add("PAUSED", fmt.Sprintf("%s by %s since %s%s", words(p.Cause), p.By, when(p.Since), because(p.Reason)))
	}
	t.add("revision", fmt.Sprintf("%s → %s", firstOf(or(r.From), "none"), firstOf(or(r.To), "not fixed yet")))
	t.add("floor", fmt.Sprintf("at least %d servers stay up", r.MinUp))
	if v := r.Verdict; v != nil {
		t.add("verdict", fmt.Sprintf("%s (%s, at %s)%s", words(string(v.Outcome)), words(v.Stage), when(v.At), because(v.Reason)))
		t.line("")
		t.add("INDICATOR", "SERVER", "OUTCOME", "WHY")
		for _, f := range v.Findings {
			t.add(f.Indicator, or(f.Server), words(f.Outcome), f.Reason)
		}
	}
	t.line("")
	t.add("SERVER", "BATCH", "STATE", "NEW REVISION", "TOOK VISITORS", "NOTE")
	for _, s := range r.Targets {
		batch := fmt.Sprint(s.Batch)
		if s.Batch == 0 {
			batch = "smoke"
		}
		state := s.State
		if step := or(s.Step); step != "" {
			state += ": " + words(step)
		}
		t.add(s.Server, batch, state, yes(s.Touched), yes(s.Exposed), or(s.Note))
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
