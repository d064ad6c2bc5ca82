package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"railyard/internal/fleet"
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
				resp, err := client.GetTopology(cmd.Context())
				if err := answered(resp, err); err != nil {
					return fmt.Errorf("topology: %w", err)
				}
				defer resp.Body.Close()
				if _, err := io.Copy(cmd.OutOrStdout(), resp.Body); err != nil {
					return fmt.Errorf("topology: %w: the answer broke off: %w", errAway, err)
				}
				return nil
			},
		},
		&cobra.Command{
			Use: "apply FILE", Short: "Validate a topology file and put it in force",
			Long:    "Validates a topology file, as railyard check does, and puts it in force. Rolls that run keep what they began with; - reads\nstandard input.",
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
				if err := done(client.ApplyTopologyWithBody(cmd.Context(), "application/yaml", bytes.NewReader(text))); err != nil {
					return fmt.Errorf("topology %s: %w", name, err)
				}
				cmd.Printf("%s is in force: %s (%s)\n", name, inventory(t), t.Digest)
				return nil
			},
		})
	return cmd
}
