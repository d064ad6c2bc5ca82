package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/internal/verdict"
	"railyard/server/api"
)

// This file words the domain in the contract's types. Nothing is decided here.

// value is what an optional field says, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

func orDefault[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// optional leaves a zero value out.
func optional[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func eventOf(e event.Event) api.Event {
	return api.Event{Id: e.ID, At: e.At, Actor: e.Actor, Object: e.Object, What: e.What, Why: e.Why, From: optional(e.From),
		To: optional(e.To), Server: optional(e.Server), Coach: optional(e.Coach)}
}

func coachOf(c rop.Coach, rolls []roller.Roll) api.Coach {
	out := api.Coach{
		Id: c.ID, Project: c.Project, Series: c.Series, Candidate: c.Candidate, Sbu: c.SBU, Repository: c.Repository, Branch: c.Branch,
		Commit: c.Commit, Subject: optional(c.Subject), Author: c.Author, Version: optional(c.Plan.Version), Created: c.Created,
		State: string(c.State), Environment: optional(c.Environment), Reason: c.Reason, Verdict: optional(c.Verdict), Train: optional(c.Train), Ended: c.State.Terminal(),
		Builds: []api.Build{}, Rolls: []api.Roll{}, Stages: []api.Stage{},
	}
	for _, b := range c.Builds {
		out.Builds = append(out.Builds, buildOf(b))
	}
	for _, st := range c.Stages {
		out.Stages = append(out.Stages, api.Stage{Name: st.Name, Start: st.Start, End: moment(st.End)})
	}
	out.Plan = planOf(c)
	if a := c.Approval; a != nil {
		out.Approval = &api.Approval{Actor: a.Actor, At: a.At, Reason: a.Reason}
	}
	if out.Ended {
		out.Progress = progress(out) // the same with and without its rolls: a list leaves them out
	}
	for _, r := range rolls {
		out.Rolls = append(out.Rolls, rollOf(r))
	}
	if !out.Ended {
		out.Progress = progress(out)
	}
	return out
}

// progress names what a Coach or a Train looks like: the same text for the same look.
func progress[T api.Coach | api.Train](c T) string {
	body, err := json.Marshal(c)
	if err != nil {
		return err.Error() // numbers that JSON has not; then it does not change, and polls fall back to their wait
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}

func rollOf(r roller.Roll) api.Roll {
	out := api.Roll{
		Id: r.ID, Kind: string(r.Kind), Coach: optional(r.Coach), Environment: r.Site.Environment, Pool: r.Site.Pool, Stage: string(r.Stage),
		Batch: r.Batch, Batches: r.Batches, MinUp: r.MinUp, From: optional(r.From.ID), To: optional(r.To.ID), Reason: r.Reason,
		Ended: r.Stage.Terminal(), Verdict: verdictOf(r.Verdict), Targets: []api.Target{},
	}
	if p := r.Pause; p != nil {
		out.Pause = &api.Pause{Cause: string(p.Cause), Reason: p.Reason, By: p.By, Since: p.Since}
	}
	for _, t := range r.Targets {
		out.Targets = append(out.Targets, api.Target{Server: t.Server, Batch: t.Batch, State: string(t.State), Step: optional(string(t.Step)),
			Touched: t.Touched, Exposed: t.Exposed, Note: optional(t.Note)})
	}
	return out
}

func verdictOf(v *verdict.Verdict) *api.Verdict {
	if v == nil {
		return nil
	}
	out := api.Verdict{Outcome: api.VerdictOutcome(v.Outcome), Reason: v.Reason, At: v.At, Stage: v.Stage, Batch: v.Batch, Findings: []api.Finding{}, Left: optional(v.Left)}
	for _, f := range v.Findings {
		out.Findings = append(out.Findings, api.Finding{Indicator: f.Indicator, Server: optional(f.Server), Outcome: string(f.Outcome),
			Value: finite(&f.Value), Limit: finite(&f.Limit), Baseline: finite(f.Baseline), Before: finite(f.Before), Samples: optional(f.Samples),
			Test: optional(f.Test), P: finite(f.P), Level: finite(f.Level), Effect: finite(f.Effect), Weight: optional(f.Weight), Reason: f.Reason})
	}
	return &out
}

func buildOf(b rop.Build) api.Build {
	return api.Build{App: b.App, Deployment: b.Deployment, State: string(b.State), Job: b.Job,
		Number: optional(b.Number), Url: optional(b.URL), Package: optional(b.Package), Note: optional(b.Note), Queued: moment(b.Queued)}
}

// finite leaves out numbers that JSON has not.
func finite(v *float64) *float64 {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return nil
	}
	return v
}

// siteFacts is everything about a site that is shown.
type siteFacts struct {
	info  fleet.SiteInfo
	state store.SiteState
	roll  *roller.Roll // the one that holds it or waits for it; nil = none
	look  SiteLook
	drift []roller.Difference
}

func siteOf(f siteFacts) api.Site {
	out := api.Site{
		Environment: f.info.Ref.Environment, Pool: f.info.Ref.Pool, Sbu: f.info.Pool.SBU, Revision: optional(f.state.Revision.ID),
		Version: optional(versions(f.state.Revision.Apps)), Problem: optional(f.look.Problem), Servers: []api.Server{},
	}
	releases := slices.Clone(f.state.Revision.Apps)
	if r := f.roll; r != nil {
		out.Roll, out.Stage = &r.ID, optional(string(r.Stage))
		releases = slices.Concat(releases, r.To.Apps, r.From.Apps)
	}
	if f.state.Lock == nil && len(f.drift) > 0 {
		out.Differences = new(differencesOf(f.drift))
	}
	if l := f.state.Lock; l != nil {
		out.Lock = &api.Lock{Roll: l.Roll, Reason: l.Reason, Until: l.Until}
	}
	for _, server := range f.info.Site.Servers {
		out.Servers = append(out.Servers, serverOf(server, f.look, releases))
	}
	return out
}

func differencesOf(drift []roller.Difference) []api.Difference {
	out := make([]api.Difference, len(drift))
	for i, d := range drift {
		out[i] = api.Difference{Server: optional(d.Server), Kind: string(d.Kind), Expected: d.Expected, Found: d.Found, Since: d.Since,
			Mendable: d.Mendable()}
	}
	return out
}

func serverOf(server fleet.Server, look SiteLook, releases []roller.AppRelease) api.Server {
	out := api.Server{Name: server.Name, Address: server.Address, Smoke: server.Smoke, Rotation: api.Unknown}
	if host, ok := look.Hosts[server.Name]; ok {
		out.Known = optional(true)
		out.Version = optional(runs(host, releases))
		if !look.Balanced { // nothing pulls it out or in: it works when it runs
			out.Rotation = api.Down
			if len(host.Running) > 0 {
				out.Rotation = api.In
			}
		}
	}
	if m, ok := look.Members[server.Name]; ok {
		out.Rotation, out.Weight = rotation(m), &m.Weight
	}
	return out
}

// rotation is one word for what a balancer says. Somebody's maintenance comes first: it is theirs, whatever our flag says.
func rotation(m roller.Member) api.ServerRotation {
	switch {
	case m.Foreign:
		return api.Maintenance
	case !m.Up:
		return api.Down
	case m.Weight == 0:
		return api.Out
	}
	return api.In
}

// runs words what a machine runs: the version of each app that is known by its release name, else that name.
func runs(host roller.HostState, releases []roller.AppRelease) string {
	running := make([]roller.AppRelease, 0, len(host.Running))
	for app, name := range host.Running {
		release := roller.AppRelease{App: app, Version: name}
		for _, known := range releases {
			if known.App == app && known.Name() == name && known.Version != "" {
				release.Version = known.Version
			}
		}
		running = append(running, release)
	}
	return versions(running)
}

// versions words the versions of a pool's apps: "1.4.2", or "hotel-api 1.4.2, hotel-web 2.0.0" where there are several.
func versions(apps []roller.AppRelease) string {
	if len(apps) == 1 {
		return apps[0].Version
	}
	apps = slices.Clone(apps)
	slices.SortFunc(apps, func(a, b roller.AppRelease) int { return cmp.Compare(a.App, b.App) })
	words := make([]string, len(apps))
	for i, a := range apps {
		words[i] = a.App + " " + a.Version
	}
	return strings.Join(words, ", ")
}
