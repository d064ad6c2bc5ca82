package jenkins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const maxLog = 8 << 20 // bytes of console that one call returns

// Log reads a build's console from start on (0, then the last next). more tells
// whether there can be more later; it outlives the build's result for a moment.
func (c *Controller) Log(ctx context.Context, job string, number, start int64) (text []byte, next int64, more bool, err error) {
	operation := fmt.Sprintf("read the console of %s #%d", job, number)
	answer, err := c.send(ctx, http.MethodGet, fmt.Sprintf("%s/logText/progressiveText?start=%d", buildPath(job, number), start), nil)
	if err != nil {
		return nil, start, false, c.failed(operation, err)
	}
	defer answer.Body.Close()
	// Positions count bytes that Jenkins cuts out of the text, so the length of
	// the text says nothing about where to go on.
	next, err = strconv.ParseInt(answer.Header.Get("X-Text-Size"), 10, 64)
	if err != nil {
		return nil, start, false, c.failed(operation, fmt.Errorf("%w: it has no X-Text-Size header: check the controller's URL", ErrNotJenkins))
	}
	text, leftOut, err := readAll(answer.Body, maxLog)
	if err != nil {
		return nil, start, false, c.failed(operation, fmt.Errorf("%w: %w", ErrUnreachable, err))
	}
	if leftOut > 0 {
		text = fmt.Appendf(text, "\n… (%d bytes left out; see the console in Jenkins)\n", leftOut)
	}
	return text, next, answer.Header.Get("X-More-Data") == "true", nil
}

const (
	consolePatience = 500 * time.Millisecond // the first wait for more of a console
	consoleSlowest  = 5 * time.Second        // the longest one
)

// Console copies a build's console to w from position start (0 for all of it)
// until it ends or ctx does, and returns where to go on. Jenkins may be restarted
// meanwhile: it is waited for. A console that has become shorter begins again.
func (c *Controller) Console(ctx context.Context, job string, number, start int64, w io.Writer) (next int64, err error) {
	wait := consolePatience
	for next = start; ; {
		text, to, more, err := c.Log(ctx, job, number, next)
		switch {
		case errors.Is(err, ErrUnreachable):
			more = true
		case err != nil:
			return next, err
		default:
			if to < next {
				text = append([]byte("\n… (the console begins again)\n"), text...)
			}
			if _, err := w.Write(text); err != nil {
				return next, err
			}
			next = to
		}
		if !more {
			return next, nil
		}
		if wait = min(2*wait, consoleSlowest); len(text) > 0 {
			wait = consolePatience
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return next, c.failed(fmt.Sprintf("follow the console of %s #%d", job, number), context.Cause(ctx))
		}
	}
}
