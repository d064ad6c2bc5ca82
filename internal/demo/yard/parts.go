package yard

import (
	"context"
	"path/filepath"

	"railyard/internal/demo/prometheus"
	"railyard/internal/jenkins/jenkinstest"
)

// StartPrometheus starts Prometheus once more after it was closed, on its port and with its data.
func (y *Yard) StartPrometheus(ctx context.Context) error {
	started, err := prometheus.Start(ctx, y.prometheus)
	if err == nil {
		y.Prometheus = started
	}
	return err
}

// StartJenkins starts Jenkins once more after it was closed or has crashed, on its port and with its data.
func (y *Yard) StartJenkins() error {
	started, err := jenkinstest.Start(y.jenkins)
	if err == nil {
		y.Jenkins = started
	}
	return err
}

// TokenFile is the file with the token of one of Options.People, or of the release engineer for "".
func (y *Yard) TokenFile(person string) string {
	if person == "" {
		return filepath.Join(y.Dir, "secrets", "person")
	}
	return filepath.Join(y.Dir, "secrets", "person-"+person)
}

// HookSecretFile is the file with the secret that signs webhooks.
func (y *Yard) HookSecretFile() string { return filepath.Join(y.Dir, "secrets", "hook") }
