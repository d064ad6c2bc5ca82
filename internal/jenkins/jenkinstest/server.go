package jenkinstest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Phase is what a controller is doing, seen from outside.
type Phase string

// Phases of a restart, in their order.
const (
	PhaseReady       Phase = "ready"
	PhaseQuiet       Phase = "quieting down" // triggers are accepted, no build starts
	PhaseRestarting  Phase = "restarting"    // 503
	PhaseUnreachable Phase = "unreachable"   // connection refused
	PhaseStarting    Phase = "starting"      // 503
)

// Server is one running stand-in.
type Server struct {
	// URL of the stand-in with context path, without trailing slash:
	// "http://127.0.0.1:41811/jenkins".
	URL string

	o        Options
	tempDir  string // removed by Close
	addr     string
	life     sync.Mutex // one restart or end at a time
	ended    bool       // guarded by life
	closeErr error

	mu       sync.Mutex // guards what follows; never held while serving
	phase    Phase
	ctl      *controller
	security *security
	http     *http.Server
	served   chan struct{} // closed when http has stopped
}

// Start starts a stand-in. Close ends it with all it started.
func Start(o Options) (*Server, error) {
	s := &Server{}
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "jenkinstest")
		if err != nil {
			return nil, fmt.Errorf("jenkinstest: make a home directory: %w", err)
		}
		o.Dir, s.tempDir = dir, dir
	}
	err := o.fill()
	s.o = o
	if err == nil {
		s.addr = o.Addr
		if err = s.listen(); err == nil {
			err = s.boot()
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// listen opens the port; the second time it is the one it had before.
func (s *Server) listen() error {
	l, err := s.o.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("jenkinstest: listen: %w", err)
	}
	s.addr = l.Addr().String()
	s.URL = "http://" + s.addr + s.o.ContextPath
	var h http.Handler = http.HandlerFunc(s.serve)
	if s.o.Middleware != nil {
		h = s.o.Middleware(h)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	s.mu.Lock()
	s.http, s.served, s.phase = srv, served, PhaseStarting
	s.mu.Unlock()
	go func() {
		defer close(served)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.o.Log.WithError(err).Error("the HTTP server ended")
		}
	}()
	return nil
}

// boot loads a controller and opens the doors.
func (s *Server) boot() error {
	root := s.o.RootURL
	if root == RootURLAuto {
		root = s.URL
	}
	if root != "" {
		root = strings.TrimSuffix(root, "/") + "/"
	}
	ctl, err := newController(&s.o, root)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctl, s.security, s.phase = ctl, newSecurity(&s.o), PhaseReady
	return nil
}

func (s *Server) enter(p Phase) {
	s.mu.Lock()
	s.phase = p
	s.mu.Unlock()
	if s.o.OnPhase != nil {
		s.o.OnPhase(p)
	}
}

func (s *Server) controller() *controller {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ctl
}

// Restart goes through all phases of a hard restart: running freestyle builds
// end ABORTED, Pipelines are resumed, sessions and left queue items are gone, queue and builds stay.
// It returns when the stand-in is ready again.
func (s *Server) Restart() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.ended {
		return errors.New("jenkinstest: restart: it has been closed")
	}
	s.SetQuiet(true)
	s.enter(PhaseQuiet)
	s.enter(PhaseRestarting)
	s.controller().shutdown()
	s.hangUp()
	s.enter(PhaseUnreachable)
	if err := s.listen(); err != nil {
		return err
	}
	s.enter(PhaseStarting)
	if err := s.boot(); err != nil {
		return err
	}
	s.enter(PhaseReady)
	return nil
}

// SetQuiet turns "Jenkins is about to shut down" on or off: triggers are
// accepted, builds that run go on, none starts.
func (s *Server) SetQuiet(quiet bool) {
	c := s.controller()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quieting = quiet
	c.maintain()
}

// CreateJob creates a job, and the folders above it, without going through HTTP.
func (s *Server) CreateJob(fullName string, configXML []byte) error {
	c := s.controller()
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.root
	names := strings.Split(fullName, "/")
	for _, name := range names[:len(names)-1] {
		next := at.kids[name]
		if next == nil {
			var err error
			if next, err = c.create(at, name, []byte("<"+classFolder+"/>")); err != nil {
				return fmt.Errorf("jenkinstest: create folder %s of %s: %w", name, fullName, err)
			}
		}
		at = next
	}
	if _, err := c.create(at, names[len(names)-1], configXML); err != nil {
		return fmt.Errorf("jenkinstest: create job %s: %w", fullName, err)
	}
	return nil
}

// Crash ends the stand-in as kill -9 would: connections break off and nothing
// more is saved. Start with the same Dir brings it back.
func (s *Server) Crash() error {
	return s.end((*controller).crash)
}

// Close stops all builds, waits for their processes to end and saves.
func (s *Server) Close() error {
	return s.end(func(c *controller) {
		c.shutdown()
		c.endShells()
	})
}

func (s *Server) end(how func(*controller)) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.ended {
		return s.closeErr
	}
	s.ended = true
	s.hangUp()
	if c := s.controller(); c != nil {
		how(c)
	}
	if s.tempDir != "" {
		s.closeErr = os.RemoveAll(s.tempDir)
	}
	return s.closeErr
}

// hangUp closes the port. Requests under way get a moment to finish.
func (s *Server) hangUp() {
	s.mu.Lock()
	srv, served := s.http, s.served
	s.mu.Unlock()
	if srv == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close() // they had their moment
	}
	<-served
}
