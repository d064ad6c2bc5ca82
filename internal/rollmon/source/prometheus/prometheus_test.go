package prometheus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/prometheus"
	"railyard/internal/rollmon/sourcetest"
	"railyard/internal/verdict"
)

var site = fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}

func visitors() fleet.Indicator {
	return fleet.Indicator{Name: "5xx", Class: fleet.ClassApp, Hard: true,
		Ratio: &fleet.RatioIndicator{Failures: prometheus.HAProxyFailures, Attempts: prometheus.HAProxyAttempts, Limit: 1}}
}

func gauge(query string) fleet.Indicator {
	return fleet.Indicator{Name: "heap", Class: fleet.ClassServer, Value: &fleet.ValueIndicator{Query: query, Max: new(700.0)}}
}

func newSource(t *testing.T, address string, o prometheus.Options) *prometheus.Source {
	t.Helper()
	s, err := prometheus.New(address, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func named(names ...string) []rollmon.Server {
	var all []rollmon.Server
	for _, name := range names {
		all = append(all, rollmon.Server{Name: name, Member: "m-" + name})
	}
	return all
}

func ask(t *testing.T, s *prometheus.Source, i fleet.Indicator, backend string, since time.Time, servers ...rollmon.Server) rollmon.Reading {
	t.Helper()
	return s.Read(t.Context(), rollmon.Request{Indicator: i, Site: site, Backend: backend, Exposed: servers, Since: since, Now: time.Now()})
}

// known waits until Prometheus has the exporter's counters of these servers, and returns a time of exposure after that.
func known(t *testing.T, s *prometheus.Source, e *exporter, backend string, servers ...rollmon.Server) time.Time {
	t.Helper()
	e.afterScrapes(t, 2)
	eventually(t, "counters of "+backend, func() bool {
		r := ask(t, s, visitors(), backend, time.Now(), servers...)
		for _, server := range servers {
			if c := r.Servers[server.Name].Count; c == nil || c.Attempts != 0 {
				return false
			}
		}
		return true
	})
	return time.Now()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	e := startExporter(t)
	target, err := url.Parse(startPrometheus(t, e))
	if err != nil {
		t.Fatal(err)
	}
	worlds := 0
	sourcetest.Run(t, func(t *testing.T) sourcetest.World {
		worlds++
		backend := fmt.Sprintf("PROD_world-%d", worlds)
		servers := named("hotel-api-1", "hotel-api-2", "hotel-api-3")
		front, silent := silenceable(t, target)
		s := newSource(t, front, prometheus.Options{})
		for _, server := range servers {
			e.set(backend, server.Member, traffic{good: 5000, bad: 100})
		}
		w := sourcetest.World{Source: s, Indicator: visitors(), Site: site, Backend: backend, Servers: servers,
			Since: known(t, s, e, backend, servers...)}
		w.Set = func(t *testing.T, server string, b sourcetest.Behaviour) {
			now := traffic{good: 5400, bad: 100}
			if b == sourcetest.Failing {
				now = traffic{good: 5380, bad: 120}
			}
			e.set(backend, "m-"+server, now)
			eventually(t, server+" "+string(b), func() bool {
				c := ask(t, s, w.Indicator, backend, w.Since, named(server)...).Servers[server].Count
				return c != nil && c.Attempts == 400 && c.Failures == now.bad-100
			})
		}
		for _, server := range servers {
			w.Set(t, server.Name, sourcetest.Healthy)
		}
		w.Silence = func(*testing.T) { silent.Store(true) }
		return w
	})
}

// silenceable stands before a server and can stop answering.
func silenceable(t *testing.T, target *url.URL) (address string, silent *atomic.Bool) {
	silent = new(atomic.Bool)
	over := make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if silent.Load() {
			select {
			case <-r.Context().Done():
			case <-over:
			}
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	t.Cleanup(func() { close(over) })
	return front.URL, silent
}

func TestCountsFromTheRealServerAreExact(t *testing.T) {
	t.Parallel()
	e := startExporter(t)
	s := newSource(t, startPrometheus(t, e), prometheus.Options{})
	one := named("hotel-api-1")[0]

	t.Run("what the balancer answered for a server counts, and what came before the exposure does not", func(t *testing.T) {
		e.set("b1", one.Member, traffic{good: 1234, bad: 56, refused: 7, brokenOff: 8})
		since := known(t, s, e, "b1", one)
		e.set("b1", one.Member, traffic{good: 1434, bad: 63, refused: 9, brokenOff: 9})
		var got rollmon.Count
		eventually(t, "all requests counted", func() bool {
			c := ask(t, s, visitors(), "b1", since, one).Servers[one.Name].Count
			if c == nil {
				return false
			}
			got = *c
			return got.Attempts >= 210
		})
		if want := (rollmon.Count{Failures: 10, Attempts: 210}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})

	t.Run("a missed scrape at the exposure loses nothing", func(t *testing.T) {
		e.set("b2", one.Member, traffic{good: 100})
		known(t, s, e, "b2", one)
		e.fail(true)
		e.afterScrapes(t, 3)
		since := time.Now()
		e.fail(false)
		e.set("b2", one.Member, traffic{good: 150, bad: 2})
		eventually(t, "52 requests", func() bool {
			c := ask(t, s, visitors(), "b2", since, one).Servers[one.Name].Count
			return c != nil && *c == rollmon.Count{Failures: 2, Attempts: 52}
		})
	})

	t.Run("a balancer that was restarted is named", func(t *testing.T) {
		e.set("b3", one.Member, traffic{good: 1000, bad: 30})
		since := known(t, s, e, "b3", one)
		e.set("b3", one.Member, traffic{good: 20})
		eventually(t, "a smaller count", func() bool {
			c := ask(t, s, visitors(), "b3", since, one).Servers[one.Name].Count
			return c != nil && c.Attempts < 0
		})
		v := judge(visitors(), ask(t, s, visitors(), "b3", since, one), since, one)
		if v.Outcome != verdict.NoData || !strings.Contains(v.Reason, "the counter was reset") {
			t.Errorf("%s: %s", v.Outcome, v.Reason)
		}
	})

	t.Run("a server that appeared after the exposure has no data", func(t *testing.T) {
		since := time.Now().Add(-time.Minute)
		e.set("b4", one.Member, traffic{good: 500})
		e.afterScrapes(t, 3)
		if v := judge(visitors(), ask(t, s, visitors(), "b4", since, one), since, one); v.Outcome != verdict.NoData {
			t.Errorf("%s: %s", v.Outcome, v.Reason)
		}
	})
}

func judge(i fleet.Indicator, r rollmon.Reading, since time.Time, servers ...rollmon.Server) verdict.Verdict {
	q := verdict.Question{Site: site, Stage: "baking", Since: since}
	for _, s := range servers {
		q.Exposed = append(q.Exposed, s.Name)
	}
	return rollmon.Judge(q, []fleet.Indicator{i}, rollmon.Samples{i.Name: r}, time.Now())
}

func TestWhatTheRealServerSaysToBadQueriesIsNamed(t *testing.T) {
	t.Parallel()
	e := startExporter(t)
	s := newSource(t, startPrometheus(t, e), prometheus.Options{})
	for _, server := range []string{"hotel-api-1", "hotel-api-2"} {
		e.gauge(fmt.Sprintf(`heap_mb{server=%q}`, server), 512)
		e.gauge(fmt.Sprintf(`busy{server=%q,core="0"}`, server), 1)
		e.gauge(fmt.Sprintf(`busy{server=%q,core="1"}`, server), 2)
		e.gauge(fmt.Sprintf(`nothing{server=%q}`, server), 0)
	}
	e.gauge(`elsewhere{server="jobws-1"}`, 1)
	e.afterScrapes(t, 2)
	eventually(t, "the gauges", func() bool {
		return ask(t, s, gauge("heap_mb"), "", time.Now(), named("hotel-api-1")...).Servers["hotel-api-1"].Value != nil
	})

	ratio := func(failures, attempts string) fleet.Indicator {
		return fleet.Indicator{Name: "5xx", Hard: true, Ratio: &fleet.RatioIndicator{Failures: failures, Attempts: attempts, Limit: 1}}
	}
	for _, c := range []struct {
		rule      string
		indicator fleet.Indicator
		want      verdict.Outcome
		words     string
	}{
		{"a good value is read", gauge(`heap_mb{server=~"{{.Servers}}"}`), verdict.Pass, "heap 512 on hotel-api-1"},
		{"a ratio of comments and line breaks is read", ratio("nothing # none\n", "nothing + 400 # all"), verdict.Pass, "0 of 400"},
		{"a query that does not parse", gauge(`heap_mb{`), verdict.NoData, "refuses the query: invalid parameter \"query\": 1:9: parse error"},
		{"half a ratio that does not parse", ratio("nothing", "sum by (server) (nothing"), verdict.NoData, "refuses the query"},
		{"a ratio of scalars", ratio("0", "400"), verdict.NoData, "expected type instant vector in call to function \"label_replace\", got scalar"},
		{"a scalar", gauge(`42`), verdict.NoData, "answered a scalar: the query must return one sample per server, with the label \"server\""},
		{"a string", gauge(`"42"`), verdict.SourceDown, `not a query result: unexpected value type "string"`},
		{"a range", gauge(`heap_mb[1m]`), verdict.NoData, "answered a matrix"},
		{"NaN", gauge(`nothing / nothing`), verdict.NoData, "its value is NaN, not a number"},
		{"infinity", gauge(`1 / nothing`), verdict.NoData, "its value is +Inf, not a number"},
		{"duplicates", gauge(`busy`), verdict.NoData, `the answer has 2 series of value for it, busy{core="0"`},
		{"duplicates in half a ratio", ratio("nothing", "busy"), verdict.NoData, "the answer has 2 series of attempts for it"},
		{"a match of many to many", gauge(`busy * on (server) busy`), verdict.NoData, "cannot evaluate the query: found duplicate series"},
		{"other label names", gauge(`sum by (instance) (heap_mb)`), verdict.NoData, `series without the label "server", but {instance="`},
		{"other servers", gauge(`elsewhere`), verdict.NoData, "answered about other servers only: jobws-1"},
		{"no series", gauge(`no_such_metric`), verdict.NoData, "answered, but with no series"},
		{"failures without a series are not zero failures", ratio("no_such_metric", "nothing + 400"), verdict.NoData, "the answer has no failures of it"},
		{"counts that are estimates", ratio("nothing", "nothing + 11.3"), verdict.NoData, "not increase() or rate(), which extrapolate"},
		{"a template that is none", gauge(`heap_mb{server=~"{{.Servers}"}`), verdict.NoData, "the indicator's query is not a template"},
		{"a word the template does not know", gauge(`heap_mb{server=~"{{.Machines}}"}`), verdict.NoData, "cannot be filled in"},
		{"an empty query", gauge(" "), verdict.NoData, "query is empty"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			since := time.Now().Add(-10 * time.Second)
			server := rollmon.Server{Name: "hotel-api-1", Member: "hotel-api-1"}
			v := judge(c.indicator, ask(t, s, c.indicator, "", since, server), since, server)
			if v.Outcome != c.want || !strings.Contains(v.Reason, c.words) {
				t.Errorf("%s: %s\nwant %s with %s", v.Outcome, v.Reason, c.want, c.words)
			}
		})
	}
}
