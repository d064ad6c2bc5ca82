package yard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/access"
	"railyard/internal/demo/balancer"
	"railyard/internal/demo/child"
	"railyard/internal/demo/gitserver"
	"railyard/internal/demo/load"
	"railyard/internal/demo/machines"
	"railyard/internal/demo/ports"
	"railyard/internal/demo/prometheus"
	"railyard/internal/fleet"
	"railyard/internal/jenkins/jenkinstest"
	"railyard/internal/jenkins/jenkinstest/groovy"
	"railyard/internal/scm/hook"
	"railyard/jenkinsfiles"
	"railyard/server/api"
)

// Options describe a yard.
type Options struct {
	Dir          string   // everything lives below it; short, because sockets do too
	Railyard     string   // the railyard program: what Jenkins builds call, and what serves unless Serve is set
	Serve        []string // the command that serves, before "--config FILE"; default Railyard serve
	Pools        []Pool
	Rate         float64 // visitors' requests per second over all pools with traffic
	Speed        Speed
	NoIndicators bool     // nothing is judged: for tests of the Roller alone
	Database     string   // Railyard's database, "mysql://root@127.0.0.1:3306/railyard"; "" = a SQLite file of its own
	People       []Person // who have a token, besides Jenkins and a release engineer
	// JenkinsMiddleware wraps Jenkins' HTTP handler, for instance to cut connections.
	JenkinsMiddleware func(http.Handler) http.Handler
	Log               logrus.FieldLogger
}

// Person is somebody with a token of their own.
type Person struct {
	Name string      // "li"
	Role access.Role // of every SBU
}

// Speed is how long the judged times last, and how long is waited.
type Speed struct {
	Baking, Pause, Watch time.Duration
	Doubt                time.Duration // without a verdict, before a roll pauses; default 30s
	Step                 time.Duration // for one step on one server; default 20s
}

// Yard is the running company. Its exported parts may be used directly.
type Yard struct {
	Dir        string
	URL        string // of Railyard: "http://127.0.0.1:20400"
	Machines   *machines.Supervisor
	Balancer   *balancer.Balancer
	Prometheus *prometheus.Server
	Git        *gitserver.Server
	Jenkins    *jenkinstest.Server
	Load       *load.Load
	API        *api.ClientWithResponses // as a release engineer

	options    Options
	ports      ports.Set
	sites      []site
	servePort  int
	jenkins    jenkinstest.Options
	prometheus prometheus.Options
	closers    []func() error

	mu    sync.Mutex
	serve *child.Process
}

// Start opens the company and returns when Railyard is ready. ctx bounds the start only. The caller must Close it.
func Start(ctx context.Context, o Options) (*Yard, error) {
	y := &Yard{Dir: o.Dir, options: o}
	setDefault(&y.options.Speed.Doubt, 30*time.Second)
	setDefault(&y.options.Speed.Step, 20*time.Second)
	if o.Log == nil {
		quiet := logrus.New()
		quiet.SetOutput(discard{})
		y.options.Log = quiet
	}
	steps := []func(context.Context) error{
		y.prepare, y.startMachines, y.startBalancer, y.startPrometheus, y.startGit, y.startJenkins, y.startServe, y.startLoad,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("start the yard: %w", err), y.Close())
		}
	}
	return y, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Close ends every part, the last started first, and waits for all processes.
func (y *Yard) Close() error {
	var errs []error
	for i := len(y.closers) - 1; i >= 0; i-- {
		errs = append(errs, y.closers[i]())
	}
	return errors.Join(append(errs, y.ports.Close())...)
}

func (y *Yard) onClose(f func() error) { y.closers = append(y.closers, f) }

