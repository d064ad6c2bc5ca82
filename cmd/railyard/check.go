package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"railyard/internal/fleet"
	"railyard/internal/rop"
	"railyard/internal/yamlfile"
)

// maxInput is how much of a file is read: more than any loader takes, so that the loader says what is too much.
const maxInput = yamlfile.MaxSize + 1

// checked is what came of checking one file.
type checked struct {
	File     string            `json:"file"`           // "topology.yaml"
	Kind     string            `json:"kind,omitempty"` // "topology", "plan", "" when it cannot be told
	OK       bool              `json:"ok"`
	Problems yamlfile.Problems `json:"problems"`
	summary  string            // "3 environments, 4 pools, 12 servers"
}

func newCheck() *cobra.Command {
	cmd := newChecker("")
	cmd.Use, cmd.Short = "check FILE…", "Validate topology and plan files, offline"
	cmd.Long = `Validates topology files and plan files (.railyard/rop.yaml), without the service, and prints every mistake with its position.
Which kind a file is shows in its content: a topology has environments: and pools:, a plan has project:. The file "-" is
standard input. With --topology, plans are also checked against that topology: their SBU, and their apps, which are those of
the repository that the plan lies in.`
	cmd.Example = `  railyard check topology.yaml
  railyard check --topology topology.yaml --repository hotel/hotel-api .railyard/rop.yaml`
	cmd.Args = cobra.MinimumNArgs(1)
	return cmd
}

// newChecker is a command that checks files: of one kind, or of any when only is "".
func newChecker(only string) *cobra.Command {
	var topologyFile, repository string
	out := format("text")
	cmd := &cobra.Command{
		Annotations: codes("0  every file is valid\n1  a file has problems or cannot be read\n2  the command line is wrong"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out != "text" && out != jsonText {
				return usagef("--format %s: expected text or json", out)
			}
			if repository != "" && topologyFile == "" {
				return usagef("--repository needs --topology, which says what is in the repository")
			}
			c := checker{repository: repository, only: only}
			if topologyFile != "" {
				name, text, err := readInput(cmd, topologyFile)
				if err != nil {
					return err
				}
				if c.topology, err = fleet.Load(name, text); err != nil {
					return fmt.Errorf("plans cannot be checked against this topology:\n%w", err)
				}
			}
			var results []checked
			for _, path := range args {
				name, text, err := readInput(cmd, path)
				if err != nil {
					results = append(results, checked{File: name, Problems: yamlfile.Problems{{File: name, What: reason(err)}}})
					continue
				}
				results = append(results, c.check(name, text))
			}
			return printChecked(cmd, out, results)
		},
	}
	cmd.Flags().StringVar(&topologyFile, "topology", "", "check plans against this topology file too")
	cmd.Flags().StringVar(&repository, "repository", "", "the repository the plans lie in, as the topology names it (default: that of the first app)")
	cmd.Flags().StringVar((*string)(&out), "format", "text", "text, or json: one object per file with its problems")
	return cmd
}

// readInput reads a file, or standard input for -.
func readInput(cmd *cobra.Command, path string) (name string, text []byte, err error) {
	if path == "-" {
		name = "standard input"
		text, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput))
	} else {
		name = filepath.ToSlash(path)
		var file *os.File
		if file, err = os.Open(path); err == nil {
			text, err = io.ReadAll(io.LimitReader(file, maxInput))
			_ = file.Close()
		}
	}
	return name, text, err
}

// reason is why a file cannot be read, without its name.
func reason(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return "cannot be read: " + err.Error()
}

// checker checks files, plans against a topology when there is one.
type checker struct {
	topology   *fleet.Topology
	repository string
	only       string // the kind of file that is expected; "" = any
}

func (c checker) check(name string, text []byte) checked {
	result := checked{File: name}
	var err error
	if result.Kind = c.only; c.only == "" {
		result.Kind, err = kindOf(name, text)
	}
	if err == nil {
		switch result.Kind {
		case "topology":
			var t *fleet.Topology
			if t, err = fleet.Load(name, text); err == nil {
				result.summary = inventory(t)
			}
		case "plan":
			var p rop.Plan
			if p, err = c.plan(name, text); err == nil {
				result.summary = fmt.Sprintf("%s %s, %s", p.Project, p.Version, count(len(p.Apps), "app"))
			}
		}
	}
	if err != nil && !errors.As(err, &result.Problems) {
		result.Problems = yamlfile.Problems{{File: name, What: err.Error()}}
	}
	result.OK = len(result.Problems) == 0
	return result
}

func (c checker) plan(name string, text []byte) (rop.Plan, error) {
	plan, err := rop.LoadPlan(name, text)
	if err != nil || c.topology == nil {
		return plan, err
	}
	repository := c.repository
	for _, a := range plan.Apps {
		if app, ok := c.topology.App(a); ok && repository == "" {
			repository = app.Repository
		}
	}
	if repository == "" {
		return plan, yamlfile.Problems{{File: name, What: "no app of this plan is in the topology", Fix: "correct apps, or give --repository to see which apps there are"}}
	}
	return plan, rop.Check(name, text, plan, c.topology, repository)
}

// kindOf tells a topology from a plan by the fields it has.
func kindOf(name string, text []byte) (string, error) {
	doc, err := yamlfile.Parse(name, text)
	if err != nil {
		return "", err
	}
	has := func(fields ...string) bool {
		for _, f := range fields {
			if doc.Has("$." + f) {
				return true
			}
		}
		return false
	}
	topology, plan := has("environments", "pools"), has("project")
	if !topology && !plan { // the one that tells is missing: the others tell which it was meant to be
		topology, plan = has("sbus", "repositories", "indicators"), has("version", "rollback", "owner")
	}
	switch {
	case topology && !plan:
		return "topology", nil
	case plan && !topology:
		return "plan", nil
	}
	return "", yamlfile.Problems{{File: name, What: "neither a topology (environments:, pools:) nor a plan (project:)", Fix: "begin with one of those fields"}}
}

func printChecked(cmd *cobra.Command, out format, results []checked) error {
	broken, problems := 0, 0
	for i, r := range results {
		problems += len(r.Problems)
		if !r.OK {
			broken++
		}
		if r.Problems == nil {
			results[i].Problems = yamlfile.Problems{}
		}
	}
	if out == jsonText {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			for _, p := range r.Problems {
				cmd.Println(p.Error())
			}
			if r.OK {
				cmd.Printf("%s: valid %s: %s\n", r.File, r.Kind, r.summary)
			}
		}
	}
	if broken > 0 {
		return fmt.Errorf("%s in %d of %s", count(problems, "problem"), broken, count(len(results), "file"))
	}
	return nil
}

// inventory says what is in a topology: "3 environments, 4 pools, 12 servers, 4 apps".
func inventory(t *fleet.Topology) string {
	servers := 0
	for _, p := range t.Pools {
		for _, s := range p.Sites {
			servers += len(s.Servers)
		}
	}
	return fmt.Sprintf("%s, %s, %s, %s", count(len(t.Environments), "environment"), count(len(t.Pools), "pool"), count(servers, "server"), count(len(t.Apps), "app"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
