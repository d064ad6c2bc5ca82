// Package server is Railyard's HTTP side: it takes webhooks in, answers the API, and shows the yard.
//
// It decides nothing about releases. A request becomes a stored fact (a delivery, a package, an approval, a command) and wakes a
// worker; what follows is seen in the event log. Who may ask is decided by access.Authorize alone, for the API and the pages alike:
//
//	POST /hooks/{host}   capped → verified → parsed → stored → 202        (hooks.go)
//	/api/v1/…            token → actor → validated against openapi.yaml → authorised → store   (auth.go, validate.go, api*.go)
//	GET /stream          the event log as it grows                        (stream.go, tail.go)
//	GET /, /coaches/{id}, /trains/{id}, /dependencies  the yard, live     (page.go, page_plan.go, package pages)
//
// routes.go lists every address with who may ask for it.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"railyard/internal/access"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/scm"
	"railyard/server/pages"
)

// Options is what the service is made from.
type Options struct {
	Store    Store
	Packages Packages
	// Topology is the one in force; nil before the first was applied.
	Topology func() *fleet.Topology
	// ApplyTopology validates a topology file and puts it in force. A yamlfile.Problems is the caller's mistake.
	ApplyTopology func(ctx context.Context, actor, text string) error
	// Look reads a site as its balancer and servers are now; see LookAt. It is asked only while somebody looks.
	Look func(ctx context.Context, site fleet.SiteRef) SiteLook
	// Survey asks a site's balancer and every server anew, for an order that follows from what they say.
	Survey func(ctx context.Context, site fleet.SiteRef) (roller.Survey, error)
	// Pressed asks Jenkins who started a build of a button's job, and what for; nil without Jenkins. errors.Is: access.ErrDenied for a
	// build that is no press which counts, pipeline.ErrNotFound for an unknown one.
	Pressed func(ctx context.Context, controller, job string, number int64) (Press, error)
	Kick    Kick
	// Secrets is the shared secret of each code host's webhooks: "generic", "github", … A host that is not named has no address.
	Secrets map[string]string
	// AnonymousRole is what somebody without a token is: "" = nobody, access.Viewer = may look. It may not change anything.
	AnonymousRole access.Role
	// MaxPackage is the largest package in bytes; default 512 MiB.
	MaxPackage int64
	// Registry takes the metrics that /metrics shows; default a new one.
	Registry *prometheus.Registry
	Now      func() time.Time // default time.Now
	Log      logrus.FieldLogger
}

// Kick wakes workers of this replica after a fact was stored. None of them may block.
type Kick struct {
	Delivery func()             // a push was stored
	Coach    func(coach string) // "hotel-api-7.2"
	Roll     func(roll string)  // "hotel-api-7.2-PROD-hotel-api"
	Brake    func(roll string)  // stop new actions now, in memory
}

// Server answers requests. It is safe for concurrent use.
type Server struct {
	Options
	log      logrus.FieldLogger
	hosts    map[string]scm.Provider
	bounds   bounds
	known    *knownTokens
	objects  *seenObjects
	looks    *looks
	tail     *tail
	contract *contract
	pages    *pages.Pages
	metrics  *metrics
	engine   *gin.Engine
}

const defaultMaxPackage = 512 << 20

// New checks the options and makes the service. It starts nothing; what follows the event log runs only while somebody listens.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	s := &Server{
		Options: o.withDefaults(), log: o.Log.WithField("part", "server"), hosts: map[string]scm.Provider{},
		bounds: defaultBounds, known: newKnownTokens(), objects: newSeenObjects(),
	}
	for name, provider := range scm.Providers() {
		if _, ok := o.Secrets[name]; ok {
			s.hosts[name] = provider
		}
	}
	s.looks = newLooks(o.Look)
	s.tail = newTail(o.Store, s.log)
	var err error
	if s.contract, err = loadContract(); err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	if s.pages, err = pages.New(); err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	if s.metrics, err = newMetrics(s.Registry, o.Store, s.log); err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	s.engine = s.routes()
	return s, nil
}

// check refuses options that would leave a door open or a part missing.
func (o Options) check() error {
	if o.Store == nil || o.Packages == nil || o.Topology == nil || o.ApplyTopology == nil || o.Look == nil || o.Survey == nil || o.Log == nil {
		return errors.New("Store, Packages, Topology, ApplyTopology, Look, Survey and Log must all be given")
	}
	known := scm.Providers()
	for name, secret := range o.Secrets {
		if _, ok := known[name]; !ok {
			return fmt.Errorf("webhook secret of %q: no such code host; expected one of %s", name, strings.Join(providerNames(known), ", "))
		}
		if secret == "" {
			return fmt.Errorf("webhook secret of %q is empty: set one here and at the code host, or leave the host out", name)
		}
	}
	if o.AnonymousRole == "" {
		return nil
	}
	if !slices.Contains(access.Roles(), o.AnonymousRole) {
		return fmt.Errorf("anonymous role %q: expected \"\" or %q", o.AnonymousRole, access.Viewer)
	}
	nobody := access.Actor{Person: anonymous, Role: o.AnonymousRole, SBU: "*"}
	for _, action := range changes {
		if access.Authorize(nobody, action, access.Object{Name: "anything", SBU: "any"}) == nil {
			return fmt.Errorf("anonymous role %q may %s: without a token one may at most look; use %q", o.AnonymousRole, action, access.Viewer)
		}
	}
	return nil
}

// changes are the actions that are not reading.
var changes = []access.Action{
	access.Publish, access.Approve, access.Revoke, access.Brake, access.Resume, access.Retry, access.Skip, access.Rollback,
	access.Emergency, access.ClearBar, access.Sync, access.Couple, access.Depart, access.Override, access.ApplyTopology, access.ManageTokens,
}

func providerNames(known map[string]scm.Provider) []string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxPackage == 0 {
		o.MaxPackage = defaultMaxPackage
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Kick.Delivery == nil {
		o.Kick.Delivery = func() {}
	}
	for _, hook := range []*func(string){&o.Kick.Coach, &o.Kick.Roll, &o.Kick.Brake} {
		if *hook == nil {
			*hook = func(string) {}
		}
	}
	return o
}

// now is the time of stored facts: UTC, microseconds, as the store keeps it.
func (s *Server) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Handler answers every address of the service.
func (s *Server) Handler() http.Handler { return s.engine }

// NewHTTP returns a server with limits for slow and idle clients. Uploads and the event stream move their own deadlines on while
// bytes flow, so these limits do not cut them. Shutdown ends event streams and long polls at once; other requests may finish.
func NewHTTP(handler http.Handler) *http.Server {
	stopping := make(chan struct{})
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      longestPoll + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), stoppingKey{}, (<-chan struct{})(stopping))
		},
	}
	srv.RegisterOnShutdown(sync.OnceFunc(func() { close(stopping) }))
	return srv
}

type stoppingKey struct{}

// stopping is closed when the http.Server of NewHTTP shuts down. Elsewhere it is nil, and never closed.
func stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return c
}

// longestPoll is the contract's maximum of getCoach's wait.
const longestPoll = 60 * time.Second
