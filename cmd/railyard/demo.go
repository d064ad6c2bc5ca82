package main

import "github.com/spf13/cobra"

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run all of Railyard on this machine and tell its story",
		Long: `Starts everything on loopback ports of this machine: a git server, a stand-in for Jenkins, HAProxy with four pools of real
processes, Prometheus, the service and a constant load of visitors. Then it tells the story: a good push goes all the way,
a bad one is caught in baking and rolled back by itself, and one that fails its checks never leaves FAT. It stays up until
Ctrl-C, so that you can push a change of your own, and leaves no process behind. It runs on Linux.`,
		Example:     "  railyard demo\n  railyard demo --once --report demo.json",
		Args:        cobra.NoArgs,
		Annotations: codes("0  each push ended as it should\n1  one did not, or the demo could not be started"),
	}
	addDemo(cmd)
	return cmd
}
