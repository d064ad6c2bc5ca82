package service

import (
	"context"
	"fmt"
	"time"

	"railyard/internal/rollmon"
	sourceexec "railyard/internal/rollmon/source/exec"
	"railyard/internal/rollmon/source/junit"
	"railyard/internal/rollmon/source/known"
	"railyard/internal/rollmon/source/past"
	"railyard/internal/rollmon/source/prometheus"
	"railyard/internal/rollmon/source/urlcheck"
	"railyard/internal/rollmon/source/zabbix"
	"railyard/internal/urltest"
)

func (s *Service) makeMonitor(c controllers) (*rollmon.Monitor, error) {
	sources, err := s.makeSources(c)
	if err != nil {
		return nil, err
	}
	s.sampler = &rollmon.Sampler{Topology: s.topology.get, Sources: sources, Store: s.store, Log: s.log, Owner: owner(s.config.Name)}
	s.recorder = rollmon.NewRecorder(s.store, s.log)
	return rollmon.NewMonitor(s.topology.get, sources, now, s.log).WithRecord(s.recorder.Note), nil
}

// now is the time of verdicts and samples: UTC, microseconds, as the store keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// pruneEvery is how often what is too old is deleted. Replicas may do it at once.
const pruneEvery = time.Hour

// prune deletes looks and samples that are older than the configuration says, until ctx ends.
func (s *Service) prune(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		at := now()
		rows, err := s.store.Prune(ctx, at.Add(-s.config.LooksKept), at.Add(-s.config.SamplesKept))
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.WithError(err).Warn("prune looks and samples; trying again in an hour")
		case rows > 0:
			s.log.WithField("rows", rows).Info("old looks and samples deleted")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// makeSources makes the sources that are there by themselves and those that are configured.
func (s *Service) makeSources(c controllers) ([]rollmon.Source, error) {
	reports := testReports{controllers: c, topology: s.topology.get, roll: s.store.Roll, coach: s.store.Coach}
	ready := &readiness{sites: s.sites, roll: s.store.Roll}
	sources := []rollmon.Source{
		past.NewSampled(urlcheck.New(rollmon.Addresses(s.topology.get), urltest.NewClient()), s.store),
		known.NewPeople(s.entered), known.NewRollingLog(s.steps), known.NewReadiness(ready.conditions),
		past.NewSampled(sourceexec.New(), s.store), junit.New(reports.builds),
	}
	if s.config.Prometheus != "" {
		source, err := prometheus.New(s.config.Prometheus, prometheus.Options{})
		if err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	for _, e := range s.config.Endpoints {
		token, err := e.Token.Resolve()
		if err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", e.Name, err)
		}
		source, err := prometheus.New(e.URL, prometheus.Options{Endpoint: e.Name, Token: token})
		if err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	if z := s.config.Zabbix; z.URL != "" {
		token, err := z.Token.Resolve()
		if err != nil {
			return nil, fmt.Errorf("zabbix: %w", err)
		}
		source, err := zabbix.New(z.URL, token, zabbix.Options{})
		if err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	return sources, nil
}
