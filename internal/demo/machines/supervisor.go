// Package machines plays the servers on which applications run: for each of them, the init system that starts, restarts
// and watches its services.
//
// An application lives in <machine dir>/<app>/releases/<revision>/, and the symlink <machine dir>/<app>/current names
// the revision to run. Whoever deploys moves the link and then runs <machine dir>/service restart <app>, which asks over
// the machine's control socket. The link is resolved once per start, so that moving it changes nothing in a process that
// already runs.
package machines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
)

var (
	// ErrUnknown means that no such machine, or no such application on it, was given to Start.
	ErrUnknown = errors.New("unknown machine or application")
	// ErrNoRelease means that the application has no current release to run.
	ErrNoRelease = errors.New("no current release")
	// ErrNotRunning means that there is no process to send a signal to.
	ErrNotRunning = errors.New("not running")
)

// RestartCommand restarts an application, as the topology file names the command of an app: its template fields are the
// machine's base directory and the application.
const RestartCommand = "{{.Dir}}/service restart {{.App}}"

// socketPathLimit is the longest path of a unix socket on Linux, in bytes (sun_path without its final zero).
const socketPathLimit = 107

// Options describe all machines of one company.
type Options struct {
	Machines  []Machine
	SocketDir string             // where control sockets go; must be short, "/run/demo/m"
	Log       logrus.FieldLogger // nothing is logged when nil
	Grace     time.Duration      // how long a process may take to end after SIGTERM; 10 s when zero
}

// Machine is one server.
type Machine struct {
	Environment string // "PROD"
	Server      string // "hotel-api-1"
	Dir         string // its base directory, created when missing
	Services    []Service
}

// Name identifies the machine among all environments: "PROD/hotel-api-1".
func (m Machine) Name() string { return m.Environment + "/" + m.Server }

// Service is one application on a machine.
type Service struct {
	App  string            // "hotel-api"
	Port int               // loopback port it has to listen on, 20431
	Env  map[string]string // more environment, {"PUBLIC_API_URL": "http://127.0.0.1:20500"}
}

// Reason says why a process was started.
type Reason string

// The reasons of a start.
const (
	Boot    Reason = "boot"    // the machine was switched on with a current release
	Restart Reason = "restart" // somebody asked for it
	Died    Reason = "died"    // the process before it ended by itself
)

// Started records one start of a process.
type Started struct {
	Time     time.Time
	App      string // "hotel-api"
	Revision string // name of the release directory, "4f1c0a2b9d7e"
	PID      int
	Reason   Reason
}

// Status is what a service does now.
type Status struct {
	Running  bool      `json:"running"`
	PID      int       `json:"pid,omitempty"`
	Revision string    `json:"revision,omitempty"` // "4f1c0a2b9d7e"
	Since    time.Time `json:"since,omitzero"`
}

// Supervisor runs the services of all machines. Its methods may be called from any goroutine.
type Supervisor struct {
	services map[string]map[string]*service // by machine name, then application
	sockets  map[string]string              // by machine name
	controls []*http.Server
	serving  sync.WaitGroup
	cancel   context.CancelFunc
}

func (o Options) validate() error {
	seen := map[string]bool{}
	for _, m := range o.Machines {
		if m.Environment == "" || m.Server == "" || m.Dir == "" {
			return fmt.Errorf("machine %q: environment, server and dir must be set", m.Name())
		}
		if seen[m.Name()] {
			return fmt.Errorf("machine %q is given twice", m.Name())
		}
		seen[m.Name()] = true
		if path := o.socket(m); len(path) > socketPathLimit {
			return fmt.Errorf("machine %q: socket path %q has %d bytes, at most %d are possible: choose a shorter SocketDir",
				m.Name(), path, len(path), socketPathLimit)
		}
	}
	return nil
}

func (o Options) socket(m Machine) string {
	return filepath.Join(o.SocketDir, strings.ReplaceAll(m.Name(), "/", "-")+".sock")
}

