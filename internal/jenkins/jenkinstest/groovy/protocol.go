package groovy

// What the host sends, a line each. Op says which fields are set.
//
//	ready                            it listens
//	log        Text                  for the build's console
//	call       Call, What, …         wants a reply; What: sh, node, input, credential, checkout, milestone, properties
//	cancel     Call                  does not want it any more
//	release    ID                    gives the executor of a node step back
//	stage      ID, Name              a stage begins
//	stageEnd   ID, Name, Result, Error, Skipped
//	set        Result, Description, DisplayName: of currentBuild; those that are set
//	end        Result
type message struct {
	Op    string `json:"op"`
	Build string `json:"build"` // as the order named it
	Text  string `json:"text"`

	Call int    `json:"call"`
	What string `json:"what"`
	ID   string `json:"id"` // of the step, the same in every run of the script; of a credential or input the script's own

	Name    string  `json:"name"`
	Result  string  `json:"result"`
	Error   *string `json:"error"`
	Skipped bool    `json:"skipped"`

	Description *string `json:"description"`
	DisplayName *string `json:"displayName"`

	// sh, checkout
	Script string            `json:"script"`
	Dir    string            `json:"dir"`
	Env    map[string]string `json:"env"`
	Stdout bool              `json:"stdout"` // returned, not shown
	Stage  string            `json:"stage"`  // id of the stage it stands in
	Label  string            `json:"label"`

	// input
	Step               string      `json:"step"`
	Message            string      `json:"message"`
	OK                 string      `json:"ok"`
	Submitter          string      `json:"submitter"`
	SubmitterParameter string      `json:"submitterParameter"`
	Parameters         []parameter `json:"parameters"`

	// milestone, properties
	Ordinal                 int  `json:"ordinal"`
	DisableConcurrentBuilds bool `json:"disableConcurrentBuilds"`
	AbortPrevious           bool `json:"abortPrevious"`
}

type parameter struct {
	Kind        string   `json:"kind"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Default     string   `json:"default"`
	Choices     []string `json:"choices"`
	Trim        bool     `json:"trim"`
}

// What it is told, a line each. Op says which fields are set.
//
//	run        all of the second part
//	reply      Call, and Value, or Error, or Aborted with Cause
//	abort      Result, Cause: ends the step that runs, and may be caught
//	suspend    the controller goes down: the build stops where it is, and nothing more is heard of it
type order struct {
	Op    string `json:"op"`
	Build string `json:"build"`

	Call    int    `json:"call,omitempty"`
	Value   any    `json:"value,omitempty"`
	Error   string `json:"error,omitempty"`
	Aborted string `json:"aborted,omitempty"` // the result that an interruption makes: "ABORTED"
	Cause   string `json:"cause,omitempty"`   // "Aborted by admin"

	Result      string            `json:"result,omitempty"`
	Script      string            `json:"script,omitempty"`
	Job         string            `json:"job,omitempty"`
	Number      int64             `json:"number,omitempty"`
	DisplayName string            `json:"displayName,omitempty"`
	Description string            `json:"description,omitempty"`
	Env         map[string]string `json:"env,omitempty"`
	Params      map[string]any    `json:"params,omitempty"`
	Causes      []cause           `json:"causes,omitempty"`
	Journal     string            `json:"journal,omitempty"`   // file
	Libraries   map[string]string `json:"libraries,omitempty"` // name → directory
	SCM         map[string]string `json:"scm,omitempty"`
}

// cause is an element of currentBuild.getBuildCauses().
type cause struct {
	Class            string `json:"_class"`
	ShortDescription string `json:"shortDescription"`
	UserID           string `json:"userId,omitempty"`
	UserName         string `json:"userName,omitempty"`
}
