package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"railyard/server/api"
)

const (
	goodToken = "ry_good"
	coachID   = "hotel-api-7.2"
)

type standInKey struct{}

func of(ts *testscript.TestScript) *standIn { return ts.Value(standInKey{}).(*standIn) }

// standIn is a service that speaks the API about one Coach, and can go away and come back at its address.
type standIn struct {
	address string
	server  *http.Server
	dead    net.Listener // while it is away: connections are accepted and cut

	mu       sync.Mutex
	changed  chan struct{} // closed at each change of what follows
	coach    api.Coach
	events   []api.Event
	began    string   // the build that began the deployment
	digest   string   // the package that was published
	orders   []string // what people ordered
	topo     string   // the topology in force
	after    int64    // the last event that who asked for events knew
	busy     int      // how many more requests are answered 503
	waitsFor string   // the progress of the long poll that was held last
	knocks   int      // connections while it was away
}

func newStandIn() (*standIn, error) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	number, pkg, fat := int64(12), "sha256:"+strings.Repeat("9f", 32), "FAT"
	s := &standIn{changed: make(chan struct{}), coach: api.Coach{
		Id: coachID, Project: "hotel-api", Series: 7, Candidate: 2, Sbu: "hotel", Repository: "hotel/hotel-api", Branch: "release/1.4",
		Commit: strings.Repeat("c0ffee01", 5), Author: "release-engineer", Created: at, State: "delivering", Environment: &fat, Reason: "built",
		Builds: []api.Build{{App: "hotel-api", Deployment: coachID + "-hotel-api-a1", Job: "deliver/hotel-api", State: "published", Number: &number, Package: &pkg}},
		Stages: []api.Stage{{Name: "build", Start: at, End: new(at.Add(12 * time.Second))}, {Name: "FAT", Start: at.Add(12 * time.Second)}},
		Rolls:  []api.Roll{},
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.address = listener.Addr().String()
	s.serve(listener)
	return s, nil
}

func (s *standIn) url() string { return "http://" + s.address }

func (s *standIn) serve(l net.Listener) {
	s.server = &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute}
	go func(server *http.Server) { _ = server.Serve(l) }(s.server)
}

func (s *standIn) close() {
	_ = s.server.Close()
	if s.dead != nil {
		_ = s.dead.Close()
	}
}

// change changes something and lets whoever waits look again.
func (s *standIn) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// held waits until a long poll is held by somebody who knows the Coach as it is now.
func (s *standIn) held() error {
	progress := s.now().Progress
	return until("a long poll is held", func() (bool, <-chan struct{}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.waitsFor == progress, s.changed
	})
}

// down takes the service away and waits until somebody has asked for it twice, so that they know.
func (s *standIn) down() error {
	_ = s.server.Close()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.dead = listener
	s.change(func() { s.waitsFor, s.knocks = "", 0 })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			s.change(func() { s.knocks++ })
		}
	}()
	return until("two connections while the service is away", func() (bool, <-chan struct{}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.knocks >= 2, s.changed
	})
}

func (s *standIn) up() error {
	_ = s.dead.Close()
	listener, err := net.Listen("tcp", s.address)
	if err == nil {
		s.serve(listener)
	}
	return err
}

func (s *standIn) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request) (any, error){
		"GET /coaches":                          func(*http.Request) (any, error) { return []api.Coach{s.now()}, nil },
		"GET /coaches/{coach}":                  s.getCoach,
		"POST /coaches/{coach}/{order}":         s.order,
		"GET /coaches/{coach}/verdicts":         s.listVerdicts,
		"POST /coaches/{coach}/verdicts":        s.enterVerdict,
		"GET /rolls/{roll}/looks":               listLooks,
		"GET /bookings":                         func(*http.Request) (any, error) { return exampleBookings(), nil },
		"GET /rolls/{roll}":                     s.getRoll,
		"POST /rolls/{roll}/{order}":            s.order,
		"GET /deployments/{deployment}":         s.deployment,
		"POST /deployments/{deployment}/begin":  s.begin,
		"PUT /deployments/{deployment}/package": s.publish,
		"GET /events":                           s.listEvents,
		"GET /sites":                            func(*http.Request) (any, error) { return exampleSites(), nil },
		"POST /sites/{environment}/{pool}/sync": s.sync,
		"GET /topology":                         func(*http.Request) (any, error) { return s.topology(), nil },
		"PUT /topology":                         s.applyTopology,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v1"+path, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, handle) })
	}
	return mux
}

