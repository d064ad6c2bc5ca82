package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"railyard/internal/access"
	"railyard/internal/packages"
	"railyard/internal/roller"
	"railyard/internal/scm"
	"railyard/internal/store"
	"railyard/internal/yamlfile"
	"railyard/pipeline"
	"railyard/server/api"
)

// What went wrong, by errors.Is. The text of an error that is one of these is shown to the caller.
var (
	errInvalid      = errors.New("invalid request")
	errUnauthorized = errors.New("not signed in")
	errNotFound     = errors.New("not found")
	errConflict     = errors.New("conflict")
	errUnavailable  = errors.New("not available now")
	errDatabase     = errors.New("the database failed") // its detail is for the log
)

// known is one kind of error and how it is answered.
type known struct {
	is     error
	status int
	code   api.ErrorErrorCode
}

// kinds is the only place that turns errors into answers. The first that matches counts; what matches none is internal.
var kinds = []known{
	{errInvalid, http.StatusBadRequest, api.Invalid},
	{scm.ErrMalformed, http.StatusBadRequest, api.Invalid},
	{store.ErrTooLong, http.StatusBadRequest, api.Invalid},
	{errUnauthorized, http.StatusUnauthorized, api.Unauthorized},
	{scm.ErrBadSignature, http.StatusUnauthorized, api.Unauthorized},
	{access.ErrDenied, http.StatusForbidden, api.Denied},
	{errNotFound, http.StatusNotFound, api.NotFound},
	{pipeline.ErrNotFound, http.StatusNotFound, api.NotFound},
	{errConflict, http.StatusConflict, api.Conflict},
	{pipeline.ErrConflict, http.StatusConflict, api.Conflict},
	{store.ErrDuplicate, http.StatusConflict, api.Conflict},
	{store.ErrFinished, http.StatusConflict, api.Conflict},
	{roller.ErrNothingToCatchUp, http.StatusConflict, api.Conflict},
	{roller.ErrNewer, http.StatusConflict, api.Conflict},
	{roller.ErrNothingToGoBackTo, http.StatusConflict, api.Conflict},
	{packages.ErrTooLarge, http.StatusRequestEntityTooLarge, api.TooLarge},
	{scm.ErrTooLarge, http.StatusRequestEntityTooLarge, api.TooLarge},
	{errUnavailable, http.StatusServiceUnavailable, api.Unavailable},
}

// kindOf says how an error is answered, and whether its text is for the caller.
func kindOf(err error) (k known, tell bool) {
	for _, k := range kinds {
		if errors.Is(err, k.is) {
			return k, true
		}
	}
	var large *http.MaxBytesError
	var problem *yamlfile.Problem
	switch {
	case errors.As(err, &large):
		return known{status: http.StatusRequestEntityTooLarge, code: api.TooLarge}, true
	case errors.As(err, &problem):
		return known{status: http.StatusBadRequest, code: api.Invalid}, true
	case errors.Is(err, errDatabase), errors.Is(err, context.DeadlineExceeded):
		return known{status: http.StatusServiceUnavailable, code: api.Unavailable}, false
	}
	return known{status: http.StatusInternalServerError, code: api.Internal}, false
}

// fail answers an error and ends the request. What the caller may not see is logged under the request's id.
func (s *Server) fail(c *gin.Context, err error) {
	defer c.Abort()
	k, tell := kindOf(err)
	id := requestIDOf(c)
	message := err.Error()
	if !tell && c.Request.Context().Err() == nil {
		s.log.WithError(err).WithField("request", id).Errorf("answer %s %s", c.Request.Method, c.Request.URL.Path)
	}
	switch {
	case tell:
	case k.code == api.Unavailable:
		message = fmt.Sprintf("the database does not answer in time; try again in a few seconds (request %s)", id)
	default:
		message = fmt.Sprintf("something went wrong inside Railyard; its log says what, under request %s", id)
	}
	if c.Writer.Written() {
		return // the answer has begun: it can only be cut short
	}
	var body api.Error
	body.Error.Code, body.Error.Message, body.Error.Request = k.code, message, &id
	switch k.status {
	case http.StatusServiceUnavailable:
		c.Header("Retry-After", "5")
	case http.StatusUnauthorized:
		c.Header("WWW-Authenticate", `Bearer realm="railyard"`)
	}
	c.JSON(k.status, body)
}

// database marks what the store could not do, unless it is an answer: no such row, a conflict, a text that is too long.
func database(err error) error {
	if err == nil {
		return nil
	}
	if _, tell := kindOf(err); tell {
		return err
	}
	return fmt.Errorf("%w: %w", errDatabase, err)
}

func invalid(err error) error { return fmt.Errorf("%w: %w", errInvalid, err) }

func errNoAddress(r *http.Request) error {
	return fmt.Errorf("%s: %w: no such address", r.URL.Path, errNotFound)
}

func errNoMethod(r *http.Request) error {
	return fmt.Errorf("%s %s: %w: this address does not take this method", r.Method, r.URL.Path, errNotFound)
}
