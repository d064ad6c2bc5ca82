package store_test

import (
	"testing"
	"time"

	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
)

var coachRules = []rule{
	{"a saved coach has its rolls, their commands and its facts", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		c := claimCoach(t, s, "a", t0)
		deployment := c.Coach.Builds[0].Deployment
		p := pipeline.Package{Deployment: deployment, App: "hotel-api", Digest: "sha256:9f86", Size: 1 << 40, At: t0}
		ok(t, s.PublishPackage(t.Context(), p))
		begun := pipeline.Begun{Number: 17, URL: "http://jenkins/job/deliver/17/"}
		ok(t, s.BeginBuild(t.Context(), deployment, "main/deliver#17", begun, t0))
		approval := rop.Approval{Coach: c.Coach.ID, Actor: "person:re", At: t0, Plan: "sha256:aa", Packages: map[string]string{"hotel-api": "sha256:9f86"}, Reason: "looks good"}
		ok(t, s.AddApproval(t.Context(), c.Coach.ID, approval))
		command := pipeline.Command{Coach: c.Coach.ID, Kind: pipeline.CmdRevoke, Actor: "person:dev", Reason: "wrong branch", At: t0}
		command.ID = must[int64](t)(s.AddCoachCommand(t.Context(), command))

		c.Coach.State = rop.Delivering
		r := roll("r-1", 3)
		r.Batch, r.Batches, r.From = 2, 4, roller.Revision{ID: "abc"}
		r.Pause = &roller.Pause{Cause: roller.CauseBrake, Reason: "by hand", By: "person:dev", Since: t0}
		order := roller.Command{Roll: "r-1", Kind: roller.CmdRevoke, Actor: "railyard", Reason: "superseded", At: t0}
		ok(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach, NewRolls: []roller.Roll{r}, RollCommands: []roller.Command{order}}))

		equal(t, "coach", must[rop.Coach](t)(s.Coach(t.Context(), c.Coach.ID)), c.Coach)
		equal(t, "roll", must[roller.Roll](t)(s.Roll(t.Context(), "r-1")), r)
		orders := must[[]roller.Command](t)(s.PendingCommands(t.Context(), "r-1"))
		order.ID = orders[0].ID
		equal(t, "orders to the roll", orders, []roller.Command{order})
		equal(t, "facts", must[pipeline.Facts](t)(s.Facts(t.Context(), c.Coach)), pipeline.Facts{
			Packages: map[string]pipeline.Package{deployment: p},
			Begun:    map[string]pipeline.Begun{deployment: begun},
			Rolls: map[string]pipeline.RollFact{"r-1": {ID: "r-1", Kind: roller.Release, Stage: roller.Smoke, Batch: 2, Of: 4, Paused: true, Reason: "by hand",
				From: roller.Revision{ID: "abc"}}},
			Approvals: []rop.Approval{approval},
			Commands:  []pipeline.Command{command},
		})
		ok(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach, Handled: []int64{command.ID}}))
		equal(t, "pending commands", must[pipeline.Facts](t)(s.Facts(t.Context(), c.Coach)).Commands, []pipeline.Command(nil))
	}},
	{"a coach that has ended takes the order to go back, no other, and is claimed again for it", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		c := claimCoach(t, s, "a", t0)
		c.Coach.State, c.Coach.Closed = rop.Released, true
		ok(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach}))
		ok(t, s.ReleaseCoach(t.Context(), c))
		order := pipeline.Command{Coach: c.Coach.ID, Kind: pipeline.CmdRevoke, Actor: "person:dev", Reason: "r", At: t0}
		wantErr(t, second(s.AddCoachCommand(t.Context(), order)), store.ErrFinished)
		equal(t, "claims", len(must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), "b", t0, ttl))), 0)
		for _, order.Kind = range []pipeline.CommandKind{pipeline.CmdRollback, pipeline.CmdEmergency} {
			ok(t, second(s.AddCoachCommand(t.Context(), order)))
		}
		again := claimCoach(t, s, "b", t0)
		commands := must[pipeline.Facts](t)(s.Facts(t.Context(), again.Coach)).Commands
		equal(t, "commands", len(commands), 2)
		ok(t, s.SaveCoach(t.Context(), again, pipeline.Save{Coach: again.Coach, Handled: []int64{commands[0].ID, commands[1].ID}}))
		equal(t, "claims", len(must[[]pipeline.Claim](t)(s.ClaimCoaches(t.Context(), "c", t0.Add(2*ttl), ttl))), 0)
		order.Coach = "nobody"
		wantErr(t, second(s.AddCoachCommand(t.Context(), order)), pipeline.ErrNotFound)
	}},
	{"a coach that is closed while an order to go back arrives is claimed again", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		c := claimCoach(t, s, "a", t0)
		order := pipeline.Command{Coach: c.Coach.ID, Kind: pipeline.CmdRollback, Actor: "person:dev", Reason: "r", At: t0}
		ok(t, second(s.AddCoachCommand(t.Context(), order)))
		c.Coach.State, c.Coach.Closed = rop.Released, true // decided before it was read
		ok(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach}))
		claimCoach(t, s, "b", t0.Add(2*ttl))
	}},
	{"the newest candidate of the series is a fact of the older ones only", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		push(t, s, coach(1, 2))
		push(t, s, coach(1, 10))
		push(t, s, coach(2, 1))
		equal(t, "newer than 1.1", must[pipeline.Facts](t)(s.Facts(t.Context(), coach(1, 1))).Newer, "hotel-api-1.10")
		equal(t, "newer than 1.10", must[pipeline.Facts](t)(s.Facts(t.Context(), coach(1, 10))).Newer, "")
		equal(t, "newer than 2.1", must[pipeline.Facts](t)(s.Facts(t.Context(), coach(2, 1))).Newer, "")
	}},
	{"a deployment id leads to its coach, a later attempt too", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		c := claimCoach(t, s, "a", t0)
		again := rop.Build{App: "hotel-api", Attempt: 2, Deployment: rop.DeploymentID(c.Coach.ID, "hotel-api", 2), State: rop.BuildWanted}
		c.Coach.Builds = append(c.Coach.Builds, again)
		ok(t, s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach}))
		for _, b := range c.Coach.Builds {
			equal(t, b.Deployment, must[rop.Coach](t)(s.CoachOfDeployment(t.Context(), b.Deployment)).ID, c.Coach.ID)
		}
		_, err := s.CoachOfDeployment(t.Context(), "nothing")
		wantErr(t, err, pipeline.ErrNotFound)
	}},
	{"the same package again changes nothing, another is a conflict", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		p := pipeline.Package{Deployment: coach(1, 1).Builds[0].Deployment, App: "hotel-api", Digest: "sha256:9f86", Size: 5, At: t0}
		ok(t, s.PublishPackage(t.Context(), p, tell("package", "published")))
		before := everything(t, s)
		again := p
		again.At = t0.Add(time.Hour)
		ok(t, s.PublishPackage(t.Context(), again, tell("package", "published")))
		again.Digest = "sha256:0000"
		wantErr(t, s.PublishPackage(t.Context(), again, tell("package", "published")), pipeline.ErrConflict)
		again.Deployment = "nothing"
		wantErr(t, s.PublishPackage(t.Context(), again, tell("package", "published")), pipeline.ErrNotFound)
		equal(t, "database", everything(t, s), before)
	}},
	{"the first build that begins has the deployment, and may ask again", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		deployment := coach(1, 1).Builds[0].Deployment
		ok(t, s.BeginBuild(t.Context(), deployment, "main/deliver#17", pipeline.Begun{Number: 17}, t0, tell("build", "begun")))
		before := everything(t, s)
		ok(t, s.BeginBuild(t.Context(), deployment, "main/deliver#17", pipeline.Begun{Number: 17}, t0.Add(time.Hour), tell("build", "begun")))
		wantErr(t, s.BeginBuild(t.Context(), deployment, "main/deliver#18", pipeline.Begun{Number: 18}, t0, tell("build", "begun")), store.ErrDuplicate)
		wantErr(t, s.BeginBuild(t.Context(), "nothing", "main/deliver#18", pipeline.Begun{Number: 18}, t0, tell("build", "begun")), pipeline.ErrNotFound)
		equal(t, "database", everything(t, s), before)
	}},
	{"a Train's job is begun by the first build too, once the Train has it", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		train(t, s, "a")
		claim := claimTrain(t, s, "one", t0)
		const deployment = "a-1-train-a1"
		wantErr(t, s.BeginBuild(t.Context(), deployment, "main/train#3", pipeline.Begun{Number: 3}, t0, tell("build", "begun")), pipeline.ErrNotFound)
		claim.Train.Job = rop.Build{Deployment: deployment}
		ok(t, s.SaveTrain(t.Context(), claim, pipeline.TrainSave{Train: claim.Train}))
		ok(t, s.BeginBuild(t.Context(), deployment, "main/train#3", pipeline.Begun{Number: 3}, t0))
		ok(t, s.BeginBuild(t.Context(), deployment, "main/train#3", pipeline.Begun{Number: 3}, t0))
		wantErr(t, s.BeginBuild(t.Context(), deployment, "main/train#4", pipeline.Begun{Number: 4}, t0), store.ErrDuplicate)
		wantErr(t, s.BeginBuild(t.Context(), "a-1-train-a2", "main/train#4", pipeline.Begun{Number: 4}, t0), pipeline.ErrNotFound)
		facts := must[pipeline.TrainFacts](t)(s.TrainFacts(t.Context(), claim.Train))
		equal(t, "begun", facts.Begun, map[string]pipeline.Begun{deployment: {Number: 3}})
	}},
	{"a coach that has ended takes no order and no approval", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		c := coach(1, 1)
		c.State = rop.Released
		push(t, s, c)
		before := everything(t, s)
		_, err := s.AddCoachCommand(t.Context(), pipeline.Command{Coach: c.ID, Kind: pipeline.CmdRevoke, At: t0}, tell("coach", "ordered"))
		wantErr(t, err, store.ErrFinished)
		wantErr(t, s.AddApproval(t.Context(), c.ID, rop.Approval{At: t0}, tell("coach", "approved")), store.ErrFinished)
		_, err = s.AddCoachCommand(t.Context(), pipeline.Command{Coach: "nothing", At: t0}, tell("coach", "ordered"))
		wantErr(t, err, pipeline.ErrNotFound)
		wantErr(t, s.AddApproval(t.Context(), "nothing", rop.Approval{At: t0}, tell("coach", "approved")), pipeline.ErrNotFound)
		equal(t, "database", everything(t, s), before)
	}},
	{"coaches are listed newest first, by what was asked for", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for i, state := range []rop.State{rop.Released, rop.Building, rop.Failed} {
			c := coach(i+1, 1)
			c.State, c.Created = state, t0.Add(time.Duration(i)*time.Second)
			if i == 2 {
				c.SBU, c.Repository = "flight", "flight/app"
			}
			push(t, s, c)
		}
		for _, c := range []struct {
			what string
			f    store.CoachFilter
			most int
			want []string
		}{
			{"all", store.CoachFilter{}, 0, []string{"hotel-api-3.1", "hotel-api-2.1", "hotel-api-1.1"}},
			{"two", store.CoachFilter{}, 2, []string{"hotel-api-3.1", "hotel-api-2.1"}},
			{"active", store.CoachFilter{Active: true}, 0, []string{"hotel-api-2.1"}},
			{"of an SBU", store.CoachFilter{SBU: "flight"}, 0, []string{"hotel-api-3.1"}},
			{"in a state of a repository", store.CoachFilter{Repository: "hotel/hotel-api", State: rop.Released}, 0, []string{"hotel-api-1.1"}},
			{"of a branch and project", store.CoachFilter{Branch: "release/1.4", Project: "hotel-app"}, 0, nil},
		} {
			var ids []string
			for _, got := range must[[]rop.Coach](t)(s.Coaches(t.Context(), c.f, c.most)) {
				ids = append(ids, got.ID)
			}
			equal(t, c.what, ids, c.want)
		}
		_, err := s.Coach(t.Context(), "nothing")
		wantErr(t, err, pipeline.ErrNotFound)
	}},
}

// second drops what comes before an error.
func second[T any](_ T, err error) error { return err }
