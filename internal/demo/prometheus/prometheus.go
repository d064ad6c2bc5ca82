// Package prometheus runs a real Prometheus that scrapes the demo's balancer and applications.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"railyard/internal/demo/child"
	"railyard/internal/demo/ports"
)

// Options describe the metric store.
type Options struct {
	Dir      string        // configuration, data and log go here
	Port     int           // loopback port to listen on
	Interval time.Duration // between two scrapes of a target; 1 s when 0
	Targets  []Target
}

// Target is one address to scrape at /metrics.
type Target struct {
	Job     string            // "haproxy", "apps"
	Address string            // "127.0.0.1:20431"
	Labels  map[string]string // {"env": "PROD", "pool": "hotel-api", "server": "hotel-api-1", "app": "hotel-api"}
}

// Server is a running Prometheus.
type Server struct {
	url  string
	proc *child.Process
}

// Start runs Prometheus and returns when it answers queries; its discovery begins to scrape 5 s later. ctx bounds the
// start only. The caller must Close the server.
func Start(ctx context.Context, opts Options) (*Server, error) {
	s, err := start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start prometheus: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, opts Options) (*Server, error) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, fmt.Errorf("%w; install the package prometheus", err)
	}
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return nil, err
	}
	config, err := opts.config()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(opts.Dir, "prometheus.yml")
	if err := os.WriteFile(file, config, 0o644); err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(opts.Dir, "prometheus.log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	address := ports.Address(opts.Port)
	cmd := exec.Command(program,
		"--config.file="+file,
		"--storage.tsdb.path="+filepath.Join(opts.Dir, "data"),
		"--storage.tsdb.retention.time=3h",
		"--web.listen-address="+address,
		"--log.level=warn",
	)
	cmd.Dir = opts.Dir
	cmd.Stdout, cmd.Stderr = output, output
	proc, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	s := &Server{url: "http://" + address, proc: proc}
	if err := s.ready(ctx, output.Name()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// config is the configuration file.
func (o Options) config() ([]byte, error) {
	interval := o.Interval
	if interval == 0 {
		interval = time.Second
	}
	type group struct {
		Targets []string          `yaml:"targets"`
		Labels  map[string]string `yaml:"labels,omitempty"`
	}
	groups := map[string][]group{}
	for _, t := range o.Targets {
		groups[t.Job] = append(groups[t.Job], group{Targets: []string{t.Address}, Labels: t.Labels})
	}
	jobs := make([]any, 0, len(groups))
	for _, job := range slices.Sorted(maps.Keys(groups)) {
		jobs = append(jobs, yaml.MapSlice{{Key: "job_name", Value: job}, {Key: "static_configs", Value: groups[job]}})
	}
	every := fmt.Sprintf("%dms", interval.Milliseconds())
	return yaml.Marshal(yaml.MapSlice{
		{Key: "global", Value: yaml.MapSlice{{Key: "scrape_interval", Value: every}, {Key: "scrape_timeout", Value: every}}},
		{Key: "scrape_configs", Value: jobs},
	})
}

// ready waits until queries are answered.
func (s *Server) ready(ctx context.Context, log string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.answers(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until it is ready: %w", context.Cause(ctx))
		case <-s.proc.Done():
			said, _ := os.ReadFile(log)
			return fmt.Errorf("it ended at once: %w: %s", s.proc.Err(), said)
		case <-tick.C:
		}
	}
}

func (s *Server) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/-/ready", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// URL is the address of its API and pages: "http://127.0.0.1:20600".
func (s *Server) URL() string { return s.url }

// Close ends Prometheus; its data stays in the directory.
func (s *Server) Close() error {
	if err := s.proc.Stop(10 * time.Second); err != nil {
		return fmt.Errorf("stop prometheus: %w", err)
	}
	return nil
}
