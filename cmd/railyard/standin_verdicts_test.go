package main

import (
	"encoding/json"
	"net/http"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
	"railyard/server/api"
)

// looks are two at roll r-1: its 5xx rate was good, then bad.
func looks() []rollmon.Look {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	ratio := fleet.Indicator{Name: "5xx", Class: fleet.ClassApp, Hard: true, Ratio: &fleet.RatioIndicator{Failures: "f", Attempts: "a", Limit: 1, MinAttempts: 20}}
	var all []rollmon.Look
	for second, failures := range []float64{0, 60} {
		r := rollmon.Record{
			Question: verdict.Question{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Roll: "r-1", Stage: "baking", Exposed: []string{"hotel-api-1"},
				Control: []string{"hotel-api-2"}, Since: at},
			Indicators: []fleet.Indicator{ratio},
			Samples: rollmon.Samples{"5xx": {Source: "prometheus", Servers: map[string]rollmon.Sample{
				"hotel-api-1": {Count: &rollmon.Count{Failures: failures, Attempts: 2000}}, "hotel-api-2": {Count: &rollmon.Count{Attempts: 4000}}}}},
			At: at.Add(time.Duration(second+1) * time.Minute),
		}
		all = append(all, rollmon.Look{Record: r, Verdict: r.Judge(), Turned: true})
	}
	all[0], all[1] = all[1], all[0]
	return all
}

func listLooks(*http.Request) (any, error) { return looks(), nil }

func (s *standIn) listVerdicts(r *http.Request) (any, error) {
	if id := r.PathValue("coach"); id != coachID {
		return nil, notFound("coach", id)
	}
	at := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	out := api.Verdicts{
		People: []api.EnteredVerdict{{Environment: "UAT", Actor: "person:lin", Pass: true, Reason: "booked a room", At: at}},
		Rolls:  []api.RollVerdicts{{Roll: "r-1", Environment: "PROD", Pool: "hotel-api", Stage: "rolled_back"}},
	}
	for _, l := range looks() {
		v := api.Verdict{Outcome: api.VerdictOutcome(l.Verdict.Outcome), Reason: l.Verdict.Reason, At: l.Verdict.At, Stage: l.Verdict.Stage}
		for _, f := range l.Verdict.Findings {
			v.Findings = append(v.Findings, api.Finding{Indicator: f.Indicator, Server: &f.Server, Outcome: string(f.Outcome), Value: &f.Value, Limit: &f.Limit,
				Baseline: f.Baseline, Samples: &f.Samples, P: f.P, Reason: "in words"})
		}
		out.Rolls[0].Verdicts = append(out.Rolls[0].Verdicts, v)
	}
	return out, nil
}

func (s *standIn) enterVerdict(r *http.Request) (any, error) {
	var body api.EnterVerdictJSONRequestBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, refusal{400, api.Invalid, err.Error()}
	}
	said := api.EnteredVerdict{Environment: "FAT", Actor: "person:lin", Pass: body.Pass, Reason: body.Reason, At: time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)}
	if body.Environment != nil {
		said.Environment = *body.Environment
	}
	return said, nil
}
