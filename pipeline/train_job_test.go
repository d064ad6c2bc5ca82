package pipeline

import (
	"slices"
	"strings"
	"testing"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
)

const trainJob = "hotel-line-1-train-a1"

// jenkins answers what was asked, and lets the Train hear it.
func (s *station) jenkins() *station {
	s.obs.answer(s.acts, s.now)
	s.acts = nil
	return s.steps(2)
}

// asked lists what was asked of Jenkins and not answered: "trigger", "tell hotel-line-1: …".
func (s *station) asked() (words []string) {
	for _, a := range s.acts {
		words = append(words, strings.TrimSpace(string(a.Kind)+" "+a.Text))
	}
	return words
}

// away makes Jenkins give the answer e from now on to whoever triggers.
func (s *station) away(e string, refused bool) *station {
	s.obs.Triggered[trainJob] = Triggered{At: s.now, Err: e, Refused: refused}
	s.acts = nil
	return s.steps(2)
}

func TestTheJobOfATrain(t *testing.T) {
	rules := []struct {
		rule string
		run  func(s *station)
	}{
		{"there is none before departure", func(s *station) {
			s.steps(3)
			want(s.t, len(s.train.Jobs())+len(s.acts), 0)
		}},
		{"it is triggered at departure, on the controller of the Train's SBU; what is saved says so before Jenkins is asked", func(s *station) {
			s.obs.Topology.SBUs = []fleet.SBU{{Name: "hotel", Controller: "hotels"}}
			s.step()
			s.obs.Commands = []TrainCommand{{ID: 1, Kind: CmdDepart, Plan: s.train.Plan.Digest, Actor: "person:li", Reason: "go"}}
			d := DecideTrain(s.train, s.obs, s.now)
			want(s.t, d.Actions, []Action{{Kind: ActTrigger, Build: d.Save.Train.Job}})
			want(s.t, d.Save.Train.Job, rop.Build{Attempt: 1, Deployment: trainJob, State: rop.BuildTriggering, Controller: "hotels", Job: "train"})
			want(s.t, TrainOfDeployment(trainJob), "hotel-line-1")
		}},
		{"whoever finds it triggering after a crash asks Jenkins whether it has it before triggering again", func(s *station) {
			s.departs()
			s.acts, s.obs.JobFacts = nil, noJobs() // what this process knew is lost
			s.step()
			want(s.t, s.asked(), []string{"ensure"})
			s.jenkins()
			s.acts, s.obs.JobFacts = nil, noJobs()
			s.steps(30)
			want(s.t, slices.ContainsFunc(s.acts, func(a Action) bool { return a.Kind == ActTrigger || a.Kind == ActEnsure }), false)
		}},
		{"one that Jenkins lost from its queue is asked for again under the same id", func(s *station) {
			s.departs().jenkins()
			s.acts, s.train.Job.Number, s.obs.Builds[trainJob] = nil, 0, BuildFact{}
			s.now = s.now.Add(lostAfter)
			s.steps(2)
			want(s.t, s.asked(), []string{"ensure"})
			want(s.t, s.acts[0].Build.Deployment, trainJob)
		}},
		{"it hears every milepost once, and its description says why the Train stands still", func(s *station) {
			s.departs().jenkins().jenkins()
			want(s.t, s.asked(), []string(nil))
			f := s.obs.Rolls["hotel-line-1-UAT-db"]
			f.Stage, f.Paused, f.Reason = roller.Rolling, true, "soft breach: 5xx 1.2 %"
			s.obs.Rolls[f.ID] = f
			s.step()
			want(s.t, len(s.acts), 1)
			want(s.t, strings.Contains(s.acts[0].Text, "paused: soft breach: 5xx 1.2 %"), true)
			s.jenkins().end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD")
			want(s.t, slices.Contains(s.asked(), "wake 2"), true)
		}},
		{"it hears the verdict before the Train is closed", func(s *station) {
			s.inPROD().jenkins().end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainArrived, "PROD")
			want(s.t, s.train.Closed, false)
			want(s.t, slices.Contains(s.asked(), "wake end"), true)
			want(s.t, slices.Contains(s.asked(), "tell "+TrainDescription(s.train)), true)
			s.jenkins()
			want(s.t, s.train.Closed, true)
		}},
		{"while Jenkins is away the Train departs, rolls and arrives all the same, and is closed once nobody can hear it", func(s *station) {
			s.departs().away("connection refused", false)
			s.end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD")
			s.end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainArrived, "PROD")
			want(s.t, s.train.Closed, false)
			s.now = s.now.Add(giveUpLooking)
			s.steps(2)
			want(s.t, s.train.Closed, true)
		}},
		{"a controller without the job refuses it: the Train goes on, and says so", func(s *station) {
			s.departs().away("job train is not there", true).steps(3)
			s.away("job train is not there", true)
			want(s.t, s.train.Job.State, rop.BuildFailed)
			want(s.t, slices.Contains(s.log, "job_failed job "+trainJob+": job train is not there"), true)
			s.end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD")
			s.end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainArrived, "PROD")
			want(s.t, s.train.Closed, true)
		}},
		{"one that ends before its Train does not end the Train", func(s *station) {
			s.departs().jenkins()
			s.obs.Builds[trainJob] = BuildFact{Known: true, Number: 12, Done: true, Result: "ABORTED"}
			s.steps(2).is(TrainDelivering, "UAT")
			want(s.t, s.train.Job.Note, "Jenkins says ABORTED; the Train goes on without it")
			s.jenkins().end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainDelivering, "PROD")
		}},
		{"a Train that never departed has none, and is closed at once", func(s *station) {
			s.step()
			s.command(CmdCancel, "").is(TrainCancelled, "")
			want(s.t, s.train.Closed, true)
		}},
		{"a command to a Train that has ended and is not closed yet is answered", func(s *station) {
			s.inPROD().jenkins().end("", roller.Done).end("", roller.Done).end("", roller.Done).is(TrainArrived, "PROD")
			s.command(CmdCancel, "").is(TrainArrived, "PROD")
			want(s.t, s.log[len(s.log)-1], "command_cancel so it is (refused: the Train has ended, arrived)")
		}},
	}
	for _, c := range rules {
		t.Run(c.rule, func(t *testing.T) { c.run(newStation(t)) })
	}
}

func TestADeploymentIDOfAnotherFormIsNoTrains(t *testing.T) {
	for _, id := range []string{"", "train", "-train-a1", "hotel-api-7.2-hotel-api-a1"} {
		want(t, TrainOfDeployment(id), "")
	}
}
