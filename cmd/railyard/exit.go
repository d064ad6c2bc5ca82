package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit codes. Jenkins steps depend on them: 3 is the delivery job's unstableReturn, 4 ends a duplicate build quietly.
const (
	exitFailed      = 1   // it did not work; of wait: rolled back, stopped or failed
	exitUsage       = 2   // the command line is wrong
	exitWithdrawn   = 3   // of wait: superseded or revoked
	exitDuplicate   = 4   // of begin: another build does this deployment
	exitTimeout     = 5   // of wait: no verdict in time; the Coach goes on
	exitInterrupted = 130 // a signal ended the command, not the release
)

// exit ends the command with a code. Without an error nothing is printed: the command has said it already.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// usagef is a mistake on the command line that cobra cannot see.
func usagef(format string, args ...any) error { return exit{exitUsage, fmt.Errorf(format, args...)} }

// execute runs the command and says what went wrong, once, as one sentence.
func execute(ctx context.Context, root *cobra.Command) int {
	began := false // until a command's own code runs, whatever is wrong is the command line
	eachCommand(root, func(c *cobra.Command) {
		if do := c.RunE; do != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				began = true
				return do(c, args)
			}
		}
	})
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	end := exit{code: exitFailed, err: err}
	if !errors.As(err, &end) {
		switch {
		case !began:
			end.code = exitUsage
		case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))):
			end = exit{exitInterrupted, errors.New("interrupted")}
		}
	}
	if end.err != nil {
		cmd.PrintErrf("%s: %s\n", cmd.CommandPath(), end.err)
	}
	if errors.Is(end.err, errAway) {
		cmd.PrintErrln("Is it running, and is its address right (--server or RAILYARD_URL)?")
	}
	if end.code == exitUsage {
		cmd.PrintErrf("See %s --help.\n", cmd.CommandPath())
	}
	return end.code
}

func eachCommand(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, visit)
	}
}
