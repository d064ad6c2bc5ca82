package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/server/api"
)

// replayed is what `railyard replay` says of one roll.
type replayed struct {
	Roll        string             `json:"roll"` // "r-31"
	Environment string             `json:"environment"`
	Pool        string             `json:"pool"`
	Looks       []rollmon.Replayed `json:"looks"` // oldest first
}

func newReplay() *cobra.Command {
	var (
		service      link
		topologyFile string
		only         string
		out          format
	)
	cmd := &cobra.Command{
		Use:   "replay COACH --topology FILE",
		Short: "Judge a Coach's rolls again under changed limits",
		Long: `Judges what was measured during the rolls of a Coach again, under the indicators of a changed topology file, and shows where
the verdict would have been another. Nothing is asked of any source and nothing is changed: an indicator that was not read then is
left out and named, and one with another query is judged on what the old one gave.`,
		Example: "  railyard replay hotel-api-7.2 --topology changed.yaml",
		Args:    cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(topologyFile) //nolint:gosec // the caller's own file, with the caller's rights
			if err != nil {
				return fmt.Errorf("read the changed topology: %w", err)
			}
			t, err := fleet.Load(topologyFile, text)
			if err != nil {
				return err
			}
			client, err := service.open(quick)
			if err != nil {
				return err
			}
			rolls, err := replay(cmd.Context(), client, args[0], only, t)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), rolls, func(t *rows) { replayTable(t, args[0], rolls) })
		},
	}
	service.bind(cmd)
	out.bind(cmd)
	out.bindJSON(cmd)
	cmd.Flags().StringVar(&topologyFile, "topology", "", "the changed topology file")
	cmd.Flags().StringVar(&only, "roll", "", "only this roll")
	_ = cmd.MarkFlagRequired("topology")
	return cmd
}

// replay judges all kept looks of a Coach's rolls again.
func replay(ctx context.Context, client *api.ClientWithResponses, coach, only string, t *fleet.Topology) ([]replayed, error) {
	all, err := decoded[api.Verdicts](client.ListVerdictsWithResponse(ctx, coach))
	if err != nil {
		return nil, about("Coach", coach, err)
	}
	rolls := []replayed{}
	most := 500
	for _, r := range all.Rolls {
		if only != "" && r.Roll != only {
			continue
		}
		texts, err := decoded[[]json.RawMessage](client.ListLooksWithResponse(ctx, r.Roll, &api.ListLooksParams{Limit: &most}))
		if err != nil {
			return nil, about("roll", r.Roll, err)
		}
		one := replayed{Roll: r.Roll, Environment: r.Environment, Pool: r.Pool, Looks: []rollmon.Replayed{}}
		for _, text := range slices.Backward(texts) {
			var look rollmon.Look
			if err := json.Unmarshal(text, &look); err != nil {
				return nil, fmt.Errorf("roll %s: a look was kept by another version of Railyard and cannot be read: %w", r.Roll, err)
			}
			one.Looks = append(one.Looks, rollmon.Replay(look, t))
		}
		rolls = append(rolls, one)
	}
	if only != "" && len(rolls) == 0 {
		return nil, fmt.Errorf("Coach %s has no roll %q", coach, only)
	}
	return rolls, nil
}

func replayTable(t *rows, coach string, rolls []replayed) {
	looks, differ := 0, 0
	named := map[string]bool{}
	t.add("ROLL", "SITE", "STAGE", "BATCH", "AT", "WAS", "WOULD BE", "WHY")
	for _, r := range rolls {
		for _, l := range r.Looks {
			looks++
			mark := words(string(l.Now.Outcome))
			if l.Differs() {
				differ++
				mark += " !"
			}
			t.add(r.Roll, r.Environment+"/"+r.Pool, words(l.Was.Stage), l.Was.Batch, when(l.Was.At), words(string(l.Was.Outcome)), mark, l.Now.Reason)
			for _, name := range l.Unmeasured {
				named[name+" was not read then, and is left out"] = true
			}
			for _, name := range l.Requeried {
				named[name+" has another query now, and is judged on what the old one gave"] = true
			}
		}
	}
	t.line("")
	switch {
	case looks == 0:
		t.line("nothing is kept of the rolls of %s: none was judged, or it is too long ago", coach)
	case differ == 0:
		t.line("%d looks, all judged as they were", looks)
	default:
		t.line("%d of %d looks would be judged otherwise (marked !)", differ, looks)
	}
	lines := make([]string, 0, len(named))
	for name := range named {
		lines = append(lines, name)
	}
	slices.Sort(lines)
	if len(lines) > 0 {
		t.line("%s", strings.Join(lines, "; "))
	}
}
