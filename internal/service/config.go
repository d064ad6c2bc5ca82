// Package service puts Railyard together: it opens the store, loads the topology, makes the drivers, starts the workers and
// the HTTP server, and stops them in reverse order. It holds no rule.
package service

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/goccy/go-yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"railyard/internal/access"
	"railyard/internal/scm"
)

// Config is the service's configuration: a YAML file, over which RAILYARD_… environment variables win
// (RAILYARD_LISTEN, RAILYARD_DATABASE; two underscores go one level down).
type Config struct {
	Listen    string `koanf:"listen"`    // "127.0.0.1:8080", the default; nothing beyond loopback unless configured
	PublicURL string `koanf:"publicurl"` // how people and Jenkins reach it; default http://Listen
	Name      string `koanf:"name"`      // this replica; default the host's name

	Database string `koanf:"database"` // "sqlite:/var/lib/railyard/railyard.db" or "mysql://user@host:3306/db"
	// DatabasePassword is a secret reference used with a mysql:// database.
	DatabasePassword Secret `koanf:"databasepassword"`
	Packages         string `koanf:"packages"` // "file:///var/lib/railyard/packages"
	Mirrors          string `koanf:"mirrors"`  // directory of the git mirrors
	// Topology is a file that is validated and applied at each start when it differs from what is in force; "" = by API only.
	Topology string `koanf:"topology"`

	AnonymousRole access.Role       `koanf:"anonymousrole"` // what a request without a token may do; "" = nothing
	Hooks         map[string]Secret `koanf:"hooks"`         // provider ("github") → secret of its webhooks
	Tokens        []Token           `koanf:"tokens"`        // tokens known from the start
	Jenkins       []Jenkins         `koanf:"jenkins"`
	Statuses      []Statuses        `koanf:"statuses"`   // code hosts that show beside a commit how its release stands
	Prometheus    string            `koanf:"prometheus"` // "http://127.0.0.1:9090"; "" = no such source
	Endpoints     []Endpoint        `koanf:"endpoints"`  // more servers that speak Prometheus' query API: Loki, another Prometheus
	Zabbix        Zabbix            `koanf:"zabbix"`
	SSH           SSH               `koanf:"ssh"`
	Git           Git               `koanf:"git"`
	LeaseTTL      time.Duration     `koanf:"leasettl"` // default 10s
	Rescan        time.Duration     `koanf:"rescan"`   // how often repositories are looked at for pushes nobody told of; default 5m
	Audit         time.Duration     `koanf:"audit"`    // how often each site is compared with what is believed of it; default 60s
	// LooksKept is how long the samples of verdicts are kept for judging them again; default 2160h (90 days).
	LooksKept time.Duration `koanf:"lookskept"`
	// SamplesKept is how long the minutes of sources without a history are kept; default 6h.
	SamplesKept time.Duration `koanf:"sampleskept"`
}

// Secret is a reference to a secret, never the secret: "env:NAME" or "file:/path". It is resolved when it is used.
type Secret string

// Token is a token that is in force while it stands in the configuration.
type Token struct {
	Person string      `koanf:"person"` // "jenkins"
	Role   access.Role `koanf:"role"`   // "jenkins"
	SBU    string      `koanf:"sbu"`    // "hotel"; "*" = every SBU
	Token  Secret      `koanf:"token"`
}

// Jenkins is one controller.
type Jenkins struct {
	Name   string `koanf:"name"` // "main", as the topology names it
	URL    string `koanf:"url"`
	User   string `koanf:"user"`
	Token  Secret `koanf:"token"`
	CAFile string `koanf:"cafile"`
	// People says who the controller's users are: its user "lwei" → "li.wei", the person of a token. Only they can press buttons.
	People  map[string]string `koanf:"people"`
	Buttons string            `koanf:"buttons"` // folder of the button jobs; default "railyard"
}

// Statuses is one code host that shows marks beside commits.
type Statuses struct {
	Host  string `koanf:"host"`  // "git.example.com": the host in the clone addresses of its repositories
	Kind  string `koanf:"kind"`  // "github", "gitlab", "gitea"
	API   string `koanf:"api"`   // "https://api.github.com", "https://gitlab.example.com/api/v4", "https://git.example.com/api/v1"
	Token Secret `koanf:"token"` // may write commit statuses
}

// Endpoint is a server that speaks Prometheus' query API.
type Endpoint struct {
	Name  string `koanf:"name"`  // as indicators name it: "loki"
	URL   string `koanf:"url"`   // what stands before /api/v1/query: "http://127.0.0.1:3100/loki"
	Token Secret `koanf:"token"` // a bearer token; "" = none
}

// Zabbix is the frontend whose items indicators may read.
type Zabbix struct {
	URL   string `koanf:"url"`   // "https://zabbix.example.com"; "" = no such source
	Token Secret `koanf:"token"` // an API token of a user that sees the hosts
}

// SSH is how the ssh host driver shows itself.
type SSH struct {
	User       string `koanf:"user"`
	Key        string `koanf:"key"` // file; "" = the agent
	KnownHosts string `koanf:"knownhosts"`
	Port       int    `koanf:"port"` // default 22
}

// Git is how the mirrors show themselves to the code hosts.
type Git struct {
	Username string `koanf:"username"`
	Password Secret `koanf:"password"`
	SSHKey   Secret `koanf:"sshkey"`
}

