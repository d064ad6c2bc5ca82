package server

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"

	"railyard/server/api"
)

// maxJSON caps the body of every operation that takes JSON, in bytes.
const maxJSON = 64 << 10

// contract validates requests against openapi.yaml.
type contract struct {
	spec   *openapi3.T
	routes map[string]*routers.Route // "GET /coaches/:coach" → its operation
}

func loadContract() (*contract, error) {
	spec, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		return nil, fmt.Errorf("read the API's contract: %w", err)
	}
	if err := spec.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("check the API's contract: %w", err)
	}
	k := &contract{spec: spec, routes: map[string]*routers.Route{}}
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			k.routes[method+" "+ginPath(path)] = &routers.Route{
				Spec: spec, Path: path, PathItem: item, Method: method, Operation: operation,
			}
		}
	}
	return k, nil
}

// ginPath turns "/coaches/{coach}" into "/coaches/:coach".
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// validate refuses what the contract does not allow, naming the field. Bodies that are not JSON are streams: only their type is
// looked at here, and their handlers cap them.
func (s *Server) validate(c *gin.Context) {
	route := s.contract.routes[c.Request.Method+" "+strings.TrimPrefix(c.FullPath(), apiBase)]
	if route == nil {
		s.fail(c, fmt.Errorf("%s is not in the contract", c.FullPath()))
		return
	}
	input := &openapi3filter.RequestValidationInput{
		Request: c.Request, Route: route, PathParams: map[string]string{},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, KeepValidatedValue: true, SkipSettingDefaults: true},
	}
	for _, p := range c.Params {
		input.PathParams[p.Key] = p.Value
	}
	if body := route.Operation.RequestBody; body != nil {
		if err := checkType(c.Request, body.Value); err != nil {
			s.fail(c, err)
			return
		}
		if body.Value.Content.Get("application/json") == nil {
			input.Options.ExcludeRequestBody = true
		} else {
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxJSON)
		}
	}
	if err := openapi3filter.ValidateRequest(c.Request.Context(), input); err != nil {
		s.fail(c, explain(err))
	}
}

func checkType(r *http.Request, body *openapi3.RequestBody) error {
	sent, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	for want := range body.Content {
		if err == nil && sent == want {
			return nil
		}
		err = fmt.Errorf("header Content-Type: got %q, expected %q", r.Header.Get("Content-Type"), want)
	}
	return invalid(err)
}

// explain words a violation: where, what was expected; and keeps an oversized body apart.
func explain(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return fmt.Errorf("read the body: at most %d bytes are taken: %w", large.Limit, large)
	}
	var request *openapi3filter.RequestError
	if !errors.As(err, &request) {
		return invalid(err)
	}
	where := "body"
	if request.Parameter != nil {
		where = request.Parameter.In + " parameter " + request.Parameter.Name
	}
	var schema *openapi3.SchemaError
	if errors.As(err, &schema) {
		for _, field := range schema.JSONPointer() {
			where += "." + field
		}
		return fmt.Errorf("%w: %s: %s", errInvalid, where, schema.Reason)
	}
	var parse *openapi3filter.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%w: %s: %s", errInvalid, where, parse.Error())
	}
	return fmt.Errorf("%w: %s: %s", errInvalid, where, request.Error())
}
