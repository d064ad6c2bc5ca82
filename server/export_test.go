package server

import (
	"time"

	"github.com/gin-gonic/gin"
)

// Routes lists every address the service answers.
func (s *Server) Routes() gin.RoutesInfo { return s.engine.Routes() }

// Hurry makes the service wait less for its database.
func (s *Server) Hurry(by time.Duration) { s.bounds = bounds{look: by, keep: by} }

// Listeners is how many streams and long polls wait.
func (s *Server) Listeners() int {
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	return s.tail.listeners
}