// Start switches the machines on: each service that has a current release is started, and every control socket answers.
// ctx bounds the start only. The caller must Close the supervisor.
func Start(ctx context.Context, opts Options) (*Supervisor, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("start machines: %w", err)
	}
	if opts.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		opts.Log = silent
	}
	if opts.Grace == 0 {
		opts.Grace = 10 * time.Second
	}
	life, cancel := context.WithCancel(context.Background())
	s := &Supervisor{services: map[string]map[string]*service{}, sockets: map[string]string{}, cancel: cancel}
	for _, m := range opts.Machines {
		if err := s.boot(ctx, life, opts, m); err != nil {
			return nil, errors.Join(fmt.Errorf("start machine %s: %w", m.Name(), err), s.Close())
		}
	}
	return s, nil
}

func (s *Supervisor) boot(ctx, life context.Context, opts Options, m Machine) error {
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return err
	}
	apps := map[string]*service{}
	s.services[m.Name()] = apps
	for _, spec := range m.Services {
		svc := newService(life, opts, m, spec)
		apps[spec.App] = svc
		if err := svc.restart(ctx, Boot); err != nil && !errors.Is(err, ErrNoRelease) {
			return err
		}
	}
	return s.listen(m, opts.socket(m))
}

// Close ends every process, waits for it, and removes the control sockets.
func (s *Supervisor) Close() error {
	s.cancel()
	var errs []error
	for _, control := range s.controls {
		errs = append(errs, control.Close())
	}
	s.serving.Wait()
	var stopping sync.WaitGroup
	var mu sync.Mutex
	for _, apps := range s.services {
		for _, svc := range apps {
			stopping.Go(func() {
				err := svc.close()
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// Socket is the path of a machine's control socket; empty for an unknown machine.
func (s *Supervisor) Socket(machine string) string { return s.sockets[machine] }

// Restart ends the application's process, if any, and starts its current release. It returns when the new process was
// started, which is before it is ready. Without a current release it fails with [ErrNoRelease] and changes nothing.
func (s *Supervisor) Restart(ctx context.Context, machine, app string) error {
	svc, err := s.find(machine, app)
	if err != nil {
		return err
	}
	return svc.restart(ctx, Restart)
}

// Stop ends the application's process; it stays down until the next Restart.
func (s *Supervisor) Stop(ctx context.Context, machine, app string) error {
	svc, err := s.find(machine, app)
	if err != nil {
		return err
	}
	return svc.stop(ctx)
}

// Status tells what runs.
func (s *Supervisor) Status(machine, app string) (Status, error) {
	svc, err := s.find(machine, app)
	if err != nil {
		return Status{}, err
	}
	return svc.status(), nil
}

// Starts lists every start of the application on the machine, oldest first.
func (s *Supervisor) Starts(machine, app string) []Started {
	svc, err := s.find(machine, app)
	if err != nil {
		return nil
	}
	return svc.history()
}

// Kill crashes the application: SIGKILL. The machine restarts it with backoff.
func (s *Supervisor) Kill(machine, app string) error { return s.signal(machine, app, syscall.SIGKILL) }

// Freeze makes the application hang: it keeps its port and connections and answers nothing until Thaw.
func (s *Supervisor) Freeze(machine, app string) error {
	return s.signal(machine, app, syscall.SIGSTOP)
}

// Thaw lets a frozen application go on.
func (s *Supervisor) Thaw(machine, app string) error { return s.signal(machine, app, syscall.SIGCONT) }

func (s *Supervisor) signal(machine, app string, sig syscall.Signal) error {
	svc, err := s.find(machine, app)
	if err != nil {
		return err
	}
	return svc.signal(sig)
}

func (s *Supervisor) find(machine, app string) (*service, error) {
	svc, ok := s.services[machine][app]
	if !ok {
		return nil, fmt.Errorf("%s on %s: %w", app, machine, ErrUnknown)
	}
	return svc, nil
}
