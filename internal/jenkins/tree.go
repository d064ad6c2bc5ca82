package jenkins

import "time"

// What of builds and queue items is read.
const (
	parametersTree = "actions[parameters[name,value]]"
	buildTree      = "number,url,queueId,building,inProgress,result,description,displayName,keepLog,timestamp,duration," + parametersTree
	queueTree      = "items[id,why,task[url]," + parametersTree + "]"
)

// jobJSON is a job or a folder.
type jobJSON struct {
	FullName  string       `json:"fullName"`
	AllBuilds *[]buildJSON `json:"allBuilds"` // nil for a folder
	Jobs      []jobJSON    `json:"jobs"`
}

type actionJSON struct {
	Parameters []struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	} `json:"parameters"`
}

func parameter(actions []actionJSON, name string) string {
	for _, a := range actions {
		for _, p := range a.Parameters {
			if text, ok := p.Value.(string); ok && p.Name == name {
				return text
			}
		}
	}
	return ""
}

type buildJSON struct {
	Number      int64        `json:"number"`
	URL         string       `json:"url"`
	QueueID     int64        `json:"queueId"`
	Building    bool         `json:"building"`
	InProgress  bool         `json:"inProgress"` // true also while it finishes; older versions lack it
	Result      string       `json:"result"`
	Description string       `json:"description"`
	DisplayName string       `json:"displayName"`
	KeepLog     bool         `json:"keepLog"`
	Timestamp   int64        `json:"timestamp"` // ms
	Duration    int64        `json:"duration"`  // ms
	Actions     []actionJSON `json:"actions"`
}

func (b buildJSON) build(job string) Build {
	return Build{
		Job: job, Deployment: parameter(b.Actions, DeploymentParam), QueueID: max(b.QueueID, 0), Number: b.Number, URL: b.URL,
		Building: b.Building || b.InProgress, Result: b.Result, Description: b.Description,
		Name: b.DisplayName, Kept: b.KeepLog,
		Started: time.UnixMilli(b.Timestamp), Duration: time.Duration(b.Duration) * time.Millisecond,
	}
}
