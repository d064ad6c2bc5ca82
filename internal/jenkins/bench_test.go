package jenkins_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

// BenchmarkPollOf1000RunningBuilds is one look at a controller where 100 jobs have
// ten running builds each, over loopback.
func BenchmarkPollOf1000RunningBuilds(b *testing.B) {
	const jobs, each = 100, 10
	var requests, bytes atomic.Int64
	proceed := make(chan struct{})
	defer close(proceed)
	s, err := jenkinstest.Start(jenkinstest.Options{
		Dir: b.TempDir(),
		Engine: jenkinstest.EngineFunc(func(ctx context.Context, _ *jenkinstest.Run) jenkinstest.Result {
			select {
			case <-proceed:
			case <-ctx.Done():
			}
			return jenkinstest.Success
		}),
		Middleware: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				next.ServeHTTP(counting{w, &bytes}, r)
			})
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	c, err := jenkins.New(jenkins.Config{Name: "main", URL: s.URL, User: "admin", Token: "admin-token", Timeout: time.Minute}, silent())
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for i := range jobs {
		names = append(names, fmt.Sprintf("sbu%d/app%d", i%13, i))
		if err := s.CreateJob(names[i], []byte(pipelineXML)); err != nil {
			b.Fatal(err)
		}
		for n := range each {
			if _, err := c.Trigger(b.Context(), names[i], map[string]string{jenkins.DeploymentParam: fmt.Sprintf("d%d-%d", i, n)}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for found := 0; found < jobs*each; {
		builds, err := c.Poll(b.Context(), names)
		if err != nil {
			b.Fatal(err)
		}
		found = 0
		for _, build := range builds {
			if build.Building {
				found++
			}
		}
	}
	requests.Store(0)
	bytes.Store(0)
	for b.Loop() {
		if _, err := c.Poll(b.Context(), names); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(requests.Load())/float64(b.N), "requests/poll")
	b.ReportMetric(float64(bytes.Load())/float64(b.N), "answer-B/poll")
}

type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}