// LoadConfig reads the configuration. Unknown keys are refused: a misspelt one must not go unnoticed.
func LoadConfig(path string) (Config, error) {
	fail := func(err error) (Config, error) { return Config{}, fmt.Errorf("read configuration %s: %w", path, err) }
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yamlParser{}); err != nil {
		return fail(err)
	}
	fromEnvironment := env.Provider(".", env.Opt{Prefix: "RAILYARD_", TransformFunc: func(key, value string) (string, any) {
		key = strings.ToLower(strings.TrimPrefix(key, "RAILYARD_"))
		key = strings.ReplaceAll(strings.ReplaceAll(key, "__", "."), "_", "")
		if !settable[key] {
			return "", nil
		}
		return key, value
	}})
	if err := k.Load(fromEnvironment, nil); err != nil {
		return fail(err)
	}
	var cfg Config
	conf := koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &cfg, TagName: "koanf", ErrorUnused: true, WeaklyTypedInput: true,
		DecodeHook: mapstructure.StringToTimeDurationHookFunc(),
	}}
	if err := k.UnmarshalWithConf("", &cfg, conf); err != nil {
		return fail(err)
	}
	cfg.defaults(filepath.Dir(path))
	if err := cfg.validate(); err != nil {
		return fail(err)
	}
	return cfg, nil
}

// settable are the keys the environment may set. Others that begin with RAILYARD_ belong to the client commands.
var settable = map[string]bool{
	"listen": true, "publicurl": true, "name": true, "database": true, "databasepassword": true, "packages": true,
	"mirrors": true, "topology": true, "anonymousrole": true, "prometheus": true, "leasettl": true, "audit": true,
}

func (c *Config) defaults(dir string) {
	setDefault(&c.Listen, "127.0.0.1:8080")
	setDefault(&c.PublicURL, "http://"+c.Listen)
	if host, err := os.Hostname(); err == nil {
		setDefault(&c.Name, host)
	}
	setDefault(&c.Database, "sqlite:"+filepath.Join(dir, "railyard.db"))
	setDefault(&c.Packages, "file://"+filepath.Join(dir, "packages"))
	setDefault(&c.Mirrors, filepath.Join(dir, "mirrors"))
	setTime(&c.LeaseTTL, 10*time.Second)
	setTime(&c.Audit, time.Minute)
	setTime(&c.LooksKept, 90*24*time.Hour)
	setTime(&c.SamplesKept, 6*time.Hour)
}

func setDefault(value *string, text string) {
	if *value == "" {
		*value = text
	}
}

func setTime(value *time.Duration, d time.Duration) {
	if *value == 0 {
		*value = d
	}
}

func (c *Config) validate() error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	providers := scm.Providers()
	for name, secret := range c.Hooks {
		if _, ok := providers[name]; !ok {
			add("hooks: unknown provider %q", name)
		}
		if secret == "" {
			add("hooks.%s: an empty secret would accept everybody's webhooks; give env:NAME or file:/path", name)
		}
	}
	for i, t := range c.Tokens {
		if t.Person == "" || t.Role == "" || t.Token == "" {
			add("tokens[%d]: person, role and token are needed", i)
		}
	}
	for i, j := range c.Jenkins {
		if j.Name == "" || j.URL == "" {
			add("jenkins[%d]: name and url are needed", i)
		}
	}
	for i, s := range c.Statuses {
		if s.Host == "" || s.Kind == "" || s.API == "" || s.Token == "" {
			add("statuses[%d]: host, kind, api and token are needed", i)
		}
	}
	for i, e := range c.Endpoints {
		if e.Name == "" || e.URL == "" {
			add("endpoints[%d]: name and url are needed", i)
		}
	}
	if c.Zabbix.URL != "" && c.Zabbix.Token == "" {
		add("zabbix: token is needed")
	}
	if c.LeaseTTL < time.Second {
		add("leasettl %s: at least 1s", c.LeaseTTL)
	}
	if c.Audit < time.Second {
		add("audit %s: at least 1s", c.Audit)
	}
	if c.LooksKept < 0 || c.SamplesKept < 0 {
		add("lookskept and sampleskept: a time is needed, such as 720h")
	}
	return errors.Join(problems...)
}

// Resolve reads the secret. An empty reference is an empty secret; whoever must not have one says so.
func (s Secret) Resolve() (string, error) {
	kind, where, ok := strings.Cut(string(s), ":")
	switch {
	case s == "":
		return "", nil
	case ok && kind == "env":
		value, set := os.LookupEnv(where)
		if !set || value == "" {
			return "", fmt.Errorf("secret %s: the environment variable is not set", s)
		}
		return value, nil
	case ok && kind == "file":
		text, err := os.ReadFile(where)
		if err != nil {
			return "", fmt.Errorf("secret: %w", err)
		}
		if value := strings.TrimSpace(string(text)); value != "" {
			return value, nil
		}
		return "", fmt.Errorf("secret %s: the file is empty", s)
	}
	return "", errors.New("a secret is given by reference, env:NAME or file:/path, never as itself")
}

// yamlParser is koanf's parser over the YAML library the rest of Railyard uses.
type yamlParser struct{}

func (yamlParser) Unmarshal(text []byte) (map[string]any, error) {
	values := map[string]any{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	return values, nil
}

func (yamlParser) Marshal(values map[string]any) ([]byte, error) { return yaml.Marshal(values) }
