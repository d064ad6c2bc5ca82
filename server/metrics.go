package server

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sirupsen/logrus"

	"railyard/internal/store"
)

// metrics is what Railyard says about itself at /metrics.
type metrics struct {
	requests   *prometheus.HistogramVec
	deliveries *prometheus.CounterVec
}

func newMetrics(to *prometheus.Registry, s Store, log logrus.FieldLogger) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "railyard_http_request_duration_seconds", Help: "Requests by route and status.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"method", "route", "status"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "railyard_deliveries_total", Help: "Webhooks by code host and what became of them: stored, ignored, refused, failed.",
		}, []string{"provider", "outcome"}),
	}
	all := []prometheus.Collector{m.requests, m.deliveries, &underWay{store: s, log: log},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
	if counted, ok := s.(interface {
		Statements() int64
		LeaseStatements() int64
	}); ok {
		all = append(all,
			count("railyard_store_statements_total", "SQL statements, without those of leases.", counted.Statements),
			count("railyard_store_lease_statements_total", "SQL statements that leases cost.", counted.LeaseStatements))
	}
	for _, c := range all {
		var known prometheus.AlreadyRegisteredError
		if err := to.Register(c); err != nil && !errors.As(err, &known) {
			return nil, err
		}
	}
	return m, nil
}

func count(name, help string, of func() int64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(of()) })
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	if !methods[method] {
		method = "other" // it comes from outside and must not make series without end
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

var methods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "DELETE": true, "OPTIONS": true}

func (m *metrics) delivery(provider, outcome string) {
	m.deliveries.WithLabelValues(provider, outcome).Inc()
}

// underWay counts the Coaches and rolls that have not ended, when it is asked.
type underWay struct {
	store Store
	log   logrus.FieldLogger
}

var (
	coachesDesc = prometheus.NewDesc("railyard_coaches", "Coaches that have not ended, by state and environment.", []string{"state", "environment"}, nil)
	rollsDesc   = prometheus.NewDesc("railyard_rolls", "Rolls that have not ended, by stage, environment and whether they wait for a person.",
		[]string{"stage", "environment", "paused"}, nil)
)

// Describe implements prometheus.Collector.
func (u *underWay) Describe(to chan<- *prometheus.Desc) {
	to <- coachesDesc
	to <- rollsDesc
}

// Collect implements prometheus.Collector. A database that does not answer leaves the gauges out; it does not make them zero.
func (u *underWay) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	coaches, err := u.store.Coaches(ctx, store.CoachFilter{Active: true}, mostCounted)
	if err != nil {
		u.log.WithError(err).Warn("count the coaches for /metrics")
		return
	}
	rolls, err := u.store.Rolls(ctx, store.RollFilter{Active: true}, mostCounted)
	if err != nil {
		u.log.WithError(err).Warn("count the rolls for /metrics")
		return
	}
	byState, byStage := map[[2]string]int{}, map[[3]string]int{}
	for _, c := range coaches {
		byState[[2]string{string(c.State), c.Environment}]++
	}
	for _, r := range rolls {
		byStage[[3]string{string(r.Stage), r.Site.Environment, strconv.FormatBool(r.Pause != nil)}]++
	}
	for labels, n := range byState {
		to <- prometheus.MustNewConstMetric(coachesDesc, prometheus.GaugeValue, float64(n), labels[:]...)
	}
	for labels, n := range byStage {
		to <- prometheus.MustNewConstMetric(rollsDesc, prometheus.GaugeValue, float64(n), labels[:]...)
	}
}

const mostCounted = 10_000
