// Package balancer runs a real HAProxy in front of the demo's servers: per pool and environment one frontend and one
// backend, health checks, a runtime API socket and metrics for Prometheus. Retries are off, so that whatever a release
// breaks is seen by the visitors and counted.
package balancer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"railyard/internal/demo/child"
	"railyard/internal/demo/ports"
)

// socketPathLimit leaves room, in the 107 bytes of a unix socket's path, for the suffix HAProxy adds while it binds.
const socketPathLimit = 90

// Options describe the balancer.
type Options struct {
	Dir         string // configuration and log go here
	Socket      string // path of the runtime API socket, at most 90 bytes: "/run/demo/lb.sock"
	MetricsPort int    // loopback port of /metrics; none when 0
	Pools       []Pool
}

// Pool is a group of servers behind one address.
type Pool struct {
	Environment string // "PROD"
	Name        string // "hotel-api"
	Port        int    // loopback port visitors use; 0 when the pool takes no traffic and is only watched
	// Public marks visitors' traffic: requests get the header X-Forwarded-For. Test environments are not public.
	Public  bool
	Servers []Server
}

// Server is one member of a pool.
type Server struct {
	Name    string // "hotel-api-1"
	Address string // "127.0.0.1:20431"
}

// Backend is the name of the pool at HAProxy: "PROD_hotel-api".
func (p Pool) Backend() string { return p.Environment + "_" + p.Name }

// URL is where visitors reach the pool: "http://127.0.0.1:20500".
func (p Pool) URL() string { return "http://" + ports.Address(p.Port) }

// Balancer is a running HAProxy. Its methods may be called from any goroutine.
type Balancer struct {
	opts Options
	proc *child.Process
}

// Start runs HAProxy and returns when its runtime API answers. Every server is down until two health checks in a row
// have succeeded. ctx bounds the start only. The caller must Close the balancer.
func Start(ctx context.Context, opts Options) (*Balancer, error) {
	b, err := start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start haproxy: %w", err)
	}
	return b, nil
}

func start(ctx context.Context, opts Options) (*Balancer, error) {
	if len(opts.Socket) > socketPathLimit {
		return nil, fmt.Errorf("socket path %q has %d bytes, at most %d are possible: choose a shorter one", opts.Socket, len(opts.Socket), socketPathLimit)
	}
	program, err := find("haproxy", "/usr/sbin/haproxy")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(opts.Dir, "haproxy.cfg")
	if err := os.WriteFile(file, config(opts), 0o644); err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(opts.Dir, "haproxy.log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd := exec.Command(program, "-db", "-f", file) // -db: one process, in the foreground
	cmd.Stdout, cmd.Stderr = output, output
	proc, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	b := &Balancer{opts: opts, proc: proc}
	if err := errors.Join(b.ready(ctx, output.Name()), b.takeDown(ctx)); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// ready waits until the runtime API answers.
func (b *Balancer) ready(ctx context.Context, log string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := b.Command(ctx, "show version"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the runtime API: %w", context.Cause(ctx))
		case <-b.proc.Done():
			said, _ := os.ReadFile(log)
			return fmt.Errorf("it ended at once: %w: %s", b.proc.Err(), said)
		case <-tick.C:
		}
	}
}

// takeDown marks every server down. HAProxy takes servers for up until a check fails, and would send them the first
// visitors before anything listens there; its checks bring them up.
func (b *Balancer) takeDown(ctx context.Context) error {
	for _, pool := range b.opts.Pools {
		for _, server := range pool.Servers {
			answer, err := b.Command(ctx, fmt.Sprintf("set server %s/%s health down", pool.Backend(), server.Name))
			if err != nil {
				return err
			}
			if answer != "" {
				return fmt.Errorf("take %s/%s down: %s", pool.Backend(), server.Name, answer)
			}
		}
	}
	return nil
}

// MetricsAddress is where Prometheus scrapes /metrics: "127.0.0.1:20501".
func (b *Balancer) MetricsAddress() string { return ports.Address(b.opts.MetricsPort) }

// Close ends HAProxy and its connections.
func (b *Balancer) Close() error {
	if err := b.proc.Stop(5 * time.Second); err != nil {
		return fmt.Errorf("stop haproxy: %w", err)
	}
	if err := os.Remove(b.opts.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("stop haproxy: %w", err)
	}
	return nil
}

// find looks for a program also where only root's PATH looks.
func find(program, path string) (string, error) {
	if found, err := exec.LookPath(program); err == nil {
		return found, nil
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is neither in PATH nor at %s; install the package %s", program, path, program)
	}
	return path, nil
}

// config is HAProxy's configuration file.
func config(opts Options) []byte {
	var c strings.Builder
	fmt.Fprintf(&c, `global
    stats socket %s mode 600 level admin
    stats timeout 1h

defaults
    mode http
    retries 0
    option http-keep-alive
    timeout connect 1s
    timeout client 30s
    timeout server 10s
    timeout queue 1s
    timeout http-request 5s
    timeout http-keep-alive 30s
    timeout check 1s
    default-server check inter 200ms fall 2 rise 2 weight 100
`, opts.Socket)
	if opts.MetricsPort != 0 {
		fmt.Fprintf(&c, `
frontend metrics
    bind %s
    http-request use-service prometheus-exporter if { path /metrics }
`, ports.Address(opts.MetricsPort))
	}
	for _, pool := range opts.Pools {
		pool.config(&c)
	}
	return []byte(c.String())
}

func (p Pool) config(c *strings.Builder) {
	if p.Port != 0 {
		fmt.Fprintf(c, "\nfrontend %s\n    bind %s\n", p.Backend(), ports.Address(p.Port))
		if p.Public {
			c.WriteString("    option forwardfor\n")
		}
		fmt.Fprintf(c, "    default_backend %s\n", p.Backend())
	}
	fmt.Fprintf(c, "\nbackend %s\n    balance roundrobin\n    option httpchk GET /healthz\n    http-check expect status 200\n", p.Backend())
	for _, server := range p.Servers {
		fmt.Fprintf(c, "    server %s %s\n", server.Name, server.Address)
	}
}
