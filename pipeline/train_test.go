package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"railyard/internal/ar"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

// station is a Train with what its decider sees. The Train carries a database object, an API and an app of the hotel, and a
// flight API that has nothing to do with them.
type station struct {
	t     *testing.T
	train Train
	obs   TrainObservation
	now   time.Time
	rolls []roller.Roll
	order []roller.Command
	left  []string
	acts  []Action // what was asked of Jenkins, and not answered yet
	log   []string
}

func newStation(t *testing.T) *station {
	pool := func(name string, after ...string) fleet.Pool {
		p := fleet.Pool{Name: name, SBU: "hotel", After: after}
		for _, env := range []string{"UAT", "PROD"} {
			p.Sites = append(p.Sites, fleet.Site{Environment: env, Servers: []fleet.Server{{Name: env + name + "1"}, {Name: env + name + "2"}}})
		}
		return p
	}
	app := func(name string, kind fleet.Kind) fleet.App {
		return fleet.App{Name: name, Kind: kind, SBU: "hotel", Pool: name, Repository: "hotel/" + name}
	}
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	s := &station{t: t, now: now, train: Train{ID: "hotel-line-1", Line: "hotel-line", Number: 1, SBU: "hotel", Created: now, Mode: ByHand, Policy: ar.PolicyDependents, State: TrainOpen}}
	s.obs = TrainObservation{
		Topology: &fleet.Topology{
			Digest:       "sha256:one",
			Environments: []fleet.Environment{{Name: "FAT"}, {Name: "UAT"}, {Name: "PROD", Production: true}},
			Pools:        []fleet.Pool{pool("db"), pool("api", "db"), pool("app", "api"), pool("flight")},
			Apps:         []fleet.App{app("db", fleet.KindDatabase), app("api", fleet.KindAPI), app("app", fleet.KindApp), app("flight", fleet.KindAPI)},
		},
		TrainFacts: TrainFacts{Coaches: map[string]rop.Coach{}, Rolls: map[string]RollFact{}},
		JobFacts:   noJobs(),
		Picture:    Picture{Running: ar.Running{}, Held: map[fleet.SiteRef]string{}, Used: map[ar.QuotaUse]int{}},
	}
	for _, name := range []string{"db", "api", "app", "flight"} {
		s.couple(name)
	}
	return s
}

// couple seats a Coach that is ready, bringing version 2.0.0 of one app.
func (s *station) couple(name string, requires ...rop.Requirement) {
	id := name + "-1.1"
	s.obs.Coaches[id] = rop.Coach{
		ID: id, Project: name, Series: 1, SBU: "hotel", Repository: "hotel/" + name, State: rop.Aboard, Environment: "FAT", Train: s.train.ID,
		Plan: rop.Plan{Project: name, Apps: []string{name}, Version: "2.0.0", Requires: requires}, PlanDigest: "sha256:plan",
		Builds: []rop.Build{{App: name, Package: "sha256:" + name}},
	}
	if !slices.ContainsFunc(s.obs.Seats, func(seat Seat) bool { return seat.Coach == id }) {
		s.obs.Seats = append(s.obs.Seats, Seat{Coach: id, Train: s.train.ID, State: RiderCoupled})
	}
}

// late makes a coupled Coach not ready.
func (s *station) late(name string) {
	c := s.obs.Coaches[name+"-1.1"]
	c.State, c.Reason, c.Train = rop.AwaitingApproval, "waits for approval", ""
	s.obs.Coaches[c.ID] = c
}

