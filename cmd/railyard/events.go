package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

// eventPage is how many events are asked for at once while following.
const eventPage = 1000

func newEvents() *cobra.Command {
	var (
		service       link
		coach, object string
		limit         int
		follow        bool
		out           format
	)
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show the event log: who, what, when and why",
		Long: `Shows the newest events of the log, oldest first. With --follow it goes on with each new event until it is interrupted, and
outlives restarts of the service; JSON is then one event per line.`,
		Example: "  railyard events --coach hotel-api-7.2 --follow", Args: cobra.NoArgs,
		Annotations: codes(ordinary + "\n130  interrupted, the usual end of --follow"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			params := api.ListEventsParams{Limit: &limit}
			if coach != "" {
				params.Coach = &coach
			}
			if object != "" {
				params.Object = &object
			}
			events, err := decoded[[]api.Event](client.ListEventsWithResponse(cmd.Context(), &params))
			if err != nil {
				return err
			}
			if out == jsonText && !follow {
				return out.print(cmd.OutOrStdout(), events, nil)
			}
			if err := printEvents(cmd, out, events); err != nil || !follow {
				return err
			}
			return followEvents(cmd, client, params, events, out)
		},
	}
	service.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringVar(&coach, "coach", "", "only those of this Coach, its rolls and servers")
	cmd.Flags().StringVar(&object, "object", "", `only those of this object, such as "site/PROD/hotel-api"`)
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many, 1 to 1000")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events as they happen")
	return cmd
}

// followEvents asks for what came after the last known event, once a second.
func followEvents(cmd *cobra.Command, client *api.ClientWithResponses, params api.ListEventsParams, known []api.Event, out format) error {
	var after int64
	page := eventPage
	params.After, params.Limit = &after, &page
	for events := known; ; {
		for _, e := range events {
			after = max(after, e.Id)
		}
		if len(events) < page {
			if err := sleep(cmd.Context(), time.Second); err != nil {
				return exit{code: exitInterrupted}
			}
		}
		var err error
		events, err = patiently(cmd.Context(), patience{tell: toErr(cmd)}, func() ([]api.Event, error) {
			return decoded[[]api.Event](client.ListEventsWithResponse(cmd.Context(), &params))
		})
		if err != nil {
			return err
		}
		if err := printEvents(cmd, out, events); err != nil {
			return err
		}
	}
}

func printEvents(cmd *cobra.Command, out format, events []api.Event) error {
	events = slices.SortedFunc(slices.Values(events), func(a, b api.Event) int { return int(a.Id - b.Id) })
	for _, e := range events {
		if out == jsonText {
			if err := json.NewEncoder(cmd.OutOrStdout()).Encode(e); err != nil {
				return err
			}
			continue
		}
		cmd.Println(clean(eventLine(e)))
	}
	return context.Cause(cmd.Context())
}

// eventLine is an event for people: "2026-01-02 15:04:05  person:li  roll/r-1  braked  rolling → paused: why".
func eventLine(e api.Event) string {
	line := fmt.Sprintf("%s  %s  %s  %s", when(e.At), e.Actor, e.Object, words(e.What))
	if server := or(e.Server); server != "" {
		line += " " + server
	}
	if from, to := or(e.From), or(e.To); from != "" || to != "" {
		line += fmt.Sprintf("  %s → %s", firstOf(from, "-"), firstOf(to, "-"))
	}
	return line + because(e.Why)
}
