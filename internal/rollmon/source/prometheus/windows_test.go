package prometheus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/prometheus"
	"railyard/internal/verdict"
)

const step = fleet.Duration(200 * time.Millisecond)

// TestWindowsOfTheRealServer lets a gauge rise and a counter count in two phases, before and after a roll began.
func TestWindowsOfTheRealServer(t *testing.T) {
	t.Parallel()
	e := startExporter(t)
	s := newSource(t, startPrometheus(t, e), prometheus.Options{})
	servers := named("hotel-api-1", "hotel-api-2", "hotel-api-3")
	set := func(latency float64, n traffic) {
		for _, server := range servers {
			e.set("b", server.Member, n)
			e.gauge(fmt.Sprintf(`latency_ms{server=%q}`, server.Name), latency)
		}
		e.gauge(`db_connections{db="hotel"}`, latency*10)
	}
	set(20, traffic{good: 1000, bad: 5})
	from := known(t, s, e, "b", servers...)
	set(20, traffic{good: 1300, bad: 8})
	e.afterScrapes(t, 3)
	began := time.Now()
	set(90, traffic{good: 1700, bad: 48})
	e.afterScrapes(t, 3)
	request := func(i fleet.Indicator) rollmon.Request {
		return rollmon.Request{Indicator: i, Site: site, Backend: "b", Exposed: servers[:1], Control: servers[1:], Since: began, Now: time.Now(),
			Before: &rollmon.Window{From: from, Until: began}}
	}

	t.Run("all measurements since the exposure, and those before the roll", func(t *testing.T) {
		rank := fleet.Indicator{Name: "latency", Rank: &fleet.RankIndicator{Query: `latency_ms{server=~"{{.Servers}}"}`, Increase: 20, Every: step}}
		r := s.Read(t.Context(), request(rank))
		now, then := r.Servers["hotel-api-1"], r.Before.Servers["hotel-api-1"]
		if len(r.Servers) != 3 || len(now.Points) < 2 || now.Points[len(now.Points)-1].Value != 90 || now.Points[0].At.Before(began.Add(-time.Second)) {
			t.Errorf("now %+v, %s", now, r.Reason)
		}
		if len(then.Points) < 2 || then.Points[len(then.Points)-1].Value != 20 || then.Points[len(then.Points)-1].At.After(began) {
			t.Errorf("then %+v, %s", then, r.Before.Reason)
		}
	})
	t.Run("a ratio is counted before the roll as it is after the exposure", func(t *testing.T) {
		r := s.Read(t.Context(), request(visitors()))
		now, then := r.Servers["hotel-api-1"].Count, r.Before.Servers["hotel-api-1"].Count
		if now == nil || *now != (rollmon.Count{Failures: 40, Attempts: 440}) || then == nil || *then != (rollmon.Count{Failures: 3, Attempts: 303}) {
			t.Errorf("now %+v, then %+v", now, then)
		}
	})
	t.Run("a batch is one, and so are the servers not yet rolled", func(t *testing.T) {
		batch := visitors()
		batch.Scope = fleet.ScopeBatch
		sum := func(query string) string { return "sum(" + query + ")" }
		batch.Ratio.Failures, batch.Ratio.Attempts = sum(batch.Ratio.Failures), sum(batch.Ratio.Attempts)
		r := s.Read(t.Context(), request(batch))
		if r.Exposed == nil || r.Control == nil || *r.Exposed.Count != (rollmon.Count{Failures: 40, Attempts: 440}) || *r.Control.Count != (rollmon.Count{Failures: 80, Attempts: 880}) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a pool is one, whatever its servers run", func(t *testing.T) {
		i := fleet.Indicator{Name: "connections", Scope: fleet.ScopePool, Value: &fleet.ValueIndicator{Query: "db_connections", Max: new(400.0)}}
		r := s.Read(t.Context(), request(i))
		if r.Exposed == nil || *r.Exposed.Value != 900 || len(r.Servers) > 0 || *r.Before.Exposed.Value != 200 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("several series of a batch are named", func(t *testing.T) {
		i := gauge(`latency_ms{server=~"{{.Servers}}"}`)
		i.Scope = fleet.ScopeBatch
		r := s.Read(t.Context(), request(i))
		if r.Control == nil || !strings.Contains(r.Control.Problem, "2 series of value") || !strings.Contains(r.Control.Problem, "sum()") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a range of what does not parse is named, and so is its past", func(t *testing.T) {
		bad := fleet.Indicator{Name: "latency", Rank: &fleet.RankIndicator{Query: `latency_ms{`}}
		r := s.Read(t.Context(), request(bad))
		if r.Failure != verdict.NoData || !strings.Contains(r.Reason, "refuses the query") || r.Before.Failure != verdict.NoData {
			t.Errorf("%+v, before %+v", r, r.Before)
		}
	})
}

func TestAnIndicatorIsOneRequestForEachWindowWhateverTheNumberOfServers(t *testing.T) {
	var requests, long atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.ParseForm() == nil && len(r.Form.Get("query")) > 8000 && r.Method == http.MethodPost {
			long.Add(1) // a list of 1,000 servers must not travel in an address
		}
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/query_range") {
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"server":"s-1"},"values":[[1700000000,"12"]]}]}}`)
			return
		}
		fmt.Fprint(w, strings.Replace(vectorOfOne, "hotel-api-1", "s-1", 1))
	}))
	t.Cleanup(server.Close)
	var servers []rollmon.Server
	for n := range 1000 {
		name := fmt.Sprintf("s-%d", n)
		servers = append(servers, rollmon.Server{Name: name, Member: name})
	}
	query := `m{server=~"{{.Servers}}"}`
	now := time.Now()
	past := rollmon.Window{From: now.Add(-2 * time.Hour), Until: now.Add(-time.Hour)}
	for _, c := range []struct {
		rule          string
		indicator     fleet.Indicator
		before        *rollmon.Window
		first, second int64
	}{
		{"a ratio", fleet.Indicator{Name: "r", Ratio: &fleet.RatioIndicator{Failures: query, Attempts: query}}, nil, 1, 1},
		{"a value", fleet.Indicator{Name: "v", Value: &fleet.ValueIndicator{Query: query, Max: new(1.0)}}, nil, 1, 1},
		{"a batch with the servers not yet rolled", fleet.Indicator{Name: "b", Scope: fleet.ScopeBatch, Value: &fleet.ValueIndicator{Query: query, Max: new(1.0)}}, nil, 1, 1},
		{"a rank, and once the time before", fleet.Indicator{Name: "k", Rank: &fleet.RankIndicator{Query: query}}, &past, 2, 1},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := newSource(t, server.URL, prometheus.Options{})
			for look, want := range []int64{c.first, c.second} {
				requests.Store(0)
				r := s.Read(t.Context(), rollmon.Request{Indicator: c.indicator, Site: site, Exposed: servers[:500], Control: servers[500:], Since: now.Add(-time.Minute), Now: now, Before: c.before})
				if got := requests.Load(); got != want || r.Failure != "" {
					t.Errorf("look %d: %d requests, want %d; %s", look+1, got, want, r.Reason)
				}
			}
		})
	}
	if long.Load() == 0 {
		t.Error("the queries were short: this tests nothing")
	}
}

func TestAnEndpointIsAskedForItsOwnIndicatorsWithItsToken(t *testing.T) {
	var path, token string
	loki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, token = r.URL.Path, r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"server":"hotel-api-1"},"value":[1700000000,"3"]}],"stats":{"summary":{"bytesProcessedPerSecond":1}}}}`)
	}))
	t.Cleanup(loki.Close)
	s := newSource(t, loki.URL+"/loki", prometheus.Options{Endpoint: "loki", Token: "s3cret"})
	exceptions := gauge(`sum by (server) (count_over_time({app="hotel-api"} |= "Exception" [{{.Window}}s]))`)
	if s.Answers(exceptions) {
		t.Error("it answers what is asked of Prometheus")
	}
	exceptions.Source.Prometheus = &fleet.PrometheusSource{Endpoint: "loki"}
	r := ask(t, s, exceptions, "", time.Now().Add(-time.Minute), rollmon.Server{Name: "hotel-api-1"})
	if !s.Answers(exceptions) || s.Name() != "loki" || path != "/loki/api/v1/query" || token != "Bearer s3cret" {
		t.Errorf("%s: asked %s with %q", s.Name(), path, token)
	}
	if v := r.Servers["hotel-api-1"].Value; v == nil || *v != 3 {
		t.Errorf("%+v", r)
	}
}