// step decides, saves and remembers; it takes a second. What is saved must survive a crash: it is read back from what was stored.
func (s *station) step() {
	d := DecideTrain(s.train, s.obs, s.now)
	again := DecideTrain(s.train, s.obs, s.now)
	if len(d.Save.NewRolls) != len(again.Save.NewRolls) || d.Train.State != again.Train.State {
		s.t.Fatalf("two decisions on the same: %+v\n%+v", d, again)
	}
	if d.Changed {
		s.train = d.Train
		s.rolls = append(s.rolls, d.Save.NewRolls...)
		s.order = append(s.order, d.Save.RollCommands...)
		s.left = append(s.left, d.Save.Leave...)
		for _, r := range d.Save.NewRolls {
			s.obs.Rolls[r.ID] = RollFact{ID: r.ID, Stage: roller.Queued}
		}
		if len(d.Save.Handled) > 0 {
			s.obs.Commands = nil
		}
		for _, e := range d.Save.Events {
			s.log = append(s.log, e.What+" "+e.Why)
		}
		s.obs.Seats = slices.DeleteFunc(s.obs.Seats, func(seat Seat) bool { return slices.Contains(d.Save.Leave, seat.Coach) })
		for i := range s.obs.Seats {
			seat := &s.obs.Seats[i]
			seat.Departed = seat.Departed || slices.Contains(d.Save.Depart, seat.Coach)
			for _, r := range d.Save.Seats {
				if r.Coach == seat.Coach {
					seat.State, seat.Environment, seat.Reason = r.State, r.Environment, r.Reason
				}
			}
		}
		for _, site := range d.Save.Hold {
			s.obs.Held[site] = s.train.ID
		}
		for _, q := range d.Save.Use {
			s.obs.Used[q.QuotaUse] += q.Changes
		}
		if d.Save.Free {
			clear(s.obs.Held)
		}
	}
	s.acts = append(s.acts, d.Actions...)
	s.now = s.now.Add(time.Second)
}

func (s *station) steps(n int) *station {
	for range n {
		s.step()
	}
	return s
}

func (s *station) command(kind TrainCommandKind, plan string) *station {
	s.obs.Commands = append(s.obs.Commands, TrainCommand{ID: 1, Kind: kind, Plan: plan, Actor: "person:li", Reason: "so it is"})
	return s.steps(2)
}

// departs lets the Train depart with the plan it shows.
func (s *station) departs() *station {
	s.step()
	if s.train.Plan == nil {
		s.t.Fatalf("there is no plan: %v", s.train.Problems)
	}
	return s.command(CmdDepart, s.train.Plan.Digest)
}

// end lets the unfinished rolls of a pool end in a stage; "" = of all pools.
func (s *station) end(pool string, stage roller.Stage) *station {
	for id, f := range s.obs.Rolls {
		if !f.Stage.Terminal() && (pool == "" || strings.HasSuffix(id, "-"+pool) || strings.HasSuffix(id, "-"+pool+"-back")) {
			f.Stage, f.Reason = stage, "so it ended"
			f.To = roller.Revision{ID: "new"}
			f.From = roller.NewRevision(roller.AppRelease{App: "x", Package: "sha256:old"})
			s.obs.Rolls[id] = f
		}
	}
	return s.steps(3)
}

func (s *station) began() (pools []string) {
	for _, r := range s.rolls {
		pools = append(pools, strings.TrimPrefix(r.ID, s.train.ID+"-"))
	}
	return pools
}

func (s *station) is(state TrainState, environment string) *station {
	s.t.Helper()
	want(s.t, fmt.Sprint(s.train.State, " ", s.train.Environment), fmt.Sprint(state, " ", environment))
	return s
}

