//go:build linux

package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"railyard/internal/demo/apps"
	"railyard/server/api"
)

// Journey is what became of the Train of the story.
type Journey struct {
	Train          string            `json:"train"`
	State          string            `json:"state"` // "returned"
	Verdict        string            `json:"verdict"`
	Plan           string            `json:"plan"`    // digest of the plan that was looked at, and ran
	Planned        []string          `json:"planned"` // the pools of PROD, wave by wave: "jobws", or "a + b"
	Forward        []string          `json:"forward"` // the pools of PROD that were rolled, in the order in which their rolls began
	Failed         string            `json:"failed"`  // the pool whose roll came back by itself
	Back           []string          `json:"back"`    // the pools that were taken back, in their order
	Kept           []string          `json:"kept"`    // the pools that keep what they got: a migration is backward compatible, so nothing is undone
	Riders         map[string]string `json:"riders"`  // application → how its Coach ended
	Job            string            `json:"job"`     // how its job ended in Jenkins: "FAILURE"
	Seconds        float64           `json:"seconds"` // from departure to the end
	Requests       int64             `json:"requests"`
	FailedRequests int64             `json:"failed_requests"`
}

const (
	line         = "hotel-line"
	trainVersion = "2.0.0"
)

// travel lets the talk's example travel as a Train: a database object, web resources, JobWS → public API → hotel API → hotel APP.
// Its third wave in production fails, and everything comes back in the reverse order.
func (t *teller) travel(ctx context.Context) (Journey, error) {
	t.say("")
	t.say("4. A Train. A database object, web resources and all four applications travel together, version " + trainVersion + ": one plan, UAT, then PROD.")
	t.say("  JobWS " + trainVersion + " falls ill after a while in production, which no test sees. It is the third wave. Everything should come back, the last wave\n  first; only the migration stays, because it is backward compatible.")
	train, err := t.createTrain(ctx)
	if err != nil {
		return Journey{}, err
	}
	var coaches []api.Coach
	for _, app := range apps.Names() {
		c := chapter{app: app, options: apps.Options{Version: trainVersion, SickInProduction: app == apps.JobWS, Plan: trainPlan(app)}}
		coach, _, err := t.start(ctx, c)
		if err != nil {
			return Journey{}, err
		}
		coaches = append(coaches, coach)
	}
	if train, err = t.untilTrain(ctx, train, "every Coach is aboard", func(train api.Train) bool {
		return train.Plan != nil && len(train.Riders) == len(coaches) && !slices.ContainsFunc(train.Riders, func(r api.Rider) bool { return r.State != "ready" })
	}); err != nil {
		return Journey{}, err
	}
	journey := Journey{Train: train.Id, Plan: deref(train.Plan)}
	if journey.Planned, err = t.showPlan(ctx, train.Id); err != nil {
		return journey, err
	}
	from := time.Now()
	depart := api.CommandTrainJSONRequestBody{Command: "depart", Plan: train.Plan, Reason: "the plan was looked at"}
	if answer, err := t.yard.API.CommandTrainWithResponse(ctx, train.Id, depart); err != nil || answer.StatusCode() != http.StatusAccepted {
		return journey, fmt.Errorf("let Train %s depart: %w %s", train.Id, err, bodyOf(answer))
	}
	if train, err = t.untilTrain(ctx, train, "it has ended", func(train api.Train) bool { return train.Ended }); err != nil {
		return journey, err
	}
	select { // the counters of a second are complete when it is over
	case <-time.After(time.Second):
	case <-ctx.Done():
		return journey, ctx.Err()
	}
	totals := t.yard.Load.Window(from, time.Now())
	journey.Seconds, journey.Requests, journey.FailedRequests = seconds(time.Since(from)), totals.Requests, totals.Failed
	journey.sum(train)
	if journey.Job, err = t.jobOf(ctx, train); err != nil {
		return journey, err
	}
	t.say(fmt.Sprintf("%-14s %s. There: %s. Failed: %s. Back: %s. Kept: %s. Its job in Jenkins: %s. %d requests, %d failed.", train.Id, strings.ToUpper(train.State), strings.Join(journey.Forward, ", "),
		journey.Failed, strings.Join(journey.Back, ", "), strings.Join(journey.Kept, ", "), journey.Job, journey.Requests, journey.FailedRequests))
	return journey, nil
}

