package fleet

import "slices"

// Source says who reads an indicator. At most one field is given, with what that source needs to know; none means the
// usual one of the indicator's judge.
//
// To add a source: a field here with its settings, a line in sourceTable, and a package under internal/rollmon/source that
// passes its conformance suite. The topology refuses a source whose line is not there.
type Source struct {
	Prometheus *PrometheusSource `yaml:"prometheus,omitempty"` // PromQL; usual for ratio, value, rank and saturation
	URL        *URLSource        `yaml:"url,omitempty"`        // URL tests; usual for check
	Zabbix     *ZabbixSource     `yaml:"zabbix,omitempty"`     // items of Zabbix hosts: a query is an item key
}

// PrometheusSource reads the indicator's queries as PromQL.
type PrometheusSource struct{}

// URLSource makes URL tests.
type URLSource struct{}

// ZabbixSource reads items of Zabbix hosts; the indicator's queries are item keys, in which {{.Environment}}, {{.Pool}} and
// {{.Backend}} are replaced. The queries of a ratio are counters.
type ZabbixSource struct {
	// Host is the technical name of a server's host, in which also {{.Server}} and {{.Member}} are replaced; default
	// "{{.Server}}". With scope pool it is the one host that tells of the site: "{{.Environment}}-db-hotel".
	Host string `yaml:"host,omitempty"`
}

// The sources by name, as the topology and verdicts call them.
const (
	SourcePrometheus = "prometheus"
	SourceURL        = "url"
	SourceZabbix     = "zabbix"
)

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
	if z := ind.Source.Zabbix; z != nil {
		c.templates(at+".source.zabbix.host", subject, "source: zabbix: host", z.Host, hostTemplates...)
	}
}
