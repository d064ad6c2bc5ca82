package zabbix_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/zabbix"
	"railyard/internal/rollmon/source/zabbix/zabbixtest"
	"railyard/internal/rollmon/sourcetest"
	"railyard/internal/verdict"
)

var site = fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}

const loadKey = "system.cpu.load[all,avg1]"

func load(key string) fleet.Indicator {
	return fleet.Indicator{Name: "load", Class: fleet.ClassServer, Hard: true, Value: &fleet.ValueIndicator{Query: key, Max: new(8.0)},
		Source: fleet.Source{Zabbix: &fleet.ZabbixSource{}}}
}

func named(names ...string) []rollmon.Server {
	var all []rollmon.Server
	for _, name := range names {
		all = append(all, rollmon.Server{Name: name, Member: name})
	}
	return all
}

func newSource(t *testing.T, address, token string, o zabbix.Options) *zabbix.Source {
	t.Helper()
	s, err := zabbix.New(address, token, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func judge(i fleet.Indicator, r rollmon.Reading, since time.Time, servers ...rollmon.Server) verdict.Verdict {
	q := verdict.Question{Site: site, Stage: "baking", Since: since}
	for _, s := range servers {
		q.Exposed = append(q.Exposed, s.Name)
	}
	return rollmon.Judge(q, []fleet.Indicator{i}, rollmon.Samples{i.Name: r}, time.Now())
}

func TestConformanceOverThreeVersions(t *testing.T) {
	for _, version := range []string{"6.0.14", "6.4.21", "7.0.3", "7.4.0"} {
		t.Run(version, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.World {
				z := zabbixtest.Start(t, version)
				w := sourcetest.World{Source: newSource(t, z.URL, z.Token, zabbix.Options{}), Indicator: load(loadKey), Site: site,
					Servers: named("hotel-api-1", "hotel-api-2", "hotel-api-3"), Since: time.Now().Add(-time.Minute)}
				for _, s := range w.Servers {
					z.Add(zabbixtest.Item{Host: s.Name, Key: loadKey})
					z.Push(s.Name, loadKey, time.Now().Add(-30*time.Second), 0.85)
				}
				w.Set = func(_ *testing.T, server string, b sourcetest.Behaviour) {
					z.Push(server, loadKey, time.Now(), map[sourcetest.Behaviour]float64{sourcetest.Healthy: 0.9, sourcetest.Failing: 41.5}[b])
				}
				w.Silence = func(*testing.T) { z.Silence() }
				return w
			})
		})
	}
}

func TestOneReadOfManyServersIsThreeRequests(t *testing.T) {
	z := zabbixtest.Start(t, "7.0.3")
	var servers []rollmon.Server
	for n := range 200 {
		name := fmt.Sprintf("hotel-api-%d", n)
		servers = append(servers, named(name)...)
		z.Add(zabbixtest.Item{Host: name, Key: loadKey})
		z.Push(name, loadKey, time.Now().Add(-time.Second), float64(n))
	}
	s := newSource(t, z.URL, z.Token, zabbix.Options{})
	read := func() rollmon.Reading {
		return s.Read(t.Context(), rollmon.Request{Indicator: load(loadKey), Site: site, Exposed: servers[:20], Control: servers[20:],
			Since: time.Now().Add(-time.Minute), Now: time.Now()})
	}
	if r := read(); len(r.Servers) != 200 || r.Servers["hotel-api-199"].Value == nil || *r.Servers["hotel-api-199"].Value != 199 {
		t.Fatalf("%d servers, %s", len(r.Servers), r.Reason)
	}
	before := z.Requests()
	read()
	if n := z.Requests() - before; n != 3 {
		t.Errorf("%d requests for 200 servers, want host.get, item.get and history.get", n)
	}
}

