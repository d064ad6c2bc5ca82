package exec

import (
	"context"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// request is what the program reads.
type request struct {
	Do          string    `json:"do"`      // "read"
	Seconds     float64   `json:"seconds"` // it should answer within
	Indicator   indicator `json:"indicator"`
	Environment string    `json:"environment"` // "PROD"
	Pool        string    `json:"pool"`        // "hotel-api"
	Roll        string    `json:"roll"`        // "r-31"; "" when the site is only sampled
	Exposed     []string  `json:"exposed"`     // on the new revision
	Control     []string  `json:"control"`     // still on the old one
	Since       time.Time `json:"since"`       // counts and measurements begin here
	Now         time.Time `json:"now"`         // and end here
}

type indicator struct {
	Name     string `json:"name"`  // "queue"
	Judge    string `json:"judge"` // "ratio", "value", "rank", "saturation", "report"
	Scope    string `json:"scope"` // "server", "batch", "pool"
	Query    string `json:"query,omitempty"`
	Failures string `json:"failures,omitempty"`
	Attempts string `json:"attempts,omitempty"`
}

func requestOf(ctx context.Context, r rollmon.Request) request {
	i := r.Indicator
	out := request{
		Do: "read", Seconds: patience.Seconds(), Indicator: indicator{Name: i.Name, Judge: i.JudgedBy(), Scope: string(i.In())},
		Environment: r.Site.Environment, Pool: r.Site.Pool, Roll: r.Roll, Exposed: names(r.Exposed), Control: names(r.Control), Since: r.Since, Now: r.Now,
	}
	if deadline, ok := ctx.Deadline(); ok {
		out.Seconds = max(0, time.Until(deadline).Seconds())
	}
	switch {
	case i.Ratio != nil:
		out.Indicator.Failures, out.Indicator.Attempts = i.Ratio.Failures, i.Ratio.Attempts
	case i.Value != nil:
		out.Indicator.Query = i.Value.Query
	case i.Rank != nil:
		out.Indicator.Query = i.Rank.Query
	case i.Saturation != nil:
		out.Indicator.Query = i.Saturation.Query
	}
	return out
}

func names(servers []rollmon.Server) []string {
	all := make([]string, 0, len(servers))
	for _, s := range servers {
		all = append(all, s.Name)
	}
	return all
}

// answer is what the program writes. Unknown fields are errors.
type answer struct {
	Servers map[string]sample `json:"servers"`
	Exposed *sample           `json:"exposed"` // of the batch, or the site
	Control *sample           `json:"control"`
}

type sample struct {
	Problem string   `json:"problem"`
	Value   *float64 `json:"value"`
	Points  []struct {
		At    time.Time `json:"at"`
		Value float64   `json:"value"`
	} `json:"points"`
	Count *struct {
		Failures float64 `json:"failures"`
		Attempts float64 `json:"attempts"`
	} `json:"count"`
	Report *struct {
		Passed int    `json:"passed"`
		Failed int    `json:"failed"`
		By     string `json:"by"`
		Words  string `json:"words"`
	} `json:"report"`
}

// mostPoints bounds the measurements of one sample.
const mostPoints = 10_000

func (s sample) plain() rollmon.Sample {
	if len(s.Points) > mostPoints {
		return rollmon.Sample{Problem: "the program gave too many points"}
	}
	out := rollmon.Sample{Problem: s.Problem, Value: s.Value}
	for _, p := range s.Points {
		out.Points = append(out.Points, rollmon.Point{At: p.At, Value: p.Value})
	}
	if s.Count != nil {
		out.Count = &rollmon.Count{Failures: s.Count.Failures, Attempts: s.Count.Attempts}
	}
	if s.Report != nil {
		out.Report = &rollmon.Report{Passed: s.Report.Passed, Failed: s.Report.Failed, By: s.Report.By, Words: s.Report.Words}
	}
	return out
}

// reading keeps of an answer what was asked about.
func (a answer) reading(out rollmon.Reading, r rollmon.Request) rollmon.Reading {
	if r.Indicator.In() != fleet.ScopeServer && r.Indicator.Rank == nil {
		if a.Exposed == nil {
			out.Failure, out.Reason = verdict.NoData, "the program answered without exposed"
			return out
		}
		exposed := a.Exposed.plain()
		out.Exposed = &exposed
		if a.Control != nil {
			control := a.Control.plain()
			out.Control = &control
		}
		return out
	}
	if len(a.Servers) == 0 {
		out.Failure, out.Reason = verdict.NoData, "the program answered without servers"
		return out
	}
	out.Servers = map[string]rollmon.Sample{}
	for _, asked := range [][]rollmon.Server{r.Exposed, r.Control} {
		for _, s := range asked {
			if found, ok := a.Servers[s.Name]; ok {
				out.Servers[s.Name] = found.plain()
			}
		}
	}
	return out
}
