// Package prometheus is the source of ratio, value, rank and saturation indicators: PromQL from the topology, asked over the
// HTTP API.
//
// One indicator is one query for all servers: an instant one, evaluated at the time of the look, or a range query over the
// time since the exposure where the judge wants every measurement. The time before the roll is one query more. A ratio's two
// expressions are joined into that query, so that both see the same scrape, and so are the two sides of an indicator of
// scope batch. The counts of a ratio go into an exact test, so they must be
// counts: increase() and rate() extrapolate to the edges of their window and answer 11.3 for 10 requests. The difference of a
// counter now and at the time of exposure is exact; HAProxyFailures and HAProxyAttempts show how to write it.
//
// The value "at Since" is the last one scraped before it. In between the server was out of rotation, so the counters of a
// balancer stood still, and nothing that failed before the exposure is counted against the new version. Where servers may be
// cut off in the middle of requests less than one scrape before, subtract min_over_time(…[{{.Window}}s]) instead: it
// begins at the first scrape after the exposure. Counters of the application itself begin again with each process; use
// the balancer's. A counter that went down all the same is reported, never guessed at.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/answer"
	"railyard/internal/rollmon/source/past"
	"railyard/internal/verdict"
)

// Options tune a Source. The zero value means the defaults.
type Options struct {
	Endpoint  string            // which of several servers this is, as indicators name it: "loki"; "" = the usual one
	Token     string            // goes along as a bearer; "" = none
	Timeout   time.Duration     // of one query; default 3s
	MaxBytes  int64             // of one answer; default 8 MiB, which is some 50,000 series
	MaxWindow time.Duration     // the longest time counts reach back; default 6h
	MaxSkew   time.Duration     // how far the server's clock may be off; default 15s
	Transport http.RoundTripper // default: http.DefaultTransport
	Clock     func() time.Time  // compared with the server's clock; default time.Now
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 3 * time.Second
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 8 << 20
	}
	if o.MaxWindow <= 0 {
		o.MaxWindow = 6 * time.Hour
	}
	if o.MaxSkew <= 0 {
		o.MaxSkew = 15 * time.Second
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// Source reads indicators from one Prometheus, or from anything that speaks its query API. It is safe for concurrent use.
type Source struct {
	api     v1.API
	options Options
	before  past.Memory
}

// New returns a Source that asks the server at address: "http://127.0.0.1:9090". It does not connect yet.
func New(address string, o Options) (*Source, error) {
	o = o.withDefaults()
	client, err := api.NewClient(api.Config{
		Address: address,
		Client: &http.Client{CheckRedirect: noElsewhere(o.Token), Transport: answer.Guard{
			Next: bearer{o.Transport, o.Token}, Asked: "a Prometheus", MaxBytes: o.MaxBytes, Advice: "let the query return one sample per server",
			MaxSkew: o.MaxSkew, Clock: o.Clock,
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("use Prometheus at %q: %w", address, err)
	}
	return &Source{api: v1.NewAPI(client), options: o}, nil
}

// noElsewhere keeps a token from following a redirect.
func noElsewhere(token string) func(*http.Request, []*http.Request) error {
	if token == "" {
		return nil
	}
	return func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// bearer shows a token with each request.
type bearer struct {
	next  http.RoundTripper
	token string
}

func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.token != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(req)
}

// Name is "prometheus", or the endpoint's name.
func (s *Source) Name() string {
	if s.options.Endpoint != "" {
		return s.options.Endpoint
	}
	return fleet.SourcePrometheus
}

// Answers reports whether the indicator is a query to this server.
func (s *Source) Answers(i fleet.Indicator) bool {
	return i.ReadBy() == fleet.SourcePrometheus && i.Endpoint() == s.options.Endpoint
}

// Read asks for one indicator of all servers, and of the time before the roll when that is wanted: one query each.
func (s *Source) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, fmt.Errorf("did not answer within %s", s.options.Timeout))
	defer cancel()
	out := rollmon.Reading{Source: s.Name()}
	before := make(chan *rollmon.Past, 1)
	go func() { before <- s.before.Read(r, func() *rollmon.Past { return s.past(ctx, r) }) }()
	found, refused := s.ask(ctx, r, span{r.Since, r.Now}, measured(r.Indicator))
	if refused != nil {
		out.Failure, out.Reason = refused.Outcome, refused.Words
	}
	out.Servers, out.Exposed, out.Control = found.servers, found.exposed, found.control
	out.Before = <-before
	return out
}

// past reads the same of the time before the roll, in which no server ran the new revision.
func (s *Source) past(ctx context.Context, r rollmon.Request) *rollmon.Past {
	found, refused := s.ask(ctx, r, span{r.Before.From, r.Before.Until}, r.Indicator.Ratio == nil)
	if refused != nil {
		return &rollmon.Past{Failure: refused.Outcome, Reason: refused.Words}
	}
	return &rollmon.Past{Servers: found.servers, Exposed: found.exposed}
}

// span is a time that is read about. Counts begin and end with it.
type span struct{ from, until time.Time }

// ask makes one query of an indicator, for the end of a span, or for every step of it.
func (s *Source) ask(ctx context.Context, r rollmon.Request, in span, steps bool) (found, *answer.Refusal) {
	query, err := render(r, in, s.options.MaxWindow)
	if err != nil {
		return found{}, &answer.Refusal{Outcome: verdict.NoData, Words: err.Error()}
	}
	var value model.Value
	if steps {
		value, _, _, err = s.api.QueryRange(ctx, query, v1.Range{Start: in.from, End: in.until, Step: stepOf(r.Indicator, in)})
	} else {
		value, _, _, err = s.api.Query(ctx, query, in.until)
	}
	if err == nil && value == nil {
		err = &answer.Refusal{Outcome: verdict.SourceDown, Words: "answered something that is not a query result"}
	}
	if err != nil {
		outcome, words := explain(ctx, err)
		return found{}, &answer.Refusal{Outcome: outcome, Words: words}
	}
	got, err := collect(r, value, steps)
	if err != nil {
		return found{}, &answer.Refusal{Outcome: verdict.NoData, Words: err.Error()}
	}
	return got, nil
}

// measured reports whether the judge wants all measurements since the exposure, not only the newest.
func measured(i fleet.Indicator) bool {
	return i.Rank != nil || i.Saturation != nil || i.Value != nil && i.Value.Repeated()
}

// mostSteps bounds the measurements of one series; Prometheus itself refuses more than 11,000.
const mostSteps = 1000

// stepOf is the time between two measurements: the indicator's, or more in a long span.
func stepOf(i fleet.Indicator, in span) time.Duration {
	var step time.Duration
	switch {
	case i.Rank != nil:
		step = i.Rank.Step().D()
	case i.Saturation != nil:
		step = i.Saturation.Step().D()
	case i.Value != nil:
		step = i.Value.Step().D()
	}
	return max(step, in.until.Sub(in.from)/mostSteps, time.Second/10)
}

// explain tells a server that answers "no" from one that does not answer, or not in this language.
func explain(ctx context.Context, err error) (verdict.Outcome, string) {
	if cause := context.Cause(ctx); cause != nil {
		return verdict.SourceDown, cause.Error()
	}
	var refused *answer.Refusal
	if errors.As(err, &refused) {
		return refused.Outcome, refused.Words
	}
	var answered *v1.Error
	if !errors.As(err, &answered) {
		return verdict.SourceDown, "cannot be asked: " + answer.WithoutURL(err).Error()
	}
	switch answered.Type {
	case v1.ErrBadData:
		return verdict.NoData, "refuses the query: " + answered.Msg
	case v1.ErrExec:
		return verdict.NoData, "cannot evaluate the query: " + answered.Msg
	case v1.ErrBadResponse:
		return verdict.SourceDown, "answered something that is not a query result: " + answered.Msg
	default:
		return verdict.SourceDown, "answered " + answered.Error()
	}
}
