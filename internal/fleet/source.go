package fleet

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Source says who reads an indicator. At most one field is given, with what that source needs to know; none means the
// usual one of the indicator's judge.
//
// To add a source: a field here with its settings, a line in sourceTable, and a package under internal/rollmon/source that
// passes its conformance suite. The topology refuses a source whose line is not there.
type Source struct {
	Prometheus *PrometheusSource `yaml:"prometheus,omitempty"`  // PromQL; usual for ratio, value, rank and saturation
	URL        *URLSource        `yaml:"url,omitempty"`         // URL tests; usual for check
	Zabbix     *ZabbixSource     `yaml:"zabbix,omitempty"`      // items of Zabbix hosts: a query is an item key
	JUnit      *JUnitSource      `yaml:"junit,omitempty"`       // the tests of a Jenkins build
	Exec       *ExecSource       `yaml:"exec,omitempty"`        // a program of the user's: docs/drivers.md
	People     *PeopleSource     `yaml:"people,omitempty"`      // what the test team says: railyard verdict
	Readiness  *ReadinessSource  `yaml:"readiness,omitempty"`   // machine and container ready, as Railyard's drivers see them
	RollingLog *RollingLogSource `yaml:"rolling_log,omitempty"` // the steps of the roll on each server
}

// PrometheusSource reads the indicator's queries as PromQL, or in the language of another server with the same query API.
type PrometheusSource struct {
	Endpoint string `yaml:"endpoint,omitempty"` // its name in the service's configuration: "loki"; "" = the Prometheus there
}

// Endpoint is the Prometheus-like server that reads the indicator; "" = the usual one.
func (i Indicator) Endpoint() string {
	if p := i.Source.Prometheus; p != nil {
		return p.Endpoint
	}
	return ""
}

// URLSource makes URL tests: of each server directly, or of the site through its balancer.
type URLSource struct {
	// Through is where the balancer answers visitors, "https://hotel.example.com"; {{.Environment}}, {{.Pool}} and {{.Backend}} are
	// replaced. It goes with scope pool. "" = every server directly.
	Through string `yaml:"through,omitempty"`
}

// ZabbixSource reads items of Zabbix hosts; the indicator's queries are item keys, in which {{.Environment}}, {{.Pool}} and
// {{.Backend}} are replaced. The queries of a ratio are counters.
type ZabbixSource struct {
	// Host is the technical name of a server's host, in which also {{.Server}} and {{.Member}} are replaced; default
	// "{{.Server}}". With scope pool it is the one host that tells of the site: "{{.Environment}}-db-hotel".
	Host string `yaml:"host,omitempty"`
}

// JUnitSource reads the test report of a Jenkins build for the Coach that is rolled.
type JUnitSource struct {
	// Job is a job that tests Coaches, whose builds carry the parameter RAILYARD_COACH: the newest one of this Coach counts.
	// Default: the Coach's own builds of the pool's apps.
	Job string `yaml:"job,omitempty"` // "atp/hotel-api"
	// Artifacts are patterns (path.Match) of archived JUnit XML files; default: the report that Jenkins made of them.
	Artifacts []string `yaml:"artifacts,omitempty"` // ["reports/TEST-*.xml"]
}

// ExecSource asks a program of the user's.
type ExecSource struct {
	Program string `yaml:"program"` // by its absolute path: "/etc/railyard/our-numbers"
}

// PeopleSource counts the newest word of each person on the Coach in the environment.
type PeopleSource struct{}

// ReadinessSource counts what is ready on a server: the machine answers, each app runs the release, the balancer calls it up.
type ReadinessSource struct{}

// RollingLogSource counts the roll's own steps on each server: those that failed, and those that went well.
type RollingLogSource struct{}

// The sources by name, as the topology and verdicts call them.
const (
	SourcePrometheus = "prometheus"
	SourceURL        = "url"
	SourceZabbix     = "zabbix"
	SourceJUnit      = "junit"
	SourceExec       = "exec"
	SourcePeople     = "people"
	SourceReadiness  = "readiness"
	SourceRollingLog = "rolling_log"
)

// The templates of a site's address.
var siteTemplates = []string{"{{.Environment}}", "{{.Pool}}", "{{.Backend}}"}

// The templates of a host's name.
var hostTemplates = []string{"{{.Environment}}", "{{.Pool}}", "{{.Backend}}", "{{.Server}}", "{{.Member}}"}

// sourceRow says of one source whether an indicator gives it, and for which judges it can read.
type sourceRow struct {
	name   string
	given  func(Source) bool
	judges []string
}

