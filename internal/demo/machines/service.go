package machines

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sirupsen/logrus"

	"railyard/internal/demo/child"
)

// settled is how long a process must have run for its death to count as a first one again.
const settled = 10 * time.Second

// service keeps one application running on one machine.
type service struct {
	life    context.Context // the machine is switched on: ends in Close
	log     logrus.FieldLogger
	grace   time.Duration
	machine Machine
	spec    Service
	turn    chan struct{} // holds a token while somebody changes the process
	watches sync.WaitGroup

	mu       sync.Mutex
	wanted   bool           // false after stop
	proc     *child.Process // nil when nothing runs
	ending   *child.Process // the process that is being ended on purpose
	revision string
	since    time.Time
	starts   []Started
	delays   *backoff.ExponentialBackOff
}

func newService(life context.Context, opts Options, m Machine, spec Service) *service {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval = 200 * time.Millisecond
	delays.MaxInterval = 5 * time.Second
	return &service{
		life: life, grace: opts.Grace, machine: m, spec: spec,
		log:    opts.Log.WithFields(logrus.Fields{"machine": m.Name(), "app": spec.App}),
		turn:   make(chan struct{}, 1),
		delays: delays,
	}
}

// take waits for the right to change the process. Once it is granted the change runs to its end, as with an init
// system: a client that goes away leaves no service half restarted.
func (s *service) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for another restart of %s on %s: %w", s.spec.App, s.machine.Name(), context.Cause(ctx))
	case <-s.life.Done():
		return fmt.Errorf("%s on %s: the machine is switched off: %w", s.spec.App, s.machine.Name(), ErrNotRunning)
	}
	if s.life.Err() != nil {
		s.give()
		return fmt.Errorf("%s on %s: the machine is switched off: %w", s.spec.App, s.machine.Name(), ErrNotRunning)
	}
	return nil
}

func (s *service) give() { <-s.turn }

func (s *service) restart(ctx context.Context, reason Reason) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	dir, err := s.current()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	s.mu.Lock()
	s.wanted = true
	s.mu.Unlock()
	return s.start(dir, reason)
}

func (s *service) stop(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	return s.end()
}

// close ends the service for good and waits for its goroutines; life has ended, so that nothing new begins.
func (s *service) close() error {
	s.turn <- struct{}{}
	defer s.give()
	err := s.end()
	s.watches.Wait()
	return err
}

// current resolves the release to run to its real directory.
func (s *service) current() (string, error) {
	link := filepath.Join(s.machine.Dir, s.spec.App, "current")
	dir, err := filepath.EvalSymlinks(link)
	if err != nil {
		return "", fmt.Errorf("start %s on %s: %w: %w", s.spec.App, s.machine.Name(), ErrNoRelease, err)
	}
	return dir, nil
}

// end stops the process, if any, without its death being taken for a crash. The caller has the turn.
func (s *service) end() error {
	s.mu.Lock()
	s.wanted = false
	p := s.proc
	s.ending = p
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.Stop(s.grace); err != nil {
		return fmt.Errorf("stop %s on %s: %w", s.spec.App, s.machine.Name(), err)
	}
	s.mu.Lock()
	s.proc = nil
	s.mu.Unlock()
	return nil
}

// start runs the release in dir. The caller has the turn and nothing runs.
func (s *service) start(dir string, reason Reason) error {
	output, err := os.OpenFile(filepath.Join(s.machine.Dir, s.spec.App+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s on %s: open its log: %w", s.spec.App, s.machine.Name(), err)
	}
	defer output.Close()
	revision := filepath.Base(dir)
	cmd := exec.Command(filepath.Join(dir, "run"))
	cmd.Dir, cmd.Env = dir, s.environ(revision)
	cmd.Stdout, cmd.Stderr = output, output
	p, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("start %s on %s: %w", s.spec.App, s.machine.Name(), err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc, s.revision, s.since = p, revision, time.Now()
	s.starts = append(s.starts, Started{Time: s.since, App: s.spec.App, Revision: revision, PID: p.PID(), Reason: reason})
	s.watches.Go(func() { s.watch(p) })
	s.log.WithFields(logrus.Fields{"revision": revision, "reason": reason, "pid": p.PID()}).Debug("application started")
	return nil
}

// environ is all a release sees of its machine: code, configuration and environment stay separate.
func (s *service) environ(revision string) []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"PORT=" + strconv.Itoa(s.spec.Port),
		"SERVER_NAME=" + s.machine.Server,
		"APP=" + s.spec.App,
		"ENVIRONMENT=" + s.machine.Environment,
		"RELEASE=" + revision,
	}
	for name, value := range s.spec.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// watch waits for the end of p and starts its successor if p ended by itself.
func (s *service) watch(p *child.Process) {
	<-p.Done()
	s.mu.Lock()
	died := s.proc == p && s.ending != p
	lived := time.Since(s.since)
	if died {
		s.proc = nil
	}
	s.mu.Unlock()
	if !died {
		return
	}
	s.log.WithError(p.Err()).Warn("application died; it will be restarted")
	if lived > settled {
		s.resetDelay()
	}
	for !s.revive() {
	}
}

// revive waits for the backoff delay and starts the current release. It tells whether the matter is settled: the
// application runs, is no longer wanted, or the machine is switched off.
func (s *service) revive() bool {
	timer := time.NewTimer(s.nextDelay())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.life.Done():
		return true
	}
	if s.take(s.life) != nil {
		return true
	}
	defer s.give()
	s.mu.Lock()
	needed := s.wanted && s.proc == nil
	s.mu.Unlock()
	if !needed {
		return true
	}
	dir, err := s.current()
	if err == nil {
		err = s.start(dir, Died)
	}
	if err != nil {
		s.log.WithError(err).Warn("application could not be restarted; trying again")
	}
	return err == nil
}

func (s *service) nextDelay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delays.NextBackOff()
}

func (s *service) resetDelay() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays.Reset()
}

func (s *service) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return Status{}
	}
	return Status{Running: true, PID: s.proc.PID(), Revision: s.revision, Since: s.since}
}

func (s *service) history() []Started {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.starts)
}

func (s *service) signal(sig syscall.Signal) error {
	s.mu.Lock()
	p := s.proc
	s.mu.Unlock()
	if p == nil {
		return fmt.Errorf("send %v to %s on %s: %w", sig, s.spec.App, s.machine.Name(), ErrNotRunning)
	}
	return p.Signal(sig)
}
