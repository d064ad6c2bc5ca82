//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"railyard/internal/ar"
	"railyard/internal/demo/apps"
	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
)

// depart makes a Train with one Coach that is ready to bring a version, and which departs by itself.
func (c *crashYard) depart(n int, version string) (train, coach string) {
	c.t.Helper()
	ctx, s := c.t.Context(), c.database()
	defer s.Close()
	now := time.Now().UTC().Truncate(time.Microsecond)
	release := c.releases[version]
	one := rop.Coach{
		ID: rop.CoachID(apps.PublicAPI, n, 1), Project: apps.PublicAPI, Series: n, Candidate: 1, SBU: "hotel", Repository: "hotel/" + apps.PublicAPI, Branch: branch,
		Commit: fmt.Sprintf("%040d", n), Author: "developer", Created: now, State: rop.Building, PlanDigest: "sha256:plan",
		ROP: rop.PlanStatus{State: rop.PlanPassed, Since: now},
		Plan: rop.Plan{Project: apps.PublicAPI, SBU: "hotel", Owner: "team", Apps: []string{apps.PublicAPI}, Version: version,
			Rollback: rop.Rollback{To: rop.RollbackToPrevious, Who: []string{"release-engineer"}}},
		Builds: []rop.Build{{App: apps.PublicAPI, Attempt: 1, Deployment: rop.DeploymentID(rop.CoachID(apps.PublicAPI, n, 1), apps.PublicAPI, 1),
			State: rop.BuildPublished, Package: release.Package}},
	}
	tip, err := s.Tip(ctx, one.Repository, one.Branch)
	c.must(err)
	c.must(s.TakeIn(ctx, pipeline.TakeIn{Repository: one.Repository, Branch: one.Branch, OldTip: tip, NewTip: one.Commit, Coach: &one}))
	made, err := s.CreateTrain(ctx, pipeline.Train{Line: "line", SBU: "hotel", Created: now, By: "person:li", Mode: pipeline.ByReadys, Policy: ar.PolicyTrain, State: pipeline.TrainOpen},
		func(t pipeline.Train) event.Event {
			return event.Event{At: now, Actor: t.By, Object: "train/" + t.ID, Coach: t.ID, What: "train_created", Why: "test"}
		})
	c.must(err)
	c.must(s.Couple(ctx, pipeline.Seat{Coach: one.ID, Train: made.ID, By: "person:li", At: now}))
	claims, err := s.ClaimCoaches(ctx, "test", now, time.Minute)
	c.must(err)
	for _, claim := range claims {
		if claim.Coach.ID == one.ID {
			one.State, one.Environment, one.Train = rop.Aboard, "FAT", made.ID
			c.must(s.SaveCoach(ctx, claim, pipeline.Save{Coach: one}))
		}
		c.must(s.ReleaseCoach(ctx, claim))
	}
	return made.ID, one.ID
}

// ended asks the service whether the Train has.
func (c *crashYard) ended(train string) func() (ended, ok bool) {
	return func() (bool, bool) {
		answer, err := c.API.GetTrainWithResponse(c.t.Context(), train, nil)
		if err != nil || answer.JSON200 == nil {
			return false, false
		}
		return answer.JSON200.Ended, true
	}
}

// arrive runs the service until the Train has ended, and returns it with its Coach and rolls as saved.
func (c *crashYard) arrive(train, coach string) (pipeline.Train, rop.Coach, []roller.Roll) {
	c.t.Helper()
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), time.Minute, errors.New("the Train did not end in a minute"))
	defer cancel()
	c.must(c.Serve(ctx))
	eventually(c.t, "the end of Train "+train, func() (string, bool) {
		answer, err := c.API.GetTrainWithResponse(ctx, train, nil)
		if err != nil {
			return err.Error(), false
		}
		if answer.JSON200 == nil || !answer.JSON200.Ended {
			return string(answer.Body), false
		}
		one, err := c.API.GetCoachWithResponse(ctx, coach, nil)
		if err != nil || one.JSON200 == nil {
			return "no Coach", false
		}
		return one.JSON200.State, one.JSON200.Ended
	})
	c.followedOnce(train)
	c.stop()
	s := c.database()
	defer s.Close()
	t, err := s.Train(c.t.Context(), train)
	c.must(err)
	one, err := s.Coach(c.t.Context(), coach)
	c.must(err)
	rolls, err := s.Rolls(c.t.Context(), store.RollFilter{Coach: train}, 0)
	c.must(err)
	return t, one, rolls
}

// followedOnce waits until the Train's job has ended in Jenkins, and checks that there was one build of it.
func (c *crashYard) followedOnce(train string) {
	c.t.Helper()
	deployment := train + "-train-a1"
	var builds []jenkinsBuild
	eventually(c.t, "the end of the job of Train "+train, func() (string, bool) {
		builds = buildsOf(c.t, c.Jenkins.URL+"/job/train")[deployment]
		return fmt.Sprint(builds), len(builds) > 0 && !builds[0].Building && builds[0].Result != ""
	})
	if len(builds) != 1 || builds[0].Result != "SUCCESS" {
		c.t.Errorf("the job of Train %s: %+v, expected one build, SUCCESS", train, builds)
	}
}

// A Train is killed with the service at every save it makes, after it was written and before it was; the next service takes it
// to its end. The two versions take turns.
func TestKilledAtEverySavedTransitionTheTrainArrivesRollsNothingTwiceAndHasOneBuild(t *testing.T) {
	t.Parallel() // it waits more than it works, in a yard of its own
	c := openCrashYard(t)
	next, last := "1.1.0", "1.0.0"
	if r := c.finish(c.order(last)); r.Stage != roller.Done {
		t.Fatalf("the first roll ended %s: %s", r.Stage, r.Reason)
	}
	at := 0
	for died := true; died; {
		at++
		when := "after"
		if at%3 == 0 {
			when = "before"
		}
		train, coach := c.depart(at, next)
		died = c.crashOf("train", at, when, c.ended(train))
		ended, one, rolls := c.arrive(train, coach)
		where := fmt.Sprintf("killed %s save %d", when, at)
		if ended.State != pipeline.TrainArrived || one.State != rop.Released {
			t.Fatalf("%s: Train %s (%s), Coach %s (%s)", where, ended.State, ended.Reason, one.State, one.Reason)
		}
		var stages []string
		for _, r := range rolls {
			stages = append(stages, fmt.Sprintf("%s %s", strings.TrimPrefix(r.ID, train), r.Stage))
		}
		if want := []string{"-PROD-" + apps.PublicAPI + " done"}; !slices.Equal(stages, want) {
			t.Errorf("%s: rolls %v, expected %v", where, stages, want)
		}
		c.allInRotation(where)
		next, last = last, next
	}
	if at < 5 {
		t.Errorf("the Train made only %d saves; expected its departure, each environment and its arrival to be some", at-1)
	}
	t.Logf("killed at %d saved transitions", at-1)
}
