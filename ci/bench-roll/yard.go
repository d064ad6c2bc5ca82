package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"railyard/internal/demo/child"
	"railyard/internal/demo/ports"
	"railyard/internal/roller"
)

//go:embed restart.sh
var restartScript []byte

const (
	servers = 12
	batch   = 3 // servers at a time
	appName = "web"
	backend = "pool"
)

// The two releases, in place on every server before anything is measured.
var (
	oldRelease = release("v1", "1")
	newRelease = release("v2", "2")
)

func release(version, digit string) roller.AppRelease {
	return roller.AppRelease{App: appName, Version: version, Commit: version, Package: "sha256:" + strings.Repeat(digit, 64)}
}

// yard is what is rolled: servers behind one HAProxy, and an sshd that reaches them, all on loopback and below one
// directory:
//
//	srv/s1/web/releases/…   as the host drivers lay it out (package deploy)
//	srv/s1/{address,pid,log}
//	restart, app, leash     restart ROOT SERVER starts the app anew, which ends when nobody listens at leash any more
//	haproxy.sock, ssh/
type yard struct {
	root    string
	names   []string // "s1"
	address []string // "127.0.0.1:20431", of the same servers
	front   string   // "127.0.0.1:20500", where visitors come in
	sshd    sshd
	ports   ports.Set
	leash   net.Listener
	balance *child.Process
}

// build makes the fleet and returns when every server is UP on the old release. The caller must close it.
func build(ctx context.Context, root string) (*yard, error) {
	y := &yard{root: root}
	err := y.layOut()
	if err == nil {
		err = y.startServing(ctx)
	}
	if err == nil {
		y.sshd, err = startSSHD(ctx, y.path("ssh"), &y.ports)
	}
	if err == nil {
		err = y.reset(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("build the fleet: %w", err), y.close())
	}
	return y, nil
}

func (y *yard) path(parts ...string) string {
	return filepath.Join(append([]string{y.root}, parts...)...)
}

func (y *yard) layOut() error {
	for i := range servers {
		name := fmt.Sprintf("s%d", i+1)
		port, err := y.ports.Take()
		if err != nil {
			return err
		}
		y.names, y.address = append(y.names, name), append(y.address, ports.Address(port))
		files := map[string]string{"address": ports.Address(port) + "\n"}
		for _, r := range []roller.AppRelease{oldRelease, newRelease} {
			dir := filepath.Join(appName, "releases", r.Name())
			files[filepath.Join(dir, "VERSION")], files[filepath.Join(dir, ".complete")] = r.Version, ""
		}
		for file, content := range files {
			if err := write(y.path("srv", name, file), content); err != nil {
				return err
			}
		}
	}
	port, err := y.ports.Take()
	if err != nil {
		return err
	}
	y.front = ports.Address(port)
	if err := write(y.path("haproxy.cfg"), y.haproxyConfig()); err != nil {
		return err
	}
	return os.WriteFile(y.path("restart"), restartScript, 0o755)
}

func write(file, content string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(content), 0o600)
}

// haproxyConfig is small and strict: a request that a server does not answer is a failed one, never tried elsewhere.
func (y *yard) haproxyConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
  maxconn 4000
  stats socket %s mode 600 level admin
defaults
  mode http
  retries 0
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend web
  bind %s
  default_backend %s
backend %s
  balance roundrobin
  option httpchk GET /healthz
`, y.path("haproxy.sock"), y.front, backend, backend)
	for i, name := range y.names {
		fmt.Fprintf(&b, "  server %s %s check inter 500ms weight 100\n", name, y.address[i])
	}
	return b.String()
}

func (y *yard) startServing(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", y.path("app"), "railyard/ci/bench-roll/app")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("compile the app: %w: %s", err, said)
	}
	var err error
	if y.leash, err = net.Listen("unix", y.path("leash")); err != nil {
		return err
	}
	go y.hold()
	y.balance, err = start(y.path("haproxy.log"), "haproxy", "-db", "-f", y.path("haproxy.cfg"))
	return err
}

// hold keeps the servers' connections open until the leash is let go of.
func (y *yard) hold() {
	var held []net.Conn // a connection that nobody refers to would be closed
	for {
		conn, err := y.leash.Accept()
		if err != nil {
			break
		}
		held = append(held, conn)
	}
	for _, conn := range held {
		conn.Close()
	}
}

// start runs a server that ends with this process, its output in a file.
func start(log, name string, args ...string) (*child.Process, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%w; run ci/setup bench, and have /usr/sbin on the PATH", err)
	}
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = output, output
	return child.Start(cmd)
}

// reset puts every server back on the old release and waits until each answers with it and is UP.
func (y *yard) reset(ctx context.Context) error {
	var group errgroup.Group
	for _, name := range y.names {
		group.Go(func() error {
			dir := y.path("srv", name, appName)
			if err := os.Remove(filepath.Join(dir, "current")); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if err := os.Symlink("releases/"+oldRelease.Name(), filepath.Join(dir, "current")); err != nil {
				return err
			}
			if err := write(filepath.Join(dir, "running"), oldRelease.Name()+"\n"); err != nil {
				return err
			}
			if said, err := exec.CommandContext(ctx, y.path("restart"), y.root, name).CombinedOutput(); err != nil {
				return fmt.Errorf("restart %s: %w: %s", name, err, said)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return poll(ctx, 30*time.Second, "every server to be UP on "+oldRelease.Version, func() error { return y.all(ctx, oldRelease.Version) })
}

// all reports what keeps the fleet from running a version and being in rotation with full weight, every server of it.
func (y *yard) all(ctx context.Context, version string) error {
	stats, err := y.stats(ctx)
	if err != nil {
		return err
	}
	for i, name := range y.names {
		if s := stats[name]; s.status != "UP" || s.weight != 100 {
			return fmt.Errorf("%s is %q with weight %d", name, s.status, s.weight)
		}
		if err := answers(ctx, y.address[i], version); err != nil {
			return err
		}
	}
	return nil
}

var client = &http.Client{Timeout: time.Second}

// poll tries until it succeeds.
func poll(ctx context.Context, patience time.Duration, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

func (y *yard) close() error {
	var errs []error
	for _, p := range []*child.Process{y.balance, y.sshd.process} {
		if p != nil {
			errs = append(errs, p.Stop(5*time.Second))
		}
	}
	if y.leash != nil {
		errs = append(errs, y.leash.Close())
	}
	return errors.Join(append(errs, y.ports.Close())...)
}
