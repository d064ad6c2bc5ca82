package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"railyard/internal/yamlfile"
)

// exitCodes is the annotation of a command that lists its exit codes, for --help and docs/cli.md.
const exitCodes = "exit codes"

// ordinary are the exit codes of most commands.
const ordinary = "0  done\n1  refused or failed; the message says why\n2  the command line is wrong"

func newRoot() *cobra.Command {
	root := group("railyard", "Release by pools of servers: smoke, baking, rolling, and back by itself", "")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpTemplate(helpTemplate)
	root.AddCommand(
		newServe(), newDemo(), newCheck(), newVersion(),
		newBegin(), newPublish(), newWait(),
		newOutcome(), newBrake(), newPress(),
		newROP(), newCoach(), newTrain(), newPlan(), newOverride(), newDeps(), newRoll(), newVerdict(), newReplay(), newSites(), newPool(), newBar(), newEvents(), newTopology(),
		newToken(), newHook(), newJenkins(),
	)
	return root
}

// group is a command that only has others.
func group(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var known []string
			for _, sub := range cmd.Commands() {
				if sub.IsAvailableCommand() {
					known = append(known, sub.Name())
				}
			}
			return fmt.Errorf("unknown command %q; %s", args[0], yamlfile.Choose(args[0], known))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return usagef("name one of its commands")
		},
	}
}

// codes annotates a command with its exit codes.
func codes(text string) map[string]string { return map[string]string{exitCodes: text} }

const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}{{end}}

{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}{{with index .Annotations "exit codes"}}
Exit codes:
{{.}}
{{end}}`

// clean drops what a terminal would obey: commit messages and notes come from anybody who may push.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, text)
}
