package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

const (
	docsFile  = "../../docs/cli.md"
	docsIntro = "testdata/cli-intro.md"
)

// TestTheReferenceSaysWhatHelpSays keeps docs/cli.md in step with the commands: it is made from them, below an introduction
// that people write.
func TestTheReferenceSaysWhatHelpSays(t *testing.T) {
	intro, err := os.ReadFile(docsIntro)
	if err != nil {
		t.Fatal(err)
	}
	want := string(intro) + reference(newRoot())
	if *update {
		if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/cli.md is not what the commands say; go test ./cmd/railyard -update writes it anew\n%s", diff)
	}
}

// TestEveryCommandIsDocumented: what can be run has one line of help, an example of itself, and its exit codes.
func TestEveryCommandIsDocumented(t *testing.T) {
	eachCommand(newRoot(), func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s: no one-line help", c.CommandPath())
		}
		if c.HasSubCommands() {
			return
		}
		if !strings.Contains(c.Example, "  "+c.CommandPath()) {
			t.Errorf("%s: the example is %q, which is not of this command", c.CommandPath(), c.Example)
		}
		if !strings.HasPrefix(c.Annotations[exitCodes], "0  ") {
			t.Errorf("%s: no exit codes", c.CommandPath())
		}
	})
}

// reference is the part of docs/cli.md that is made from the commands.
func reference(root *cobra.Command) string {
	var b bytes.Buffer
	eachCommand(root, func(c *cobra.Command) {
		if c == root || !c.IsAvailableCommand() {
			return
		}
		level := "##"
		if c.Parent() != root {
			level = "###"
		}
		fmt.Fprintf(&b, "\n%s %s\n\n%s.\n", level, c.CommandPath(), strings.TrimSuffix(c.Short, "."))
		if c.Long != "" {
			fmt.Fprintf(&b, "\n%s\n", c.Long)
		}
		if c.HasSubCommands() {
			flags(&b, "Flags of all its commands", c.PersistentFlags().FlagUsages())
			return
		}
		fmt.Fprintf(&b, "\n```\n%s\n```\n\nExample:\n\n```\n%s\n```\n", c.UseLine(), unindent(c.Example))
		flags(&b, "Flags", c.LocalFlags().FlagUsages())
		if c.Annotations[exitCodes] != ordinary { // what most commands have stands in the introduction
			fmt.Fprintf(&b, "\nExit codes:\n\n```\n%s\n```\n", c.Annotations[exitCodes])
		}
	})
	return b.String()
}

func flags(b *bytes.Buffer, title, usages string) {
	if usages != "" {
		fmt.Fprintf(b, "\n%s:\n\n```\n%s\n```\n", title, strings.TrimRight(unindent(usages), "\n"))
	}
}

// unindent takes two spaces off every line.
func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}
