package jenkinstest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// The answers of the Pipeline REST API plugin. Its links are paths with the
// context path, unlike the URLs of the remote API.

type href struct {
	Href string `json:"href"`
}

type wfRun struct {
	Links         map[string]href `json:"_links"`
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	Status        Status          `json:"status"`
	StartTime     int64           `json:"startTimeMillis"`
	EndTime       int64           `json:"endTimeMillis"`
	Duration      int64           `json:"durationMillis"`
	QueueDuration int64           `json:"queueDurationMillis"`
	PauseDuration int64           `json:"pauseDurationMillis"`
	Stages        []wfNode        `json:"stages"`
}

type wfNode struct {
	Links         map[string]href `json:"_links"`
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	ExecNode      string          `json:"execNode"`
	Status        Status          `json:"status"`
	Error         *wfError        `json:"error,omitempty"`
	Parameter     string          `json:"parameterDescription,omitempty"`
	StartTime     int64           `json:"startTimeMillis"`
	Duration      int64           `json:"durationMillis"`
	PauseDuration int64           `json:"pauseDurationMillis"`
	Parents       []string        `json:"parentNodes,omitempty"`
	FlowNodes     []wfNode        `json:"stageFlowNodes,omitempty"`
}

type wfError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
}

// jobWfapi is J/wfapi/….
func (q *request) jobWfapi(j *item) {
	switch q.next() {
	case "runs":
		runs := []wfRun{}
		for b := range j.newest() {
			runs = append(runs, q.wfRun(b, q.r.Form.Get("fullStages") == "true"))
		}
		q.plainJSON(runs)
	case "describe", "":
		q.plainJSON(map[string]any{
			"_links": map[string]href{"self": {q.link(j.path() + "wfapi/describe")}, "runs": {q.link(j.path() + "wfapi/runs")}},
			"name":   j.name, "runCount": len(j.order),
		})
	default:
		q.notFound()
	}
}

// runWfapi is J/N/wfapi/….
func (q *request) runWfapi(b *build) {
	switch q.next() {
	case "describe", "":
		q.plainJSON(q.wfRun(b, q.r.Form.Get("fullStages") == "true"))
	case "pendingInputActions":
		actions := []map[string]any{}
		for _, p := range b.pending {
			actions = append(actions, q.inputBean(b, p))
		}
		q.plainJSON(actions)
	case "nextPendingInputAction":
		if len(b.pending) == 0 {
			q.plainJSON(nil)
			return
		}
		q.plainJSON(q.inputBean(b, b.pending[0]))
	case "artifacts", "changesets":
		q.plainJSON([]any{})
	case "inputSubmit":
		q.inputSubmit(b)
	default:
		q.notFound()
	}
}

// flowNodeWfapi is J/N/execution/node/ID/wfapi/describe|log.
func (q *request) flowNodeWfapi(b *build) {
	if q.next() != "node" {
		q.notFound()
		return
	}
	n := b.flowNode(q.next())
	if n == nil || q.next() != "wfapi" {
		q.notFound()
		return
	}
	switch q.next() {
	case "describe", "":
		q.plainJSON(q.wfNode(b, n, true))
	case "log":
		q.plainJSON(map[string]any{
			"nodeId": n.ID, "nodeStatus": n.Status, "length": len(n.Log), "hasMore": false, "text": n.Log,
			"consoleUrl": q.link(b.path() + "execution/node/" + n.ID + "/log"),
		})
	default:
		q.notFound()
	}
}

func (b *build) flowNode(id string) *flowNode {
	for _, s := range b.Stages {
		if s.ID == id {
			return s
		}
		for _, k := range s.Steps {
			if k.ID == id {
				return k
			}
		}
	}
	return nil
}

func (q *request) link(path string) string { return q.o.ContextPath + "/" + path }

func (q *request) wfRun(b *build, full bool) wfRun {
	end := b.Started.Add(b.Duration)
	if b.inProgress() {
		end = q.c.o.Clock.Now()
	}
	r := wfRun{
		Links: map[string]href{"self": {q.link(b.path() + "wfapi/describe")}},
		ID:    strconv.FormatInt(b.Number, 10), Name: b.name(), Status: b.status(),
		StartTime: millis(b.Started), EndTime: millis(end), Duration: end.Sub(b.Started).Milliseconds(), Stages: []wfNode{},
	}
	if len(b.pending) > 0 {
		r.Links["pendingInputActions"] = href{q.link(b.path() + "wfapi/pendingInputActions")}
		r.Links["nextPendingInputAction"] = href{q.link(b.path() + "wfapi/nextPendingInputAction")}
	}
	for _, s := range b.Stages {
		r.Stages = append(r.Stages, q.wfNode(b, s, full))
	}
	return r
}

// status of a run: what it waits for shows before what it is.
func (b *build) status() Status {
	switch {
	case len(b.pending) > 0:
		return StatusPaused
	case b.isBuilding():
		return StatusInProgress
	}
	return statusOf(b.Result)
}

func (q *request) wfNode(b *build, n *flowNode, full bool) wfNode {
	node := q.link(b.path() + "execution/node/" + n.ID + "/wfapi/")
	took := n.Took
	if n.open() {
		took = q.c.o.Clock.Now().Sub(n.Started)
	}
	out := wfNode{
		Links: map[string]href{"self": {node + "describe"}}, ID: n.ID, Name: n.Name, Status: n.Status, Parameter: n.Detail,
		StartTime: millis(n.Started), Duration: took.Milliseconds(),
	}
	if n.open() && len(b.pending) > 0 {
		out.Status = StatusPaused
	}
	if n.Error != "" {
		out.Error = &wfError{n.Error, "hudson.AbortException"}
	}
	if n.Log != "" {
		out.Links["log"] = href{node + "log"}
	}
	if full {
		if n.Parent != "" {
			out.Parents = []string{n.Parent}
		}
		for _, k := range n.Steps {
			out.FlowNodes = append(out.FlowNodes, q.wfNode(b, k, true))
		}
	}
	return out
}

// inputBean is one entry of pendingInputActions.
func (q *request) inputBean(b *build, p *pendingInput) map[string]any {
	inputs := []map[string]any{}
	for _, d := range p.defs {
		definition := map[string]any{"defaultVal": d.value}
		if value, err := d.accept(d.value); err == nil {
			definition["defaultVal"] = value.typed()
		}
		if d.choices != nil {
			definition["choices"] = d.choices
		}
		inputs = append(inputs, map[string]any{
			"type": d.kind, "name": d.name, "description": d.description, "definition": definition,
		})
	}
	return map[string]any{
		"id": p.id, "proceedText": orElse(p.OK, "Proceed"), "message": p.Message, "inputs": inputs,
		"proceedUrl":          q.link(b.path() + "wfapi/inputSubmit?inputId=" + p.id),
		"abortUrl":            q.link(b.path() + "input/" + p.id + "/abort"),
		"redirectApprovalUrl": q.link(b.path() + "input/"),
	}
}

// plainJSON answers JSON that no tree or depth applies to.
func (q *request) plainJSON(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_, _ = q.w.Write(text) // into memory
}
