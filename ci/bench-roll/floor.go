package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sync/errgroup"

	"railyard/internal/demo/ports"
)

// floor takes the same steps with nothing in between: nothing is decided, nothing is kept. The servers of a batch go side
// by side, and the next batch starts when all of them are UP.
type floor struct {
	*yard
	client *ssh.Client
}

func (*floor) name() string { return "floor" }

// ready opens the one ssh connection, so that it is warm.
func (f *floor) ready(context.Context) error {
	if f.client != nil {
		return nil
	}
	text, err := os.ReadFile(f.sshd.key)
	if err != nil {
		return err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return err
	}
	known, err := knownhosts.New(f.sshd.knownHosts)
	if err != nil {
		return err
	}
	f.client, err = ssh.Dial("tcp", ports.Address(f.sshd.port), &ssh.ClientConfig{
		User: f.sshd.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: known,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	})
	return err
}

func (f *floor) roll(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	for first := 0; first < servers; first += batch {
		group, ctx := errgroup.WithContext(ctx)
		for i := first; i < min(first+batch, servers); i++ {
			group.Go(func() error { return f.server(ctx, i) })
		}
		if err := group.Wait(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

const stepPatience = 30 * time.Second

func (f *floor) server(ctx context.Context, i int) error {
	name := f.names[i]
	if _, err := f.ask(ctx, fmt.Sprintf("set server %s/%s weight 0", backend, name)); err != nil {
		return err
	}
	err := poll(ctx, stepPatience, name+" to have no sessions", func() error {
		stats, err := f.stats(ctx)
		if err == nil && stats[name].sessions > 0 {
			err = fmt.Errorf("%d sessions", stats[name].sessions)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := f.command(f.switchTo(name)); err != nil {
		return err
	}
	if err := poll(ctx, stepPatience, name+" to answer", func() error { return answers(ctx, f.address[i], newRelease.Version) }); err != nil {
		return err
	}
	if _, err := f.ask(ctx, fmt.Sprintf("set server %s/%s weight 100", backend, name)); err != nil {
		return err
	}
	return poll(ctx, stepPatience, name+" to be UP", func() error {
		stats, err := f.stats(ctx)
		if err == nil && stats[name].status != "UP" {
			err = errors.New(stats[name].status)
		}
		return err
	})
}

// switchTo is one command that switches the link at once and restarts.
func (f *floor) switchTo(name string) string {
	current := f.path("srv", name, appName, "current")
	return fmt.Sprintf("ln -sfn releases/%s %s.new && mv -T %s.new %s && %s %s %s",
		newRelease.Name(), current, current, current, f.path("restart"), f.root, name)
}

func (f *floor) command(line string) error {
	session, err := f.client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	if said, err := session.CombinedOutput(line); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, said)
	}
	return nil
}

func (f *floor) close() error {
	if f.client == nil {
		return nil
	}
	return f.client.Close()
}
