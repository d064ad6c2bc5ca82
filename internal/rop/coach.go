package rop

import (
	"fmt"
	"time"
)

// State is where a Coach is in its life.
type State string

// The states of a Coach.
//
//	building ─► delivering FAT ─► awaiting_approval ─► delivering UAT ─► delivering PROD ─► released
//	    │            │                    │                   │                └─► returning ─► rolled_back
//	    └─► failed   └─► stopped          └── superseded, revoked ──┘
const (
	Building         State = "building"          // its apps are being built and published
	Delivering       State = "delivering"        // rolling in Environment, wave by wave
	AwaitingApproval State = "awaiting_approval" // the first environment is passed; the plan is not
	Aboard           State = "aboard"            // travels in Train: waits for its departure, or is carried by it
	Returning        State = "returning"         // a production site was rolled back: the waves before it follow
	Released         State = "released"          // terminal: all environments run it
	RolledBack       State = "rolled_back"       // terminal: production runs what it ran before
	Stopped          State = "stopped"           // terminal: did not pass Environment
	Failed           State = "failed"            // terminal: its plan is broken or a build failed
	Superseded       State = "superseded"        // terminal: a newer candidate took its place
	Revoked          State = "revoked"           // terminal: a person withdrew it
)

// Terminal reports whether nothing more will happen in this state.
func (s State) Terminal() bool {
	switch s {
	case Released, RolledBack, Stopped, Failed, Superseded, Revoked:
		return true
	}
	return false
}

// Coach is one candidate of a project Coach: one plan and the commit it carries, from push to verdict. It is a value;
// only the pipeline's decider changes it.
type Coach struct {
	ID        string // "hotel-api-7.2": project, series, candidate
	Project   string // "hotel-api"
	Series    int    // 7: one project Coach, until it is released or rolled back
	Candidate int    // 2: rises with each commit

	SBU        string   // "hotel"
	Repository string   // "hotel/hotel-api"
	Branch     string   // "release/1.4"
	Commit     string   // 40 hex digits
	Subject    string   // first line of the commit message
	Author     string   // who pushed, as the code host says
	Authors    []string // everybody who pushed a candidate of this project Coach or wrote a commit of it, sorted
	Created    time.Time

	Plan        Plan
	PlanDigest  string     // SHA-256 of the plan file: an approval is bound to it
	ROP         PlanStatus // where the plan is
	SubmittedBy string     // "person:li.wei"; "" = nobody, or by itself
	Reserves    bool       // the plan passed and holds its apps (see Reserved) until it is in production

	State       State
	Environment string // the one being delivered to (or where it stopped): "FAT"
	Wave        int    // index into Waves of the wave being rolled
	Waves       []Wave
	Builds      []Build
	Rolls       []RollRef
	Approval    *Approval
	Stages      []StageTime // for people: how long each stage took
	Reason      string      // why the last transition happened
	Verdict     string      // the production verdict in words; "" until there is one
	RevokedBy   string      // who withdrew it, while its rolls are still being taken back; "" = nobody
	Marked      string      // what the code host was last told to show beside the commit; "" = nothing
	Train       string      // the Train it is aboard, or was: "hotel-line-3"; "" = it travels alone
	Left        string      // the Train it left before departure, which it does not board again by itself
	Alone       bool        // a person let it go on without a Train
	BackBy      string      // who had it taken out of production again; "" = nobody, or a rule
	Emergency   bool        // it is taken back in an emergency
	Closed      bool        // terminal, and everybody who follows it was told: no replica works on it any more
}

// CoachID names a candidate: "hotel-api-7.2".
func CoachID(project string, series, candidate int) string {
	return fmt.Sprintf("%s-%d.%d", project, series, candidate)
}

// BuildState is where a build row is.
type BuildState string

// The states of a build row.
const (
	BuildWanted     BuildState = "wanted"     // to be triggered
	BuildTriggering BuildState = "triggering" // saved before Jenkins is asked; after a lost reply Jenkins is asked whether it has it
	BuildQueued     BuildState = "queued"     // in Jenkins' queue
	BuildRunning    BuildState = "running"    //
	BuildPublished  BuildState = "published"  // its package is in the store
	BuildFailed     BuildState = "failed"     // ended without a package, or never began
	BuildEnded      BuildState = "ended"      // of a Train's job: Jenkins has done with it
)

// Build is one build row: a Coach candidate, an app, an attempt.
type Build struct {
	App        string     `json:"app"`
	Attempt    int        `json:"attempt"`    // 1
	Deployment string     `json:"deployment"` // DeploymentID: travels as a build parameter
	State      BuildState `json:"state"`
	Controller string     `json:"controller"`       // "main"
	Job        string     `json:"job"`              // "deliver/hotel-api"
	QueueID    int64      `json:"queue_id"`         // 0 = none yet
	Number     int64      `json:"number"`           // 0 = none yet
	URL        string     `json:"url"`              //
	Package    string     `json:"package"`          // "sha256:…" once published
	RetryAt    time.Time  `json:"retry_at"`         // earliest time of the next try after Jenkins did not answer
	Tries      int        `json:"tries"`            // tries to reach Jenkins since the last success
	Note       string     `json:"note"`             // the last error, for people
	Told       string     `json:"told"`             // the description Jenkins was last told
	Woken      string     `json:"woken,omitempty"`  // the Milepost that the waiting build was woken for
	Queued     time.Time  `json:"queued"`           // when Jenkins had it
	Result     string     `json:"result,omitempty"` // Jenkins' result once it ended: "SUCCESS"
}

// DeploymentID names a build row; it is the same when that row is retried, so Jenkins can be asked whether it has it.
func DeploymentID(coach, app string, attempt int) string {
	return fmt.Sprintf("%s-%s-a%d", coach, app, attempt)
}

// RollRef is a roll of this Coach.
type RollRef struct {
	ID          string `json:"id"`
	Environment string `json:"environment"`
	Wave        int    `json:"wave"`
	Pool        string `json:"pool"`
	Return      bool   `json:"return,omitempty"` // takes a completed wave back
}

// Approval is a plan that passed, bound to what was seen.
type Approval struct {
	Coach    string            `json:"coach"` // "hotel-api-7.2": the candidate it was given for; "" on a grant of policy
	Actor    string            `json:"actor"` // "person:release-engineer", or "policy" where the topology grants it
	At       time.Time         `json:"at"`
	Plan     string            `json:"plan"`     // Coach.PlanDigest
	Packages map[string]string `json:"packages"` // app → package digest
	Reason   string            `json:"reason"`
}

// StageTime is how long one stage took.
type StageTime struct {
	Name  string    `json:"name"` // "build", "FAT", "approval", "UAT", "PROD"
	Start time.Time `json:"start"`
	End   time.Time `json:"end"` // zero while it lasts
}
