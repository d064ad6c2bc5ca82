package jenkinstest

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Result of a build, as the remote API names it; "" while there is none.
type Result string

// Results from the best to the worst.
const (
	Success  Result = "SUCCESS"
	Unstable Result = "UNSTABLE"
	Failure  Result = "FAILURE"
	NotBuilt Result = "NOT_BUILT"
	Aborted  Result = "ABORTED"
)

var resultOrder = []Result{"", Success, Unstable, Failure, NotBuilt, Aborted}

// worse is the worse of two results: a result never gets better.
func worse(a, b Result) Result {
	if slices.Index(resultOrder, a) > slices.Index(resultOrder, b) {
		return a
	}
	return b
}

// buildState is how far a build is.
type buildState string

const (
	stateBuilding  buildState = "building"  // its steps run
	statePost      buildState = "post"      // building:false, but not finished: log and duration follow
	stateCompleted buildState = "completed" // final
)

// record is what of a build is saved.
type record struct {
	Number      int64         `json:"number"`  // 7
	QueueID     int64         `json:"queueId"` // 31
	State       buildState    `json:"state"`
	Result      Result        `json:"result"`
	Params      []param       `json:"params"`
	Causes      []Cause       `json:"causes"`
	Started     time.Time     `json:"started"`
	Duration    time.Duration `json:"duration"`
	DisplayName string        `json:"displayName"` // "" for "#7"
	Description string        `json:"description"`
	KeepLog     bool          `json:"keepLog"`
	Cookie      string        `json:"cookie"` // in the environment of all its processes

	// Of Pipelines:
	Stages    []*flowNode         `json:"stages,omitempty"`
	NextNode  int                 `json:"nextNode,omitempty"`
	Inputs    map[string]*settled `json:"inputs,omitempty"`    // answers, by the engine's step id
	Milestone int                 `json:"milestone,omitempty"` // the last it has passed
	Revision  *SCM                `json:"revision,omitempty"`
}

func userCause(user string) Cause {
	return Cause{"hudson.model.Cause$UserIdCause", "Started by user " + user, user}
}

// build is one build of a job; all of it is guarded by controller.mu, but for
// the console, which locks itself.
type build struct {
	record
	job     *item
	console *console
	cancel  context.CancelCauseFunc // nil once loaded from disk
	slot    *executor               // nil when it needs none

	// Of Pipelines:
	run     *Run            // nil unless the engine runs it
	resumed bool            // it was running when the controller went down
	pending []*pendingInput // what it asks people, oldest first

	superseded bool // it was told that a newer build waits for it
}

func (b *build) isBuilding() bool { return b.State == stateBuilding }
func (b *build) inProgress() bool { return b.State != stateCompleted }

func (b *build) name() string {
	if b.DisplayName != "" {
		return b.DisplayName
	}
	return "#" + strconv.FormatInt(b.Number, 10)
}

// path is the build's URL path without context path: "job/hotel-api/7/".
func (b *build) path() string { return b.job.path() + strconv.FormatInt(b.Number, 10) + "/" }

func (b *build) dir() string {
	return filepath.Join(b.job.dir, "builds", strconv.FormatInt(b.Number, 10))
}

// stop asks a running build to end; the cause says why.
func (b *build) stop(why error) {
	if b.cancel != nil && b.isBuilding() {
		b.cancel(why)
	}
}

// errStopped is the cause of a build's cancellation by a person.
type errStopped struct{ by string }

func (e errStopped) Error() string { return "Aborted by " + e.by }
