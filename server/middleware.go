package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"

	"railyard/internal/access"
)

// requestHeader carries the id under which the log tells of a request.
const requestHeader = "Railyard-Request"

// visit is what is known of one request. It travels in the request's own context, since gin takes its contexts back when the request
// ends, and a database driver may look at one a moment later.
type visit struct {
	id         string // the name under which the log tells of the request
	actor      access.Actor
	stale      bool // the actor is from memory, because the database did not answer
	authorized bool // authorize was asked and said yes
	control    *http.ResponseController
}

type visitKey struct{}

// visitOf returns the visit of a request's context; one of nobody, who may nothing, for any other.
func visitOf(ctx context.Context) *visit {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

// enter names the request. The caller's own ids are not taken over: they would let two requests share a name.
func (s *Server) enter(c *gin.Context) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	v := &visit{id: hex.EncodeToString(random[:]), control: http.NewResponseController(c.Writer)}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), visitKey{}, v))
	c.Header(requestHeader, v.id)
	c.Next()
}

func requestIDOf(c *gin.Context) string { return visitOf(c.Request.Context()).id }

// measure counts and times requests by route, not by address: addresses hold names from outside.
func (s *Server) measure(c *gin.Context) {
	start := time.Now()
	c.Next()
	route := c.FullPath()
	if route == "" {
		route = "none"
	}
	took := time.Since(start)
	s.metrics.request(c.Request.Method, route, c.Writer.Status(), took)
	s.log.WithFields(logrus.Fields{
		"request": requestIDOf(c), "method": c.Request.Method, "path": c.Request.URL.Path, "status": c.Writer.Status(), "took": took.String(),
	}).Debug("answered")
}

// recover answers a panic as an internal error; one request must not end the others.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p) // net/http's own way to cut an answer short
		}
		s.log.WithField("request", requestIDOf(c)).WithField("stack", string(debug.Stack())).Errorf("panic: %v", p)
		s.fail(c, fmt.Errorf("panic: %v", p))
	}()
	c.Next()
}

// headers close what browsers would otherwise allow. Nothing is loaded from elsewhere, and no script or style is inline.
func headers(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	c.Next()
}

// patience bounds a request, so that a database that hangs does not collect them. Uploads take as long as their bytes flow.
func patience(c *gin.Context) {
	if c.Request.Method != http.MethodPut {
		ctx, cancel := context.WithTimeoutCause(c.Request.Context(), longestPoll+10*time.Second, errors.New("the request took too long"))
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
	}
	c.Next()
}

// ready says whether this replica can do its work: without the database it can not.
func (s *Server) ready(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), 2*time.Second)
	defer cancel()
	if err := s.Store.Ping(ctx); err != nil {
		s.log.WithError(err).WithField("request", requestIDOf(c)).Warn("not ready")
		c.Header("Retry-After", "5")
		c.String(http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	c.String(http.StatusOK, "ready\n")
}
