package zabbix

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
)

// ask is a request in Zabbix' words: which hosts, which item keys.
type ask struct {
	judge  string
	keys   []string // one; of a ratio two: failures, attempts
	hosts  []host
	sites  bool // one host tells of the whole site
	points bool // all values of the time are wanted, not only the newest
}

type host struct {
	server  string // "hotel-api-1"; "" of the site's
	host    string // its technical name in Zabbix
	exposed bool   // it runs the new revision
}

// place is what templates of host names and item keys may refer to.
type place struct {
	Environment, Pool, Backend, Server, Member string
}

func newAsk(r rollmon.Request) (ask, error) {
	i := r.Indicator
	a := ask{judge: i.JudgedBy(), sites: i.In() == fleet.ScopePool}
	var queries []string
	switch a.judge {
	case fleet.JudgeRatio:
		queries = []string{i.Ratio.Failures, i.Ratio.Attempts}
	case fleet.JudgeValue:
		queries, a.points = []string{i.Value.Query}, i.Value.Repeated()
	case fleet.JudgeRank:
		queries, a.points = []string{i.Rank.Query}, true
	case fleet.JudgeSaturation:
		queries, a.points = []string{i.Saturation.Query}, true
	default:
		return a, fmt.Errorf("Zabbix keeps no %s", i.JudgedBy())
	}
	if i.In() == fleet.ScopeBatch && a.judge != fleet.JudgeRank {
		return a, errors.New("Zabbix has one number for each host, and none of a batch: use scope server, or scope pool with the host that tells of it")
	}
	site := place{Environment: r.Site.Environment, Pool: r.Site.Pool, Backend: r.Backend}
	for _, query := range queries {
		key, err := fill("query", query, site)
		if err != nil {
			return a, err
		}
		a.keys = append(a.keys, key)
	}
	named := "{{.Server}}"
	if z := i.Source.Zabbix; z != nil && z.Host != "" {
		named = z.Host
	}
	return a, a.name(r, named, site)
}

// name finds the hosts.
func (a *ask) name(r rollmon.Request, named string, site place) error {
	if a.sites {
		name, err := fill("host", named, site)
		if err == nil && name == "" {
			err = errors.New("scope pool needs the name of the host that tells of it: source: {zabbix: {host: …}}")
		}
		a.hosts = []host{{host: name}}
		return err
	}
	for n, s := range slices.Concat(r.Exposed, r.Control) {
		at := site
		at.Server, at.Member = s.Name, s.Member
		name, err := fill("host", named, at)
		if err != nil {
			return err
		}
		a.hosts = append(a.hosts, host{server: s.Name, host: name, exposed: n < len(r.Exposed)})
	}
	return nil
}

func (a *ask) hostNames() []string {
	names := make([]string, 0, len(a.hosts))
	for _, h := range a.hosts {
		names = append(names, h.host)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// margin is how far before a time values are looked for: a counter's last value until the time, a gauge's newest.
func (a *ask) margin(maxAge time.Duration) time.Duration {
	if a.points {
		return 0
	}
	return maxAge
}

func fill(what, text string, p place) (string, error) {
	t, err := template.New(what).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("the indicator's %s is not a template: %w", what, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, p); err != nil {
		return "", fmt.Errorf("the indicator's %s cannot be filled in: %w", what, err)
	}
	if what == "query" && strings.TrimSpace(b.String()) == "" {
		return "", errors.New("the indicator's query is empty: write an item key")
	}
	return b.String(), nil
}