// answer is what every operation has in common: the token, the answers of a busy service, and how errors look.
func (s *standIn) answer(w http.ResponseWriter, r *http.Request, handle func(*http.Request) (any, error)) {
	value, err := any(nil), error(nil)
	busy := false
	s.change(func() {
		if busy = s.busy > 0; busy {
			s.busy--
		}
	})
	switch {
	case r.Header.Get("Authorization") != "Bearer "+goodToken:
		err = refusal{401, api.Unauthorized, "not signed in: the token is not known; ask an administrator for one"}
	case busy:
		err = refusal{503, api.Unavailable, "the database does not answer in time; try again in a few seconds"}
	default:
		value, err = handle(r)
	}
	switch result := value.(type) {
	case string:
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = io.WriteString(w, result)
		return
	case nil:
		if err == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		status := 500
		var body api.Error
		body.Error.Code, body.Error.Message = api.Internal, err.Error()
		var refused refusal
		if errors.As(err, &refused) {
			status, body.Error.Code = refused.status, refused.code
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (s *standIn) now() api.Coach {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.coach
	text, _ := json.Marshal(c)
	c.Progress = fmt.Sprintf("%x", sha256.Sum256(text))[:12]
	return c
}

func notFound(what, id string) error {
	return refusal{404, api.NotFound, fmt.Sprintf("not found: %s %q", what, id)}
}

// getCoach holds the poll until something has changed.
func (s *standIn) getCoach(r *http.Request) (any, error) {
	if id := r.PathValue("coach"); id != coachID {
		return nil, notFound("coach", id)
	}
	than := r.URL.Query().Get("than")
	wait, _ := strconv.Atoi(r.URL.Query().Get("wait"))
	deadline := time.After(time.Duration(wait) * time.Second)
	for held := false; ; {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		c := s.now()
		if c.Progress != than || wait == 0 {
			return c, nil
		}
		if !held {
			held = true
			s.change(func() { s.waitsFor = than })
			continue
		}
		select {
		case <-changed:
		case <-deadline:
			return c, nil
		case <-r.Context().Done():
			return c, nil
		}
	}
}

func (s *standIn) getRoll(r *http.Request) (any, error) {
	for _, roll := range s.now().Rolls {
		if roll.Id == r.PathValue("roll") {
			return roll, nil
		}
	}
	return nil, notFound("roll", r.PathValue("roll"))
}

// order keeps what a person ordered, as "roll/ID brake: reason".
func (s *standIn) order(r *http.Request) (any, error) {
	var body struct {
		Command, Server, Reason string
		Emergency               bool
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Reason == "" {
		return nil, refusal{400, api.Invalid, "reason is missing"}
	}
	object, verb := "coach/"+r.PathValue("coach"), r.PathValue("order")
	if roll := r.PathValue("roll"); roll != "" {
		object, verb = "roll/"+roll, body.Command
	}
	if body.Server != "" {
		verb += " " + body.Server
	}
	if body.Emergency {
		verb += " emergency"
	}
	s.change(func() { s.orders = append(s.orders, fmt.Sprintf("%s %s: %s", object, verb, body.Reason)) })
	return nil, nil
}

func (s *standIn) sync(r *http.Request) (any, error) {
	var body api.SyncSiteJSONRequestBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Reason == "" {
		return nil, refusal{400, api.Invalid, "reason is missing"}
	}
	site := r.PathValue("environment") + "/" + r.PathValue("pool")
	if site != "PROD/jobws" {
		return nil, refusal{409, api.Conflict, "sync " + site + ": roll r-1 holds it"}
	}
	s.change(func() { s.orders = append(s.orders, "site/"+site+" sync: "+body.Reason) })
	return api.Roll{Id: "sync-1", Reason: "catches up jobws-2; 2 servers in 1 batches, at least 1 stay up"}, nil
}

func (s *standIn) deployment(r *http.Request) (any, error) {
	id := r.PathValue("deployment")
	if id != coachID+"-hotel-api-a1" {
		return nil, notFound("deployment", id)
	}
	return api.Deployment{Deployment: id, Coach: coachID, App: "hotel-api", State: s.now().State}, nil
}

func (s *standIn) begin(r *http.Request) (any, error) {
	answer, err := s.deployment(r)
	if err != nil {
		return nil, err
	}
	var body api.BeginDeploymentJSONRequestBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	build := fmt.Sprintf("%s #%d", body.Job, body.Number)
	first := ""
	s.change(func() {
		if s.began == "" {
			s.began = build
		}
		first = s.began
	})
	if first != build {
		return nil, refusal{409, api.Conflict, "another build began this deployment first: " + first}
	}
	return answer, nil
}

func (s *standIn) publish(r *http.Request) (any, error) {
	sum := sha256.New()
	size, err := io.Copy(sum, r.Body)
	if err != nil {
		return nil, err
	}
	digest, kept := fmt.Sprintf("sha256:%x", sum.Sum(nil)), ""
	s.change(func() {
		if s.digest == "" {
			s.digest = digest
		}
		kept = s.digest
	})
	if kept != digest && kept != "wrong" {
		return nil, refusal{409, api.Conflict, "this deployment has published other bytes already: " + kept}
	}
	return api.Package{Digest: kept, Size: size}, nil
}

func (s *standIn) listEvents(r *http.Request) (any, error) {
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	s.change(func() { s.after = after })
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []api.Event{}
	for _, e := range s.events {
		if coach := r.URL.Query().Get("coach"); e.Id > after && (coach == "" || or(e.Coach) == coach) {
			found = append(found, e)
		}
	}
	return found, nil
}

func (s *standIn) topology() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topo
}

func (s *standIn) applyTopology(r *http.Request) (any, error) {
	text, err := io.ReadAll(r.Body)
	s.change(func() { s.topo = string(text) })
	return nil, err
}

func exampleSites() []api.Site {
	yes, no, quarter, full := true, false, 25, 100
	return []api.Site{{
		Environment: "PROD", Pool: "hotel-api", Sbu: "hotel", Roll: new("r-1"), Stage: new("baking"),
		Lock: &api.Lock{Roll: "r-1", Reason: "roll of hotel-api-7.2", Until: time.Date(2026, 1, 2, 15, 4, 35, 0, time.UTC)},
		Servers: []api.Server{
			{Name: "hotel-api-1", Address: "127.0.0.1:1", Smoke: true, Rotation: api.In, Weight: &quarter, Version: new("1.4.2"), Known: &yes},
			{Name: "hotel-api-2", Address: "127.0.0.1:2", Rotation: api.In, Weight: &full, Version: new("1.4.1"), Known: &yes},
			{Name: "hotel-api-3", Address: "127.0.0.1:3", Rotation: api.Down, Version: new("1.4.1"), Known: &no},
		},
	}, {Environment: "PROD", Pool: "jobws", Sbu: "platform", Problem: new("the balancer gives no answer"), Servers: []api.Server{},
		Differences: &[]api.Difference{{Server: new("jobws-2"), Kind: "nothing_runs", Expected: "jobws 2.0 (9f9f9f9f9f9f)", Found: "jobws not running", Mendable: true,
			Since: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)}}}}
}

func exampleBookings() []api.Booking {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	return []api.Booking{{Plan: "flight-api-3", Capacity: "standard", Servers: 4, From: at, To: at.Add(time.Hour)}}
}

// direct is the script command `api`:
//
//	api coach FILE   what the Coach is from now on: the fields of this JSON file are changed
//	api event WHAT   adds an event about the Coach
//	api held         waits until a long poll is held
//	api asked        waits until somebody who knows all events asks for more
//	api down, up     the service goes away until it was asked for twice; it comes back
//	api busy N       the next N requests are answered 503
//	api keeps TEXT   the package store has kept this digest
//	api orders       prints what people ordered
func direct(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: api WHAT…")
	}
	s, rest := of(ts), strings.Join(args[1:], " ")
	switch args[0] {
	case "coach":
		text := ts.ReadFile(rest)
		var err error
		s.change(func() { s.coach, err = merged(s.coach, text) })
		ts.Check(err)
	case "event":
		s.change(func() {
			id := int64(len(s.events) + 1)
			s.events = append(s.events, api.Event{Id: id, At: time.Date(2026, 1, 2, 15, 4, int(id), 0, time.UTC), Actor: "railyard",
				Object: "coach/" + coachID, What: rest, Why: "it was time", From: new("building"), To: new("delivering FAT"), Coach: new(coachID)})
		})
	case "held":
		ts.Check(s.held())
	case "asked":
		ts.Check(until("somebody who knows all events asks for more", func() (bool, <-chan struct{}) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.after == int64(len(s.events)), s.changed
		}))
	case "down":
		ts.Check(s.down())
	case "up":
		ts.Check(s.up())
	case "busy":
		n, err := strconv.Atoi(rest)
		ts.Check(err)
		s.change(func() { s.busy = n })
	case "keeps":
		s.change(func() { s.digest = rest })
	case "orders":
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintln(ts.Stdout(), strings.Join(s.orders, "\n"))
	default:
		ts.Fatalf("unknown: api %s", args[0])
	}
}

// merged is a fresh Coach with the fields of text; fields of builds and rolls are replaced whole.
func merged(c api.Coach, text string) (next api.Coach, err error) {
	fields := map[string]json.RawMessage{}
	before, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(before, &fields); err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return c, err
	}
	after, err := json.Marshal(fields)
	if err != nil {
		return c, err
	}
	err = json.Unmarshal(after, &next)
	return next, err
}
