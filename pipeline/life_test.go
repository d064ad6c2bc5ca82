package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// yard is a virtual Railyard around one Coach: it stores what is saved, and lets Jenkins, the rolls and people be played.
type yard struct {
	t     *testing.T
	now   time.Time
	coach rop.Coach
	obs   Observation
	rolls []roller.Roll
	order []roller.Command
	acts  []Action
	kept  bool // Jenkins was asked to keep a build
	saves int

	reserved []rop.Reserved
	freed    []Release
	events   []event.Event

	seat SeatChange     // the last one
	used []ar.QuotaTake // by everything that entered
}

// tellings lists the events of a kind with who made them.
func (y *yard) tellings(prefix string) (lines []string) {
	for _, e := range y.events {
		if strings.HasPrefix(e.What, prefix) {
			lines = append(lines, e.What+" "+e.Actor)
		}
	}
	return lines
}

// why is what the last event of a kind says.
func (y *yard) why(what string) (text string) {
	for _, e := range y.events {
		if e.What == what {
			text = e.Why
		}
	}
	return text
}

func topology() *fleet.Topology {
	pool := func(name string, after ...string) fleet.Pool {
		p := fleet.Pool{Name: name, SBU: "hotel", After: after}
		for _, env := range []string{"FAT", "UAT", "PROD"} {
			p.Sites = append(p.Sites, fleet.Site{
				Environment: env, Balancer: fleet.Balancer{Driver: "haproxy"},
				Servers: []fleet.Server{{Name: name + "-1", Address: "127.0.0.1:1"}},
			})
		}
		return p
	}
	return &fleet.Topology{
		Environments: []fleet.Environment{{Name: "FAT"}, {Name: "UAT"}, {Name: "PROD", Production: true}},
		SBUs:         []fleet.SBU{{Name: "hotel"}, {Name: "flight"}},
		Repositories: []fleet.Repository{{Name: "hotel"}},
		Capacities:   []fleet.Capacity{{Name: "standard", Servers: 10}},
		Apps: []fleet.App{
			{Name: "hotel-api", Kind: fleet.KindAPI, SBU: "hotel", Pool: "hotel-api", Repository: "hotel"},
			{Name: "hotel-app", Kind: fleet.KindApp, SBU: "hotel", Pool: "hotel-app", Repository: "hotel"},
		},
		Pools:     []fleet.Pool{pool("hotel-api"), pool("hotel-app", "hotel-api")},
		Approvals: []fleet.ApprovalPolicy{{SBU: "hotel"}},
	}
}

// newYard has a Coach with two apps in two pools, one after the other, that was just created.
func newYard(t *testing.T) *yard {
	now := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	build := func(app string) rop.Build {
		return rop.Build{
			App: app, Attempt: 1, Deployment: rop.DeploymentID("hotel-1.1", app, 1), State: rop.BuildWanted, Controller: "main", Job: "deliver/" + app,
		}
	}
	return &yard{
		t: t, now: now,
		coach: rop.Coach{
			ID: "hotel-1.1", Project: "hotel", Series: 1, Candidate: 1, SBU: "hotel", Author: "dev", Created: now, State: rop.Building,
			Repository: "hotel", PlanDigest: "sha256:plan", Plan: rop.Plan{Project: "hotel", SBU: "hotel", Version: "1.4.2", Apps: []string{"hotel-api", "hotel-app"}},
			Waves: []rop.Wave{
				{Pools: []rop.PoolCoach{{Pool: "hotel-api", Apps: []string{"hotel-api"}}}},
				{Pools: []rop.PoolCoach{{Pool: "hotel-app", Apps: []string{"hotel-app"}}}},
			},
			Builds: []rop.Build{build("hotel-api"), build("hotel-app")},
			Stages: []rop.StageTime{{Name: "build", Start: now}},
			ROP:    rop.PlanStatus{State: rop.PlanDraft, Since: now},
		},
		obs: Observation{
			Facts:    Facts{Packages: map[string]Package{}, Begun: map[string]Begun{}, Rolls: map[string]RollFact{}},
			JobFacts: noJobs(),
			Topology: topology(),
		},
	}
}

