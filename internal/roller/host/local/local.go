// Package local is the host driver for servers on Railyard's own machine: other directories, the same layout as over ssh.
//
// A switch works in a session of its own, so that it survives a killed Railyard. Under systemd, say KillMode=process,
// or a stop of the service kills a switch in progress with it.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"railyard/internal/roller"
	"railyard/internal/roller/host/deploy"
)

// New returns the driver. It finds packages in p.
func New(p deploy.Packages) *deploy.Host { return deploy.New(transport{}, p) }

// transport implements deploy.Transport.
type transport struct{}

// Run runs the command here. A canceled context kills the command, and not what it started in another session.
func (transport) Run(ctx context.Context, _ roller.Machine, argv ...string) (deploy.Output, error) {
	if err := context.Cause(ctx); err != nil {
		return deploy.Output{}, err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	var stdout, stderr deploy.Tail
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cause := context.Cause(ctx); cause != nil {
		return deploy.Output{}, cause
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return deploy.Output{}, fmt.Errorf("run %s: %w", argv[0], err)
	}
	return deploy.Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}, nil
}

// Upload copies content to path.
func (transport) Upload(ctx context.Context, _ roller.Machine, path string, content io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".part-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // an open file keeps its space, which may be the last of the disk
			_ = os.Remove(f.Name())
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = f.Close() })
	defer stop()
	if _, err := io.Copy(f, content); err != nil {
		return because(ctx, err)
	}
	if err := f.Close(); err != nil {
		return because(ctx, err)
	}
	return os.Rename(f.Name(), path)
}

// because prefers the context's reason to that of the file it closed.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