// riders writes "api went_back, db went_back".
func (s *station) riders() string {
	var words []string
	for _, r := range s.train.Riders {
		words = append(words, strings.TrimSuffix(r.Coach, "-1.1")+" "+string(r.State))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// inPROD takes the Train through UAT.
func (s *station) inPROD() *station {
	return s.departs().end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD")
}

func TestLifeOfATrain(t *testing.T) {
	rules := []struct {
		rule string
		run  func(s *station)
	}{
		{"child Trains run beside each other, wave by wave, in UAT and then in PROD, and the Train arrives", func(s *station) {
			s.departs().is(TrainDelivering, "UAT")
			want(s.t, s.began(), []string{"UAT-db", "UAT-flight"})
			s.end("db", roller.Done)
			want(s.t, s.began()[2:], []string{"UAT-api"})
			s.end("api", roller.Done).end("app", roller.Done).is(TrainDelivering, "UAT")
			s.end("flight", roller.Done).is(TrainDelivering, "PROD")
			want(s.t, s.began()[4:], []string{"PROD-db", "PROD-flight"})
			s.end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainArrived, "PROD")
			want(s.t, s.riders(), "api released, app released, db released, flight released")
			want(s.t, s.obs.Held, map[fleet.SiteRef]string{})
			want(s.t, s.train.Closed, false) // its job has yet to hear of it
			s.jenkins().jenkins()
			want(s.t, s.train.Closed, true)
		}},
		{"what departs is the plan that was looked at: another topology asks again", func(s *station) {
			s.step()
			seen := s.train.Plan.Digest
			s.obs.Topology.Digest = "sha256:two"
			s.command(CmdDepart, seen).is(TrainOpen, "")
			want(s.t, strings.Contains(strings.Join(s.log, "\n"), "command_depart so it is (refused: the plan that was looked at is "+seen), true)
			s.departs().is(TrainDelivering, "UAT")
		}},
		{"rolls are made from the stored plan, whatever the topology says after departure", func(s *station) {
			s.step()
			pattern := s.train.Plan.Children[0].Waves[0].Stops[0].Sites[1].Strategy.Pattern
			s.departs()
			for i := range s.obs.Topology.Environments {
				s.obs.Topology.Environments[i].Strategy.Pattern = []int{1, 99}
			}
			s.end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD")
			want(s.t, s.rolls[len(s.rolls)-1].Strategy.Pattern, pattern)
		}},
		{"a Coach that is not ready is left behind, and delays nobody", func(s *station) {
			s.late("flight")
			s.departs().is(TrainDelivering, "UAT")
			want(s.t, s.left, []string{"flight-1.1"})
			want(s.t, s.riders(), "api riding, app riding, db riding")
		}},
		{"a Coach that is not ready and that others require is waited for", func(s *station) {
			s.couple("app", rop.Requirement{App: "flight", Version: ">=2"})
			s.late("flight")
			s.train.Mode, s.train.At = ByTime, s.now
			s.steps(2).is(TrainOpen, "")
			want(s.t, strings.Contains(s.train.Reason, "those who are ready require flight-1.1"), true)
			s.couple("flight")
			s.steps(1).is(TrainDelivering, "UAT")
		}},
		{"by time it departs then and not before", func(s *station) {
			s.train.Mode, s.train.At = ByTime, s.now.Add(3*time.Second)
			s.steps(3).is(TrainOpen, "").steps(1).is(TrainDelivering, "UAT")
		}},
		{"when all are ready it departs by itself", func(s *station) {
			s.train.Mode = ByReadys
			s.late("flight")
			s.steps(3).is(TrainOpen, "")
			s.couple("flight")
			s.steps(1).is(TrainDelivering, "UAT")
		}},
		{"an automatic departure whose plan somebody confirmed waits when the plan is another now", func(s *station) {
			s.step()
			s.command(CmdConfirm, s.train.Plan.Digest)
			s.obs.Topology.Digest = "sha256:two"
			s.train.Mode, s.train.At = ByTime, s.now
			s.steps(2).is(TrainOpen, "")
			want(s.t, strings.Contains(s.train.Reason, "the plan changed since person:li confirmed"), true)
			s.command(CmdConfirm, s.train.Plan.Digest).is(TrainDelivering, "UAT")
		}},
		{"a wave that fails takes back who depends on it, in reverse order, and nobody else", func(s *station) {
			s.inPROD().end("db", roller.Done).end("api", roller.RolledBack)
			want(s.t, s.riders(), "api went_back, app went_back, db riding, flight riding")
			s.end("flight", roller.Done).is(TrainArrived, "PROD")
			want(s.t, s.riders(), "api went_back, app went_back, db released, flight released")
			want(s.t, s.train.Verdict, "arrived: PROD runs db-1.1, flight-1.1; without api-1.1, app-1.1")
		}},
		{"policy train takes everybody back: the last wave first, each wave only when the one behind it is home", func(s *station) {
			s.train.Policy = ar.PolicyTrain
			s.inPROD().end("", roller.Done).end("api", roller.Done).end("app", roller.RolledBack)
			want(s.t, s.began()[8:], []string{"PROD-api-back", "PROD-flight-back"})
			want(s.t, s.rolls[8].To.Apps[0].Package, "sha256:old")
			s.end("api", roller.Done)
			want(s.t, s.began()[10:], []string{"PROD-db-back"})
			s.end("", roller.Done).is(TrainReturned, "PROD")
			want(s.t, s.riders(), "api went_back, app went_back, db went_back, flight went_back")
		}},
		{"policy coach takes back only the Coach and who requires what it brings", func(s *station) {
			s.train.Policy = ar.PolicyCoach
			s.inPROD().end("", roller.Done).end("api", roller.RolledBack)
			s.end("", roller.Done).is(TrainArrived, "PROD")
			want(s.t, s.riders(), "api went_back, app released, db released, flight released")
		}},
		{"what still rolls is ordered back first, once", func(s *station) {
			s.train.Policy = ar.PolicyTrain
			s.inPROD().end("db", roller.RolledBack).steps(5)
			want(s.t, len(s.order), 1)
			want(s.t, s.order[0].Roll, "hotel-line-1-PROD-flight")
			want(s.t, s.began()[6:], []string{})
			s.end("flight", roller.RolledBack).is(TrainReturned, "PROD")
		}},
		{"who fails in UAT never reaches production, and what it changed in UAT is taken back", func(s *station) {
			s.train.Policy = ar.PolicyCoach
			s.departs().end("", roller.Done).end("api", roller.Done).end("app", roller.RolledBack).is(TrainDelivering, "PROD")
			want(s.t, s.riders(), "api riding, app stopped, db riding, flight riding")
			s.end("", roller.Done).end("", roller.Done).is(TrainArrived, "PROD")
			want(s.t, slices.Contains(s.began(), "PROD-app"), false)
		}},
		{"when nobody passes UAT the Train is stopped", func(s *station) {
			s.train.Policy = ar.PolicyTrain
			s.departs().end("", roller.RolledBack).is(TrainStopped, "UAT")
		}},
		{"a first release has nothing to return to, and the verdict says so", func(s *station) {
			s.train.Policy = ar.PolicyTrain
			s.inPROD()
			f := s.obs.Rolls["hotel-line-1-PROD-db"]
			f.Stage, f.To = roller.Done, roller.Revision{ID: "new"}
			s.obs.Rolls[f.ID] = f
			s.steps(2).end("flight", roller.Done).end("api", roller.RolledBack).end("", roller.Done).is(TrainReturned, "PROD")
			want(s.t, strings.Contains(s.train.Verdict, "db keeps it: it was its first release"), true)
		}},
		{"a person takes a Train back that is under way", func(s *station) {
			s.inPROD().end("", roller.Done).command(CmdCancel, "")
			s.end("", roller.RolledBack).end("", roller.Done).end("", roller.Done).is(TrainReturned, "PROD")
		}},
		{"a Train that is cancelled before departure lets its Coaches go", func(s *station) {
			s.step()
			s.command(CmdCancel, "").is(TrainCancelled, "")
			want(s.t, s.left, []string{"db-1.1", "api-1.1", "app-1.1", "flight-1.1"})
		}},
		{"what a plan asks of indicators goes along to the rolls of its pools, and of no other", func(s *station) {
			c := s.obs.Coaches["api-1.1"]
			c.Plan.Indicators = []fleet.Override{{Indicator: "5xx", Limit: new(0.5)}}
			s.obs.Coaches[c.ID] = c
			s.departs().end("", roller.Done).end("", roller.Done).steps(2)
			asked := 0
			for _, r := range s.rolls {
				want(s.t, len(r.Stricter) == 1, r.Site.Pool == "api")
				asked += len(r.Stricter)
			}
			want(s.t, asked > 0, true)
		}},
		{"a pool that is another Train's is waited for, visibly", func(s *station) {
			s.obs.Held[fleet.SiteRef{Environment: "PROD", Pool: "api"}] = "flight-line-2"
			s.departs().end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD").steps(3)
			want(s.t, s.train.Reason, "waits for Train flight-line-2 at PROD/api")
			want(s.t, len(s.rolls), 4)
			clear(s.obs.Held)
			s.steps(2)
			want(s.t, len(s.rolls), 6)
		}},
		{"Trains that wait for each other are refused, with the circle named", func(s *station) {
			s.couple("app", rop.Requirement{App: "rail", Version: ">=2"})
			s.obs.Trains = []Train{{ID: "other-1", State: TrainOpen, Wanted: []ar.Coach{{
				ID: "rail-1.1", Project: "rail", SBU: "hotel", Version: "2.0.0", Packages: map[string]string{"rail": ""},
				Requires: []rop.Requirement{{App: "flight", Version: ">=2"}},
			}}}}
			s.obs.Topology.Apps = append(s.obs.Topology.Apps, fleet.App{Name: "rail", Kind: fleet.KindAPI, SBU: "hotel", Pool: "flight"})
			s.train.Mode, s.train.At = ByTime, s.now
			s.steps(2).is(TrainOpen, "")
			want(s.t, s.train.Reason, "should depart, and waits: the Trains wait for each other in a circle: "+
				"hotel-line-1 waits for other-1 (app-1.1 requires rail >=2, which rail-1.1 carries), "+
				"other-1 waits for hotel-line-1 (rail-1.1 requires flight >=2, which flight-1.1 carries); couple these Coaches into one Train")
		}},
		{"a freeze holds the Train before production, and two people let it in", func(s *station) {
			s.obs.Topology.Calendar.Freezes = []fleet.Freeze{{Name: "golden-week", Reason: "holiday", Window: fleet.Window{From: "2026-03-01T00:00:00Z", To: "2026-03-08T00:00:00Z"}}}
			s.departs().end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD")
			want(s.t, strings.Contains(s.train.Reason, "golden-week freezes PROD until 2026-03-08 00:00 UTC: holiday (two people may override it: railyard override train hotel-line-1 golden-week)"), true)
			s.obs.Overrides = []ar.Override{{Object: "train/hotel-line-1", Freeze: "golden-week", Actor: "person:li"}, {Object: "train/hotel-line-1", Freeze: "golden-week", Actor: "person:li"}}
			s.steps(3)
			want(s.t, len(s.rolls), 4)
			s.obs.Overrides = append(s.obs.Overrides, ar.Override{Object: "train/hotel-line-1", Freeze: "golden-week", Actor: "person:wang"})
			s.steps(3)
			want(s.t, len(s.rolls), 6)
		}},
		{"a rollback is never frozen", func(s *station) {
			s.train.Policy = ar.PolicyTrain
			s.inPROD().end("db", roller.Done)
			s.obs.Topology.Calendar.Freezes = []fleet.Freeze{{Name: "now", Window: fleet.Window{From: "2026-03-01T00:00:00Z", To: "2026-03-08T00:00:00Z"}}}
			s.end("api", roller.RolledBack).end("flight", roller.RolledBack)
			want(s.t, s.began()[len(s.began())-1], "PROD-db-back")
		}},
		{"a quota counts the Coaches that enter production", func(s *station) {
			window := fleet.Window{From: "2026-03-01T00:00:00Z", To: "2026-03-08T00:00:00Z"}
			s.obs.Topology.Calendar.Quotas = []fleet.Quota{{Name: "week", Changes: 3, Window: window}}
			s.departs().end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD").steps(2)
			want(s.t, strings.Contains(s.train.Reason, "week lets 3 changes in until 2026-03-08 00:00 UTC; 0 have entered, and this would be 4 more"), true)
			s.obs.Topology.Calendar.Quotas[0].Changes = 4
			s.steps(2)
			want(s.t, s.obs.Used[ar.QuotaUse{Quota: "week", From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}], 4)
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(newStation(t)) })
	}
}
