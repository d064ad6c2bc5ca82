package pipeline

import (
	"fmt"
	"strings"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// newJob is the one build that follows the Train in Jenkins, on the controller of the SBU that manages it.
func (d *trainDecider) newJob() rop.Build {
	const attempt = 1
	return rop.Build{
		Attempt: attempt, Deployment: rop.DeploymentID(d.ID, fleet.TrainJob, attempt), State: rop.BuildWanted,
		Controller: d.obs.Topology.Controller(d.SBU), Job: fleet.TrainJob,
	}
}

// TrainOfDeployment is the Train whose job a deployment id would name, "" when it has another form. Whether it is that Train's job
// (Train.Job) has to be looked at.
func TrainOfDeployment(deployment string) (train string) {
	i := strings.LastIndex(deployment, "-"+fleet.TrainJob+"-a")
	return deployment[:max(i, 0)]
}

// Jobs are the Train's builds in Jenkins: one, once it has departed.
func (t Train) Jobs() []rop.Build {
	if t.Job.Deployment == "" {
		return nil
	}
	return []rop.Build{t.Job}
}

// jobParameters are what the job gets to know. The deployment id makes it recognisable.
func (t Train) jobParameters(b rop.Build) (map[string]string, error) {
	return map[string]string{"RAILYARD_DEPLOYMENT": b.Deployment, "TRAIN": t.ID}, nil
}

// Milepost names how far the Train is.
func (t Train) Milepost() string { return rop.Milepost(len(t.Stages), t.State.Terminal()) }

// TrainDescription is what the Train's job in Jenkins says, in one line: where the Train is and why.
func TrainDescription(t Train) string {
	return fmt.Sprintf("%s: %s — %s", t.ID, trainPlace(t.State, t.Environment), t.Reason)
}

// attendJob starts the Train's job, wakes it at every milepost, keeps its description at what is true, and reports whether it has
// yet to hear how the Train ended. It has no say in the Train: one that Jenkins refuses, loses or ends is noted, and the Train goes on.
func (d *trainDecider) attendJob() (unheard bool) {
	b := &d.Job
	if b.Deployment == "" {
		return false
	}
	before := b.State
	d.locate(b)
	if d.attend(b) {
		b.State, b.Note = rop.BuildEnded, ""
		if !d.State.Terminal() {
			b.Note = fmt.Sprintf("Jenkins says %s; the Train goes on without it", b.Result)
		}
	}
	if b.State != before {
		d.tell("job_"+string(b.State), string(before), string(b.State), jobWords(*b))
	}
	end := d.ended()
	if b.Number > 0 && (b.State == rop.BuildQueued || b.State == rop.BuildRunning) {
		unheard = d.rouse(b, d.Milepost(), end)
	}
	return d.describe(b, Action{Kind: ActTell, Text: TrainDescription(d.Train), Keep: d.State == TrainArrived}, end) || unheard
}

// ended is when the Train reached its terminal state; zero before.
func (d *trainDecider) ended() time.Time {
	if !d.State.Terminal() {
		return time.Time{}
	}
	return endedAt(d.Stages, d.Created)
}

func jobWords(b rop.Build) string {
	text := "job " + b.Deployment
	if b.Number > 0 {
		text += fmt.Sprintf(" is %s #%d", b.Job, b.Number)
	}
	if b.Note != "" {
		text += ": " + b.Note
	}
	return text
}
