//go:build linux

package story

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/prometheus"
	"railyard/internal/verdict"
	"railyard/server/api"
)

// Breach is how fast a hard breach was answered. All times come from what was written down while it happened, and from asking
// Prometheus afterwards what it knew at each moment.
type Breach struct {
	Reason   string  `json:"reason"`            // of the verdict
	VisibleS float64 `json:"exposed_to_seen_s"` // from the exposure until the numbers in Prometheus were a hard breach
	JudgedMS float64 `json:"seen_to_judged_ms"` // from then until the look that said so
	ActedMS  float64 `json:"seen_to_acted_ms"`  // from then until the first action of the way back was ordered
	ScrapeMS float64 `json:"scrape_interval_ms"`
}

const (
	scrapeInterval = time.Second           // of the yard's Prometheus
	breachStep     = 50 * time.Millisecond // how exactly the moment is looked for
	breachReach    = 20 * time.Second      // how far before the verdict
	breachPatience = 3 * time.Second       // of one question
	stageBack      = "rolling_back"
)

// breach measures the hard breach of a Coach's production roll; nil when there was none.
func (t *teller) breach(ctx context.Context, c api.Coach) (*Breach, error) {
	roll := ""
	for _, r := range c.Rolls {
		if r.Environment == "PROD" {
			roll = r.Id
		}
	}
	if roll == "" {
		return nil, nil //nolint:nilnil // it never came to production
	}
	look, err := t.hardLook(ctx, roll)
	if err != nil || look == nil {
		return nil, err
	}
	acted, err := t.firstActionBack(ctx, roll)
	if err != nil || acted.IsZero() {
		return nil, err
	}
	seen, err := t.breachSeen(ctx, *look)
	if err != nil {
		return nil, err
	}
	ms := func(d time.Duration) float64 { return float64(d.Round(time.Millisecond).Milliseconds()) }
	return &Breach{
		Reason: look.Verdict.Reason, VisibleS: seconds(seen.Sub(look.Question.Since)), JudgedMS: ms(look.Verdict.At.Sub(seen)), ActedMS: ms(acted.Sub(seen)),
		ScrapeMS: ms(scrapeInterval),
	}, nil
}

// hardLook is the first look at a roll that was a hard breach.
func (t *teller) hardLook(ctx context.Context, roll string) (*rollmon.Look, error) {
	answer, err := t.yard.API.ListLooksWithResponse(ctx, roll, &api.ListLooksParams{})
	if err != nil {
		return nil, err
	}
	if answer.JSON200 == nil {
		return nil, fmt.Errorf("read the looks at roll %s: %s", roll, answer.Body)
	}
	var first *rollmon.Look
	for _, text := range *answer.JSON200 { // newest first
		var look rollmon.Look
		if err := json.Unmarshal(text, &look); err != nil {
			return nil, fmt.Errorf("read the looks at roll %s: %w", roll, err)
		}
		if look.Verdict.Outcome == verdict.Hard {
			first = &look
		}
	}
	return first, nil
}

// firstActionBack is when the first server was sent back; zero if none was.
func (t *teller) firstActionBack(ctx context.Context, roll string) (time.Time, error) {
	object, limit := "roll/"+roll, 1000
	answer, err := t.yard.API.ListEventsWithResponse(ctx, &api.ListEventsParams{Object: &object, Limit: &limit})
	if err != nil {
		return time.Time{}, err
	}
	if answer.JSON200 == nil {
		return time.Time{}, fmt.Errorf("read the events of %s: %s", object, answer.Body)
	}
	back := false
	for _, e := range *answer.JSON200 {
		back = back || e.What == "stage_changed" && len(deref(e.To)) >= len(stageBack) && deref(e.To)[:len(stageBack)] == stageBack
		if back && e.Server != nil {
			return e.At, nil
		}
	}
	return time.Time{}, nil
}

// breachSeen finds the moment from which on the numbers in Prometheus were a hard breach: the indicators that breached are
// read again as they were at earlier and earlier moments, and judged by the same judge.
func (t *teller) breachSeen(ctx context.Context, look rollmon.Look) (time.Time, error) {
	source, err := prometheus.New(t.yard.Prometheus.URL(), prometheus.Options{})
	if err != nil {
		return time.Time{}, err
	}
	var breached []fleet.Indicator
	for _, i := range look.Indicators {
		if i.Hard && source.Answers(i) {
			breached = append(breached, i)
		}
	}
	seen := look.At
	for at := look.At; look.At.Sub(at) <= breachReach && at.After(look.Question.Since); at = at.Add(-breachStep) {
		samples := rollmon.Samples{}
		for _, i := range breached {
			samples[i.Name] = t.readAt(ctx, source, i, look, at)
		}
		// The level of the tests depends on how many indicators there are, so all are judged; those not read are no breach.
		v := rollmon.Judge(look.Question, look.Indicators, samples, at)
		if v.Outcome != verdict.Hard {
			return seen, ctx.Err()
		}
		seen = at
	}
	return seen, ctx.Err()
}

func (t *teller) readAt(ctx context.Context, s rollmon.Source, i fleet.Indicator, look rollmon.Look, at time.Time) rollmon.Reading {
	ctx, cancel := context.WithTimeout(ctx, breachPatience)
	defer cancel()
	named := func(names []string) (all []rollmon.Server) {
		for _, name := range names {
			all = append(all, rollmon.Server{Name: name, Member: name})
		}
		return all
	}
	return s.Read(ctx, rollmon.Request{
		Indicator: i, Site: look.Question.Site, Backend: look.Question.Site.Environment + "_" + look.Question.Site.Pool,
		Exposed: named(look.Question.Exposed), Control: named(look.Question.Control), Since: look.Question.Since, Now: at,
	})
}
