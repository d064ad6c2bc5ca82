// Package load is the visitors: a constant rate of requests over keep-alive connections, counted per frontend and
// second, so that the failures of any stretch of time can be told afterwards.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// horizon is how far back seconds are kept.
const horizon = 2 * time.Hour

// failuresKept is how many failures are remembered with their cause.
const failuresKept = 50

// Options describe the visitors.
type Options struct {
	Targets []Target      // asked in turn
	Rate    float64       // requests per second over all targets, 200
	Workers int           // connections at once; 16 when 0
	Timeout time.Duration // after which a request has failed; 5 s when 0
}

// Target is one frontend.
type Target struct {
	Name string // "PROD/hotel-app"
	URL  string // "http://127.0.0.1:20500/"
}

// Count is a number of finished requests and how many of them failed: no answer, or status 500 and above.
type Count struct {
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
}

func (c *Count) add(other Count) {
	c.Requests += other.Requests
	c.Failed += other.Failed
}

// Totals are the requests of a stretch of time.
type Totals struct {
	Count
	ByTarget map[string]Count `json:"by_target"` // "PROD/hotel-app"
}

// Failure is one failed request.
type Failure struct {
	Time   time.Time
	Target string // "PROD/hotel-app"
	Cause  string // "status 502", "context deadline exceeded"
}

// Load is the running visitors. Its methods may be called from any goroutine.
type Load struct {
	opts    Options
	client  *http.Client
	quit    chan struct{}
	once    sync.Once
	workers sync.WaitGroup
	began   time.Time

	mu       sync.Mutex
	seconds  *ring
	failures []Failure
}

// Start lets the visitors come, each worker on its own timetable, so that together they make the rate. The caller must
// Close the load.
func Start(_ context.Context, opts Options) (*Load, error) {
	if len(opts.Targets) == 0 || opts.Rate <= 0 {
		return nil, errors.New("start load: at least one target and a rate above 0 are needed")
	}
	if opts.Workers == 0 {
		opts.Workers = 16
	}
	if opts.Timeout == 0 {
		opts.Timeout = 5 * time.Second
	}
	transport := &http.Transport{MaxIdleConnsPerHost: opts.Workers, IdleConnTimeout: 10 * time.Second, DisableCompression: true}
	l := &Load{
		opts:    opts,
		client:  &http.Client{Transport: transport, Timeout: opts.Timeout},
		quit:    make(chan struct{}),
		began:   time.Now(),
		seconds: newRing(int(horizon/time.Second), len(opts.Targets)),
	}
	for worker := range opts.Workers {
		l.workers.Go(func() { l.work(worker) })
	}
	return l, nil
}

// work sends every n-th request of the timetable, n being the number of workers.
func (l *Load) work(worker int) {
	every := time.Duration(float64(l.opts.Workers) / l.opts.Rate * float64(time.Second))
	due := l.began.Add(time.Duration(float64(worker) / l.opts.Rate * float64(time.Second)))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for turn := worker; ; turn += l.opts.Workers {
		select {
		case <-l.quit:
			return
		case <-timer.C:
		}
		l.visit(turn % len(l.opts.Targets))
		due = due.Add(every)
		if late := time.Since(due); late > every {
			due = due.Add(late) // the missed turns are not made up for: visitors do not come twice
		}
		timer.Reset(time.Until(due))
	}
}

func (l *Load) visit(target int) {
	cause := l.request(l.opts.Targets[target].URL)
	now := time.Now()
	count := Count{Requests: 1}
	if cause != nil {
		count.Failed = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seconds.add(now.Unix(), target, count)
	if cause != nil {
		l.failures = append(l.failures, Failure{Time: now, Target: l.opts.Targets[target].Name, Cause: cause.Error()})
		if len(l.failures) > failuresKept {
			l.failures = l.failures[1:]
		}
	}
}

// request makes one visit; its error is the visit's failure.
func (l *Load) request(url string) error {
	resp, err := l.client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode >= 500 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// Window counts the requests that ended in the seconds from that of from to that of to, both included. Seconds more
// than two hours old are forgotten.
func (l *Load) Window(from, to time.Time) Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	totals := Totals{ByTarget: map[string]Count{}}
	for i, count := range l.seconds.sum(from.Unix(), to.Unix()) {
		name := l.opts.Targets[i].Name
		total := totals.ByTarget[name]
		total.add(count)
		totals.ByTarget[name] = total
		totals.add(count)
	}
	return totals
}

// Failures lists the last failed requests, at most 50, oldest first.
func (l *Load) Failures() []Failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Failure(nil), l.failures...)
}

// Close sends the visitors home: requests under way are finished and counted.
func (l *Load) Close() error {
	l.once.Do(func() { close(l.quit) })
	l.workers.Wait()
	l.client.CloseIdleConnections()
	return nil
}
