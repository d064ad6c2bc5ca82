package yard

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"railyard/internal/demo/ports"
	"railyard/internal/rollmon/source/prometheus"
)

// topologyFile writes the company's topology as DevOps would.
func (y *Yard) topologyFile() ([]byte, error) {
	type serverRow struct {
		Name, Address, Dir string
		Smoke              bool
	}
	type siteRow struct {
		Environment, Backend string
		Balanced             bool
		Strategy             string // "{watch: 3s}"; "" = the environment's
		Servers              []serverRow
	}
	type poolRow struct {
		Pool
		Repository, Clone string
		Sites             []siteRow
	}
	var rows []poolRow
	var automatic []string // apps whose plans the policy passes
	var visited []string   // pools that visitors come to
	for _, p := range y.options.Pools {
		row := poolRow{Pool: p, Repository: Repository(p.App), Clone: y.Git.CloneURL(Repository(p.App))}
		if !p.PeopleApprove {
			automatic = append(automatic, p.App)
		}
		if p.Traffic {
			visited = append(visited, p.App)
		}
		for _, s := range y.sites {
			if s.pool.App != p.App {
				continue
			}
			one := siteRow{Environment: s.environment, Backend: s.environment + "_" + p.App, Balanced: s.balanced(), Strategy: s.strategy()}
			for _, server := range s.servers {
				one.Servers = append(one.Servers, serverRow{server.name, ports.Address(server.port), server.dir, server.smoke})
			}
			row.Sites = append(row.Sites, one)
		}
		rows = append(rows, row)
	}
	var text bytes.Buffer
	err := topologyTemplate.Execute(&text, map[string]any{
		"Pools": rows, "Socket": y.socket(), "Speed": y.options.Speed, "Automatic": list(automatic), "Visited": list(visited), "Indicators": !y.options.NoIndicators,
		"Failures": prometheus.HAProxyFailures, "Attempts": prometheus.HAProxyAttempts,
	})
	return text.Bytes(), err
}

// list writes names as YAML does: "[jobws, hotel-api]".
func list(names []string) string { return "[" + strings.Join(names, ", ") + "]" }

var topologyTemplate = template.Must(template.New("topology").Parse(`# The topology of the demo: who owns what, where it runs, and how it is rolled.
environments:
  - name: FAT
    strategy: {pattern: [100], min_up: 0, pause: 0s, watch: {{.Speed.Watch}}, drain_timeout: 3s, step_timeout: {{.Speed.Step}}, doubt_bound: {{.Speed.Doubt}}}
  - name: UAT
    strategy: {pattern: [100], min_up: 0, pause: 0s, watch: {{.Speed.Watch}}, drain_timeout: 3s, step_timeout: {{.Speed.Step}}, doubt_bound: {{.Speed.Doubt}}}
  - name: PROD
    production: true
    strategy:
      baking: {weight: 50, time: {{.Speed.Baking}}}
      pattern: [50]
      min_up: 50
      pause: {{.Speed.Pause}}
      watch: {{.Speed.Watch}}
      drain_timeout: 5s
      step_timeout: {{.Speed.Step}}
      doubt_bound: {{.Speed.Doubt}}
      progress: 2m
sbus:
  - {name: hotel, title: Hotel / 酒店}
repositories:
{{- range .Pools}}
  - {name: {{.Repository}}, clone: "{{.Clone}}", branches: ["release/*"]}
{{- end}}
apps:
{{- range .Pools}}
  - name: {{.App}}
    kind: {{.Kind}}
    sbu: hotel
    pool: {{.App}}
    repository: {{.Repository}}
    jenkins: {controller: main, job: deliver/{{.App}}}
    restart: "'{{"{{.Dir}}"}}/../service' restart {{"{{.App}}"}}"
    smoke:
      - {path: /healthz, status: 200}
      - {path: /version, json: "app={{.App}}"}
    keep: 3
{{- end}}
pools:
{{- range .Pools}}
  - name: {{.App}}
    sbu: hotel
    {{- if .After}}
    after: [{{.After}}]
    {{- end}}
    traffic: {{.Traffic}}
    sites:
    {{- range .Sites}}
      - environment: {{.Environment}}
        balancer: {{if .Balanced}}{driver: haproxy, address: "unix:{{$.Socket}}", backend: {{.Backend}}}{{else}}{driver: none}{{end}}
        host: {driver: local}
        {{- if .Strategy}}
        strategy: {{.Strategy}}
        {{- end}}
        servers:
        {{- range .Servers}}
          - {name: {{.Name}}, address: "{{.Address}}", dir: "{{.Dir}}"{{if .Smoke}}, smoke: true{{end}}}
        {{- end}}
    {{- end}}
{{- end}}
approvals: {{if eq .Automatic "[]"}}[]{{else}}[{sbu: hotel, apps: {{.Automatic}}}]{{end}}
{{- if .Indicators}}
indicators:
  # Visitors' requests that fail, as the balancer counts them per server.
  - name: 5xx
    class: app
    hard: true
    environments: [PROD]
    stages: [baking, rolling, watch]
    pools: {{.Visited}}
    ratio:
      failures: |-
        {{.Failures}}
      attempts: |-
        {{.Attempts}}
      limit: 1
      min_attempts: 50
  # The functional test of what was delivered.
  - name: contract
    class: atp
    hard: true
    environments: [FAT, UAT]
    stages: [watch]
    check: {path: /api/contract, status: 200, json: "status=ok"}
  - name: health
    class: container
    hard: true
    stages: [baking, rolling, watch]
    check: {path: /healthz, status: 200}
{{- end}}
`))

