// Command railyard is all of Railyard in one binary: the service (serve), the whole of it on one machine (demo), the commands
// that people and Jenkins steps use, which ask the service over its API, and offline validation (check).
//
// Each group of commands is one file that makes a cobra.Command. Everything a command says to a program is its exit code
// (exit.go) and, with --output json, its standard output; people read tables and lines. The reference is docs/cli.md, which
// is made from the commands themselves.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

// run runs one command line and returns the exit code.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the first signal asks to end, the second one ends the process at once

	root := newRoot()
	root.SetArgs(args[1:])
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	return execute(ctx, root)
}
