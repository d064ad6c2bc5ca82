package jenkins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ErrAnswered: the input is not pending (any more): somebody has answered it, the
// build has ended, or it has not come so far.
var ErrAnswered = errors.New("the input is not pending")

// Input is one question that a Pipeline waits with.
type Input struct {
	ID         string // "Deploy": Jenkins upper-cases the first letter of the step's id
	Message    string // "Release hotel-api?"
	Parameters []InputParameter
}

// InputParameter is one field of an Input.
type InputParameter struct {
	Name    string
	Kind    string   // "StringParameterDefinition"
	Default any      // string or bool
	Choices []string // of a choice
}

// Inputs lists what a Pipeline build asks, oldest first; none for one that asks
// nothing. It needs the plugin Pipeline: REST API. Jenkins may let it wait for up
// to a minute after a restart.
func (c *Controller) Inputs(ctx context.Context, job string, number int64) ([]Input, error) {
	operation := fmt.Sprintf("list the inputs of %s #%d", job, number)
	var pending []struct {
		ID, Message string
		Inputs      []struct {
			Type, Name string
			Definition struct {
				DefaultVal any
				Choices    []string
			}
		}
	}
	err := c.getPlain(ctx, buildPath(job, number)+"/wfapi/pendingInputActions", &pending)
	if errors.Is(err, ErrNotFound) {
		err = c.whyNoPipeline(ctx, job, number, err)
	}
	if err != nil {
		return nil, c.failed(operation, err)
	}
	var out []Input
	for _, p := range pending {
		in := Input{ID: p.ID, Message: p.Message}
		for _, d := range p.Inputs {
			in.Parameters = append(in.Parameters, InputParameter{
				Name: d.Name, Kind: d.Type, Default: d.Definition.DefaultVal, Choices: d.Definition.Choices,
			})
		}
		out = append(out, in)
	}
	return out, nil
}

// whyNoPipeline says why a build's wfapi is not found.
func (c *Controller) whyNoPipeline(ctx context.Context, job string, number int64, notFound error) error {
	var b struct {
		Class string `json:"_class"`
	}
	if err := c.get(ctx, buildPath(job, number), &b, map[string]string{"tree": "number"}); err != nil {
		return notFound
	}
	if !strings.HasSuffix(b.Class, ".WorkflowRun") {
		return &RefusedError{Status: http.StatusNotFound, Object: fmt.Sprintf("%s #%d", job, number), Reason: "it is no Pipeline (" + b.Class + ")", Hint: "make the job a Pipeline"}
	}
	return &RefusedError{Status: http.StatusNotFound, Object: "wfapi", Reason: "the plugin “Pipeline: REST API” is absent", Hint: "install pipeline-rest-api in Jenkins (Manage Jenkins › Plugins)"}
}

// Proceed answers an input. Values are strings or bools by parameter. What is
// left out gets the input's default, which Jenkins itself would not give it.
// ErrAnswered: it is not pending. A *RefusedError: the user is not its submitter.
func (c *Controller) Proceed(ctx context.Context, job string, number int64, id string, values map[string]any) error {
	operation := fmt.Sprintf("answer input %s of %s #%d", id, job, number)
	pending, err := c.Inputs(ctx, job, number)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(pending, func(in Input) bool { return in.ID == id })
	if at < 0 {
		return c.failed(operation, ErrAnswered)
	}
	form, err := pending[at].form(values)
	if err != nil {
		return c.failed(operation, err)
	}
	path := buildPath(job, number) + "/input/" + url.PathEscape(id)
	if len(pending[at].Parameters) == 0 {
		err = c.confirm(ctx, path+"/proceedEmpty", url.Values{})
	} else {
		err = c.confirm(ctx, path+"/proceed", url.Values{"json": {form}})
	}
	if err != nil {
		return c.failed(operation, err)
	}
	return nil
}

// Reject aborts an input. The build ends ABORTED unless it catches that.
func (c *Controller) Reject(ctx context.Context, job string, number int64, id string) error {
	err := c.confirm(ctx, buildPath(job, number)+"/input/"+url.PathEscape(id)+"/abort", url.Values{})
	if err != nil {
		return c.failed(fmt.Sprintf("reject input %s of %s #%d", id, job, number), err)
	}
	return nil
}

// confirm posts an answer, which Jenkins confirms with 200 and nothing. Two ways
// in which it says that the input is not pending become ErrAnswered.
func (c *Controller) confirm(ctx context.Context, path string, form url.Values) error {
	answer, err := c.send(ctx, http.MethodPost, path, form)
	err = clean(err)
	var refused *RefusedError
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w: %w", ErrAnswered, err)
	case errors.As(err, &refused) && strings.Contains(refused.Reason, "already been given"):
		return fmt.Errorf("%w: %w", ErrAnswered, err)
	case err != nil:
		if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && refused.Hint == "" {
			refused.Hint = "make this user the submitter of the input step"
		}
		return err
	}
	answer.Body.Close()
	return nil
}

// form is the json field that Jenkins expects, with every parameter in it.
func (in Input) form(values map[string]any) (string, error) {
	type field struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
	fields := []field{}
	left := len(values)
	for _, p := range in.Parameters {
		value, given := values[p.Name]
		if given {
			left--
		} else {
			value = p.Default
		}
		if text, ok := value.(string); ok && given && len(p.Choices) > 0 && !slices.Contains(p.Choices, text) {
			return "", fmt.Errorf("parameter %s: %q is none of its choices %s", p.Name, text, strings.Join(p.Choices, ", "))
		}
		fields = append(fields, field{p.Name, value})
	}
	if left > 0 {
		var known []string
		for _, p := range in.Parameters {
			known = append(known, p.Name)
		}
		for name := range values {
			if !slices.Contains(known, name) {
				return "", fmt.Errorf("it has no parameter %s: it has %q", name, known)
			}
		}
	}
	text, err := json.Marshal(map[string]any{"parameter": fields})
	return string(text), err
}

// getPlain reads JSON of a plugin that knows neither tree nor api/json.
func (c *Controller) getPlain(ctx context.Context, path string, into any) error {
	answer, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		if errors.Is(err, ErrUnreachable) {
			return err
		}
		return fmt.Errorf("GET %s: %w: %w", path, ErrNotJenkins, err)
	}
	return nil
}