// jobOf waits for the end of the Train's job, and returns Jenkins' result.
func (t *teller) jobOf(ctx context.Context, train api.Train) (result string, err error) {
	if train.Job == nil || train.Job.Url == nil {
		return "", fmt.Errorf("Train %s has no job in Jenkins: %w", train.Id, ErrUnexpected)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("the job of Train %s did not end: %w", train.Id, ErrUnexpected))
	defer cancel()
	for {
		var build struct{ Result string }
		if err := getJSON(ctx, *train.Job.Url+"api/json?tree=result", &build); err != nil {
			return "", fmt.Errorf("look at the job of Train %s: %w", train.Id, err)
		}
		if build.Result != "" {
			return build.Result, nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

func getJSON(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %w", url, answer.Status, ErrUnexpected)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

func bodyOf(answer *api.CommandTrainResponse) []byte {
	if answer == nil {
		return nil
	}
	return answer.Body
}

// sum reads the order of production from the Train's rolls, which are in the order in which they were made.
func (j *Journey) sum(train api.Train) {
	j.State, j.Verdict, j.Riders = train.State, deref(train.Verdict), map[string]string{}
	for _, r := range train.Rolls {
		switch {
		case r.Environment != "PROD":
		case r.Back:
			j.Back = append(j.Back, r.Pool)
		default:
			j.Forward = append(j.Forward, r.Pool)
			switch r.Stage {
			case "rolled_back":
				j.Failed = r.Pool
			case "done":
				j.Kept = append(j.Kept, r.Pool)
			}
		}
	}
	j.Kept = slices.DeleteFunc(j.Kept, func(pool string) bool { return slices.Contains(j.Back, pool) })
	for _, r := range train.Riders {
		app, _, _ := strings.Cut(r.Coach, ".")
		j.Riders[app[:strings.LastIndexByte(app, '-')]] = r.State
	}
}

// expected says what is wrong with the journey; nil when it went as it should.
func (j Journey) expected() error {
	want := Journey{State: "returned", Forward: []string{apps.HotelDB, apps.HotelWeb, apps.JobWS}, Failed: apps.JobWS,
		Back: []string{apps.HotelWeb}, Kept: []string{apps.HotelDB}}
	switch {
	case j.State != want.State:
		return fmt.Errorf("Train %s %s instead of %s (%s): %w", j.Train, j.State, want.State, j.Verdict, ErrUnexpected)
	case !slices.Equal(j.Forward, want.Forward) || j.Failed != want.Failed || !slices.Equal(j.Back, want.Back) || !slices.Equal(j.Kept, want.Kept):
		return fmt.Errorf("Train %s went %v, failed at %s, came back %v and kept %v; expected %v, %s, %v and %v: %w", j.Train, j.Forward, j.Failed,
			j.Back, j.Kept, want.Forward, want.Failed, want.Back, want.Kept, ErrUnexpected)
	case j.Job != "FAILURE":
		return fmt.Errorf("the job of Train %s ended %s in Jenkins; expected FAILURE, as the Train returned: %w", j.Train, j.Job, ErrUnexpected)
	case j.FailedRequests > 0:
		return fmt.Errorf("Train %s: %d of %d requests failed: %w", j.Train, j.FailedRequests, j.Requests, ErrUnexpected)
	}
	return nil
}

func (t *teller) createTrain(ctx context.Context) (api.Train, error) {
	policy := api.CreateTrainJSONBodyPolicy("train")
	answer, err := t.yard.API.CreateTrainWithResponse(ctx, api.CreateTrainJSONRequestBody{Line: line, Sbu: "hotel", Policy: &policy, Reason: "the release of the season"})
	switch {
	case err != nil:
		return api.Train{}, err
	case answer.JSON201 == nil:
		return api.Train{}, fmt.Errorf("create a Train: %s", answer.Body)
	}
	t.say(fmt.Sprintf("%-14s is open. Whoever's plan says train: %s boards it.", answer.JSON201.Id, line))
	return *answer.JSON201, nil
}

// untilTrain prints what happens to a Train until something holds of it.
func (t *teller) untilTrain(ctx context.Context, train api.Train, what string, holds func(api.Train) bool) (api.Train, error) {
	limit, cancel := context.WithTimeoutCause(ctx, 8*time.Minute, errors.New("it took more than eight minutes until "+what))
	defer cancel()
	shown, wait := "", 20
	for {
		if words := strings.TrimSpace(train.State+" "+deref(train.Environment)) + ": " + train.Reason; words != shown {
			t.say(fmt.Sprintf("%-14s %s", train.Id, words))
			shown = words
		}
		if holds(train) {
			return train, nil
		}
		than := train.Progress
		answer, err := t.yard.API.GetTrainWithResponse(limit, train.Id, &api.GetTrainParams{Wait: &wait, Than: &than})
		switch {
		case limit.Err() != nil:
			return train, fmt.Errorf("follow Train %s (%s): %w", train.Id, train.Reason, context.Cause(limit))
		case err != nil:
			return train, fmt.Errorf("follow Train %s: %w", train.Id, err)
		case answer.JSON200 == nil:
			return train, fmt.Errorf("follow Train %s: %s", train.Id, answer.Body)
		}
		if train = *answer.JSON200; train.Ended && !holds(train) {
			return train, fmt.Errorf("Train %s has ended (%s) before %s: %w", train.Id, train.Reason, what, ErrUnexpected)
		}
	}
}

// showPlan prints what railyard plan shows, in short, and returns the waves of production.
func (t *teller) showPlan(ctx context.Context, train string) (waves []string, err error) {
	answer, err := t.yard.API.PreviewTrainWithResponse(ctx, train)
	switch {
	case err != nil:
		return nil, err
	case answer.JSON200 == nil:
		return nil, fmt.Errorf("plan of %s: %s", train, answer.Body)
	}
	p := *answer.JSON200
	t.say(fmt.Sprintf("%-14s railyard plan %s: plan %s, policy %s", train, train, deref(p.Plan), p.Policy))
	for _, leg := range p.Environments {
		if leg.Environment != "PROD" {
			continue
		}
		for _, child := range leg.Children {
			for i, w := range child.Waves {
				var pools []string
				for _, s := range w.Stops {
					pools = append(pools, s.Pool)
					t.say(fmt.Sprintf("  wave %d  %-10s %d servers, batches %v, at least %d stay up, about %d s", i+1, s.Pool, s.Servers, s.Batches, s.MinUp, s.Seconds))
				}
				waves = append(waves, strings.Join(pools, " + "))
			}
		}
	}
	return waves, nil
}

// trainPlan is the plan of an application that boards the line. The page needs the new API, which travels with it.
func trainPlan(app string) string {
	text := plan(app, trainVersion) + "train: " + line + "\n"
	switch app {
	case apps.HotelApp:
		text += "requires: [{app: hotel-api, version: \">=2.0.0\"}]\n"
	case apps.HotelDB:
		text += databasePlan
	}
	return text
}

// databasePlan is what the plan of a database object must say.
const databasePlan = "resources: {database: [{app: hotel-db, backward_compatible: true}]}\n"
