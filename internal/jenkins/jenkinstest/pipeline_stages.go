package jenkinstest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"
)

// Status of a stage or step, as wfapi names it.
type Status string

// The statuses of wfapi.
const (
	StatusNotExecuted Status = "NOT_EXECUTED"
	StatusAborted     Status = "ABORTED"
	StatusSuccess     Status = "SUCCESS"
	StatusInProgress  Status = "IN_PROGRESS"
	StatusPaused      Status = "PAUSED_PENDING_INPUT"
	StatusFailed      Status = "FAILED"
	StatusUnstable    Status = "UNSTABLE"
)

// statusOf is the status of a completed build or stage.
func statusOf(r Result) Status {
	switch r {
	case Unstable:
		return StatusUnstable
	case Failure:
		return StatusFailed
	case Aborted:
		return StatusAborted
	case NotBuilt:
		return StatusNotExecuted
	}
	return StatusSuccess
}

// flowNode is a stage or a step in one, saved with the build.
type flowNode struct {
	ID      string        `json:"id"`     // "6"
	Parent  string        `json:"parent"` // "5"; "" for the first
	Name    string        `json:"name"`   // "Deploy", "Shell Script"
	Detail  string        `json:"detail"` // argument of a step: "make"
	Status  Status        `json:"status"`
	Error   string        `json:"error"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took"`
	Log     string        `json:"log"` // of a step
	Steps   []*flowNode   `json:"steps,omitempty"`
}

func (n *flowNode) open() bool { return n.Status == StatusInProgress }

func (n *flowNode) close(s Status, now time.Time) {
	if n.open() {
		n.Status, n.Took = s, now.Sub(n.Started)
	}
	for _, k := range n.Steps {
		k.close(s, now)
	}
}

// Stage is a stage that the engine has begun.
type Stage struct {
	r    *Run
	node *flowNode
}

// Step is a step that the engine has begun.
type Step struct {
	r    *Run
	node *flowNode
}

// Stage begins a stage. A resumed engine that begins a stage of the same name
// again, while it is open, gets the one that is there.
func (r *Run) Stage(name string) *Stage {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if i := slices.IndexFunc(r.b.Stages, func(n *flowNode) bool { return n.Name == name && n.open() }); i >= 0 {
		return &Stage{r, r.b.Stages[i]}
	}
	parent := ""
	if len(r.b.Stages) > 0 {
		parent = r.b.Stages[len(r.b.Stages)-1].ID
	}
	s := &Stage{r, r.newNode(parent, name, "")}
	r.b.Stages = append(r.b.Stages, s.node)
	r.c.saveBuild(r.b)
	return s
}

func (r *Run) newNode(parent, name, detail string) *flowNode {
	r.b.NextNode++
	return &flowNode{
		ID: strconv.Itoa(r.b.NextNode + 5), Parent: parent, Name: name, Detail: detail,
		Status: StatusInProgress, Started: r.c.o.Clock.Now(),
	}
}

// End ends the stage. err is why it did not succeed; an *Interrupt makes it
// ABORTED or NOT_EXECUTED.
func (s *Stage) End(err error) { s.r.endNode(s.node, statusOfError(err), err) }

// Skip ends a stage that a `when` left out.
func (s *Stage) Skip() { s.r.endNode(s.node, StatusNotExecuted, nil) }

// Unstable ends a stage that was marked unstable.
func (s *Stage) Unstable() { s.r.endNode(s.node, StatusUnstable, nil) }

// Step begins a step of the stage, for instance ("Shell Script", "make").
func (s *Stage) Step(name, detail string) *Step {
	s.r.c.mu.Lock()
	defer s.r.c.mu.Unlock()
	n := s.r.newNode(s.node.ID, name, detail)
	if len(s.node.Steps) > 0 {
		n.Parent = s.node.Steps[len(s.node.Steps)-1].ID
	}
	s.node.Steps = append(s.node.Steps, n)
	return &Step{s.r, n}
}

// Write adds to the step's log and to the console.
func (s *Step) Write(p []byte) (int, error) {
	s.r.c.mu.Lock()
	s.node.Log += s.r.b.console.masked(string(p))
	s.r.c.mu.Unlock()
	return s.r.Write(p)
}

// End ends the step.
func (s *Step) End(err error) { s.r.endNode(s.node, statusOfError(err), err) }

func statusOfError(err error) Status {
	var i *Interrupt
	switch {
	case err == nil:
		return StatusSuccess
	case errors.As(err, &i):
		return statusOf(i.Result)
	case errors.Is(err, context.Canceled), errors.Is(err, errKilled):
		return StatusAborted
	}
	return StatusFailed
}

func (r *Run) endNode(n *flowNode, s Status, err error) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if errors.Is(err, ErrSuspended) {
		return // it goes on after the restart
	}
	if err != nil {
		n.Error = err.Error()
	}
	n.close(s, r.c.o.Clock.Now())
	r.c.saveBuild(r.b)
}
