package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"railyard/internal/access"
	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/pipeline"
	"railyard/server/api"
)

// PreviewTrain implements the contract.
func (s *Server) PreviewTrain(ctx context.Context, r api.PreviewTrainRequestObject) (api.PreviewTrainResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("train/"+r.Train)); err != nil {
		return nil, err
	}
	preview, err := s.trainPreview(ctx, r.Train)
	return api.PreviewTrain200JSONResponse(preview), err
}

func (s *Server) trainPreview(ctx context.Context, id string) (api.Preview, error) {
	t, err := s.Store.Train(ctx, id)
	if err != nil {
		return api.Preview{}, database(err)
	}
	facts, err := s.Store.TrainFacts(ctx, t)
	if err != nil {
		return api.Preview{}, database(err)
	}
	return s.preview(ctx, func(topology *fleet.Topology, picture pipeline.Picture, bars pipeline.Bars) pipeline.Preview {
		return pipeline.PreviewTrain(t, pipeline.TrainObservation{TrainFacts: facts, Picture: picture, Topology: topology}, bars, s.now())
	})
}

// PreviewCoach implements the contract.
func (s *Server) PreviewCoach(ctx context.Context, r api.PreviewCoachRequestObject) (api.PreviewCoachResponseObject, error) {
	if _, err := s.authorize(ctx, access.Read, nobodys("coach/"+r.Coach)); err != nil {
		return nil, err
	}
	preview, err := s.coachPreview(ctx, r.Coach)
	return api.PreviewCoach200JSONResponse(preview), err
}

func (s *Server) coachPreview(ctx context.Context, id string) (api.Preview, error) {
	c, err := s.Store.Coach(ctx, id)
	if err != nil {
		return api.Preview{}, database(err)
	}
	facts, err := s.Store.Facts(ctx, c)
	if err != nil {
		return api.Preview{}, database(err)
	}
	return s.preview(ctx, func(topology *fleet.Topology, picture pipeline.Picture, bars pipeline.Bars) pipeline.Preview {
		return pipeline.PreviewCoach(c, pipeline.Observation{Facts: facts, Picture: picture, Topology: topology}, bars, s.now())
	})
}

func (s *Server) preview(ctx context.Context, of func(*fleet.Topology, pipeline.Picture, pipeline.Bars) pipeline.Preview) (api.Preview, error) {
	t := s.Topology()
	if t == nil || len(t.Environments) == 0 {
		return api.Preview{}, fmt.Errorf("preview: no topology is applied yet: %w", errConflict)
	}
	picture, err := s.Store.Picture(ctx, s.now())
	if err != nil {
		return api.Preview{}, database(err)
	}
	rows, err := s.Store.Bars(ctx, fleet.SiteRef{}, false)
	if err != nil {
		return api.Preview{}, database(err)
	}
	bars := pipeline.Bars{}
	for _, b := range rows {
		bars[b.Site] = append(bars[b.Site], b.Revision)
	}
	p := of(t, picture, bars)
	var sites []fleet.SiteRef
	if p.Plan != nil {
		sites = sitesOf(*p.Plan)
	}
	history, err := s.Store.Durations(ctx, sites)
	if err != nil {
		return api.Preview{}, database(err)
	}
	return previewOf(p, history), nil
}

func sitesOf(it ar.Itinerary) (sites []fleet.SiteRef) {
	for _, child := range it.Children {
		for _, w := range child.Waves {
			for _, stop := range w.Stops {
				for _, p := range stop.Sites {
					sites = append(sites, fleet.SiteRef{Environment: p.Environment, Pool: stop.Pool})
				}
			}
		}
	}
	return sites
}

