package jenkinstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reserved names of buildWithParameters that are no parameters.
var reserved = []string{"token", "cause", "delay", crumbField}

// mayTrigger checks method, permission and state of the job, in that order.
func (q *request) mayTrigger(j *item) bool {
	if q.r.Method != http.MethodPost && !q.who.viaToken {
		q.plainPage(http.StatusMethodNotAllowed, "This URL requires POST")
		return false
	}
	if !q.allowed(jobBuild) {
		return false
	}
	if j.config.disabled {
		q.plainPage(http.StatusConflict, j.fullName()+" is not buildable")
		return false
	}
	return true
}

// triggerPlain is J/build.
func (q *request) triggerPlain(j *item) {
	if !q.mayTrigger(j) {
		return
	}
	quiet, err := q.delay(j)
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	if len(j.config.params) == 0 {
		item, _ := q.c.schedule(j, nil, userCause(q.who.name), quiet)
		q.created(item)
		return
	}
	if q.r.Method != http.MethodPost {
		q.plainPage(http.StatusMethodNotAllowed, "This build requires parameters")
		return
	}
	params, status, err := q.formParams(j.config)
	if err != nil {
		if status == http.StatusBadRequest {
			q.failure(err.Error())
			return
		}
		q.oops(status, err.Error())
		return
	}
	item, coalesced := q.c.schedule(j, params, userCause(q.who.name), quiet)
	if coalesced {
		q.redirect(j.path())
		return
	}
	q.created(item)
}

// formParams reads json={"parameter":[{"name":…,"value":…}]}. What is left out
// is not given its default.
func (q *request) formParams(conf *config) (params []param, status int, err error) {
	text := q.r.Form.Get("json")
	if text == "" {
		return nil, http.StatusBadRequest, userError("This page expects a form submission but had only " +
			strconv.Itoa(len(q.r.Form)) + " fields")
	}
	type one struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
	var form struct {
		Parameter json.RawMessage `json:"parameter"`
	}
	var all []one
	if err := json.Unmarshal([]byte(text), &form); err != nil {
		return nil, http.StatusBadRequest, userError("Failed to parse JSON: " + err.Error())
	}
	if len(form.Parameter) > 0 && json.Unmarshal(form.Parameter, &all) != nil {
		var single one
		if err := json.Unmarshal(form.Parameter, &single); err != nil {
			return nil, http.StatusInternalServerError, err
		}
		all = []one{single}
	}
	for _, p := range all {
		def, known := conf.param(p.Name)
		if !known {
			return nil, http.StatusInternalServerError, fmt.Errorf("No such parameter definition: %s", p.Name)
		}
		accepted, err := def.accept(fmt.Sprint(p.Value))
		if err != nil {
			return nil, http.StatusInternalServerError, err
		}
		params = append(params, accepted)
	}
	return params, 0, nil
}

// triggerWithParameters is J/buildWithParameters.
func (q *request) triggerWithParameters(j *item) {
	if !q.mayTrigger(j) {
		return
	}
	if len(j.config.params) == 0 {
		q.oops(http.StatusInternalServerError, "This job is not parameterized")
		return
	}
	quiet, err := q.delay(j)
	var params []param
	if err == nil {
		params, err = q.declaredParams(j)
	}
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	item, coalesced := q.c.schedule(j, params, userCause(q.who.name), quiet)
	if coalesced {
		q.w.Header().Set("Location", q.itemLocation(item))
		q.w.WriteHeader(http.StatusSeeOther)
		return
	}
	q.created(item)
}

// declaredParams takes every declared parameter from the request or its
// default. What the job does not declare is dropped without a word.
func (q *request) declaredParams(j *item) ([]param, error) {
	var params []param
	for _, def := range j.config.params {
		if slices.Contains(reserved, def.name) {
			continue
		}
		value := def.value
		switch given := q.r.Form[def.name]; len(given) {
		case 0:
		case 1:
			value = given[0]
		default:
			return nil, fmt.Errorf("Illegal number of parameter values for %s: %d", def.name, len(given))
		}
		p, err := def.accept(value)
		if err != nil {
			return nil, err
		}
		params = append(params, p)
	}
	return params, nil
}

// delay is the quiet period of this request: "5sec" is seconds, a bare number
// is milliseconds.
func (q *request) delay(j *item) (time.Duration, error) {
	text := q.r.Form.Get("delay")
	if text == "" {
		if j.config.quietPeriod >= 0 {
			return time.Duration(j.config.quietPeriod) * time.Second, nil
		}
		return q.o.QuietPeriod, nil
	}
	unit := time.Millisecond
	for _, suffix := range []string{"seconds", "second", "secs", "sec"} {
		if rest, ok := strings.CutSuffix(strings.TrimSpace(text), suffix); ok {
			text, unit = rest, time.Second
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("delay: %w", err)
	}
	return time.Duration(n) * unit, nil
}

// created is 201 with the address of the queue item, as the client sees the host.
func (q *request) created(item *queueItem) {
	q.w.Header().Del("X-Jenkins")
	q.w.Header().Del("X-Jenkins-Session")
	q.w.Header().Set("Location", q.itemLocation(item))
	q.w.WriteHeader(http.StatusCreated)
}

func (q *request) itemLocation(item *queueItem) string {
	return fmt.Sprintf("%squeue/item/%d/", q.base, item.id)
}

// queueAction is everything below queue/.
func (q *request) queueAction() {
	if q.isAPI() {
		q.json(q.queueBean())
		return
	}
	switch q.next() {
	case "item":
		id, err := strconv.ParseInt(q.next(), 10, 64)
		item := q.c.queued(id)
		if err != nil || item == nil || !q.isAPI() {
			q.notFound()
			return
		}
		q.json(q.queueItemBean(item))
	case "cancelItem":
		q.cancelItem()
	default:
		q.notFound()
	}
}

func (q *request) cancelItem() {
	if !q.post() {
		return
	}
	id, err := strconv.ParseInt(q.r.Form.Get("id"), 10, 64)
	item := q.c.queued(id)
	switch {
	case err != nil || item == nil:
		q.notFound()
	case !q.who.may(jobCancel):
		q.plainPage(http.StatusUnprocessableEntity, "Not permitted to cancel")
	case item.state == stateLeft || item.pending:
		q.oops(http.StatusInternalServerError, "the item has left the queue")
	default:
		q.c.leave(item, true)
		q.c.maintain()
		q.w.WriteHeader(http.StatusNoContent)
	}
}
