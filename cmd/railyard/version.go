package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says which Railyard this is.
type build struct {
	Version  string `json:"version"`            // "v1.2.0", "(devel)"
	Commit   string `json:"commit,omitempty"`   // 40 hex digits
	Time     string `json:"time,omitempty"`     // of the commit
	Modified bool   `json:"modified,omitempty"` // built with changes that are not in the commit
	Go       string `json:"go"`                 // "go1.26.0"
	Platform string `json:"platform"`           // "linux/amd64"
}

func thisBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = firstOf(info.Main.Version, "(devel)")
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func newVersion() *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use: "version", Short: "Say which Railyard this is", Example: "  railyard version", Args: cobra.NoArgs, Annotations: codes("0  done"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			return out.print(cmd.OutOrStdout(), b, func(t *rows) {
				line := "railyard " + b.Version
				if b.Commit != "" {
					line += fmt.Sprintf(", commit %.12s of %s", b.Commit, b.Time)
				}
				if b.Modified {
					line += ", modified"
				}
				t.line("%s, %s %s", line, b.Go, b.Platform)
			})
		},
	}
	out.bind(cmd)
	return cmd
}
