package demo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/balancer"
	"railyard/internal/demo/gitserver"
	"railyard/internal/demo/load"
	"railyard/internal/demo/machines"
	"railyard/internal/demo/ports"
	"railyard/internal/demo/prometheus"
)

// company is every part of the demo at work: hotel-api on two servers, the public-api it asks on one.
type company struct {
	dir        string
	ports      ports.Set
	hotelAPI   balancer.Pool
	machines   *machines.Supervisor
	balancer   *balancer.Balancer
	prometheus *prometheus.Server
	git        *gitserver.Server
	load       *load.Load
	closers    []func() error
}

// open starts the company below dir, which has to be short for the sockets in it.
func open(ctx context.Context, dir string) (*company, error) {
	c := &company{dir: dir}
	for _, step := range []func(context.Context) error{c.build, c.openServers, c.openMetrics, c.openGit} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	var err error
	c.load, err = load.Start(ctx, load.Options{Rate: 150, Targets: []load.Target{{Name: "PROD/hotel-api", URL: c.hotelAPI.URL() + "/hotels"}}})
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.closers = append(c.closers, c.load.Close)
	return c, nil
}

// close ends the parts in reverse order.
func (c *company) close() error {
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i]())
	}
	return errors.Join(append(errs, c.ports.Close())...)
}

// build makes the releases: hotel-api 1.0.0 and 1.1.0, public-api 1.0.0.
func (c *company) build(ctx context.Context) error {
	for _, release := range []struct{ app, version string }{{apps.HotelAPI, "1.0.0"}, {apps.HotelAPI, "1.1.0"}, {apps.PublicAPI, "1.0.0"}} {
		files, err := apps.Source(release.app, apps.Options{Version: release.version})
		if err != nil {
			return err
		}
		dir := filepath.Join(c.dir, "src", release.app, release.version)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for path, content := range files {
			if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o755); err != nil {
				return err
			}
		}
		if out, err := exec.CommandContext(ctx, filepath.Join(dir, "build.sh")).CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", release.app, err, out)
		}
	}
	return nil
}

// deploy puts a release on a server and moves the link, as a deployment does; the service still runs what it ran.
func (c *company) deploy(server, app, version string) error {
	base := filepath.Join(c.dir, server, app)
	if err := os.CopyFS(filepath.Join(base, "releases", version), os.DirFS(filepath.Join(c.dir, "src", app, version, "dist"))); err != nil {
		return err
	}
	if err := os.Symlink("releases/"+version, filepath.Join(base, "next")); err != nil {
		return err
	}
	return os.Rename(filepath.Join(base, "next"), filepath.Join(base, "current"))
}

func (c *company) openServers(ctx context.Context) error {
	var numbers [6]int
	for i := range numbers {
		var err error
		if numbers[i], err = c.ports.Take(); err != nil {
			return err
		}
	}
	pool := func(name string, port int, servers ...balancer.Server) balancer.Pool {
		return balancer.Pool{Environment: "PROD", Name: name, Port: port, Public: true, Servers: servers}
	}
	c.hotelAPI = pool(apps.HotelAPI, numbers[0],
		balancer.Server{Name: "hotel-api-1", Address: ports.Address(numbers[1])},
		balancer.Server{Name: "hotel-api-2", Address: ports.Address(numbers[2])})
	publicAPI := pool(apps.PublicAPI, numbers[3], balancer.Server{Name: "public-api-1", Address: ports.Address(numbers[4])})

	machine := func(server, app string, port int) machines.Machine {
		return machines.Machine{Environment: "PROD", Server: server, Dir: filepath.Join(c.dir, server), Services: []machines.Service{
			{App: app, Port: port, Env: map[string]string{"PUBLIC_API_URL": publicAPI.URL()}},
		}}
	}
	for server, app := range map[string]string{"hotel-api-1": apps.HotelAPI, "hotel-api-2": apps.HotelAPI, "public-api-1": apps.PublicAPI} {
		if err := c.deploy(server, app, "1.0.0"); err != nil {
			return err
		}
	}
	var err error
	c.machines, err = machines.Start(ctx, machines.Options{SocketDir: filepath.Join(c.dir, "s"), Machines: []machines.Machine{
		machine("hotel-api-1", apps.HotelAPI, numbers[1]),
		machine("hotel-api-2", apps.HotelAPI, numbers[2]),
		machine("public-api-1", apps.PublicAPI, numbers[4]),
	}})
	if err != nil {
		return err
	}
	c.closers = append(c.closers, c.machines.Close)
	c.balancer, err = balancer.Start(ctx, balancer.Options{
		Dir: filepath.Join(c.dir, "lb"), Socket: filepath.Join(c.dir, "lb.sock"), MetricsPort: numbers[5],
		Pools: []balancer.Pool{c.hotelAPI, publicAPI},
	})
	if err != nil {
		return err
	}
	c.closers = append(c.closers, c.balancer.Close)
	return c.balancer.WaitFor(ctx, "all servers", func(stats []balancer.ServerStats) bool {
		return stats[0].Up() && stats[1].Up() && stats[2].Up()
	})
}

func (c *company) openMetrics(ctx context.Context) error {
	port, err := c.ports.Take()
	if err != nil {
		return err
	}
	var targets []prometheus.Target
	for _, server := range c.hotelAPI.Servers {
		targets = append(targets, prometheus.Target{Job: "apps", Address: server.Address, Labels: map[string]string{
			"env": "PROD", "pool": c.hotelAPI.Name, "server": server.Name, "app": apps.HotelAPI,
		}})
	}
	targets = append(targets, prometheus.Target{Job: "haproxy", Address: c.balancer.MetricsAddress()})
	c.prometheus, err = prometheus.Start(ctx, prometheus.Options{
		Dir: filepath.Join(c.dir, "prometheus"), Port: port, Interval: 200 * time.Millisecond, Targets: targets,
	})
	if err == nil {
		c.closers = append(c.closers, c.prometheus.Close)
	}
	return err
}

func (c *company) openGit(ctx context.Context) error {
	var err error
	c.git, err = gitserver.Start(ctx, gitserver.Options{Dir: filepath.Join(c.dir, "git")})
	if err != nil {
		return err
	}
	c.closers = append(c.closers, c.git.Close)
	if _, err := c.git.Create(ctx, "hotel/hotel-api"); err != nil {
		return err
	}
	_, err = c.git.Push(ctx, gitserver.Change{Repository: "hotel/hotel-api", Branch: "main", Author: "release-engineer", Message: "start"})
	return err
}

// processes lists those that belong to the company: whose command line or working directory lies below its directory.
func processes(dir string) []string {
	var found []string
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		line, _ := os.ReadFile(entry + "/cmdline") // empty when the process has just ended
		cwd, _ := os.Readlink(entry + "/cwd")
		if strings.Contains(string(line), dir+"/") || strings.HasPrefix(cwd, dir+"/") {
			found = append(found, filepath.Base(entry)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// get returns the status of a request.
func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}