func TestCountersAreCountedFromTheExposure(t *testing.T) {
	begin := time.Now().Add(-10 * time.Minute)
	at := func(minutes float64) time.Time { return begin.Add(time.Duration(minutes * float64(time.Minute))) }
	ratio := fleet.Indicator{Name: "5xx", Hard: true, Source: fleet.Source{Zabbix: &fleet.ZabbixSource{Host: "{{.Environment}}-{{.Server}}"}},
		Ratio: &fleet.RatioIndicator{Failures: "app.errors[{{.Pool}}]", Attempts: "app.requests[{{.Pool}}]", Limit: 1}}
	for _, c := range []struct {
		rule   string
		errors [][2]float64 // minute, value
		want   string       // the count, or the problem
	}{
		{"what came before the exposure does not count", [][2]float64{{0, 100}, {4, 105}, {8, 107}, {9, 110}}, "5 of 900"},
		{"nothing happened", [][2]float64{{4, 7}, {9, 7}}, "0 of 900"},
		{"no value from before it", [][2]float64{{6, 7}, {9, 9}}, "its failures have no value from before"},
		{"a value too old to count from", [][2]float64{{-3, 7}, {9, 9}}, "its failures have no value from before"},
		{"a counter that was reset", [][2]float64{{4, 700}, {7, 3}, {9, 5}}, "went down"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			z := zabbixtest.Start(t, "7.0.3")
			const host, failures, attempts = "PROD-hotel-api-1", "app.errors[hotel-api]", "app.requests[hotel-api]"
			z.Add(zabbixtest.Item{Host: host, Key: failures, Type: 3})
			z.Add(zabbixtest.Item{Host: host, Key: attempts, Type: 3})
			for _, v := range c.errors {
				z.Push(host, failures, at(v[0]), v[1])
			}
			z.Push(host, attempts, at(4.5), 1000)
			z.Push(host, attempts, at(9), 1900)
			s := newSource(t, z.URL, z.Token, zabbix.Options{})
			sample := s.Read(t.Context(), rollmon.Request{Indicator: ratio, Site: site, Exposed: named("hotel-api-1"), Since: at(5), Now: at(9.5)}).Servers["hotel-api-1"]
			got := sample.Problem
			if sample.Count != nil {
				got = fmt.Sprintf("%g of %g", sample.Count.Failures, sample.Count.Attempts)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestTheTimeBeforeTheRollIsReadWithIt(t *testing.T) {
	z := zabbixtest.Start(t, "7.0.3")
	z.Add(zabbixtest.Item{Host: "hotel-api-1", Key: loadKey})
	now := time.Now()
	for minutes := range 60 {
		v := 1.0
		if minutes < 5 {
			v = 4
		}
		z.Push("hotel-api-1", loadKey, now.Add(-time.Duration(minutes)*time.Minute), v)
	}
	s := newSource(t, z.URL, z.Token, zabbix.Options{})
	r := s.Read(t.Context(), rollmon.Request{Indicator: load(loadKey), Site: site, Exposed: named("hotel-api-1"), Since: now.Add(-5 * time.Minute), Now: now,
		Before: &rollmon.Window{From: now.Add(-35 * time.Minute), Until: now.Add(-6 * time.Minute)}})
	if v := r.Servers["hotel-api-1"].Value; v == nil || *v != 4 {
		t.Errorf("now %+v", r.Servers)
	}
	past := r.Before.Servers["hotel-api-1"]
	if past.Value == nil || *past.Value != 1 || len(past.Points) < 29 || !past.Points[0].At.Before(past.Points[1].At) {
		t.Errorf("before %+v", r.Before)
	}
}

func TestOneHostMayTellOfTheWholeSite(t *testing.T) {
	z := zabbixtest.Start(t, "6.0.14")
	z.Add(zabbixtest.Item{Host: "db-hotel", Key: "mysql.connections", Type: 3})
	z.Push("db-hotel", "mysql.connections", time.Now(), 480)
	i := fleet.Indicator{Name: "connections", Scope: fleet.ScopePool, Value: &fleet.ValueIndicator{Query: "mysql.connections", Max: new(400.0)},
		Source: fleet.Source{Zabbix: &fleet.ZabbixSource{Host: "db-hotel"}}}
	r := newSource(t, z.URL, z.Token, zabbix.Options{}).Read(t.Context(), rollmon.Request{Indicator: i, Site: site, Exposed: named("hotel-api-1"),
		Since: time.Now().Add(-time.Minute), Now: time.Now().Add(time.Second)})
	if r.Exposed == nil || r.Exposed.Value == nil || *r.Exposed.Value != 480 || len(r.Servers) > 0 {
		t.Errorf("%+v", r)
	}
}

func TestWhatZabbixCannotTellIsNamed(t *testing.T) {
	now := time.Now()
	z := zabbixtest.Start(t, "7.0.3")
	z.Add(zabbixtest.Item{Host: "off-1", Key: loadKey, Off: true})
	z.Add(zabbixtest.Item{Host: "broken-1", Key: loadKey, Error: "Cannot obtain load."})
	z.Add(zabbixtest.Item{Host: "text-1", Key: loadKey, Type: 4})
	z.Add(zabbixtest.Item{Host: "other-1", Key: "system.uptime"})
	z.Add(zabbixtest.Item{Host: "old-1", Key: loadKey})
	z.Push("old-1", loadKey, now.Add(-30*time.Minute), 1)
	z.Add(zabbixtest.Item{Host: "before-1", Key: loadKey})
	z.Push("before-1", loadKey, now.Add(-2*time.Minute), 1)
	z.Add(zabbixtest.Item{Host: "nan-1", Key: loadKey})
	z.PushText("nan-1", loadKey, now, "nan")
	z.Add(zabbixtest.Item{Host: "words-1", Key: loadKey})
	z.PushText("words-1", loadKey, now, "much")
	s := newSource(t, z.URL, z.Token, zabbix.Options{})
	for server, words := range map[string]string{
		"nowhere-1": `Zabbix has no host "nowhere-1"`,
		"off-1":     "its item is disabled",
		"broken-1":  "its item is not supported there: Cannot obtain load.",
		"text-1":    "its item holds texts",
		"other-1":   `the host has no item with the key "system.cpu.load[all,avg1]"`,
		"old-1":     "it has no value since",
		"before-1":  "it has no value since", // of the old revision, which says nothing of the new
		"nan-1":     "its value is NaN, not a number",
		"words-1":   `its value is "much", not a number`,
	} {
		t.Run(server, func(t *testing.T) {
			since := now.Add(-time.Minute)
			r := s.Read(t.Context(), rollmon.Request{Indicator: load(loadKey), Site: site, Exposed: named(server), Since: since, Now: now.Add(time.Second)})
			v := judge(load(loadKey), r, since, named(server)...)
			if v.Outcome != verdict.NoData || !strings.Contains(v.Reason, words) {
				t.Errorf("%s: %s, want no data with %q", v.Outcome, v.Reason, words)
			}
		})
	}
}

func TestRubbishIsNamedAsWhatItIs(t *testing.T) {
	says := func(code int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	const json = "application/json"
	for _, c := range []struct {
		rule   string
		answer http.HandlerFunc
		want   verdict.Outcome
		words  string
	}{
		{"a web page", says(200, "text/html", "<html>Zabbix</html>"), verdict.SourceDown, "is this a Zabbix frontend?"},
		{"503", says(503, "text/html", "busy"), verdict.SourceDown, "answered 503 Service Unavailable"},
		{"another content type is not taken", says(412, "text/html", ""), verdict.SourceDown, "answered 412"},
		{"a redirect, to which the token must not go", says(302, "text/html", ""), verdict.SourceDown, "not a result (302)"},
		{"a version that is none", says(200, json, `{"jsonrpc":"2.0","result":"latest","id":1}`), verdict.SourceDown, `the version "latest"`},
		{"neither result nor error", says(200, json, `{"jsonrpc":"2.0","id":1}`), verdict.SourceDown, "neither result nor error"},
		{"half an answer", says(200, json, `{"jsonrpc":"2.0","result":[{"host`), verdict.SourceDown, "not a result"},
		{"a database that is down", says(200, json, `{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error.","data":"System error occurred. Please contact Zabbix administrator."},"id":1}`),
			verdict.SourceDown, "answered an error: Internal error. System error occurred."},
		{"a request it does not understand", says(200, json, `{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params.","data":"Invalid parameter \"/history\": value must be one of 0, 1, 2, 3, 4."},"id":1}`),
			verdict.NoData, "refuses the request: Invalid params."},
		{"a clock that is ahead", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			says(200, json, `{"jsonrpc":"2.0","result":"7.0.3","id":1}`)(w, r)
		}, verdict.NoData, "its clock and ours differ"},
		{"an answer that does not end", func(w http.ResponseWriter, r *http.Request) {
			says(200, json, `{"jsonrpc":"2.0",`)(w, r)
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
					return
				}
			}
		}, verdict.NoData, "answered more than 1048576 bytes"},
		{"a broken connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, verdict.SourceDown, "cannot be asked: "},
	} {
		t.Run(c.rule, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			t.Cleanup(server.Close)
			s := newSource(t, server.URL, "s3cret", zabbix.Options{MaxBytes: 1 << 20})
			r := s.Read(t.Context(), rollmon.Request{Indicator: load(loadKey), Site: site, Exposed: named("hotel-api-1"), Since: time.Now(), Now: time.Now()})
			if r.Failure != c.want || !strings.Contains(r.Reason, c.words) || strings.Contains(r.Reason, "s3cret") {
				t.Errorf("%s: %s\nwant %s with %q", r.Failure, r.Reason, c.want, c.words)
			}
		})
	}
}

func TestATokenThatIsNotAcceptedIsNamed(t *testing.T) {
	for _, version := range []string{"6.0.14", "6.4.21", "7.0.3", "7.4.0"} {
		z := zabbixtest.Start(t, version)
		s := newSource(t, z.URL, "wrong", zabbix.Options{})
		r := s.Read(t.Context(), rollmon.Request{Indicator: load(loadKey), Site: site, Exposed: named("hotel-api-1"), Since: time.Now(), Now: time.Now()})
		if r.Failure != verdict.SourceDown || !strings.Contains(r.Reason, "does not accept our API token") {
			t.Errorf("%s: %s: %s", version, r.Failure, r.Reason)
		}
	}
}

func TestWhatItKeepsNothingOfIsRefused(t *testing.T) {
	z := zabbixtest.Start(t, "7.0.3")
	s := newSource(t, z.URL, z.Token, zabbix.Options{})
	batch := load(loadKey)
	batch.Scope = fleet.ScopeBatch
	noHost := load(loadKey)
	noHost.Scope = fleet.ScopePool
	for words, i := range map[string]fleet.Indicator{
		"none of a batch":            batch,
		"needs the name of the host": noHost,
		"is not a template":          load("system.{{"),
		"query is empty":             load(" "),
		"cannot be filled in":        load("system.cpu[{{.Servers}}]"),
	} {
		r := s.Read(t.Context(), rollmon.Request{Indicator: i, Site: site, Exposed: named("hotel-api-1"), Since: time.Now(), Now: time.Now()})
		if r.Failure != verdict.NoData || !strings.Contains(r.Reason, words) {
			t.Errorf("%s: %s, want %q", r.Failure, r.Reason, words)
		}
	}
}