func previewOf(p pipeline.Preview, history pipeline.History) api.Preview {
	out := api.Preview{Object: p.Object, Policy: string(p.Policy), Problems: slices.Clone(p.Problems), Coaches: []api.Traveller{},
		Environments: []api.Leg{}, Blockers: []api.Blocker{}}
	if out.Problems == nil {
		out.Problems = []string{}
	}
	for _, b := range p.Blockers {
		out.Blockers = append(out.Blockers, api.Blocker{What: b.What, Who: whoCan(b)})
	}
	for _, c := range p.Behind {
		out.Coaches = append(out.Coaches, travellerOf(c, false, nil))
	}
	if p.Plan == nil {
		return out
	}
	out.Plan, out.Topology = &p.Plan.Digest, optional(p.Plan.Topology)
	for _, c := range p.Plan.Coaches {
		along := slices.DeleteFunc(p.Plan.GoBack(p.Policy, c.ID), func(id string) bool { return id == c.ID })
		out.Coaches = append(out.Coaches, travellerOf(c, true, along))
	}
	slices.SortFunc(out.Coaches, func(a, b api.Traveller) int { return strings.Compare(a.Coach, b.Coach) })
	for _, environment := range environmentsOf(*p.Plan) {
		out.Environments = append(out.Environments, legOf(*p.Plan, environment, history))
	}
	return out
}

func travellerOf(c ar.Coach, leaves bool, along []string) api.Traveller {
	if along == nil {
		along = []string{}
	}
	out := api.Traveller{Coach: c.ID, Sbu: c.SBU, Version: c.Version, Leaves: leaves, TakesAlong: along, Apps: []string{}}
	for app := range c.Packages {
		out.Apps = append(out.Apps, app)
	}
	slices.Sort(out.Apps)
	return out
}

// environmentsOf are those that a plan lays out, in their order.
func environmentsOf(it ar.Itinerary) (names []string) {
	for _, site := range sitesOf(it) {
		if !slices.Contains(names, site.Environment) {
			names = append(names, site.Environment)
		}
	}
	return names
}

func legOf(it ar.Itinerary, environment string, history pipeline.History) api.Leg {
	leg := api.Leg{Environment: environment, Children: []api.LegChild{}}
	for _, c := range it.Children {
		child := api.LegChild{Name: c.Name, Coaches: c.Coaches, Waves: []api.LegWave{}, Back: backOf(c, environment)}
		for _, w := range c.Waves {
			wave := api.LegWave{Stops: []api.LegStop{}}
			for _, stop := range w.Stops {
				if site, ok := stop.Site(environment); ok {
					one := legStopOf(stop, site, history)
					wave.Seconds = max(wave.Seconds, one.Seconds)
					wave.Stops = append(wave.Stops, one)
				}
			}
			if len(wave.Stops) > 0 {
				child.Seconds += wave.Seconds
				child.Waves = append(child.Waves, wave)
			}
		}
		leg.Seconds = max(leg.Seconds, child.Seconds)
		leg.Children = append(leg.Children, child)
	}
	return leg
}

func legStopOf(stop ar.Stop, site ar.SitePlan, history pipeline.History) api.LegStop {
	expected, basis := history.Expect(fleet.SiteRef{Environment: site.Environment, Pool: stop.Pool}, site)
	st := site.Strategy
	out := api.LegStop{
		Pool: stop.Pool, Kind: string(stop.Kind), Servers: site.Servers, Smoke: site.Smoke, Batches: slices.Clone(site.Batches), MinUp: site.MinUp,
		BakingWeight: st.BakingWeight, BakingSeconds: wholeSeconds(st.BakingTime), PauseSeconds: wholeSeconds(st.Pause), WatchSeconds: wholeSeconds(st.Watch),
		Seconds: wholeSeconds(expected), Basis: basis, Changes: []api.PlannedChange{}, Behind: []api.Behind{},
	}
	if out.Batches == nil {
		out.Batches = []int{}
	}
	for _, c := range stop.Changes {
		change := api.PlannedChange{App: c.App, Coach: c.Coach, To: c.Version, Package: optional(c.Package)}
		for _, from := range site.From {
			if from.App == c.App {
				change.From = optional(from.Version)
				if from.Config != "" {
					change.Config = new(from.Config + " → none")
				}
			}
		}
		out.Changes = append(out.Changes, change)
	}
	for _, l := range stop.Behind {
		out.Behind = append(out.Behind, api.Behind{Pool: l.Pool, Why: l.Why})
	}
	return out
}

