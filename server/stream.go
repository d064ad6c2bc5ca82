package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"railyard/internal/event"
)

const (
	heartbeat     = 15 * time.Second // proxies and browsers give up on silence
	writePatience = 10 * time.Second // a reader that takes nothing for so long is cut; its browser resumes
)

// stream sends the event log as it grows, as Server-Sent Events: `id` is the event's, `data` is the contract's Event as JSON. A reader
// that comes back with Last-Event-ID (or ?after=) gets what it missed; one that comes without gets what happens from now on.
func (s *Server) stream(c *gin.Context) {
	ctx := c.Request.Context()
	release := s.tail.listen()
	defer release()
	after, err := s.resumeFrom(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	out := &sender{control: visitOf(ctx).control, to: c.Writer}
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	c.Writer.WriteHeader(http.StatusOK)
	if out.send("retry: 2000\n\n") != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		events, moved, err := s.tail.next(ctx, after)
		if err != nil {
			if ctx.Err() == nil {
				s.log.WithError(err).WithField("request", requestIDOf(c)).Warn("cut an event stream: the log cannot be read")
			}
			return // the browser comes back with the last id it has
		}
		if len(events) > 0 {
			if out.send(frames(events)) != nil {
				return
			}
			after = events[len(events)-1].ID
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-stopping(ctx):
			return
		case <-moved:
		case <-beat.C:
			if out.send(": still here\n\n") != nil {
				return
			}
		}
	}
}

func (s *Server) resumeFrom(c *gin.Context) (int64, error) {
	text := c.GetHeader("Last-Event-ID")
	if text == "" {
		text = c.Query("after")
	}
	if text == "" {
		last, err := s.tail.last(c.Request.Context())
		return last, database(err)
	}
	after, err := strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, fmt.Errorf("%w: Last-Event-ID %.40q: expected the id of an event, as 42", errInvalid, text)
	}
	return after, nil
}

func frames(events []event.Event) string {
	var b strings.Builder
	for _, e := range events {
		data, err := json.Marshal(eventOf(e))
		if err != nil {
			continue // an Event is strings and a time; this cannot be
		}
		fmt.Fprintf(&b, "id: %d\ndata: %s\n\n", e.ID, data)
	}
	return b.String()
}

// sender writes to one reader, each time with a deadline of its own.
type sender struct {
	control *http.ResponseController
	to      http.ResponseWriter
}

func (o *sender) send(text string) error {
	// A recorder in a test has no deadlines; every real connection has.
	_ = o.control.SetWriteDeadline(time.Now().Add(writePatience))
	if _, err := o.to.Write([]byte(text)); err != nil {
		return err
	}
	return o.control.Flush()
}
