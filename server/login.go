package server

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"railyard/server/pages"
)

// cookieName holds the token of somebody who signed in on a page. Scripts cannot read it, other sites cannot make browsers send it, and
// the API does not look at it.
const cookieName = "railyard_token"

const signedInFor = 12 * 3600 // seconds

// maxForm caps the login form in bytes.
const maxForm = 16 << 10

func queryEscape(s string) string { return url.QueryEscape(s) }

func (s *Server) loginPage(c *gin.Context) {
	s.draw(c, http.StatusOK, pages.Login{Frame: s.frame(c), Next: local(c.Query("next"))})
}

// login puts a token that is known into the cookie.
func (s *Server) login(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	if err := c.Request.ParseForm(); err != nil {
		s.fail(c, explain(err))
		return
	}
	token, next := c.Request.PostForm.Get("token"), local(c.Request.PostForm.Get("next"))
	_, stale, err := s.actorOf(c.Request.Context(), token)
	if err != nil || stale {
		status, problem := http.StatusUnauthorized, "login.wrong"
		if !errors.Is(err, errUnauthorized) {
			status, problem = http.StatusServiceUnavailable, "login.busy"
			s.log.WithError(err).WithField("request", requestIDOf(c)).Warn("check a token at login")
		}
		s.draw(c, status, pages.Login{Frame: s.frame(c), Next: next, Problem: problem})
		return
	}
	http.SetCookie(c.Writer, s.cookie(c, cookieName, token, signedInFor))
	c.Redirect(http.StatusSeeOther, next)
}

func (s *Server) logout(c *gin.Context) {
	http.SetCookie(c.Writer, s.cookie(c, cookieName, "", -1))
	c.Redirect(http.StatusSeeOther, "/login")
}

// cookie is Secure when the browser came by TLS, to us or to a proxy before us.
func (s *Server) cookie(c *gin.Context, name, value string, seconds int) *http.Cookie {
	secure := c.Request.TLS != nil || c.GetHeader("X-Forwarded-Proto") == "https"
	return &http.Cookie{ //nolint:gosec // Secure is set above: on plain HTTP, such a cookie would never come back
		Name: name, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure,
	}
}

var origins = http.NewCrossOriginProtection()

// sameOrigin refuses forms that another site's page made a browser send.
func (s *Server) sameOrigin(c *gin.Context) {
	if origins.Check(c.Request) != nil {
		s.fail(c, errForeign)
	}
}
