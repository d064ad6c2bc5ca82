package prometheus

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
)

// serverLabel is the label by which an answer names a server, as its topology name or as its balancer's.
const serverLabel = "server"

// series is one series of an answer: its newest value and all its measurements.
type series struct {
	metric model.Metric
	value  float64
	points []rollmon.Point // of a range query
}

// found is what an answer says, by the indicator's scope.
type found struct {
	servers          map[string]rollmon.Sample
	exposed, control *rollmon.Sample
}

// collect sorts an answer by what the indicator's scope asks about. An error means that the whole answer is useless; what
// is wrong with one server is said in its sample.
func collect(r rollmon.Request, value model.Value, steps bool) (found, error) {
	all, err := seriesOf(value, steps)
	if err != nil {
		return found{}, err
	}
	if r.Indicator.In() != fleet.ScopeServer && r.Indicator.Rank == nil {
		return together(r, all), nil
	}
	parts, err := byServer(r, all)
	if err != nil {
		return found{}, err
	}
	out := found{servers: make(map[string]rollmon.Sample, len(parts))}
	for server, parts := range parts {
		out.servers[server] = sample(r, parts, "sum by (server)")
	}
	return out, nil
}

// seriesOf unpacks a vector, or the matrix of a query in steps.
func seriesOf(value model.Value, steps bool) ([]series, error) {
	var all []series
	switch v := value.(type) {
	case model.Vector:
		for _, s := range v {
			all = append(all, series{metric: s.Metric, value: float64(s.Value)})
		}
	case model.Matrix:
		if !steps {
			return nil, unexpected(value)
		}
		for _, s := range v {
			one := series{metric: s.Metric, points: make([]rollmon.Point, 0, len(s.Values))}
			for _, p := range s.Values {
				one.points = append(one.points, rollmon.Point{At: p.Timestamp.Time().UTC(), Value: float64(p.Value)})
				one.value = float64(p.Value)
			}
			all = append(all, one)
		}
	default:
		return nil, unexpected(value)
	}
	if len(all) == 0 {
		return nil, errors.New("answered, but with no series: the query matches nothing in the time that was asked for")
	}
	return all, nil
}

func unexpected(value model.Value) error {
	return fmt.Errorf("answered a %s: the query must return one sample per server, with the label %q", value.Type(), serverLabel)
}

// together makes one sample of the batch, or of the site, and one of the servers not yet rolled.
func together(r rollmon.Request, all []series) found {
	sides := map[string]map[string][]series{}
	for _, s := range all {
		side, part := string(s.metric[sideLabel]), string(s.metric[partLabel])
		if sides[side] == nil {
			sides[side] = map[string][]series{}
		}
		sides[side][part] = append(sides[side][part], s)
	}
	one := func(side string) *rollmon.Sample {
		parts, ok := sides[side]
		if !ok {
			return nil
		}
		s := sample(r, parts, "sum()")
		return &s
	}
	if r.Indicator.In() == fleet.ScopePool {
		return found{exposed: one("")}
	}
	return found{exposed: one(sideExposed), control: one(sideControl)}
}

// byServer groups an answer's series by server name, then by part.
func byServer(r rollmon.Request, all []series) (map[string]map[string][]series, error) {
	names := make(map[string]string)
	for _, s := range allServers(r) {
		names[s.Member] = s.Name
	}
	for _, s := range allServers(r) { // a server's own name wins
		names[s.Name] = s.Name
	}
	found := make(map[string]map[string][]series)
	var strangers []string
	unnamed := 0
	for _, one := range all {
		label, ok := one.metric[serverLabel]
		if !ok {
			unnamed++
			continue
		}
		name, ok := names[string(label)]
		if !ok {
			strangers = append(strangers, string(label))
			continue
		}
		parts := found[name]
		if parts == nil {
			parts = make(map[string][]series)
			found[name] = parts
		}
		part := string(one.metric[partLabel])
		parts[part] = append(parts[part], one)
	}
	switch {
	case len(found) > 0:
		return found, nil
	case unnamed > 0:
		return nil, fmt.Errorf("answered series without the label %q, but %s: name the server with label_replace or sum by (server)",
			serverLabel, labelsOf(all[0].metric))
	}
	slices.Sort(strangers)
	strangers = slices.Compact(strangers)
	return nil, fmt.Errorf("answered about other servers only: %s", strings.Join(strangers[:min(3, len(strangers))], ", "))
}

// sample makes the numbers of one server, or of several together, of their series. adding says how to make one of many.
func sample(r rollmon.Request, parts map[string][]series, adding string) rollmon.Sample {
	if r.Indicator.Ratio == nil {
		one, problem := only("value", parts[""], adding)
		if problem != "" {
			return rollmon.Sample{Problem: problem}
		}
		return rollmon.Sample{Value: &one.value, Points: one.points}
	}
	failures, problem := only(partFailures, parts[partFailures], adding)
	if problem != "" {
		return rollmon.Sample{Problem: problem}
	}
	attempts, problem := only(partAttempts, parts[partAttempts], adding)
	if problem != "" {
		return rollmon.Sample{Problem: problem}
	}
	return rollmon.Sample{Count: &rollmon.Count{Failures: failures.value, Attempts: attempts.value}}
}

// only returns the only series there is. No failures series is not zero failures: a counter that was born after the
// exposure has no value to subtract, and would hide all it counted.
func only(what string, all []series, adding string) (series, string) {
	switch {
	case len(all) == 0:
		return series{}, fmt.Sprintf("the answer has no %s of it: let the query return 0 where there are none", what)
	case len(all) > 1:
		return series{}, fmt.Sprintf("the answer has %d series of %s for it, %s and %s: add them up with %s",
			len(all), what, labelsOf(all[0].metric), labelsOf(all[1].metric), adding)
	case math.IsNaN(all[0].value) || math.IsInf(all[0].value, 0):
		return series{}, fmt.Sprintf("its %s is %v, not a number: something is divided by zero, or the exporter says so", what, all[0].value)
	}
	return all[0], ""
}

// labelsOf shows a series' labels without ours.
func labelsOf(m model.Metric) string {
	shown := m.Clone()
	delete(shown, partLabel)
	delete(shown, sideLabel)
	return shown.String()
}
