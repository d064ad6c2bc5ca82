package server_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/ar/artest"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server"
)

// BenchmarkPreviewOfOneTrain measures what railyard plan asks for, for one Train among 40 of a large company: every read of the
// database, the plan, and the answer's JSON over a connection of this machine.
func BenchmarkPreviewOfOneTrain(b *testing.B) {
	ctx := context.Background()
	topology, running, trains := artest.Company()
	quiet := logrus.New()
	quiet.SetLevel(logrus.PanicLevel)
	s, err := store.Open(ctx, "sqlite:"+filepath.Join(b.TempDir(), "railyard.db"), quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	complete(b, s, running)
	for i, coaches := range trains {
		train, err := s.CreateTrain(ctx, pipeline.Train{Line: fmt.Sprintf("line%02d", i), SBU: "sbu-00", Created: start, State: pipeline.TrainOpen, Mode: pipeline.ByHand,
			Policy: "dependents"}, func(t pipeline.Train) event.Event {
			return event.Event{At: start, Object: "train/" + t.ID, What: "train_created"}
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range coaches {
			one := rop.Coach{ID: c.ID, Project: c.Project, Series: c.Series, Candidate: 1, Repository: "r", Branch: c.ID, Commit: c.ID, Created: start, State: rop.Aboard,
				Environment: "FAT", Train: train.ID, Plan: rop.Plan{Version: c.Version, Requires: c.Requires}}
			for app, digest := range c.Packages {
				one.Plan.Apps = append(one.Plan.Apps, app)
				one.Builds = append(one.Builds, rop.Build{App: app, Attempt: 1, Deployment: rop.DeploymentID(c.ID, app, 1), Package: digest})
			}
			one.Repository = "" // the company's apps have none
			if err := s.TakeIn(ctx, pipeline.TakeIn{Branch: c.ID, NewTip: c.ID, Coach: &one}); err != nil {
				b.Fatal(err)
			}
			if err := s.Couple(ctx, pipeline.Seat{Coach: c.ID, Train: train.ID, At: start}); err != nil {
				b.Fatal(err)
			}
		}
	}
	y := newYard(b, func(o *server.Options) {
		o.Store, o.Topology = s, func() *fleet.Topology { return topology }
		o.AnonymousRole = "viewer"
	})
	b.ResetTimer()
	for b.Loop() {
		if status, body := y.do("", "GET", "/api/v1/trains/line07-1/plan", "", nil); status != 200 || len(body) < 10_000 {
			b.Fatalf("got %d, %d bytes: %.300s", status, len(body), body)
		}
	}
}

// complete makes every site run its revision, each by a roll of its own.
func complete(b *testing.B, s *store.Store, running map[fleet.SiteRef]roller.Revision) {
	b.Helper()
	ctx, n := context.Background(), 0
	for site, revision := range running {
		n++
		r := roller.Roll{ID: fmt.Sprintf("old-%d", n), Kind: roller.Release, Site: site, Created: start, Stage: roller.Queued, StageSince: start, To: revision}
		if err := s.AddRoll(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
	claims, err := s.ClaimRolls(ctx, "test", start, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range claims {
		c.Roll.Stage, c.Roll.StageSince = roller.Done, start.Add(3*time.Minute)
		if err := s.SaveRoll(ctx, c, roller.Save{Roll: c.Roll, Complete: &c.Roll.To}); err != nil {
			b.Fatal(err)
		}
	}
}
