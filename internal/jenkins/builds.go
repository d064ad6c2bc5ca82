package jenkins

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Build is one asked-for build, as Jenkins showed it at one moment.
type Build struct {
	Job         string // "deliver/hotel-api"
	Deployment  string // the id it was triggered with
	QueueID     int64  // 31; 0 unknown
	Number      int64  // 7; 0 while there is no build
	URL         string // as Jenkins gives it; "" while there is no build
	Queued      bool   // waits in the queue
	Why         string // it waits, in Jenkins' words: "Waiting for next available executor"
	Cancelled   bool   // taken out of the queue; there will be no build
	Building    bool   // its steps run, or it is finishing
	Result      string // "SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"; "" unknown
	Description string
	Started     time.Time
	Duration    time.Duration // 0 while it runs
}

// Done tells whether nothing more will happen: the build has its final result,
// or it was cancelled before it began. A result that shows while the build still
// runs is not final, and a queue item that has left without a build is not done.
func (b Build) Done() bool {
	return b.Cancelled || b.Number > 0 && !b.Building && b.Result != ""
}

// Describe sets the description of a build.
func (c *Controller) Describe(ctx context.Context, job string, number int64, description string) error {
	err := c.act(ctx, buildPath(job, number)+"/submitDescription", url.Values{"description": {description}})
	if err != nil {
		return c.failed(fmt.Sprintf("describe %s #%d", job, number), err)
	}
	return nil
}

// Stop asks a build to end. It succeeds also for a build that has ended; whether
// and how it ends shows in Poll.
func (c *Controller) Stop(ctx context.Context, job string, number int64) error {
	if err := c.act(ctx, buildPath(job, number)+"/stop", url.Values{}); err != nil {
		return c.failed(fmt.Sprintf("stop %s #%d", job, number), err)
	}
	return nil
}

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
