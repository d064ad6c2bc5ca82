// Package zabbix is the source of ratio, value, rank and saturation indicators that a Zabbix frontend keeps, over its
// JSON-RPC API with an API token.
//
// An indicator's query is an item key: "system.cpu.load[all,avg1]". The hosts are named by the source's template, the server's
// name unless it says otherwise. One read takes one request for the hosts, one for the items and one for the values of each
// kind (floats, integers), never one per server. A ratio's two keys are counters; what is counted is the last value until now
// minus the last value until the exposure, which is exact, and a counter that went down in between is reported, never
// guessed at.
package zabbix

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/answer"
	"railyard/internal/rollmon/source/past"
	"railyard/internal/verdict"
)

// Options tune a Source. The zero value means the defaults.
type Options struct {
	Timeout   time.Duration     // of one read; default 4s
	MaxBytes  int64             // of one answer; default 32 MiB
	MaxAge    time.Duration     // a newest value that is older counts as none; default 5m
	MaxSkew   time.Duration     // how far the frontend's clock may be off; default 15s
	Transport http.RoundTripper // default: http.DefaultTransport
	Clock     func() time.Time  // compared with the frontend's clock; default time.Now
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	set(&o.Timeout, 4*time.Second)
	set(&o.MaxAge, 5*time.Minute)
	set(&o.MaxSkew, 15*time.Second)
	if o.MaxBytes <= 0 {
		o.MaxBytes = 32 << 20
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// Source reads indicators from one Zabbix frontend. It is safe for concurrent use.
type Source struct {
	client  *client
	options Options
	before  past.Memory
}

// New returns a Source that asks the frontend at address ("https://zabbix.example.com", with the path below which
// api_jsonrpc.php lies, if there is one) with an API token. It does not connect yet.
func New(address, token string, o Options) (*Source, error) {
	o = o.withDefaults()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return nil, errors.New("use Zabbix: its address must be http(s)://HOST/… without user and password")
	}
	guard := answer.Guard{
		Next: o.Transport, Asked: "a Zabbix frontend", MaxBytes: o.MaxBytes, Advice: "ask for fewer servers or a shorter time",
		MaxSkew: o.MaxSkew, Clock: o.Clock,
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // a token goes along
	return &Source{
		client:  &client{address: strings.TrimRight(address, "/"), token: token, http: &http.Client{Transport: guard, CheckRedirect: noRedirect}},
		options: o,
	}, nil
}

// Name is "zabbix".
func (s *Source) Name() string { return fleet.SourceZabbix }

// Answers reports whether the indicator names this source.
func (s *Source) Answers(i fleet.Indicator) bool { return i.ReadBy() == fleet.SourceZabbix }

// Read asks for one indicator of all servers, and of the time before the roll when that is wanted.
func (s *Source) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, fmt.Errorf("did not answer within %s", s.options.Timeout))
	defer cancel()
	out := rollmon.Reading{Source: s.Name()}
	a, err := newAsk(r)
	if err != nil {
		out.Failure, out.Reason = verdict.NoData, err.Error()
		return out
	}
	now, err := s.samples(ctx, a, span{r.Since, r.Now, true})
	if err != nil {
		out.Failure, out.Reason = explain(ctx, err)
		return out
	}
	out.Servers, out.Exposed = now.servers, now.site
	out.Before = s.before.Read(r, func() *rollmon.Past {
		then, err := s.samples(ctx, a, span{r.Before.From, r.Before.Until, false})
		if err != nil {
			outcome, words := explain(ctx, err)
			return &rollmon.Past{Failure: outcome, Reason: words}
		}
		return &rollmon.Past{Servers: then.servers, Exposed: then.site}
	})
	return out
}

// span is a time that is read about.
type span struct {
	from, until time.Time
	now         bool // until is the present: the newest value must be fresh
}

// answered is what was found: of each server, or of the site.
type answered struct {
	servers map[string]rollmon.Sample
	site    *rollmon.Sample
}

func (s *Source) samples(ctx context.Context, a ask, in span) (answered, error) {
	histories := make([]map[string]history, len(a.keys))
	from := in.from
	if margin := a.margin(s.options.MaxAge); from.Add(-margin).Before(from) {
		from = from.Add(-margin)
	}
	for n, key := range a.keys {
		found, err := s.client.read(ctx, a.hostNames(), key, from, in.until)
		if err != nil {
			return answered{}, err
		}
		histories[n] = found
	}
	if a.sites {
		sample := s.sample(a, histories, a.hosts[0].host, in, false)
		return answered{site: &sample}, nil
	}
	out := answered{servers: map[string]rollmon.Sample{}}
	for _, h := range a.hosts {
		out.servers[h.server] = s.sample(a, histories, h.host, in, h.exposed)
	}
	return out, nil
}

// sample makes one host's numbers of what was found.
func (s *Source) sample(a ask, histories []map[string]history, host string, in span, exposed bool) rollmon.Sample {
	var found []history
	for _, byHost := range histories {
		h, ok := byHost[host]
		if !ok {
			return rollmon.Sample{Problem: fmt.Sprintf("Zabbix has no host %q, or our token may not see it", host)}
		}
		if h.problem != "" {
			return rollmon.Sample{Problem: h.problem}
		}
		found = append(found, h)
	}
	if a.judge == fleet.JudgeRatio {
		return counted(found[0], found[1], in)
	}
	return s.measured(a, found[0], in, exposed)
}