// noJobs is when nothing was asked of Jenkins yet.
func noJobs() JobFacts {
	return JobFacts{Builds: map[string]BuildFact{}, Triggered: map[string]Triggered{}, Told: map[string]Telling{}, Woken: map[string]Waking{}}
}

// step decides, saves and remembers; it takes a second.
func (y *yard) step() Decision {
	d := Decide(y.coach, y.obs, y.now)
	if d.Changed {
		y.saves++
		if c := d.Save.Seat; c != nil {
			y.seat, y.obs.Seat = *c, nil
			if c.Take {
				y.obs.Seat = &Seat{Coach: y.coach.ID, Train: c.Train, State: RiderCoupled}
			}
		}
		y.used = append(y.used, d.Save.Use...)
		y.events = append(y.events, d.Save.Events...)
		y.coach = d.Coach
		y.rolls = append(y.rolls, d.Save.NewRolls...)
		y.order = append(y.order, d.Save.RollCommands...)
		if d.Save.Reserve != nil {
			y.reserved = append(y.reserved, *d.Save.Reserve)
		}
		if d.Save.Release != nil {
			y.freed = append(y.freed, *d.Save.Release)
		}
		for _, r := range d.Save.NewRolls {
			y.obs.Rolls[r.ID] = RollFact{ID: r.ID, Stage: roller.Queued}
		}
		if len(d.Save.Handled) > 0 {
			y.obs.Commands = nil
		}
	}
	y.acts = append(y.acts, d.Actions...)
	y.now = y.now.Add(time.Second)
	return d
}

func (y *yard) steps(n int) *yard {
	for range n {
		y.step()
	}
	return y
}

// jenkins lets Jenkins take every trigger, every description and every wake-up.
func (y *yard) jenkins() *yard {
	y.kept = y.obs.answer(y.acts, y.now) || y.kept
	y.acts = nil
	return y
}

// answer is a Jenkins that does what it is asked. It reports whether a build is to be kept.
func (f JobFacts) answer(acts []Action, now time.Time) (kept bool) {
	for _, a := range acts {
		switch a.Kind {
		case ActTrigger, ActEnsure:
			f.Triggered[a.Build.Deployment] = Triggered{At: now, QueueID: 7}
			f.Builds[a.Build.Deployment] = BuildFact{Known: true, QueueID: 7, Number: 12, URL: "http://jenkins/12", Running: true}
		case ActTell:
			f.Told[a.Build.Deployment] = Telling{At: now, Text: a.Text}
			kept = kept || a.Keep
		case ActWake:
			f.Woken[a.Build.Deployment] = Waking{At: now, Milepost: a.Text, Tries: 1, Settled: true}
		}
	}
	return kept
}

// publish lets every build publish its package.
func (y *yard) publish() *yard {
	y.steps(2).jenkins().steps(2)
	for _, b := range y.coach.Builds {
		y.obs.Packages[b.Deployment] = Package{Deployment: b.Deployment, App: b.App, Digest: "sha256:" + b.App}
	}
	return y.steps(3)
}

// end lets all unfinished rolls end in a stage.
func (y *yard) end(stage roller.Stage) *yard {
	for id, f := range y.obs.Rolls {
		if !f.Stage.Terminal() {
			f.Stage, f.Reason = stage, "so it ended"
			f.To = roller.Revision{ID: "new"}
			f.From = roller.NewRevision(roller.AppRelease{App: "x", Package: "sha256:old"})
			y.obs.Rolls[id] = f
		}
	}
	return y.steps(3)
}

func want[T any](t *testing.T, got, expected T) {
	t.Helper()
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("-expected +got:\n%s", diff)
	}
}

func (y *yard) is(state rop.State, environment string) *yard {
	y.t.Helper()
	want(y.t, string(y.coach.State)+" "+y.coach.Environment, string(state)+" "+environment)
	return y
}

func (y *yard) rollIDs() (ids []string) {
	for _, r := range y.rolls {
		ids = append(ids, r.ID)
	}
	return ids
}

// releasedEverywhere lets the Coach be released.
func (y *yard) releasedEverywhere() *yard {
	y.publish()
	for range 6 {
		y.end(roller.Done)
	}
	return y.is(rop.Released, "PROD")
}

// ask gives the Coach one order of a person, and lets it decide.
func (y *yard) ask(kind CommandKind) {
	y.obs.Commands = []Command{{ID: 1, Kind: kind, Actor: "person:eng", Reason: "wrong prices"}}
	y.step()
}

