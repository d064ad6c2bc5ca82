package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"railyard/internal/fleet"
	"railyard/internal/jenkins"
	"railyard/internal/jenkins/provision"
	"railyard/internal/service"
	"railyard/internal/yamlfile"
	"railyard/jenkinsfiles"
)

func newJenkins() *cobra.Command {
	cmd := group("jenkins", "Write Railyard's jobs to Jenkins", "")
	cmd.AddCommand(newJenkinsSync(), newJenkinsDSL())
	return cmd
}

// itemsOf lists what a controller is to have: the jobs and views that the topology asks for, the job that follows Trains,
// and the folder of buttons.
func itemsOf(t *fleet.Topology, controller, buttons string) []provision.Want {
	items := provision.Wanted(t, controller, func(app fleet.App) []byte { return jenkinsfiles.Deliver(app.Name) })
	items = append(items, provision.Want{Item: jenkins.Item{Name: fleet.TrainJob}, Config: jenkinsfiles.Train()})
	for name, config := range jenkinsfiles.Buttons() {
		items = append(items, provision.Want{Item: jenkins.Item{Name: buttons + "/" + name}, Config: config})
	}
	return items
}

// syncing are the arguments of jenkins sync.
type syncing struct {
	config, topology string
	only, adopt      []string
	dryRun           bool
}

func newJenkinsSync() *cobra.Command {
	var s syncing
	cmd := &cobra.Command{
		Use: "sync --config FILE", Short: "Make the jobs on the controllers be those that the topology asks for",
		Long: `Creates and updates, on every controller of the topology, the folders, the jobs that build its apps, the job that follows Trains
(train), a view per SBU, and the buttons by which people act on Coaches (Promote, Rollback, Brake, Resume). It shows first what differs: + is created, ~ is changed, ! is left alone, because Railyard did not write it. What Railyard writes is marked
in its description; --adopt takes an item over that has no such mark. Nothing is deleted, and a second run finds nothing to do.

The controllers, with user and API token, are those of the service's configuration. The user needs the permissions Job/Create,
Job/Configure, Job/Read, View/Create, View/Configure and View/Read.`,
		Example: "  railyard jenkins sync --config /etc/railyard/railyard.yaml --dry-run", Args: cobra.NoArgs,
		Annotations: codes("0  every controller is as the topology asks, or with --dry-run was compared\n1  refused or failed, or something was left alone; the message says why\n2  the command line is wrong"),
		RunE:        func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&s.config, "config", "", "the service's configuration file")
	flags.StringVar(&s.topology, "topology", "", "the topology file; by default the one that the configuration names")
	flags.StringArrayVar(&s.only, "controller", nil, "only this controller; may be repeated")
	flags.StringArrayVar(&s.adopt, "adopt", nil, "full name of a job or view to take over; may be repeated")
	flags.BoolVar(&s.dryRun, "dry-run", false, "only show what differs")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

func (s syncing) run(cmd *cobra.Command) error {
	cfg, err := service.LoadConfig(s.config)
	if err != nil {
		return err
	}
	if s.topology == "" {
		s.topology = cfg.Topology
	}
	if s.topology == "" {
		return usagef("the configuration names no topology file: give one with --topology")
	}
	t, err := readTopology(cmd, s.topology)
	if err != nil {
		return err
	}
	names, err := chosen(t, s.only)
	if err != nil {
		return err
	}
	log := logrus.New()
	log.SetOutput(cmd.ErrOrStderr())
	log.SetLevel(logrus.WarnLevel)
	var failures []error
	for _, name := range names {
		at := slices.IndexFunc(cfg.Jenkins, func(j service.Jenkins) bool { return j.Name == name })
		if at < 0 {
			failures = append(failures, fmt.Errorf("the topology uses the controller %q, which is not under jenkins: in %s", name, s.config))
			continue
		}
		if err := s.one(cmd, cfg.Jenkins[at], t, log); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// one compares a controller, shows what differs, and writes it.
func (s syncing) one(cmd *cobra.Command, j service.Jenkins, t *fleet.Topology, log logrus.FieldLogger) error {
	c, err := j.Open(log)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	changes, err := provision.Compare(ctx, c, itemsOf(t, j.Name, j.ButtonFolder()), s.adopt)
	if err != nil {
		return err
	}
	cmd.Printf("%s (%s)\n", j.Name, j.URL)
	provision.Show(cmd.OutOrStdout(), changes)
	if s.dryRun {
		return nil
	}
	err = provision.Apply(ctx, c, changes)
	for _, change := range changes {
		if change.Action == provision.Foreign {
			err = errors.Join(err, fmt.Errorf("jenkins %s: %s was left alone", j.Name, change.Item))
		}
	}
	return err
}

func newJenkinsDSL() *cobra.Command {
	var controller, buttons string
	cmd := &cobra.Command{
		Use: "dsl TOPOLOGY", Short: "Print what sync makes as a script for the Job DSL plugin",
		Long: `Prints a script for the Job DSL plugin that makes the same folders, jobs and views as railyard jenkins sync, for controllers that are
configured as code. Run it again when the topology or Railyard changes.`,
		Example: "  railyard jenkins dsl topology.yaml > jobs.groovy", Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := readTopology(cmd, args[0])
			if err != nil {
				return err
			}
			if controller == "" {
				all := provision.Controllers(t)
				if len(all) != 1 {
					return usagef("the topology uses the controllers %q: name one with --controller", all)
				}
				controller = all[0]
			}
			if _, err := chosen(t, []string{controller}); err != nil {
				return err
			}
			script, err := provision.JobDSL(itemsOf(t, controller, buttons))
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(script)
			return err
		},
	}
	cmd.Flags().StringVar(&controller, "controller", "", "the controller, when the topology uses several")
	cmd.Flags().StringVar(&buttons, "buttons", service.Jenkins{}.ButtonFolder(), "folder of the buttons: Promote, Rollback, Brake, Resume")
	return cmd
}

func readTopology(cmd *cobra.Command, path string) (*fleet.Topology, error) {
	name, text, err := readInput(cmd, path)
	if err != nil {
		return nil, fmt.Errorf("topology %s %s", path, reason(err))
	}
	return fleet.Load(name, text)
}

// chosen are the controllers to work on: those of the topology, or the named ones of them.
func chosen(t *fleet.Topology, only []string) ([]string, error) {
	all := provision.Controllers(t)
	for _, name := range only {
		if !slices.Contains(all, name) {
			return nil, usagef("--controller %s: no app of the topology is built there; %s", name, yamlfile.Choose(name, all))
		}
	}
	if len(only) > 0 {
		return only, nil
	}
	return all, nil
}
