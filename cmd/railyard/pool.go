package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"railyard/internal/fleet"
	"railyard/server/api"
)

// survey bounds a request for which every server of a site is asked.
const survey = time.Minute

func newPool() *cobra.Command {
	var service link
	cmd := group("pool", "Catch up the servers of a pool that differ from what Railyard believes",
		"An audit compares each pool with the revision that completed on it last; railyard sites shows what differs.")
	service.bind(cmd)
	cmd.AddCommand(newPoolSync(&service))
	return cmd
}

func newPoolSync(service *link) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "sync SITE --reason TEXT", Short: "Roll the servers that differ to the revision that the site runs",
		Long: `Looks at the site now, and starts a catch-up roll of the servers that run something else, were pulled out, or take another share.
The others are left alone; the pattern and the floor of the pool hold. Refused when a roll holds the site, when nothing was ever
released there, and when nothing differs that a roll could mend: a server that does not answer, or that somebody holds in maintenance.`,
		Example: `  railyard pool sync PROD/hotel-api --reason "hotel-api-3 is back from repair"`,
		Args:    cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := fleet.ParseSiteRef(args[0])
			if err != nil {
				return usagef("%v", err)
			}
			client, err := service.open(survey)
			if err != nil {
				return err
			}
			roll, err := decoded[api.Roll](client.SyncSiteWithResponse(cmd.Context(), site.Environment, site.Pool, api.SyncSiteJSONRequestBody{Reason: reason}))
			if err != nil {
				return fmt.Errorf("pool %s: %w", site, err)
			}
			cmd.Printf("roll %s %s; follow it with railyard events --follow --object roll/%s\n", roll.Id, roll.Reason, roll.Id)
			return nil
		},
	}
	bindReason(cmd, &reason)
	return cmd
}
