// Package fleet is the topology: which SBU owns which applications, which pools of servers host them in each
// environment, and by which strategy a pool is rolled.
//
// The topology is a YAML file kept in git and owned by DevOps. Load reads and validates it into a *Topology, which is
// immutable from then on and may be shared by goroutines. Everything that decides takes a *Topology (or a part of it)
// as data; nothing here does I/O beyond reading the bytes it is given.
//
//	SBU ──owns──► App ──is hosted in──► Pool ──has, per Environment──► Site ──► Server
//
// A Pool is the logical cluster ("hotel-api"); a Site is that pool in one environment ("PROD/hotel-api"): its servers,
// its balancer and its strategy. Apps of one pool always change together on a server (同进同出).
package fleet

import "fmt"

// Topology is one applied version of the topology file. It is immutable after Load.
type Topology struct {
	Digest       string           `yaml:"-"`            // SHA-256 of the file's bytes: "sha256:9f86…"
	Environments []Environment    `yaml:"environments"` // in the order a Coach passes them: FAT, UAT, PROD
	SBUs         []SBU            `yaml:"sbus"`
	Repositories []Repository     `yaml:"repositories"`
	Pools        []Pool           `yaml:"pools"`
	Apps         []App            `yaml:"apps"`
	Approvals    []ApprovalPolicy `yaml:"approvals,omitempty"`
	Calendar     Calendar         `yaml:"calendar,omitempty"` // when production may be changed
	Indicators   []Indicator      `yaml:"indicators,omitempty"`
	Capacities   []Capacity       `yaml:"capacities,omitempty"` // standard servers that plans may book

	index *index // made by Load; nil in a Topology put together by hand, which is searched more slowly
}

// Environment is one stage of delivery with the strategy its sites roll by unless the site overrides it.
type Environment struct {
	Name       string   `yaml:"name"` // "PROD"
	Production bool     `yaml:"production,omitempty"`
	Strategy   Strategy `yaml:"strategy"`
}

// SBU is a business unit.
type SBU struct {
	Name  string `yaml:"name"`  // "hotel"
	Title string `yaml:"title"` // "Hotel / 酒店"
	// Controller is the Jenkins that builds the SBU's apps unless they name another; default "main".
	Controller string `yaml:"controller,omitempty"`
}

// Kind says what sort of resource an application is. It orders waves: image and database, then web, api, app.
type Kind string

// The kinds of applications, in release order (mission: order of resources). A job has no visitors of its own and
// goes with the APIs.
const (
	KindImage    Kind = "image"
	KindDatabase Kind = "database"
	KindWeb      Kind = "web"
	KindJob      Kind = "job"
	KindAPI      Kind = "api"
	KindApp      Kind = "app"
)

// App is one deployable application.
type App struct {
	Name       string  `yaml:"name"`       // "hotel-api"
	Kind       Kind    `yaml:"kind"`       // "api"
	SBU        string  `yaml:"sbu"`        // "hotel"
	Pool       string  `yaml:"pool"`       // "hotel-api"
	Repository string  `yaml:"repository"` // "hotel/hotel-api", as the code host names it
	Jenkins    Jenkins `yaml:"jenkins"`
	// Restart is the command, run on the server after the switch, that restarts the application gracefully and returns
	// when the new process has been started. {{.Dir}}, {{.App}} and {{.Server}} are replaced. Of a database it is the migration,
	// which must do nothing when it was done already. Image and web resources without one go to slots.
	Restart string `yaml:"restart"` // "systemctl restart {{.App}}"
	// Port is the one the app listens on when a server hosts several apps; 0 = the server's address.
	Port int `yaml:"port,omitempty"`
	// Smoke are the URL tests a server must pass directly, after the switch and before it takes traffic.
	Smoke []Check `yaml:"smoke"`
	Keep  int     `yaml:"keep,omitempty"` // releases kept on a server for rollback; default 5
	// KeepDays is how long a version that went to a slot stays after another took its place, for visitors who still have its
	// pages open; as many as Keep stay in any case. Image and web only; default 7.
	KeepDays int `yaml:"keep_days,omitempty"`
}

// Jenkins names the job that builds an app.
type Jenkins struct {
	Controller string `yaml:"controller"` // "main"; by default the SBU's
	Job        string `yaml:"job"`        // "deliver/hotel-api", the full name
}

// TrainJob is the full name of the job that follows a Train, on the controller of the SBU that manages it.
const TrainJob = "train"

