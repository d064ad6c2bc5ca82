package jenkinstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"railyard/internal/jenkins/configxml"
)

// webhookTrigger is a GenericTrigger of a job.
type webhookTrigger struct {
	token      string
	variables  map[string]string // variable → JSON path: "ref" → "$.ref"
	filterText string            // "$ref"
	filter     string            // a regular expression; "" for no filter
}

const (
	classWebhook = "org.jenkinsci.plugins.gwt.GenericTrigger"
	triggersOf   = "org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty"
)

// readTriggers finds the webhook trigger of a job: a Pipeline keeps it among its properties.
func (c *config) readTriggers(root *configxml.Node) {
	t := root.Child("triggers").Child(classWebhook)
	if t == nil {
		t = root.Child("properties").Child(triggersOf).Child("triggers").Child(classWebhook)
	}
	if t == nil {
		return
	}
	w := &webhookTrigger{
		token: t.Value("token"), variables: map[string]string{},
		filterText: t.Value("regexpFilterText"), filter: t.Value("regexpFilterExpression"),
	}
	if list := t.Child("genericVariables"); list != nil {
		for _, v := range list.Kids {
			w.variables[v.Value("key")] = v.Value("value")
		}
	}
	c.webhook = w
}

// invokeWebhook is POST generic-webhook-trigger/invoke?token=T. It needs no
// crumb, and answers 200 also when a filter rejected what was sent.
func (q *request) invokeWebhook() {
	if q.next() != "invoke" {
		q.notFound()
		return
	}
	token := q.r.URL.Query().Get("token")
	if token == "" {
		token = strings.TrimPrefix(q.r.Header.Get("token"), "Bearer ")
	}
	jobs := map[string]any{}
	for _, j := range q.c.allJobs() {
		w := j.config.webhook
		if w == nil || w.token != token {
			continue
		}
		answer, err := q.webhook(j, w)
		if err != nil {
			q.w.WriteHeader(http.StatusInternalServerError)
			q.plainJSON(map[string]any{"message": err.Error()})
			return
		}
		jobs[j.fullName()] = answer
	}
	if len(jobs) == 0 {
		q.w.WriteHeader(http.StatusNotFound)
		q.plainJSON(map[string]any{"jobs": nil, "message": "Did not find any jobs with GenericTrigger configured! " +
			"If you are using a token, you need to pass it like ...trigger/invoke?token=TOKENHERE."})
		return
	}
	q.plainJSON(map[string]any{"message": "Triggered jobs.", "jobs": jobs})
}

// webhook triggers one job unless its filter rejects what was sent.
func (q *request) webhook(j *item, w *webhookTrigger) (map[string]any, error) {
	var body any
	if len(q.body) > 0 {
		if err := json.Unmarshal(q.body, &body); err != nil {
			return nil, err
		}
	}
	values := map[string]string{}
	for name, path := range w.variables {
		values[name] = atPath(body, path)
	}
	text := w.filterText
	for name, value := range values {
		text = strings.ReplaceAll(text, "$"+name, value)
	}
	answer := map[string]any{
		"regexpFilterExpression": w.filter, "regexpFilterText": text, "resolvedVariables": values, "triggered": false, "id": 0, "url": "",
	}
	if w.filter != "" {
		matches, err := regexp.MatchString(w.filter, text)
		if err != nil || !matches {
			return answer, err
		}
	}
	params := []param{}
	for _, d := range j.config.params {
		value := d.value
		if given, ok := values[d.name]; ok {
			value = given
		}
		p, err := d.accept(value)
		if err != nil {
			return nil, err
		}
		params = append(params, p)
	}
	item, _ := q.c.schedule(j, params, Cause{Class: "org.jenkinsci.plugins.gwt.GenericCause", Text: "Generic Cause"}, q.o.QuietPeriod)
	answer["triggered"], answer["id"], answer["url"] = true, item.id, fmt.Sprintf("queue/item/%d/", item.id)
	return answer, nil
}

// atPath is what a path such as $.repository.name leads to; "" when to nothing.
func atPath(v any, path string) string {
	for _, name := range strings.Split(strings.TrimPrefix(strings.TrimPrefix(path, "$"), "."), ".") {
		if name == "" {
			continue
		}
		object, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = object[name]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// allJobs are all jobs, wherever they lie.
func (c *controller) allJobs() []*item {
	var out []*item
	var walk func(*item)
	walk = func(at *item) {
		for _, it := range at.children() {
			if !it.isFolder() {
				out = append(out, it)
			}
			walk(it)
		}
	}
	walk(c.root)
	return out
}