func wholeSeconds(d time.Duration) int { return int(d.Round(time.Second) / time.Second) }

func backOf(c ar.Child, environment string) [][]api.Return {
	back := [][]api.Return{}
	for _, step := range c.WayBack(environment) {
		var returns []api.Return
		for _, r := range step {
			var to []string
			for _, v := range r.To {
				to = append(to, v.App+" "+v.Version)
			}
			if r.Keeps {
				to = []string{"stays, " + roller.NothingToUndo}
			}
			returns = append(returns, api.Return{Pool: r.Pool, To: strings.Join(to, ", ")})
		}
		back = append(back, returns)
	}
	return back
}

// whoCan words who can remove a blocker: the roles that the rule table gives the right to, and whose they must be.
func whoCan(b pipeline.Blocker) string {
	action, ok := map[pipeline.Need]access.Action{
		pipeline.NeedApprove: access.Approve, pipeline.NeedCouple: access.Couple, pipeline.NeedDepart: access.Depart,
		pipeline.NeedOverride: access.Override, pipeline.NeedClearBar: access.ClearBar, pipeline.NeedTopology: access.ApplyTopology,
	}[b.Need]
	switch {
	case b.Need == pipeline.NeedTime:
		return "nobody: it passes by itself"
	case b.Need == pipeline.NeedPush:
		return "its author, with a push"
	case !ok:
		return "nobody"
	}
	var roles []string
	for _, role := range access.WhoMay(action) {
		roles = append(roles, string(role))
	}
	text := strings.Join(roles, ", ")
	if b.SBU != "" {
		text += " of " + b.SBU
	}
	if b.Need == pipeline.NeedOverride {
		text = "two of: " + text
	}
	return text
}

func dependencyOf(d ar.Dependency) api.Dependency {
	out := api.Dependency{App: d.App, Pool: d.Pool, Version: d.Version, Coach: optional(d.Coach), Before: optional(d.Before), Alone: d.Why == "",
		Why: optional(d.Why), Requires: []string{}, RequiredBy: []api.Dependent{}}
	for _, r := range d.Requires {
		out.Requires = append(out.Requires, r.String())
	}
	for _, by := range d.RequiredBy {
		out.RequiredBy = append(out.RequiredBy, api.Dependent{App: by.App, Version: by.Version, Needs: by.Needs.String(), Met: by.Met})
	}
	return out
}

func trainOf(t pipeline.Train, rolls map[string]pipeline.RollFact) api.Train {
	out := api.Train{
		Id: t.ID, Line: t.Line, Number: t.Number, Sbu: t.SBU, Created: t.Created, By: t.By, Mode: string(t.Mode), At: moment(t.At), Policy: string(t.Policy),
		State: string(t.State), Environment: optional(t.Environment), Reason: t.Reason, Verdict: optional(t.Verdict), Departed: moment(t.Departed),
		Ended: t.State.Terminal(), Confirmed: optional(t.Confirmed), Problems: []string{}, Riders: []api.Rider{}, Rolls: []api.TrainRoll{}, Stages: []api.Stage{},
	}
	if t.Plan != nil {
		out.Plan = &t.Plan.Digest
	}
	out.Problems = append(out.Problems, t.Problems...)
	for _, r := range t.Riders {
		out.Riders = append(out.Riders, api.Rider{Coach: r.Coach, State: string(r.State), Environment: optional(r.Environment), Reason: r.Reason})
	}
	for _, r := range t.Rolls {
		f := rolls[r.ID]
		out.Rolls = append(out.Rolls, api.TrainRoll{Id: r.ID, Environment: r.Environment, Child: r.Child, Wave: r.Wave + 1, Pool: r.Pool, Coaches: r.Coaches,
			Back: r.Return, Stage: string(f.Stage), Reason: f.Reason, Paused: optional(f.Paused)})
	}
	for _, st := range t.Stages {
		out.Stages = append(out.Stages, api.Stage{Name: st.Name, Start: st.Start, End: moment(st.End)})
	}
	for _, b := range t.Jobs() {
		out.Job = new(buildOf(b))
	}
	out.Progress = progress(out)
	return out
}
