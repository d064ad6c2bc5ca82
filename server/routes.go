package server

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"railyard/server/api"
	"railyard/server/pages"
)

// apiBase is where the contract's paths begin.
const apiBase = "/api/v1"

// routes lists every address. Those without bearers or viewers are open: what is needed before one has a token, and webhooks, which
// prove themselves by signature. A test walks them all.
func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.ContextWithFallback = true // the context that the contract's handlers get is the request's
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false // an address is right or it is not
	r.Use(s.enter, s.measure, s.recover, headers)
	r.NoRoute(func(c *gin.Context) { s.fail(c, errNoAddress(c.Request)) })
	r.NoMethod(func(c *gin.Context) { s.fail(c, errNoMethod(c.Request)) })

	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	r.GET("/readyz", s.ready)
	r.POST("/hooks/:provider", s.hook)
	r.GET("/assets/:file", gin.WrapF(pages.ServeAsset))

	r.GET("/login", s.loginPage)
	r.POST("/login", s.sameOrigin, s.login)
	r.POST("/logout", s.sameOrigin, s.logout)
	r.GET("/", s.viewers(s.seesPages), s.yardPage)
	r.GET("/coaches/:coach", s.viewers(s.seesPages), s.coachPage)
	r.GET("/coaches/:coach/plan", s.viewers(s.seesPages), s.coachPlanPage)
	r.GET("/trains/:train", s.viewers(s.seesPages), s.trainPage)
	r.GET("/dependencies", s.viewers(s.seesPages), s.dependenciesPage)
	r.GET("/stream", s.viewers(s.fail), s.stream)
	r.GET("/metrics", s.viewers(s.fail), gin.WrapH(promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{ErrorLog: s.log})))

	group := r.Group(apiBase, patience, s.bearers, s.validate)
	strict := api.NewStrictHandlerWithOptions(s, []api.StrictMiddlewareFunc{mustAuthorize}, api.StrictGinServerOptions{
		RequestErrorHandlerFunc:  func(c *gin.Context, err error) { s.fail(c, invalid(err)) },
		HandlerErrorFunc:         s.fail,
		ResponseErrorHandlerFunc: s.fail,
	})
	api.RegisterHandlersWithOptions(group, strict, api.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.fail(c, invalid(err)) },
	})
	return r
}
