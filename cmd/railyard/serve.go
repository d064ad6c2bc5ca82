package main

import (
	"errors"
	"io"
	"slices"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"railyard/internal/service"
)

func newServe() *cobra.Command {
	var (
		config string
		log    logging
	)
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run the service",
		Long: `Runs the service until it gets SIGTERM or SIGINT. Then it takes no new work, lets what is being written be written, and ends;
a second signal ends it at once. Neither harms a release: the next start observes and goes on.

Settings of the file can be overridden by RAILYARD_… variables, such as RAILYARD_LISTEN or RAILYARD_DATABASE.`,
		Example: "  railyard serve --config /etc/railyard/railyard.yaml --log-format json", Args: cobra.NoArgs,
		Annotations: codes("0  ended by a signal\n1  it could not start or go on; the message says why\n2  the command line is wrong"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := log.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			cfg, err := service.LoadConfig(config)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if err := service.Run(ctx, cfg, logger); err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
				return err
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the configuration file")
	_ = cmd.MarkFlagRequired("config")
	log.bind(cmd)
	return cmd
}

// logging is how the log looks.
type logging struct{ format, level string }

func (l *logging) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.format, "log-format", "text", "text, or json: one object per line")
	cmd.Flags().StringVar(&l.level, "log-level", "info", "least that is logged: error, warning, info, debug")
}

func (l *logging) open(w io.Writer) (*logrus.Logger, error) {
	if !slices.Contains([]string{"text", "json"}, l.format) {
		return nil, usagef("--log-format %s: expected text or json", l.format)
	}
	level, err := logrus.ParseLevel(l.level)
	if err != nil {
		return nil, usagef("--log-level %s: expected error, warning, info or debug", l.level)
	}
	logger := logrus.New()
	logger.SetOutput(w)
	logger.SetLevel(level)
	if l.format == "json" {
		logger.SetFormatter(&logrus.JSONFormatter{})
	} else {
		logger.SetFormatter(&logrus.TextFormatter{FullTimestamp: true})
	}
	return logger, nil
}