func (y *Yard) prepare(context.Context) error {
	if err := y.take(&y.servePort); err != nil {
		return err
	}
	y.URL = "http://" + ports.Address(y.servePort)
	if err := y.makeSecrets(); err != nil {
		return err
	}
	bin := filepath.Join(y.Dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil { //nolint:gosec // builds run programs from it
		return err
	}
	if err := os.Symlink(y.options.Railyard, filepath.Join(bin, "railyard")); err != nil {
		return err
	}
	return y.plan()
}

func (y *Yard) startMachines(ctx context.Context) (err error) {
	y.Machines, err = machines.Start(ctx, machines.Options{
		Machines: y.allMachines(), SocketDir: filepath.Join(y.Dir, "m"), Log: y.options.Log,
	})
	if err == nil {
		y.onClose(y.Machines.Close)
	}
	return err
}

func (y *Yard) socket() string { return filepath.Join(y.Dir, "lb.sock") }

func (y *Yard) startBalancer(ctx context.Context) (err error) {
	var metrics int
	if err := y.take(&metrics); err != nil {
		return err
	}
	y.Balancer, err = balancer.Start(ctx, balancer.Options{
		Dir: filepath.Join(y.Dir, "haproxy"), Socket: y.socket(), MetricsPort: metrics, Pools: y.balancerPools(),
	})
	if err == nil {
		y.onClose(y.Balancer.Close)
	}
	return err
}

func (y *Yard) startPrometheus(ctx context.Context) (err error) {
	var port int
	if err := y.take(&port); err != nil {
		return err
	}
	y.prometheus = prometheus.Options{
		Dir: filepath.Join(y.Dir, "prometheus"), Port: port, Interval: time.Second, Targets: y.scrapeTargets(),
	}
	if err := y.StartPrometheus(ctx); err != nil {
		return err
	}
	y.onClose(func() error { return y.Prometheus.Close() })
	return nil
}

func (y *Yard) startGit(ctx context.Context) (err error) {
	y.Git, err = gitserver.Start(ctx, gitserver.Options{
		Dir: filepath.Join(y.Dir, "git"), Hook: []byte(hook.Script()), WebhookURL: y.URL + "/hooks/generic",
		SecretFile: filepath.Join(y.Dir, "secrets", "hook"), Log: y.options.Log,
	})
	if err != nil {
		return err
	}
	y.onClose(y.Git.Close)
	for _, p := range y.options.Pools {
		if _, err := y.Git.Create(ctx, Repository(p.App)); err != nil {
			return err
		}
	}
	return nil
}

func (y *Yard) startJenkins(context.Context) error {
	var port int
	if err := y.take(&port); err != nil {
		return err
	}
	ours, err := y.secret("railyard-to-jenkins")
	if err != nil {
		return err
	}
	theirs, err := y.secret("jenkins-to-railyard")
	if err != nil {
		return err
	}
	person, err := y.secret("person")
	if err != nil {
		return err
	}
	engine, err := groovy.New(map[string]fs.FS{jenkinsfiles.LibraryName: jenkinsfiles.Library()})
	if err != nil {
		return err
	}
	y.onClose(engine.Close)
	go func() { _ = engine.Warm() }() // while the rest starts; the first build says what is wrong
	y.jenkins = jenkinstest.Options{
		Dir: filepath.Join(y.Dir, "jenkins"), Addr: ports.Address(port), ContextPath: "/jenkins", RootURL: jenkinstest.RootURLAuto, AnonymousRead: true,
		Users: []jenkinstest.User{
			{Name: "railyard", Token: ours, Permissions: []string{"Overall/Administer"}},
			{Name: "release-engineer", Token: person, Permissions: []string{"Overall/Read", "Job/Read", "Job/Build", "Job/Cancel"}},
		},
		Executors: 4, QuietPeriod: 0,
		Env: map[string]string{
			"RAILYARD_URL": y.URL, "PATH": filepath.Join(y.Dir, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		},
		Credentials: map[string]jenkinstest.Credential{"railyard-token": {Secret: theirs}},
		Nice:        10, // in a company builds have machines of their own
		Engine:      engine,
		Middleware:  y.options.JenkinsMiddleware,
		Log:         y.options.Log,
	}
	if err := y.StartJenkins(); err != nil {
		return err
	}
	y.onClose(func() error { return y.Jenkins.Close() })
	for _, p := range y.options.Pools {
		if err := y.Jenkins.CreateJob("deliver/"+p.App, jenkinsfiles.Deliver(p.App)); err != nil {
			return err
		}
	}
	if err := y.Jenkins.CreateJob(fleet.TrainJob, jenkinsfiles.Train()); err != nil {
		return err
	}
	for name, definition := range jenkinsfiles.Buttons() {
		if err := y.Jenkins.CreateJob("railyard/"+name, definition); err != nil {
			return err
		}
	}
	return nil
}

func (y *Yard) startServe(ctx context.Context) error {
	if err := y.writeFiles(); err != nil {
		return err
	}
	if err := y.Serve(ctx); err != nil {
		return err
	}
	y.onClose(y.stopServe)
	token, err := y.secret("person")
	if err != nil {
		return err
	}
	y.API, err = api.NewClientWithResponses(y.URL+"/api/v1", api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	return err
}

// Serve starts Railyard and returns when it is ready. It is started once more by whoever killed it.
func (y *Yard) Serve(ctx context.Context) error {
	command := y.options.Serve
	if len(command) == 0 {
		command = []string{y.options.Railyard, "serve"}
	}
	log, err := os.OpenFile(filepath.Join(y.Dir, "railyard.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append(append([]string{}, command[1:]...), "--config", y.configFile())
	cmd := exec.Command(command[0], args...) //nolint:gosec,noctx // our own program; it outlives the start's context
	cmd.Stdout, cmd.Stderr = log, log
	process, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("start railyard serve: %w", err)
	}
	y.mu.Lock()
	y.serve = process
	y.mu.Unlock()
	return y.ready(ctx, process)
}

// ready waits until Railyard answers, or says why it does not.
func (y *Yard) ready(ctx context.Context, process *child.Process) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, y.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("railyard serve is not ready: %w\n%s", context.Cause(ctx), y.logTail())
		case <-process.Done():
			return fmt.Errorf("railyard serve ended: %w\n%s", process.Err(), y.logTail())
		case <-tick.C:
		}
	}
}

func (y *Yard) logTail() string {
	text, _ := os.ReadFile(filepath.Join(y.Dir, "railyard.log")) // best effort, for an error message
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Process is the running Railyard.
func (y *Yard) Process() *child.Process {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.serve
}

func (y *Yard) stopServe() error {
	return y.Process().Stop(10 * time.Second)
}

func (y *Yard) startLoad(ctx context.Context) (err error) {
	var targets []load.Target
	for _, s := range y.sites {
		if s.environment == "PROD" && s.pool.Traffic {
			targets = append(targets, load.Target{Name: "PROD/" + s.pool.App, URL: "http://" + ports.Address(s.port) + "/"})
		}
	}
	if y.options.Rate == 0 || len(targets) == 0 {
		return nil
	}
	y.Load, err = load.Start(ctx, load.Options{Targets: targets, Rate: y.options.Rate, Workers: 16})
	if err == nil {
		y.onClose(y.Load.Close)
	}
	return err
}
