package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"railyard/internal/fleet"
	"railyard/server/api"
)

func newBar() *cobra.Command {
	var service link
	cmd := group("bar", "Show or clear the bars on revisions that were rolled back",
		"A revision that was rolled back on a site may not return there until somebody clears its bar.")
	service.bind(cmd)
	cmd.AddCommand(newBarList(&service), newBarClear(&service))
	return cmd
}

func newBarList(service *link) *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use: "list", Short: "Show the barred revisions", Example: "  railyard bar list", Args: cobra.NoArgs, Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			bars, err := decoded[[]api.Bar](client.ListBarsWithResponse(cmd.Context()))
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), bars, func(t *rows) {
				t.add("SITE", "REVISION", "SINCE", "ROLL", "REASON")
				for _, b := range bars {
					t.add(b.Environment+"/"+b.Pool, b.Revision, b.At.Local().Format(time.DateTime), b.Roll, b.Reason)
				}
			})
		},
	}
	out.bind(cmd)
	return cmd
}

func newBarClear(service *link) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "clear SITE REVISION", Short: "Let a barred revision return to its site",
		Example: `  railyard bar clear PROD/hotel-api 45c5994d2742 --reason "it was the database, not the release"`,
		Args:    cobra.ExactArgs(2), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := fleet.ParseSiteRef(args[0])
			if err != nil {
				return usagef("%v", err)
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			body := api.ClearBarJSONRequestBody{Environment: site.Environment, Pool: site.Pool, Revision: args[1], Reason: reason}
			if err := done(client.ClearBarWithResponse(cmd.Context(), body)); err != nil {
				return fmt.Errorf("bar of %s on %s: %w", args[1], site, err)
			}
			cmd.Printf("%s may return to %s\n", args[1], site)
			return nil
		},
	}
	bindReason(cmd, &reason)
	return cmd
}
