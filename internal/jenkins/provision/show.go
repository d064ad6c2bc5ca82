package provision

import (
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Show prints changes for people, one line for each item that is not as it shall
// be, and below it what differs.
func Show(w io.Writer, changes []Change) {
	same := 0
	for _, c := range changes {
		switch c.Action {
		case Create:
			fmt.Fprintf(w, "+ %s\n", c.Item)
		case Update:
			fmt.Fprintf(w, "~ %s\n", c.Item)
			showDiff(w, c)
		case Foreign:
			fmt.Fprintf(w, "! %s is there, but Railyard did not write it: left alone (--adopt %s takes it over)\n", c.Item, c.Name)
		default:
			same++
		}
	}
	fmt.Fprintf(w, "= %d as they should be\n", same)
}

func showDiff(w io.Writer, c Change) {
	for _, d := range c.Diff {
		if !strings.Contains(d.Stored+d.Wanted, "\n") {
			fmt.Fprintf(w, "    %s: %q → %q\n", d.Path, d.Stored, d.Wanted)
			continue
		}
		fmt.Fprintf(w, "    %s:\n", d.Path)
		text := string(diff.Diff("in Jenkins", []byte(ended(d.Stored)), "wanted", []byte(ended(d.Wanted))))
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "diff ") {
				fmt.Fprintf(w, "      %s", line)
			}
		}
	}
}

// ended ends the last line.
func ended(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
