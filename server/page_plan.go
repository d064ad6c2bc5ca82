package server

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"railyard/internal/store"
	"railyard/server/pages"
)

// trainPage shows a Train: who travels, the graph of its waves, and how far it is.
func (s *Server) trainPage(c *gin.Context) {
	ctx := c.Request.Context()
	view := pages.PlanPage{Frame: s.frame(c)}
	train, err := s.train(ctx, c.Param("train"))
	if err == nil {
		view.Train = &train
		view.Plan, err = s.trainPreview(ctx, train.Id)
	}
	if err == nil {
		view.Graphs = pages.NewGraphs(view.Plan, train.Rolls)
		view.Events, err = s.newest(ctx, store.EventFilter{Coach: train.Id})
	}
	s.drawOr(c, view, err)
}

// coachPlanPage shows what a Coach would do if it went on alone.
func (s *Server) coachPlanPage(c *gin.Context) {
	ctx := c.Request.Context()
	view := pages.PlanPage{Frame: s.frame(c)}
	var err error
	if view.Plan, err = s.coachPreview(ctx, c.Param("coach")); err == nil {
		view.Graphs = pages.NewGraphs(view.Plan, nil)
		view.Events, err = s.newest(ctx, store.EventFilter{Coach: c.Param("coach")})
	}
	s.drawOr(c, view, err)
}

// dependenciesPage shows who requires what in an environment, production unless another is asked for.
func (s *Server) dependenciesPage(c *gin.Context) {
	view := pages.DepsPage{Frame: s.frame(c), Environment: c.Query("environment")}
	if names, _ := s.environments(); view.Environment == "" && len(names) > 0 {
		view.Environment = names[len(names)-1]
	}
	var err error
	view.Dependencies, err = s.dependencies(c.Request.Context(), view.Environment, "")
	s.drawOr(c, view, err)
}

func (s *Server) drawOr(c *gin.Context, view pages.View, err error) {
	if err != nil {
		s.trouble(c, err)
		return
	}
	s.draw(c, http.StatusOK, view)
}
