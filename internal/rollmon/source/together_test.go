// Package source_test tries the sources beside each other, under one monitor.
package source_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/exec"
	"railyard/internal/rollmon/source/junit"
	"railyard/internal/rollmon/source/known"
	"railyard/internal/rollmon/source/prometheus"
	"railyard/internal/rollmon/source/urlcheck"
	"railyard/internal/rollmon/source/zabbix"
	"railyard/internal/rollmon/source/zabbix/zabbixtest"
	"railyard/internal/urltest"
	"railyard/internal/verdict"
)

// silent is a server that takes requests and answers none.
func silent(t *testing.T) string {
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(over) })
	return s.URL
}

// TestNoSourceDelaysAnothersHardBreach lets every source but one hang, each its own way, for as long as a look may last. The
// breach of the last one must not wait for them.
func TestNoSourceDelaysAnothersHardBreach(t *testing.T) {
	program := filepath.Join(t.TempDir(), "hangs")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	hang := func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
	prom, err := prometheus.New(silent(t), prometheus.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	loki, err := prometheus.New(silent(t), prometheus.Options{Endpoint: "loki", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	frontend := zabbixtest.Start(t, "7.0.3")
	frontend.Silence()
	zab, err := zabbix.New(frontend.URL, frontend.Token, zabbix.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	down := httptest.NewServer(http.NotFoundHandler()) // the application that fails its check
	t.Cleanup(down.Close)
	hanging := map[string]rollmon.Source{
		"prometheus": prom, "loki": loki, "zabbix": zab, "exec": exec.New(),
		"junit":  junit.New(func(ctx context.Context, _ junit.Ask) ([]junit.Build, error) { return nil, hang(ctx) }),
		"people": known.NewPeople(func(ctx context.Context, _ string) ([]verdict.Entered, error) { return nil, hang(ctx) }),
		"readiness": known.NewReadiness(func(ctx context.Context, _ string, _ fleet.SiteRef, _ string) ([]known.Condition, error) {
			return nil, hang(ctx)
		}),
		"rolling_log": known.NewRollingLog(func(ctx context.Context, _ string, _ int64) ([]known.Step, error) { return nil, hang(ctx) }),
	}
	value := &fleet.ValueIndicator{Query: "q", Max: new(1.0)}
	report := &fleet.ReportIndicator{}
	topology := &fleet.Topology{
		Environments: []fleet.Environment{{Name: "PROD", Production: true}},
		Pools: []fleet.Pool{{Name: "hotel-api", Traffic: true, Sites: []fleet.Site{{Environment: "PROD",
			Servers: []fleet.Server{{Name: "hotel-api-1", Address: strings.TrimPrefix(down.URL, "http://")}}}}}},
		Indicators: []fleet.Indicator{
			{Name: "prometheus", Hard: true, Value: value}, {Name: "loki", Value: value, Source: fleet.Source{Prometheus: &fleet.PrometheusSource{Endpoint: "loki"}}},
			{Name: "zabbix", Hard: true, Value: value, Source: fleet.Source{Zabbix: &fleet.ZabbixSource{}}},
			{Name: "exec", Value: value, Source: fleet.Source{Exec: &fleet.ExecSource{Program: program}}},
			{Name: "junit", Scope: fleet.ScopePool, Report: report, Source: fleet.Source{JUnit: &fleet.JUnitSource{}}},
			{Name: "people", Scope: fleet.ScopePool, Report: report, Source: fleet.Source{People: &fleet.PeopleSource{}}},
			{Name: "readiness", Hard: true, Report: report, Source: fleet.Source{Readiness: &fleet.ReadinessSource{}}},
			{Name: "rolling_log", Report: report, Source: fleet.Source{RollingLog: &fleet.RollingLogSource{}}},
			{Name: "health", Hard: true, Check: &fleet.Check{Path: "/healthz"}},
		},
	}
	applied := func() *fleet.Topology { return topology }
	sources := []rollmon.Source{urlcheck.New(rollmon.Addresses(applied), urltest.NewClient())}
	for _, s := range hanging {
		sources = append(sources, s)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	m := rollmon.NewMonitor(applied, sources, time.Now, log).WithDeadline(time.Hour)
	v := m.Judge(t.Context(), verdict.Question{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Roll: "r-1", Stage: "baking",
		Exposed: []string{"hotel-api-1"}, Since: time.Now().Add(-time.Minute)})
	if v.Outcome != verdict.Hard || !strings.Contains(v.Reason, "health check /healthz") {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	waited := map[string]bool{}
	for _, f := range v.Findings {
		if f.Outcome == verdict.Pending && strings.Contains(f.Reason, "was not waited for: health is a hard breach") {
			waited[f.Indicator] = true
		}
	}
	for name, s := range hanging {
		if !waited[name] {
			t.Errorf("%s (source %s) was waited for", name, s.Name())
		}
	}
}