// backRolls are the rolls that take completed ones back, in the order in which they were made.
func (y *yard) backRolls() (ids []string) {
	for _, r := range y.rolls {
		if r.Kind == roller.Rollback {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// told is why the last event happened.
func (y *yard) told() string { return y.events[len(y.events)-1].Why }

func TestLifeOfACoach(t *testing.T) {
	rules := []struct {
		rule string
		run  func(y *yard)
	}{
		{"a good Coach goes FAT, approval, UAT, PROD, wave by wave, and is released", func(y *yard) {
			y.publish().is(rop.Delivering, "FAT").end(roller.Done).end(roller.Done)
			y.is(rop.Delivering, "UAT").end(roller.Done).end(roller.Done)
			y.is(rop.Delivering, "PROD").end(roller.Done).end(roller.Done).is(rop.Released, "PROD")
			want(y.t, y.rollIDs(), []string{
				"hotel-1.1-FAT-hotel-api", "hotel-1.1-FAT-hotel-app", "hotel-1.1-UAT-hotel-api", "hotel-1.1-UAT-hotel-app",
				"hotel-1.1-PROD-hotel-api", "hotel-1.1-PROD-hotel-app",
			})
			y.jenkins().steps(2)
			want(y.t, y.coach.Closed, true)
		}},
		{"a wave starts only when the one before has rolled", func(y *yard) {
			y.publish().steps(5)
			want(y.t, y.rollIDs(), []string{"hotel-1.1-FAT-hotel-api"})
		}},
		{"every environment gets the same bytes", func(y *yard) {
			y.publish().end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done)
			for _, r := range y.rolls {
				want(y.t, r.Changes[0].Package, "sha256:"+r.Changes[0].App)
			}
		}},
		{"what the plan asks of indicators goes along to every roll", func(y *yard) {
			y.coach.Plan.Indicators = []fleet.Override{{Indicator: "5xx", Limit: new(0.5)}}
			y.publish().end(roller.Done).end(roller.Done)
			want(y.t, len(y.rolls), 3)
			for _, r := range y.rolls {
				want(y.t, *r.Stricter[0].Limit, 0.5)
			}
		}},
		{"what fails in FAT never reaches UAT", func(y *yard) {
			y.publish().end(roller.RolledBack).is(rop.Stopped, "FAT")
			want(y.t, len(y.rolls), 1)
		}},
		{"a production roll that came back ends the Coach rolled back", func(y *yard) {
			y.publish().end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done)
			y.end(roller.RolledBack).is(rop.RolledBack, "PROD")
			want(y.t, y.coach.Verdict, "so it ended")
		}},
		{"when a later production wave comes back, the waves before it follow in reverse order", func(y *yard) {
			y.publish().end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done)
			y.end(roller.Done).end(roller.RolledBack).is(rop.Returning, "PROD")
			want(y.t, y.rolls[len(y.rolls)-1].ID, "hotel-1.1-PROD-hotel-api-back")
			want(y.t, y.rolls[len(y.rolls)-1].To.Apps[0].Package, "sha256:old")
			y.end(roller.Done).is(rop.RolledBack, "PROD")
		}},
		{"a newer candidate supersedes one that has not reached production", func(y *yard) {
			y.publish()
			y.obs.Newer = "hotel-1.2"
			y.step()
			y.is(rop.Superseded, "FAT")
		}},
		{"a candidate in production is finished, not superseded", func(y *yard) {
			y.publish().end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done).is(rop.Delivering, "PROD")
			y.obs.Newer = "hotel-1.2"
			y.steps(2).is(rop.Delivering, "PROD")
		}},
		{"without a policy the plan waits for a person", func(y *yard) {
			y.obs.Topology.Approvals = nil
			y.publish().end(roller.Done).end(roller.Done).is(rop.AwaitingApproval, "FAT")
			y.steps(5).is(rop.AwaitingApproval, "FAT")
		}},
		{"an approval counts for the plan and packages it was given for, and not from the author", func(y *yard) {
			y.obs.Topology.Approvals = nil
			packages := map[string]string{"hotel-api": "sha256:hotel-api", "hotel-app": "sha256:hotel-app"}
			y.obs.Approvals = []rop.Approval{
				{Actor: "person:dev", Plan: "sha256:plan", Packages: packages},
				{Actor: "person:eng", Plan: "sha256:another", Packages: packages},
				{Actor: "person:eng", Plan: "sha256:plan", Packages: map[string]string{"hotel-api": "sha256:x"}},
			}
			y.publish().end(roller.Done).end(roller.Done).is(rop.AwaitingApproval, "FAT")
			y.obs.Approvals = append(y.obs.Approvals, rop.Approval{Actor: "person:eng", Plan: "sha256:plan", Packages: packages})
			y.steps(1).is(rop.Delivering, "UAT")
			want(y.t, y.coach.Approval.Actor, "person:eng")
		}},
		{"a build that ends without a package fails the Coach, with the build's address", func(y *yard) {
			y.steps(2).jenkins().steps(2)
			for d, f := range y.obs.Builds {
				f.Running, f.Done, f.Result = false, true, "FAILURE"
				y.obs.Builds[d] = f
			}
			y.step()
			y.is(rop.Failed, "")
			want(y.t, strings.Contains(y.coach.Reason, "http://jenkins/12"), true)
		}},
		{"a build is triggered once, and after a lost reply Jenkins is asked first", func(y *yard) {
			y.step()
			want(y.t, []ActionKind{y.acts[0].Kind, y.acts[1].Kind}, []ActionKind{ActTrigger, ActTrigger})
			y.acts = nil
			for _, b := range y.coach.Builds {
				y.obs.Triggered[b.Deployment] = Triggered{At: y.now, Err: "connection reset"}
			}
			y.steps(5)
			for _, a := range y.acts {
				want(y.t, a.Kind, ActEnsure)
			}
			want(y.t, y.coach.State, rop.Building)
		}},
		{"after a crash between save and trigger Jenkins is asked before it is triggered", func(y *yard) {
			y.step()
			y.acts, y.obs.Triggered = nil, map[string]Triggered{}
			y.step()
			want(y.t, y.acts[0].Kind, ActEnsure)
		}},
		{"a Jenkins that refuses twice fails the Coach with what it said", func(y *yard) {
			y.step()
			for range 6 {
				for _, b := range y.coach.Builds {
					y.obs.Triggered[b.Deployment] = Triggered{At: y.now, Err: "job deliver/hotel-api is disabled", Refused: true}
				}
				y.step()
			}
			y.is(rop.Failed, "")
			want(y.t, strings.Contains(y.coach.Reason, "disabled"), true)
		}},
		{"a Jenkins that lost its queue is asked again with the same deployment id", func(y *yard) {
			y.steps(1)
			for _, b := range y.coach.Builds {
				y.obs.Triggered[b.Deployment] = Triggered{At: y.now, QueueID: 7}
			}
			y.steps(2)
			want(y.t, y.coach.Builds[0].State, rop.BuildQueued)
			for _, b := range y.coach.Builds {
				y.obs.Builds[b.Deployment] = BuildFact{}
			}
			y.acts = nil
			y.steps(30)
			want(y.t, y.acts[0].Kind, ActEnsure)
			want(y.t, y.acts[0].Build.Deployment, "hotel-1.1-hotel-api-a1")
		}},
		{"a revoked Coach waits for its rolls to come back", func(y *yard) {
			y.publish()
			y.obs.Commands = []Command{{ID: 1, Kind: CmdRevoke, Actor: "person:eng", Reason: "wrong branch"}}
			y.step()
			want(y.t, y.order[0].Kind, roller.CmdRevoke)
			y.is(rop.Delivering, "FAT").end(roller.RolledBack).is(rop.Revoked, "FAT")
		}},
		{"a person takes a released Coach back, dependents first, and what it brought is barred", func(y *yard) {
			y.releasedEverywhere().jenkins().steps(2)
			want(y.t, y.coach.Closed, true)
			y.ask(CmdRollback)
			y.is(rop.Returning, "PROD")
			want(y.t, y.coach.Closed, false)
			y.step()
			want(y.t, y.backRolls(), []string{"hotel-1.1-PROD-hotel-app-back"})
			y.end(roller.Done)
			want(y.t, y.backRolls(), []string{"hotel-1.1-PROD-hotel-app-back", "hotel-1.1-PROD-hotel-api-back"})
			for _, r := range y.rolls[len(y.rolls)-2:] {
				want(y.t, r.Bars && !r.Emergency && r.Undoes+"-back" == r.ID && r.From.ID == "new" && r.To.Apps[0].Package == "sha256:old", true)
			}
			y.end(roller.Done).is(rop.RolledBack, "PROD")
			y.jenkins().steps(2)
			want(y.t, y.coach.Closed, true)
			want(y.t, strings.Contains(y.coach.Builds[0].Told, "rolled_back"), true)
		}},
		{"asking again changes nothing, and an emergency hastens a return that is under way", func(y *yard) {
			y.releasedEverywhere()
			y.ask(CmdRollback)
			y.step()
			y.ask(CmdRollback)
			want(y.t, len(y.order), 0)
			y.ask(CmdEmergency)
			y.ask(CmdEmergency)
			want(y.t, len(y.order), 1)
			want(y.t, y.order[0].Roll+" "+string(y.order[0].Kind)+" "+y.order[0].Actor, "hotel-1.1-PROD-hotel-app-back emergency person:eng")
			y.end(roller.Done)
			want(y.t, y.rolls[len(y.rolls)-1].Emergency, true)
			y.end(roller.Done).is(rop.RolledBack, "PROD")
			y.ask(CmdRollback)
			y.is(rop.RolledBack, "PROD")
		}},
		{"a person takes a Coach back that is in production: its running rolls turn around, then the waves before follow", func(y *yard) {
			y.publish().end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done).is(rop.Delivering, "PROD")
			y.ask(CmdEmergency)
			want(y.t, y.order[0].Roll+" "+string(y.order[0].Kind), "hotel-1.1-PROD-hotel-app emergency")
			y.end(roller.RolledBack).is(rop.Returning, "PROD")
			want(y.t, y.rolls[len(y.rolls)-1].Emergency, true)
			y.end(roller.Done).is(rop.RolledBack, "PROD")
		}},
		{"rolls that completed before they heard of it are taken back all the same", func(y *yard) {
			y.publish().end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done).end(roller.Done)
			y.ask(CmdRollback)
			y.end(roller.Done).is(rop.Returning, "PROD")
			want(y.t, y.backRolls(), []string{"hotel-1.1-PROD-hotel-app-back"})
		}},
		{"what has not reached production cannot be taken out of it", func(y *yard) {
			y.publish()
			y.ask(CmdRollback)
			y.is(rop.Delivering, "FAT")
			want(y.t, strings.Contains(y.told(), "refused: nothing of it is in production, it is delivering FAT"), true)
		}},
		{"a site that a person took back alone is not taken back twice", func(y *yard) {
			y.releasedEverywhere()
			y.obs.Rolls["hotel-1.1-PROD-hotel-app-back"] = RollFact{ID: "hotel-1.1-PROD-hotel-app-back", Stage: roller.Done}
			y.ask(CmdRollback)
			y.steps(2)
			want(y.t, y.backRolls(), []string{"hotel-1.1-PROD-hotel-api-back"})
		}},
		{"a revoked Coach whose roll had completed already goes no further", func(y *yard) {
			y.publish()
			y.ask(CmdRevoke)
			y.end(roller.Done).is(rop.Revoked, "FAT")
		}},
		{"Jenkins keeps the builds of what is released", func(y *yard) {
			y.releasedEverywhere().jenkins()
			want(y.t, y.kept, true)
		}},
		{"Jenkins need not keep the builds of what came back", func(y *yard) {
			y.publish().jenkins().end(roller.RolledBack).jenkins()
			want(y.t, y.kept, false)
		}},
		{"a Jenkins that is away is told later how it ended", func(y *yard) {
			y.publish().jenkins().end(roller.RolledBack)
			for _, b := range y.coach.Builds {
				y.obs.Told[b.Deployment] = Telling{At: y.now, Err: "refused"}
			}
			y.steps(10)
			want(y.t, y.coach.Closed, false)
			y.jenkins().steps(2)
			want(y.t, y.coach.Closed, true)
			want(y.t, strings.Contains(y.coach.Builds[0].Told, "stopped FAT"), true)
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(newYard(t)) })
	}
}
