package service

import (
	"fmt"
	"time"

	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/prometheus"
	"railyard/internal/rollmon/source/urlcheck"
	"railyard/internal/rollmon/source/zabbix"
	"railyard/internal/urltest"
)

func (s *Service) makeMonitor() (*rollmon.Monitor, error) {
	sources, err := s.makeSources()
	if err != nil {
		return nil, err
	}
	now := func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	return rollmon.NewMonitor(s.topology.get, sources, now, s.log), nil
}

// makeSources makes the sources that are there by themselves and those that are configured.
func (s *Service) makeSources() ([]rollmon.Source, error) {
	sources := []rollmon.Source{urlcheck.New(rollmon.Addresses(s.topology.get), urltest.NewClient())}
	if s.config.Prometheus != "" {
		source, err := prometheus.New(s.config.Prometheus, prometheus.Options{})
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
