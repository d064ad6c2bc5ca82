//go:build linux

package story

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"railyard/server/api"
)

// Report is the table the story ends with.
type Report struct {
	Pushes []Push  `json:"pushes"`
	Setup  []Push  `json:"setup"` // the first releases
	Train  Journey `json:"train"`
	Queued Queued  `json:"push_to_queued"` // over all pushes, the first releases too
}

// Push is one push and what came of it.
type Push struct {
	Name           string  `json:"name"`
	Verdict        string  `json:"verdict"` // "released", "rolled_back", "stopped_in_fat"
	Stages         []Stage `json:"stages"`
	Requests       int64   `json:"requests"`        // all that visitors sent while it lasted
	FailedRequests int64   `json:"failed_requests"` // that they saw fail
	ServersExposed int     `json:"servers_exposed"` // production servers that ever took traffic on it
	// FailedByServer is the balancer's count: production server → requests it failed while the push lasted.
	FailedByServer map[string]int64 `json:"failed_by_server"`
	Coach          string           `json:"coach"`
	Reason         string           `json:"reason"`
	QueuedMS       float64          `json:"push_to_queued_ms"` // from the start of git push until Jenkins had the build; 0 = it never had
	Breach         *Breach          `json:"breach,omitempty"`  // how fast a hard breach was answered

	expected string
}

// Stage is how long one stage took.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// Queued is the distribution of the time from push to queued, in milliseconds.
type Queued struct {
	N      int     `json:"n"`
	Median float64 `json:"median_ms"`
	P95    float64 `json:"p95_ms"`
	Max    float64 `json:"max_ms"`
}

// sum makes the row of a push that has ended.
func (t *teller) sum(ctx context.Context, c chapter, coach api.Coach, from, to time.Time) (Push, error) {
	stages, err := t.stages(ctx, coach)
	if err != nil {
		return Push{}, err
	}
	totals := t.yard.Load.Window(from, to)
	p := Push{
		Name: c.name, Verdict: verdictOf(coach), Stages: stages, Requests: totals.Requests, FailedRequests: totals.Failed,
		Coach: coach.Id, Reason: coach.Reason, expected: c.verdict, FailedByServer: map[string]int64{},
	}
	for _, roll := range coach.Rolls {
		for _, target := range roll.Targets {
			if roll.Environment == "PROD" && target.Exposed {
				p.ServersExposed++
			}
		}
	}
	for _, b := range coach.Builds {
		if b.Queued != nil {
			p.QueuedMS = float64(b.Queued.Sub(from).Microseconds()) / 1000
		}
	}
	if p.Breach, err = t.breach(ctx, coach); err != nil {
		return Push{}, err
	}
	words := strings.ToUpper(p.Verdict) + "."
	if !c.first {
		words += fmt.Sprintf(" %d requests, %d failed; %d production servers exposed.", p.Requests, p.FailedRequests, p.ServersExposed)
	}
	t.say(fmt.Sprintf("%-14s %s", coach.Id, words))
	return p, nil
}

func verdictOf(c api.Coach) string {
	if c.State == "stopped" {
		return "stopped_in_" + strings.ToLower(deref(c.Environment))
	}
	return c.State
}

// stages are the Coach's, with production split into those of its roll.
func (t *teller) stages(ctx context.Context, c api.Coach) ([]Stage, error) {
	var stages []Stage
	for _, s := range c.Stages {
		if s.End == nil {
			continue
		}
		if s.Name != "PROD" {
			stages = append(stages, Stage{s.Name, seconds(s.End.Sub(s.Start))})
			continue
		}
		inside, err := t.rollStages(ctx, c, *s.End)
		if err != nil {
			return nil, err
		}
		stages = append(stages, inside...)
	}
	return stages, nil
}

