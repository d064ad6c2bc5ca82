package prometheus

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"railyard/internal/demo/ports"
)

func begin(t *testing.T, targets ...Target) (*Server, error) {
	t.Helper()
	var set ports.Set
	t.Cleanup(func() { set.Close() })
	port, err := set.Take()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := Start(ctx, Options{Dir: t.TempDir(), Port: port, Interval: 100 * time.Millisecond, Targets: targets})
	if err == nil {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return s, err
}

func TestATargetsMetricsCarryItsLabels(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "jobs_done_total 7") }))
	defer app.Close()
	s, err := begin(t, Target{Job: "apps", Address: strings.TrimPrefix(app.URL, "http://"),
		Labels: map[string]string{"env": "PROD", "pool": "jobws", "server": "jobws-1", "app": "jobws"}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := api.NewClient(api.Config{Address: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, _, _, err := v1.NewAPI(client).Query(ctx, `jobs_done_total{env="PROD",pool="jobws",server="jobws-1",app="jobws",job="apps"}`, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if vector := got.(model.Vector); len(vector) == 1 {
			if vector[0].Value != 7 {
				t.Errorf("value %v, want 7", vector[0].Value)
			}
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("no sample of the target within 10 s")
		case <-tick.C:
		}
	}
}

func TestABrokenConfigurationFailsWithPrometheusOwnWords(t *testing.T) {
	_, err := begin(t, Target{Job: "apps", Address: "127.0.0.1:1", Labels: map[string]string{"not a label": "x"}})
	if err == nil || !strings.Contains(err.Error(), "not a label") {
		t.Errorf("error %v, want the label that is wrong", err)
	}
}
