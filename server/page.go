package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"railyard/internal/access"
	"railyard/internal/store"
	"railyard/server/api"
	"railyard/server/pages"
)

const (
	shownEvents = 60
	shownEnded  = 6 // Coaches that have ended
)

// yardPage shows everything.
func (s *Server) yardPage(c *gin.Context) {
	view, err := s.yard(c.Request.Context(), s.frame(c))
	if err != nil {
		s.trouble(c, err)
		return
	}
	s.draw(c, http.StatusOK, view)
}

func (s *Server) yard(ctx context.Context, frame pages.Frame) (pages.Yard, error) {
	view := pages.Yard{Frame: frame}
	names, production := s.environments()
	active, err := s.coaches(ctx, store.CoachFilter{Active: true}, "", mostActive)
	if err != nil {
		return view, err
	}
	recent, err := s.coaches(ctx, store.CoachFilter{}, "", len(active)+shownEnded)
	if err != nil {
		return view, err
	}
	for _, coach := range active {
		view.Coaches = append(view.Coaches, pages.NewCoach(coach, names, view.Now))
	}
	for _, coach := range recent {
		if coach.Ended && len(view.Recent) < shownEnded {
			view.Recent = append(view.Recent, pages.NewCoach(coach, names, view.Now))
		}
	}
	sites, err := s.sites(ctx, "")
	if err != nil {
		return view, err
	}
	loose, err := s.looseRolls(ctx, sites, active)
	if err != nil {
		return view, err
	}
	trains, err := s.Store.Trains(ctx, store.TrainFilter{Active: true}, mostActive)
	if err != nil {
		return view, database(err)
	}
	for _, t := range trains {
		view.Trains = append(view.Trains, trainOf(t, nil))
	}
	view.Environments = pages.NewEnvironments(sites, production, view.Coaches, loose)
	view.Events, err = s.newest(ctx, store.EventFilter{})
	return view, err
}

// looseRolls are the rolls of sites that carry no Coach on its way, such as a catch-up.
func (s *Server) looseRolls(ctx context.Context, sites []api.Site, coaches []api.Coach) (loose []api.Roll, err error) {
	carried := map[string]bool{}
	for _, c := range coaches {
		for _, r := range c.Rolls {
			carried[r.Id] = true
		}
	}
	for _, site := range sites {
		id := value(site.Roll)
		if id == "" || carried[id] {
			continue
		}
		r, err := s.Store.Roll(ctx, id)
		if err != nil {
			return nil, database(err)
		}
		loose = append(loose, rollOf(r))
	}
	return loose, nil
}

// environments are the names in a Coach's order, and which of them are production.
func (s *Server) environments() (names []string, production map[string]bool) {
	production = map[string]bool{}
	if t := s.Topology(); t != nil {
		for _, e := range t.Environments {
			names = append(names, e.Name)
			production[e.Name] = e.Production
		}
	}
	return names, production
}

// newest returns the last events, the newest first, as a page shows them.
func (s *Server) newest(ctx context.Context, f store.EventFilter) ([]api.Event, error) {
	f.Newest, f.Limit = true, shownEvents
	rows, err := s.Store.Events(ctx, f)
	events := make([]api.Event, len(rows))
	for i, e := range rows {
		events[len(rows)-1-i] = eventOf(e)
	}
	return events, database(err)
}

// coachPage shows one Coach's whole story.
func (s *Server) coachPage(c *gin.Context) {
	ctx := c.Request.Context()
	names, _ := s.environments()
	view := pages.CoachPage{Frame: s.frame(c)}
	coach, err := s.coach(ctx, c.Param("coach"))
	if err == nil {
		view.Coach = pages.NewCoach(coach, names, view.Now)
		view.Events, err = s.newest(ctx, store.EventFilter{Coach: coach.Id})
	}
	if err == nil {
		view.People, err = s.people(ctx, coach.Id)
	}
	if err != nil {
		s.trouble(c, err)
		return
	}
	s.draw(c, http.StatusOK, view)
}

func (s *Server) frame(c *gin.Context) pages.Frame {
	f := pages.Frame{Lang: s.language(c), Now: s.now(), Path: c.Request.URL.Path}
	if person := visitOf(c.Request.Context()).actor.Person; person != anonymous {
		f.Person = person
	}
	return f
}

const langCookie = "railyard_lang"

// language is what ?lang= asks for, which a cookie remembers, or else what the browser prefers.
func (s *Server) language(c *gin.Context) pages.Lang {
	asked := c.Query("lang")
	if asked != "" {
		http.SetCookie(c.Writer, s.cookie(c, langCookie, string(pages.Choose(asked, "")), 365*24*3600))
	} else if cookie, err := c.Request.Cookie(langCookie); err == nil {
		asked = cookie.Value
	}
	return pages.Choose(asked, c.GetHeader("Accept-Language"))
}

// draw sends a page, or nothing of it.
func (s *Server) draw(c *gin.Context, status int, v pages.View) {
	body, err := s.pages.Draw(v)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Vary", "Accept-Language, Cookie")
	c.Data(status, "text/html; charset=utf-8", body)
}

// trouble shows an error as a page. Only its kind is told; the detail of what is not the visitor's is logged.
func (s *Server) trouble(c *gin.Context, err error) {
	k, tell := kindOf(err)
	if !tell && c.Request.Context().Err() == nil {
		s.log.WithError(err).WithField("request", requestIDOf(c)).Errorf("draw %s", c.Request.URL.Path)
	}
	key := "trouble.internal"
	switch k.code {
	case api.NotFound, api.Denied, api.Unavailable:
		key = "trouble." + string(k.code)
	}
	s.draw(c, k.status, pages.Trouble{Frame: s.frame(c), Key: key, Request: requestIDOf(c)})
	c.Abort()
}

// seesPages answers a visitor who may not see a page: whoever is not signed in is asked to.
func (s *Server) seesPages(c *gin.Context, err error) {
	if !errors.Is(err, errUnauthorized) {
		s.trouble(c, err)
		return
	}
	if c.GetHeader("Sec-Fetch-Site") == "cross-site" && c.GetHeader("Sec-Fetch-Mode") == "navigate" {
		// A link from Jenkins comes without the cookie, which is SameSite=Strict. A reload by our own page comes with it.
		c.Header("Refresh", "0")
		c.Data(http.StatusOK, "text/html; charset=utf-8", []byte("<!doctype html><title>Railyard</title>\n"))
		return
	}
	c.Redirect(http.StatusSeeOther, "/login?next="+queryEscape(c.Request.URL.Path))
}

// local returns a path of this service, "/" for anything that would lead elsewhere.
func local(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

var errForeign = fmt.Errorf("the form was sent from another site: %w", access.ErrDenied)