// sourceTable lists the sources that are built in.
var sourceTable = []sourceRow{
	{SourcePrometheus, func(s Source) bool { return s.Prometheus != nil }, []string{JudgeRatio, JudgeValue, JudgeRank, JudgeSaturation}},
	{SourceURL, func(s Source) bool { return s.URL != nil }, []string{JudgeCheck}},
	{SourceZabbix, func(s Source) bool { return s.Zabbix != nil }, []string{JudgeRatio, JudgeValue, JudgeRank, JudgeSaturation}},
	{SourceJUnit, func(s Source) bool { return s.JUnit != nil }, []string{JudgeReport}},
	{SourceExec, func(s Source) bool { return s.Exec != nil }, []string{JudgeRatio, JudgeValue, JudgeRank, JudgeSaturation, JudgeReport}},
	{SourcePeople, func(s Source) bool { return s.People != nil }, []string{JudgeReport}},
	{SourceReadiness, func(s Source) bool { return s.Readiness != nil }, []string{JudgeReport}},
	{SourceRollingLog, func(s Source) bool { return s.RollingLog != nil }, []string{JudgeReport}},
}

// usual is the source of an indicator that names none, by its judge.
var usual = map[string]string{
	JudgeRatio:      SourcePrometheus,
	JudgeValue:      SourcePrometheus,
	JudgeRank:       SourcePrometheus,
	JudgeSaturation: SourcePrometheus,
	JudgeCheck:      SourceURL,
}

// ReadBy names the source that reads the indicator; "" when its judge has no usual one and none is given.
func (i Indicator) ReadBy() string {
	if given := i.Source.given(); len(given) > 0 {
		return given[0].name
	}
	return usual[i.JudgedBy()]
}

// given lists the sources that are given, in the order of the table.
func (s Source) given() []sourceRow {
	var rows []sourceRow
	for _, row := range sourceTable {
		if row.given(s) {
			rows = append(rows, row)
		}
	}
	return rows
}

// checkSource refuses several sources, and one that cannot read for the indicator's judge.
func (c *checker) checkSource(at, subject string, ind Indicator) {
	given := ind.Source.given()
	switch {
	case len(given) > 1:
		c.say(at+".source", subject, "source: "+given[0].name+" and "+given[1].name+" are given", "give one, and make the other an indicator of its own")
	case len(given) == 0 && c.doc.Has(at+".source"):
		c.say(at+".source", subject, "source: it is empty", "name a source, or leave it out for the usual one")
	case len(given) == 0 && ind.JudgedBy() != "" && ind.ReadBy() == "":
		c.say(at, subject, "source is missing, and a "+ind.JudgedBy()+" has no usual one", "name who reads it under source:")
	case len(given) == 1 && ind.JudgedBy() != "" && !slices.Contains(given[0].judges, ind.JudgedBy()):
		c.say(at+".source", subject, "source: "+given[0].name+" cannot read a "+ind.JudgedBy(), "see docs/indicators.md for what each source reads")
	}
	c.checkSourceSettings(at+".source", subject, ind)
}

// checkSourceSettings checks what a source needs to know.
func (c *checker) checkSourceSettings(at, subject string, ind Indicator) {
	s := ind.Source
	if s.Zabbix != nil {
		c.templates(at+".zabbix.host", subject, "source: zabbix: host", s.Zabbix.Host, hostTemplates...)
	}
	if s.URL != nil || ind.Check != nil {
		c.checkThrough(at, subject, ind)
	}
	if s.JUnit != nil {
		for n, pattern := range s.JUnit.Artifacts {
			if _, err := path.Match(pattern, ""); err != nil {
				c.say(fmt.Sprintf("%s.junit.artifacts[%d]", at, n), subject, fmt.Sprintf("source: junit: %q is no pattern", pattern), "write one such as reports/TEST-*.xml")
			}
		}
	}
	if s.Exec != nil && !path.IsAbs(s.Exec.Program) {
		c.say(at+".exec", subject, fmt.Sprintf("source: exec: program %q is no absolute path", s.Exec.Program), "write where it lies, such as /etc/railyard/our-numbers")
	}
	if (s.People != nil || s.JUnit != nil) && ind.In() == ScopeServer {
		c.say(at, subject, "source: it tells of the whole release, not of each server", "write scope: pool")
	}
	if (s.Readiness != nil || s.RollingLog != nil) && ind.In() != ScopeServer {
		c.say(at, subject, "source: it tells of each server", "remove scope, or write scope: server")
	}
}

// checkThrough checks where the URL test of an indicator goes.
func (c *checker) checkThrough(at, subject string, ind Indicator) {
	through := ""
	if ind.Source.URL != nil {
		through = ind.Source.URL.Through
	}
	switch {
	case through == "" && ind.In() != ScopeServer:
		c.say(at, subject, "check: with scope "+string(ind.In())+" it goes through the balancer, and nothing says where that is", "write source: {url: {through: https://…}}, or remove scope")
	case through != "" && ind.In() != ScopePool:
		c.say(at+".url.through", subject, "source: url: through the balancer it tests the site, not each server", "write scope: pool")
	case through != "":
		c.templates(at+".url.through", subject, "source: url: through", through, siteTemplates...)
		filled := template.ReplaceAllString(through, "x") // what stands in a host's name is filled in later
		if u, err := url.Parse(filled); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.TrimRight(u.Path, "/") != "" {
			c.say(at+".url.through", subject, fmt.Sprintf("source: url: through %q is no address", through), "write http(s)://HOST, without a path: the check has it")
		}
	}
}
