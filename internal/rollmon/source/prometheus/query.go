package prometheus

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
)

// The labels that tell the parts of a joined query apart: the two counts of a ratio, the two sides of a comparison.
const (
	partLabel    = "railyard_part"
	partFailures = "failures"
	partAttempts = "attempts"
	sideLabel    = "railyard_side"
	sideExposed  = "exposed"
	sideControl  = "control"
)

// place is what a query of the topology may refer to.
type place struct {
	Window      int64  // seconds from Since to now, at least 1: 42
	Since       string // Unix seconds, for the @ modifier: 1700000000.250
	Now         string // the same, of the look, or of the end of the time before the roll
	Environment string // "PROD"
	Pool        string // "hotel-api"
	Backend     string // "PROD_hotel-api"
	Servers     string // a regular expression of server names: "hotel-api-1|hotel-api-2"
	Members     string // the same by the names the balancer uses
}

// render writes the one query of an indicator about a span of time.
func render(r rollmon.Request, in span, maxWindow time.Duration) (string, error) {
	if r.Indicator.In() != fleet.ScopeBatch || r.Indicator.Rank != nil {
		return renderFor(r, allServers(r), in, maxWindow)
	}
	exposed, err := renderFor(r, r.Exposed, in, maxWindow)
	if err != nil || len(r.Control) == 0 {
		return mark(exposed, sideLabel, sideExposed), err
	}
	control, err := renderFor(r, r.Control, in, maxWindow)
	return mark(exposed, sideLabel, sideExposed) + " or " + mark(control, sideLabel, sideControl), err
}

// renderFor writes the query with some servers in it.
func renderFor(r rollmon.Request, servers []rollmon.Server, in span, maxWindow time.Duration) (string, error) {
	p, err := placeOf(r, servers, in, maxWindow)
	if err != nil {
		return "", err
	}
	i := r.Indicator
	switch {
	case i.Value != nil:
		return fill("query", i.Value.Query, p)
	case i.Rank != nil:
		return fill("query", i.Rank.Query, p)
	case i.Saturation != nil:
		return fill("query", i.Saturation.Query, p)
	case i.Ratio == nil:
		return "", errors.New("the indicator has no query")
	}
	failures, err := fill("failures", i.Ratio.Failures, p)
	if err != nil {
		return "", err
	}
	attempts, err := fill("attempts", i.Ratio.Attempts, p)
	if err != nil {
		return "", err
	}
	return mark(failures, partLabel, partFailures) + " or " + mark(attempts, partLabel, partAttempts), nil
}

// mark gives the series of a part of a query a label. The line break ends a comment that the part may end with.
func mark(query, label, name string) string {
	return fmt.Sprintf("label_replace(%s\n, %q, %q, \"\", \"\")", query, label, name)
}

func fill(what, text string, p place) (string, error) {
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("the indicator's %s query is empty", what)
	}
	t, err := template.New(what).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("the indicator's query is not a template: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, p); err != nil {
		return "", fmt.Errorf("the indicator's query cannot be filled in: %w", err)
	}
	return b.String(), nil
}

// plain are the names that mean themselves between the quotes of a PromQL string.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.:@/+-]*$`)

func placeOf(r rollmon.Request, servers []rollmon.Server, in span, maxWindow time.Duration) (place, error) {
	since := in.from
	if earliest := in.until.Add(-maxWindow); since.Before(earliest) {
		since = earliest
	}
	if since.After(in.until) {
		since = in.until
	}
	window := max(1, int64((in.until.Sub(since)+time.Second-1)/time.Second))
	p := place{
		Window: window, Since: unix(since), Now: unix(in.until),
		Environment: r.Site.Environment, Pool: r.Site.Pool, Backend: r.Backend,
	}
	var names, members []string
	for _, s := range servers {
		names = append(names, s.Name)
		members = append(members, s.Member)
	}
	for _, name := range append([]string{p.Environment, p.Pool, p.Backend}, append(names, members...)...) {
		if !plain.MatchString(name) {
			return place{}, fmt.Errorf("the name %q cannot be put into a query: letters, digits and _.:@/+- can", name)
		}
	}
	p.Servers, p.Members = anyOf(names), anyOf(members)
	return p, nil
}

// anyOf is the regular expression of some plain names. [.] says the same as \. and needs no escape in any kind of
// PromQL string.
func anyOf(names []string) string {
	return strings.NewReplacer(".", "[.]", "+", "[+]").Replace(strings.Join(names, "|"))
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func allServers(r rollmon.Request) []rollmon.Server {
	all := make([]rollmon.Server, 0, len(r.Exposed)+len(r.Control))
	return append(append(all, r.Exposed...), r.Control...)
}
