package prometheus

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"railyard/internal/rollmon"
)

// serverLabel is the label by which an answer names a server, as its topology name or as its balancer's.
const serverLabel = "server"

// series is one number of an answer, with the labels it came under.
type series struct {
	value  float64
	labels string
}

// collect sorts an answer by server. An error means that the whole answer is useless; what is wrong with one server is
// said in its sample.
func collect(r rollmon.Request, value model.Value) (map[string]rollmon.Sample, error) {
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("answered a %s: the query must return one sample per server, with the label %q", value.Type(), serverLabel)
	}
	if len(vector) == 0 {
		return nil, errors.New("answered, but with no series: the query matches nothing now and at the beginning")
	}
	found, err := byServer(r, vector)
	if err != nil {
		return nil, err
	}
	samples := make(map[string]rollmon.Sample, len(found))
	for server, parts := range found {
		samples[server] = sample(r, parts)
	}
	return samples, nil
}

// byServer groups an answer's series by server name, then by half.
func byServer(r rollmon.Request, vector model.Vector) (map[string]map[string][]series, error) {
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
	for _, one := range vector {
		label, ok := one.Metric[serverLabel]
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
		half := string(one.Metric[partLabel])
		parts[half] = append(parts[half], series{float64(one.Value), labelsOf(one.Metric)})
	}
	switch {
	case len(found) > 0:
		return found, nil
	case unnamed > 0:
		return nil, fmt.Errorf("answered series without the label %q, but %s: name the server with label_replace or sum by (server)",
			serverLabel, labelsOf(vector[0].Metric))
	}
	slices.Sort(strangers)
	strangers = slices.Compact(strangers)
	return nil, fmt.Errorf("answered about other servers only: %s", strings.Join(strangers[:min(3, len(strangers))], ", "))
}

// sample makes one server's numbers of its series.
func sample(r rollmon.Request, parts map[string][]series) rollmon.Sample {
	if r.Indicator.Value != nil {
		v, problem := only("value", parts[""])
		if problem != "" {
			return rollmon.Sample{Problem: problem}
		}
		return rollmon.Sample{Value: &v}
	}
	failures, problem := only(partFailures, parts[partFailures])
	if problem != "" {
		return rollmon.Sample{Problem: problem}
	}
	attempts, problem := only(partAttempts, parts[partAttempts])
	if problem != "" {
		return rollmon.Sample{Problem: problem}
	}
	return rollmon.Sample{Count: &rollmon.Count{Failures: failures, Attempts: attempts}}
}

// only returns the number of the only series there is. No failures series is not zero failures: a counter that was born
// after the exposure has no value to subtract, and would hide all it counted.
func only(what string, all []series) (float64, string) {
	switch {
	case len(all) == 0:
		return 0, fmt.Sprintf("the answer has no %s of it: let the query return 0 where there are none", what)
	case len(all) > 1:
		return 0, fmt.Sprintf("the answer has %d series of %s for it, %s and %s: add them up with sum by (server)",
			len(all), what, all[0].labels, all[1].labels)
	case math.IsNaN(all[0].value) || math.IsInf(all[0].value, 0):
		return 0, fmt.Sprintf("its %s is %v, not a number: something is divided by zero, or the exporter says so", what, all[0].value)
	}
	return all[0].value, ""
}

// labelsOf shows a series' labels without ours.
func labelsOf(m model.Metric) string {
	shown := m.Clone()
	delete(shown, partLabel)
	return shown.String()
}
