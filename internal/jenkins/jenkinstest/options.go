package jenkinstest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
)

// DefaultQuietPeriod is what a fresh Jenkins waits before it starts a build.
const DefaultQuietPeriod = 5 * time.Second

// RootURLAuto as Options.RootURL configures the address the stand-in listens on.
const RootURLAuto = "auto"

// Options of a stand-in. The zero value works: a temporary directory, a free
// loopback port, four executors and one administrator.
type Options struct {
	// Dir keeps jobs, builds, queue and workspaces, as JENKINS_HOME does.
	// Empty: a temporary one that Close removes.
	Dir string
	// Addr to listen on; "127.0.0.1:0" (a free port) when empty.
	Addr string
	// Listen opens the port, for instance one in memory; net.Listen when nil.
	Listen func(network, address string) (net.Listener, error)
	// ContextPath prefixes every path: "/jenkins"; "" for none.
	ContextPath string
	// RootURL is the configured "Jenkins URL". Empty: not configured, as in a
	// Jenkins that nobody has set up; then builds have no BUILD_URL.
	RootURL string // "https://ci.example.org/jenkins/" or RootURLAuto
	// Version in X-Jenkins; "2.452" when empty.
	Version string
	// Users who may come in; DefaultUsers when empty.
	Users []User
	// AnonymousRead lets people without a login see jobs and builds.
	AnonymousRead bool
	// DisableCrumbs turns CSRF protection off.
	DisableCrumbs bool
	// Executors of the built-in node; 4 when 0.
	Executors int
	// QuietPeriod before a build starts; Jenkins ships with DefaultQuietPeriod.
	QuietPeriod time.Duration
	// Env is the controller's global environment, given to every build on top
	// of the environment of this process.
	Env map[string]string
	// Secrets are environment variables too, masked as **** in every console.
	Secrets map[string]string
	// Credentials are what Pipelines bind by id; their secrets are masked too.
	Credentials map[string]Credential
	// Engine executes Pipelines. Without one they fail, and say why.
	Engine Engine
	// Without lists plugins that are not installed: "workflow-job", "cloudbees-folder", "pipeline-rest-api".
	Without []string
	// Drops are XML elements that are left out of what is stored, as Jenkins does with what it has no plugin for.
	Drops []string
	// Nice is the scheduling priority of builds, 0–19: builds that share a machine with what they release give way to it.
	Nice int
	// Clock drives quiet periods, the maintenance tick and expiry. Builds are
	// real processes and run in real time. Default: the wall clock.
	Clock Clock
	// KillGrace is how long a stopped build may clean up before SIGKILL; 5 s when 0.
	KillGrace time.Duration
	// Middleware wraps the handler, for instance to cut connections.
	Middleware func(http.Handler) http.Handler
	// OnPhase is called in every phase of a Restart while the phase lasts.
	OnPhase func(Phase)
	// BeforeExecutable is called while a queue item has left the queue and its
	// build does not exist yet.
	BeforeExecutable func(queueID int64)
	// Log gets what an operator would read in jenkins.log. Default: nothing.
	Log logrus.FieldLogger
}

// Credential of the store: "Secret text", or a user with a password.
type Credential struct {
	User   string // "" for a secret text
	Secret string
}

// User of the stand-in.
type User struct {
	Name     string // "railyard"
	Password string // "secret"; "" for none
	Token    string // API token; "" for none
	// Permissions as Jenkins shows them: "Overall/Read", "Job/Build", …;
	// "Overall/Administer" implies all.
	Permissions []string
}

// DefaultUsers is one administrator with a password and an API token.
func DefaultUsers() []User {
	return []User{{Name: "admin", Password: "admin-password", Token: "admin-token", Permissions: []string{administer}}}
}

func (o *Options) fill() error {
	if o.Dir == "" {
		return fmt.Errorf("jenkinstest: no directory")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("jenkinstest: directory %q: %w", o.Dir, err)
	}
	o.Dir = dir
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("jenkinstest: make the home directory: %w", err)
	}
	o.ContextPath = strings.TrimSuffix(o.ContextPath, "/")
	if o.ContextPath != "" && !strings.HasPrefix(o.ContextPath, "/") {
		return fmt.Errorf("jenkinstest: context path %q must begin with /", o.ContextPath)
	}
	setDefault(&o.Addr, "127.0.0.1:0")
	setDefault(&o.Version, "2.452")
	setDefault(&o.Executors, 4)
	setDefault(&o.KillGrace, 5*time.Second)
	if len(o.Users) == 0 {
		o.Users = DefaultUsers()
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	if o.Log == nil {
		silent := logrus.New()
		silent.SetLevel(logrus.PanicLevel)
		o.Log = silent
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