var configTemplate = template.Must(template.New("config").Parse(`listen: 127.0.0.1:{{.Port}}
publicurl: {{.URL}}
name: demo
database: "{{.Database}}"
packages: "file://{{.Dir}}/packages"
mirrors: "{{.Dir}}/mirrors"
topology: "{{.Dir}}/topology.yaml"
anonymousrole: viewer
hooks:
  generic: "file:{{.Dir}}/secrets/hook"
tokens:
  - {person: jenkins, role: jenkins, sbu: "*", token: "file:{{.Dir}}/secrets/jenkins-to-railyard"}
  - {person: release-engineer, role: operator, sbu: "*", token: "file:{{.Dir}}/secrets/person"}
{{- range .People}}
  - {person: "{{.Name}}", role: {{.Role}}, sbu: "*", token: "file:{{$.Dir}}/secrets/person-{{.Name}}"}
{{- end}}
jenkins:
  - name: main
    url: "{{.Jenkins}}"
    user: railyard
    token: "file:{{.Dir}}/secrets/railyard-to-jenkins"
    people: {release-engineer: release-engineer}
prometheus: {{.Prometheus}}
`))

// Repository names an application's repository.
func Repository(app string) string { return "hotel/" + app }

// secrets are made afresh for each yard.
var secrets = []string{"hook", "jenkins-to-railyard", "railyard-to-jenkins", "person"}

func (y *Yard) makeSecrets() error {
	if err := os.MkdirAll(filepath.Join(y.Dir, "secrets"), 0o700); err != nil {
		return err
	}
	names := slices.Clone(secrets)
	for _, p := range y.options.People {
		names = append(names, "person-"+p.Name)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(y.Dir, "secrets", name), []byte(rand.Text()+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// secret reads one of the yard's secrets.
func (y *Yard) secret(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(y.Dir, "secrets", name))
	return string(bytes.TrimSpace(text)), err
}

func (y *Yard) writeFiles() error {
	topology, err := y.topologyFile()
	if err != nil {
		return fmt.Errorf("write the topology: %w", err)
	}
	if err := os.WriteFile(filepath.Join(y.Dir, "topology.yaml"), topology, 0o600); err != nil {
		return err
	}
	database := y.options.Database
	if database == "" {
		database = "sqlite:" + filepath.Join(y.Dir, "railyard.db")
	}
	var config bytes.Buffer
	err = configTemplate.Execute(&config, map[string]any{
		"Port": y.servePort, "URL": y.URL, "Dir": y.Dir, "Jenkins": y.Jenkins.URL, "Prometheus": y.Prometheus.URL(),
		"Database": database, "People": y.options.People,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(y.configFile(), config.Bytes(), 0o600)
}

func (y *Yard) configFile() string { return filepath.Join(y.Dir, "railyard.yaml") }
