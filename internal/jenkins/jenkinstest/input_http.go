package jenkinstest

import (
	"fmt"
	"net/http"
)

// input is J/N/input/ID/proceed|proceedEmpty|abort.
func (q *request) input(b *build) {
	id := q.next()
	if id == "" {
		q.buildPage(b)
		return
	}
	p, action := b.findInput(id), q.next()
	if p == nil {
		q.notFound()
		return
	}
	if action == "" {
		q.buildPage(b)
		return
	}
	if !q.post() {
		return
	}
	if why := p.mayAnswer(q.who); why != "" {
		q.failure(why)
		return
	}
	answer := settled{User: q.who.name}
	switch action {
	case "proceedEmpty":
	case "abort":
		answer.Aborted = true
	case "proceed":
		var err error
		if answer.Values, err = q.inputValues(p); err != nil {
			if q.r.Form.Get("json") == "" {
				q.failure(err.Error())
				return
			}
			q.oops(http.StatusInternalServerError, err.Error())
			return
		}
	default:
		q.notFound()
		return
	}
	q.c.settleInput(b, p, answer)
}

// inputSubmit is the same for wfapi, which answers every failure with 500.
func (q *request) inputSubmit(b *build) {
	if !q.post() {
		return
	}
	fail := func(what string) { q.oops(http.StatusInternalServerError, what) }
	p := b.findInput(q.r.Form.Get("inputId"))
	if p == nil {
		fail(fmt.Sprintf("Input with ID '%s' not found", q.r.Form.Get("inputId")))
		return
	}
	if why := p.mayAnswer(q.who); why != "" {
		fail(why)
		return
	}
	values, err := q.inputValues(p)
	if err != nil {
		fail(err.Error())
		return
	}
	q.c.settleInput(b, p, settled{User: q.who.name, Values: values})
}

// inputValues reads the submitted parameters. Those that are left out are not
// given their defaults.
func (q *request) inputValues(p *pendingInput) (map[string]any, error) {
	conf := &config{params: p.defs}
	params, _, err := q.formParams(conf)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for _, v := range params {
		values[v.Name] = v.typed()
	}
	if p.SubmitterParameter != "" {
		values[p.SubmitterParameter] = q.who.name
	}
	if len(values) == 0 {
		return nil, nil
	}
	return values, nil
}