// Check is one URL test against a server.
type Check struct {
	Path    string   `yaml:"path"`              // "/healthz"
	Status  int      `yaml:"status,omitempty"`  // expected HTTP status; default 200
	Body    string   `yaml:"body,omitempty"`    // text the body must contain; "" = anything
	JSON    string   `yaml:"json,omitempty"`    // "status=ok": a dotted path and the value it must have
	Timeout Duration `yaml:"timeout,omitempty"` // default 2s
	Latency Duration `yaml:"latency,omitempty"` // the whole answer must have come within it; "0s" = within Timeout
}

// Capacity is a stock of standard servers that belong to no pool yet. Plans book them ahead for a time; the bookings of one time
// never exceed it.
type Capacity struct {
	Name    string `yaml:"name"`    // "standard"
	Servers int    `yaml:"servers"` // 20
}

// Repository is a code repository Railyard follows.
type Repository struct {
	Name     string   `yaml:"name"`     // "hotel/hotel-api"
	Clone    string   `yaml:"clone"`    // "https://git.example/hotel/hotel-api.git"
	Branches []string `yaml:"branches"` // release branches, path.Match patterns: ["release/*"]
	Plan     string   `yaml:"plan"`     // default ".railyard/rop.yaml"
}

// Pool is a logical cluster of servers that hosts a set of applications behind a load balancer.
type Pool struct {
	Name    string   `yaml:"name"`              // "hotel-api"
	SBU     string   `yaml:"sbu"`               // "hotel"
	After   []string `yaml:"after,omitempty"`   // pools that must be rolled before this one: ["public-api"]
	Traffic bool     `yaml:"traffic,omitempty"` // visitors' traffic is expected, so verdicts may ask for it
	Sites   []Site   `yaml:"sites"`
}

// Site is a pool in one environment.
type Site struct {
	Environment string    `yaml:"environment"` // "PROD"
	Balancer    Balancer  `yaml:"balancer"`
	Host        Host      `yaml:"host"`
	Servers     []Server  `yaml:"servers"`
	Strategy    *Strategy `yaml:"strategy,omitempty"` // nil = the environment's
	// AllowDowntime permits a plan whose floor cannot be met: pools of one server, job pools.
	AllowDowntime bool `yaml:"allow_downtime,omitempty"`
}

// The drivers a topology may name.
const (
	BalancerHAProxy = "haproxy"
	BalancerNone    = "none" // no traffic to take away: job pools
	BalancerExec    = "exec" // a program of the user's: docs/drivers.md
	HostLocal       = "local"
	HostSSH         = "ssh"
	HostExec        = "exec" // a program of the user's: docs/drivers.md
)

// Balancer says how servers of a site are pulled out of and into rotation.
type Balancer struct {
	Driver  string `yaml:"driver"`            // "haproxy", "none", "exec"
	Address string `yaml:"address,omitempty"` // "unix:/run/haproxy.sock" or "tcp:127.0.0.1:9999"
	Backend string `yaml:"backend,omitempty"` // "PROD_hotel-api"
}

// Host says how Railyard reaches the servers of a site.
type Host struct {
	Driver string `yaml:"driver"` // "local", "ssh", "exec"
	// Program is what the exec driver runs, by its absolute path.
	Program string `yaml:"program,omitempty"` // "/etc/railyard/our-host"
}

// Server is one machine (or container) of a site.
type Server struct {
	Name    string `yaml:"name"`             // "hotel-api-1", unique in the environment unless it is shared
	Address string `yaml:"address"`          // "127.0.0.1:18001", where its application answers
	Dir     string `yaml:"dir"`              // "/srv/railyard", under which each app has its releases
	Member  string `yaml:"member,omitempty"` // its name at the balancer; default Name
	Smoke   bool   `yaml:"smoke,omitempty"`  // a pre-production server: gets a revision first
	// Shared says that the machine also hosts another pool, whose site in this environment has a server of the same name, shared
	// as well. It counts against the floor of both, and a roll of one pool holds the other's site too.
	Shared bool `yaml:"shared,omitempty"`
}

// SiteRef names a pool in one environment; it is the unit that is locked and rolled.
type SiteRef struct {
	Environment string // "PROD"
	Pool        string // "hotel-api"
}

// String returns "PROD/hotel-api".
func (r SiteRef) String() string { return r.Environment + "/" + r.Pool }

// ParseSiteRef reads "PROD/hotel-api".
func ParseSiteRef(text string) (SiteRef, error) {
	for i := range len(text) {
		if text[i] == '/' && i > 0 && i < len(text)-1 {
			return SiteRef{Environment: text[:i], Pool: text[i+1:]}, nil
		}
	}
	return SiteRef{}, fmt.Errorf("read site %q: expected ENVIRONMENT/POOL, for example PROD/hotel-api", text)
}
