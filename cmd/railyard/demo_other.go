//go:build !linux

package main

import (
	"errors"
	"runtime"

	"github.com/spf13/cobra"
)

// addDemo says where the demo runs: it starts Linux' own HAProxy and ties its processes together with what only Linux has.
func addDemo(cmd *cobra.Command) {
	var once bool
	var report string
	cmd.Flags().BoolVar(&once, "once", false, "end after the story instead of staying up")
	cmd.Flags().StringVar(&report, "report", "", "write the story's table as JSON to this file")
	cmd.RunE = func(*cobra.Command, []string) error {
		return errors.New("the demo is not available on " + runtime.GOOS + "; run it on Linux, a container will do")
	}
}