// rollStages are read from the event log: each stage lasts until the roll enters the next.
func (t *teller) rollStages(ctx context.Context, c api.Coach, end time.Time) ([]Stage, error) {
	object := "roll/" + c.Id + "-PROD-" + c.Project
	limit := 1000
	answer, err := t.yard.API.ListEventsWithResponse(ctx, &api.ListEventsParams{Object: &object, Limit: &limit})
	if err != nil {
		return nil, err
	}
	if answer.JSON200 == nil {
		return nil, fmt.Errorf("read the events of %s: %s", object, answer.Body)
	}
	var stages []Stage
	var began time.Time
	add := func(until time.Time) {
		if n := len(stages); n > 0 {
			stages[n-1].Seconds = seconds(time.Duration(stages[n-1].Seconds*float64(time.Second)) + until.Sub(began))
		}
	}
	for _, e := range *answer.JSON200 {
		if e.What != "stage_changed" {
			continue
		}
		name, _, _ := strings.Cut(deref(e.To), ",")
		add(e.At)
		began = e.At
		if n := len(stages); n == 0 || stages[n-1].Name != name {
			stages = append(stages, Stage{Name: name})
		}
	}
	add(end)
	// The last event is the roll's end, which takes no time.
	if n := len(stages); n > 1 {
		stages = stages[:n-1]
	}
	return stages, nil
}

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*100) / 100 }

func queueTimes(pushes []Push) Queued {
	var times []float64
	for _, p := range pushes {
		if p.QueuedMS > 0 {
			times = append(times, p.QueuedMS)
		}
	}
	if len(times) == 0 {
		return Queued{}
	}
	slices.Sort(times)
	n := len(times)
	return Queued{N: n, Median: times[n/2], P95: times[min(n-1, int(math.Ceil(0.95*float64(n)))-1)], Max: times[n-1]}
}

// print writes the table for people.
func (r Report) print(out io.Writer) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 2, 4, 2, ' ', 0)
	fmt.Fprintln(w, "PUSH\tCOACH\tVERDICT\tREQUESTS\tFAILED\tSERVERS EXPOSED\tSECONDS PER STAGE")
	for _, p := range r.Pushes {
		var stages []string
		for _, s := range p.Stages {
			stages = append(stages, fmt.Sprintf("%s %.1f", s.Name, s.Seconds))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", p.Name, p.Coach, p.Verdict, p.Requests, p.FailedRequests, p.ServersExposed, strings.Join(stages, ", "))
	}
	w.Flush()
	fmt.Fprintf(out, "From git push to queued in Jenkins: median %.0f ms, p95 %.0f ms (%d pushes).\n", r.Queued.Median, r.Queued.P95, r.Queued.N)
	for _, p := range r.Pushes {
		if b := p.Breach; b != nil {
			fmt.Fprintf(out, "%s: the breach was in Prometheus %.1f s after the exposure, judged %.0f ms and answered %.0f ms later (scraped every %.0f ms).\n",
				p.Name, b.VisibleS, b.JudgedMS, b.ActedMS, b.ScrapeMS)
		}
	}
	for _, p := range r.Pushes {
		fmt.Fprintf(out, "%s: %s\n", p.Name, p.Reason)
	}
	fmt.Fprintf(out, "Train %s %s after %.0f s. Planned: %s. Rolled: %s. Failed: %s. Taken back: %s. Kept: %s. %d requests, %d failed.\n", r.Train.Train, r.Train.State,
		r.Train.Seconds, strings.Join(r.Train.Planned, " → "), strings.Join(r.Train.Forward, " → "), r.Train.Failed, strings.Join(r.Train.Back, " → "), strings.Join(r.Train.Kept, ", "),
		r.Train.Requests, r.Train.FailedRequests)
}

// write writes the report as JSON.
func (r Report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644) //nolint:gosec // a report is for everybody to read
}

// verdict says whether every push ended as it should: with the verdict expected of it, and the good one with no failed
// request.
func (r Report) verdict() error {
	for _, p := range append(slices.Clone(r.Setup), r.Pushes...) {
		if p.Verdict != p.expected {
			return fmt.Errorf("%s: %s instead of %s (%s): %w", p.Name, p.Verdict, p.expected, p.Reason, ErrUnexpected)
		}
	}
	for _, p := range r.Pushes {
		if p.expected != "rolled_back" && p.FailedRequests > 0 {
			return fmt.Errorf("%s: %d of %d requests failed: %w", p.Name, p.FailedRequests, p.Requests, ErrUnexpected)
		}
		if len(p.FailedByServer) > p.ServersExposed {
			return fmt.Errorf("%s: requests failed on %v, and only %d server was exposed: %w", p.Name, p.FailedByServer, p.ServersExposed, ErrUnexpected)
		}
	}
	return r.Train.expected()
}
