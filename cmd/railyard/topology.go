package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"railyard/internal/fleet"
	"railyard/server/api"
)

func newTopology() *cobra.Command {
	var service link
	cmd := group("topology", "Show or apply the topology", "")
	service.bind(cmd)
	cmd.AddCommand(
		&cobra.Command{
			Use: "show", Short: "Print the topology file that is in force", Example: "  railyard topology show > topology.yaml",
			Args: cobra.NoArgs, Annotations: codes(ordinary),
			RunE: func(cmd *cobra.Command, _ []string) error {
				client, err := service.open(quick)
				if err != nil {
					return err
				}
				text, err := topologyText(cmd.Context(), client)
				if err != nil {
					return fmt.Errorf("topology: %w", err)
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			},
		},
		&cobra.Command{
			Use: "apply FILE", Short: "Validate a topology file and put it in force",
			Long:    "Validates a topology file, as railyard check does, and puts it in force. Rolls that run keep what they began with. The\nfile \"-\" is standard input.",
			Example: "  railyard topology apply topology.yaml", Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
			RunE: func(cmd *cobra.Command, args []string) error {
				client, err := service.open(quick)
				if err != nil {
					return err
				}
				name, text, err := readInput(cmd, args[0])
				if err != nil {
					return err
				}
				t, err := fleet.Load(name, text)
				if err != nil {
					return fmt.Errorf("the topology is not applied:\n%w", err)
				}
				if err := done(client.ApplyTopologyWithBodyWithResponse(cmd.Context(), "application/yaml", bytes.NewReader(text))); err != nil {
					return fmt.Errorf("topology %s: %w", name, err)
				}
				cmd.Printf("%s is in force: %s (%s)\n", name, inventory(t), t.Digest)
				return nil
			},
		})
	return cmd
}

// topologyText returns the file byte for byte. The generated client would read it as YAML.
func topologyText(ctx context.Context, client *api.ClientWithResponses) ([]byte, error) {
	resp, err := client.GetTopology(ctx)
	if err != nil {
		return nil, noAnswer(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, done(api.ParseGetTopologyResponse(resp))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxInput))
	if err != nil {
		return nil, noAnswer(err)
	}
	return text, nil
}
