package prometheus

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"railyard/internal/rollmon"
)

// The label that tells the two halves of a ratio's query apart, and its values.
const (
	partLabel    = "railyard_part"
	partFailures = "failures"
	partAttempts = "attempts"
)

// place is what a query of the topology may refer to.
type place struct {
	Window      int64  // seconds from Since to now, at least 1: 42
	Since       string // Unix seconds, for the @ modifier: 1700000000.250
	Now         string // the same, of the look
	Environment string // "PROD"
	Pool        string // "hotel-api"
	Backend     string // "PROD_hotel-api"
	Servers     string // a regular expression of server names: "hotel-api-1|hotel-api-2"
	Members     string // the same by the names the balancer uses
}

// render writes the one query of an indicator.
func render(r rollmon.Request, maxWindow time.Duration) (string, error) {
	p, err := placeOf(r, maxWindow)
	if err != nil {
		return "", err
	}
	if r.Indicator.Value != nil {
		return fill("query", r.Indicator.Value.Query, p)
	}
	if r.Indicator.Ratio == nil {
		return "", errors.New("the indicator has no query")
	}
	failures, err := fill("failures", r.Indicator.Ratio.Failures, p)
	if err != nil {
		return "", err
	}
	attempts, err := fill("attempts", r.Indicator.Ratio.Attempts, p)
	if err != nil {
		return "", err
	}
	return part(failures, partFailures) + " or " + part(attempts, partAttempts), nil
}

// part marks the series of one half. The line break ends a comment that the half may end with.
func part(query, name string) string {
	return fmt.Sprintf("label_replace(%s\n, %q, %q, \"\", \"\")", query, partLabel, name)
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

func placeOf(r rollmon.Request, maxWindow time.Duration) (place, error) {
	since := r.Since
	if earliest := r.Now.Add(-maxWindow); since.Before(earliest) {
		since = earliest
	}
	if since.After(r.Now) {
		since = r.Now
	}
	window := max(1, int64((r.Now.Sub(since)+time.Second-1)/time.Second))
	p := place{
		Window: window, Since: unix(since), Now: unix(r.Now),
		Environment: r.Site.Environment, Pool: r.Site.Pool, Backend: r.Backend,
	}
	var names, members []string
	for _, s := range allServers(r) {
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
