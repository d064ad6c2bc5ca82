package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"railyard/internal/fleet"
	"railyard/internal/packages"
	"railyard/internal/roller"
	"railyard/internal/roller/host/local"
	"railyard/internal/roller/host/ssh"
	"railyard/internal/roller/smoke"
	"railyard/internal/rollmon"
	"railyard/internal/store"
	"railyard/pipeline"
)

// Service is Railyard put together.
type Service struct {
	config   Config
	log      *logrus.Logger
	store    *store.Store
	packages *packages.Store
	topology *topology
	sites    *sites
	runner   *roller.Runner
	worker   *pipeline.Worker
	jenkins  controllers
	auditor  *roller.Auditor
	surveyor *roller.Surveyor // for people's orders
	recorder *rollmon.Recorder
	sampler  *rollmon.Sampler
	http     *http.Server
}

// Run serves until ctx ends, and then stops in reverse order: no new request, no new decision, leases given up, database
// closed. Whatever is under way on a server goes on there and is found again at the next start.
func Run(ctx context.Context, cfg Config, log *logrus.Logger) error {
	return RunWith(ctx, cfg, log, Wraps{})
}

// Wraps change what the workers see of the store; nil leaves it as it is.
type Wraps struct {
	Rolls  func(roller.Store) roller.Store
	Trains func(pipeline.TrainStore) pipeline.TrainStore
}

// RunWith is Run with the workers' views of the store wrapped, for tests that break it.
func RunWith(ctx context.Context, cfg Config, log *logrus.Logger, wrap Wraps) (err error) {
	s, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if wrap.Rolls != nil {
		s.runner.Store = wrap.Rolls(s.runner.Store)
	}
	if wrap.Trains != nil {
		s.worker.Trains = wrap.Trains(s.worker.Trains)
	}
	return s.run(ctx)
}

func open(ctx context.Context, cfg Config, log *logrus.Logger) (_ *Service, err error) {
	s := &Service{config: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.store, err = openStore(ctx, cfg, log); err != nil {
		return nil, err
	}
	if s.packages, err = packages.Open(ctx, cfg.Packages); err != nil {
		return nil, err
	}
	s.topology = &topology{store: s.store, log: log}
	if err = s.topology.refresh(ctx); err != nil && cfg.Topology == "" {
		return nil, err
	}
	if cfg.Topology != "" {
		if err = s.topology.applyFile(ctx, cfg.Topology); err != nil {
			return nil, err
		}
	}
	if err = s.makeWorkers(); err != nil {
		return nil, err
	}
	return s, s.makeServer()
}

func openStore(ctx context.Context, cfg Config, log logrus.FieldLogger) (*store.Store, error) {
	password, err := cfg.DatabasePassword.Resolve()
	if err != nil {
		return nil, fmt.Errorf("database password: %w", err)
	}
	dsn, err := withPassword(cfg.Database, password)
	if err != nil {
		return nil, err
	}
	return whenFree(ctx, log, func() (*store.Store, error) { return store.Open(ctx, dsn, log) })
}

// withPassword puts a password into the URL form of a database address.
func withPassword(dsn, password string) (string, error) {
	if password == "" {
		return dsn, nil
	}
	u, err := url.Parse(dsn)
	if err != nil || !strings.Contains(dsn, "://") {
		return "", errors.New("databasepassword: it goes with a database of the form mysql://user@host:port/name")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// owner names this process among all replicas, past and present.
func owner(name string) string { return name + "-" + rand.Text()[:8] }

func (s *Service) makeWorkers() (err error) {
	s.jenkins, err = newControllers(s.config.Jenkins, s.log)
	if err != nil {
		return err
	}
	mirrors, err := newMirrors(s.config.Mirrors, s.config.Git)
	if err != nil {
		return err
	}
	hosts, err := makeHosts(s.config.SSH, s.packages)
	if err != nil {
		return err
	}
	s.sites = &sites{
		topology: s.topology.get, hosts: hosts, packages: s.packages, tester: smoke.New(),
		balancers: map[fleet.Balancer]roller.Balancer{}, programs: map[string]roller.Host{},
	}
	monitor, err := s.makeMonitor(s.jenkins)
	if err != nil {
		return err
	}
	me := owner(s.config.Name)
	statuses, err := newStatuses(s.config.Statuses, s.config.PublicURL)
	if err != nil {
		return err
	}
	s.worker = &pipeline.Worker{
		Store: s.store, Trains: s.store, Jenkins: s.jenkins, Statuses: statuses, Topology: s.topology.get, Mirror: mirrors.mirror, Log: s.log, Owner: me, LeaseTTL: s.config.LeaseTTL,
		Rescan: s.config.Rescan,
	}
	s.runner = &roller.Runner{
		Store: s.store, Sites: s.sites, Judge: monitor, Log: s.log, Owner: me, LeaseTTL: s.config.LeaseTTL,
		Saved: s.rollSaved,
	}
	s.auditor = &roller.Auditor{Store: s.store, Sites: s.sites, All: s.topology.sites, Log: s.log, Owner: me, Every: s.config.Audit}
	s.surveyor = roller.NewSurveyor(serversAsked)
	return nil
}

// serversAsked is how many servers are asked at once for people's orders.
const serversAsked = 64

// rollSaved tells those who wait for a roll.
func (s *Service) rollSaved(r roller.Roll) {
	s.worker.Kick(r.Coach)
	if r.Stage.Terminal() {
		s.auditor.Soon(r.Site) // what it left behind, or mended, is to be seen now
	}
}

func makeHosts(c SSH, p *packages.Store) (map[string]roller.Host, error) {
	hosts := map[string]roller.Host{"local": local.New(p)}
	if c.User == "" {
		return hosts, nil
	}
	agent := ""
	if c.Key == "" {
		agent = os.Getenv("SSH_AUTH_SOCK")
	}
	driver, err := ssh.New(ssh.Config{User: c.User, KeyFile: c.Key, Agent: agent, KnownHosts: c.KnownHosts, Port: c.Port}, p)
	if err != nil {
		return nil, err
	}
	hosts["ssh"] = driver
	return hosts, nil
}

func (s *Service) run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.config.Listen, err)
	}
	s.log.WithField("address", s.config.PublicURL).Info("railyard is ready")
	group, ctx := errgroup.WithContext(ctx)
	news, pushes := make(chan struct{}, 1), make(chan struct{}, 1)
	group.Go(func() error { return s.spreadNews(ctx, news, pushes) })
	group.Go(func() error { return s.topology.follow(ctx) })
	group.Go(func() error { return s.worker.Run(ctx, pushes) })
	group.Go(func() error { return s.runner.Run(ctx, news) })
	group.Go(func() error { return s.auditor.Run(ctx) })
	group.Go(func() error { return s.recorder.Run(ctx) })
	group.Go(func() error { return s.sampler.Run(ctx) })
	group.Go(func() error { return s.prune(ctx) })
	group.Go(func() error {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", s.config.Listen, err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := s.http.Shutdown(stop); err != nil {
			return errors.Join(err, s.http.Close())
		}
		return nil
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// newsTogether is how long news are gathered: many commits in a row wake the workers once.
const newsTogether = 10 * time.Millisecond

// spreadNews wakes the workers when something was stored in this process. News that come while they are busy are one news.
func (s *Service) spreadNews(ctx context.Context, to ...chan<- struct{}) error {
	for {
		changed := s.store.Changed()
		for _, c := range to {
			select {
			case c <- struct{}{}:
			default:
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(newsTogether):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) close() error {
	var errs []error
	if s.packages != nil {
		errs = append(errs, s.packages.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}
