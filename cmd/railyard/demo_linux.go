package main

import (
	"github.com/spf13/cobra"

	"railyard/internal/demo/story"
)

// addDemo makes the command run the demo.
func addDemo(cmd *cobra.Command) {
	var o story.Options
	cmd.Flags().BoolVar(&o.Once, "once", false, "end after the story instead of staying up")
	cmd.Flags().StringVar(&o.Report, "report", "", "write the story's table as JSON to this file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Out = cmd.OutOrStdout()
		return story.Run(cmd.Context(), o)
	}
}
