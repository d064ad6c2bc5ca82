package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

func newSites() *cobra.Command {
	var (
		service     link
		environment string
		out         format
	)
	cmd := &cobra.Command{
		Use:   "sites",
		Short: "Show every pool's servers as they are now",
		Long: `Shows every pool in every environment with its servers, as the balancer and the hosts see them now. Rotation is "in" (takes
traffic), "out" (pulled out by Railyard), "down" (its check fails), "maintenance" (taken out by a person) or "unknown". Below are
who holds a pool, and the differences that the last audit found between the servers and what Railyard believes of them.`,
		Example: "  railyard sites --environment PROD", Args: cobra.NoArgs, Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			var params api.ListSitesParams
			if environment != "" {
				params.Environment = &environment
			}
			sites, err := decoded[[]api.Site](client.ListSitesWithResponse(cmd.Context(), &params))
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), sites, func(t *rows) { siteTable(t, sites) })
		},
	}
	service.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringVar(&environment, "environment", "", "only this environment")
	return cmd
}

func siteTable(t *rows, sites []api.Site) {
	t.add("SITE", "SERVER", "VERSION", "ROTATION", "ROLL")
	for _, site := range sites {
		name, roll := site.Environment+"/"+site.Pool, or(site.Roll)
		if roll != "" && or(site.Stage) != "" {
			roll += ", " + words(or(site.Stage))
		}
		for _, s := range site.Servers {
			rotation := string(s.Rotation)
			if s.Rotation == api.In && s.Weight != nil && *s.Weight != 100 {
				rotation = fmt.Sprintf("in, %d %%", *s.Weight)
			}
			server := s.Name
			if s.Smoke {
				server += " (smoke)"
			}
			version := or(s.Version)
			if s.Known != nil && !*s.Known {
				version = "not known"
			}
			t.add(name, server, version, rotation, roll)
		}
		if len(site.Servers) == 0 {
			t.add(name, "no servers", "", "", roll)
		}
	}
	for _, site := range sites {
		if l := site.Lock; l != nil {
			t.line("%s/%s is held by %s, renewed until %s: %s", site.Environment, site.Pool, l.Roll, l.Until.Local().Format(time.DateTime), l.Reason)
		}
	}
	for _, site := range sites {
		if site.Differences == nil {
			continue
		}
		for _, d := range *site.Differences {
			t.line("%s/%s differs since %s: %s", site.Environment, site.Pool, d.Since.Local().Format(time.DateTime), difference(d))
		}
	}
	for _, site := range sites {
		if problem := or(site.Problem); problem != "" {
			t.line("%s/%s: %s", site.Environment, site.Pool, problem)
		}
	}
}

// difference is one in a line: "hotel-api-3 pulled out: weight 0, expected weight 100".
func difference(d api.Difference) string {
	text := fmt.Sprintf("%s: %s, expected %s", words(d.Kind), d.Found, d.Expected)
	if d.Server != nil {
		text = *d.Server + " " + text
	}
	return text
}
