package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"railyard/internal/access"
	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/packages"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/internal/verdict"
	"railyard/pipeline"
	"railyard/server"
)

var update = flag.Bool("update", false, "write the golden files anew")

// start is when everything in these tests happens.
var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// yard is a service on a real database, with a site that tests can change.
type yard struct {
	t        testing.TB
	store    *store.Store
	packages *packages.Store
	server   *server.Server
	web      *httptest.Server
	log      *lockedBuffer

	mu     sync.Mutex
	look   server.SiteLook
	kicked []string // "brake hotel-api-7.2-PROD-hotel-api"
	at     time.Time
}

// newYard starts a service. change may alter its options.
func newYard(t testing.TB, change ...func(*server.Options)) *yard {
	t.Helper()
	ctx := context.Background()
	y := &yard{t: t, log: &lockedBuffer{}, at: start, look: healthy()}
	log := logrus.New()
	log.SetOutput(y.log)
	var err error
	if y.store, err = store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "railyard.db"), log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { y.store.Close() })
	if y.packages, err = packages.Open(ctx, "file://"+t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { y.packages.Close() })
	options := server.Options{
		Store: y.store, Packages: y.packages, Topology: topology, Log: log, Now: y.now,
		ApplyTopology: func(ctx context.Context, actor, text string) error {
			loaded, err := fleet.Load("topology.yaml", []byte(text))
			if err != nil {
				return err
			}
			_, _, err = y.store.ApplyTopology(ctx, store.Topology{Digest: loaded.Digest, Text: text, AppliedBy: actor, AppliedAt: start})
			return err
		},
		Look: func(_ context.Context, site fleet.SiteRef) server.SiteLook {
			y.mu.Lock()
			defer y.mu.Unlock()
			if site.String() != "PROD/hotel-api" {
				return server.SiteLook{Problem: "haproxy: no such socket"}
			}
			return y.look
		},
		Survey: func(context.Context, fleet.SiteRef) (roller.Survey, error) { return y.survey() },
		Kick: server.Kick{
			Delivery: func() { y.kick("delivery") },
			Coach:    func(id string) { y.kick("coach " + id) },
			Roll:     func(id string) { y.kick("roll " + id) },
			Brake:    func(id string) { y.kick("brake " + id) },
		},
		Secrets: map[string]string{"generic": "s3cret", "github": "s3cret"},
	}
	for _, c := range change {
		c(&options)
	}
	if y.server, err = server.New(options); err != nil {
		t.Fatal(err)
	}
	y.web = httptest.NewUnstartedServer(nil)
	y.web.Config = server.NewHTTP(y.server.Handler())
	y.web.Start()
	t.Cleanup(func() {
		stop, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := y.web.Config.Shutdown(stop); err != nil {
			t.Errorf("shut down: %v", err)
		}
		y.web.Close()
	})
	for person, role := range map[string]access.Role{"viewer": access.Viewer, "developer": access.Developer, "engineer": access.ReleaseEngineer,
		"operator": access.Operator, "jenkins": access.Jenkins} {
		y.addToken(person, role, "hotel", time.Time{})
	}
	y.addToken("stranger", access.ReleaseEngineer, "flight", time.Time{})
	return y
}

func (y *yard) now() time.Time {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.at
}

func (y *yard) kick(what string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.kicked = append(y.kicked, what)
}

func (y *yard) kicks() []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return append([]string{}, y.kicked...)
}

// show makes the site look like this from now on.
func (y *yard) show(change func(*server.SiteLook)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	next := healthy()
	change(&next)
	y.look = next
}

// addToken makes a token that reads "token-" and the person.
func (y *yard) addToken(person string, role access.Role, sbu string, expires time.Time) {
	y.t.Helper()
	sum := sha256.Sum256([]byte("token-" + person))
	err := y.store.AddToken(context.Background(), store.Token{Hash: hex.EncodeToString(sum[:]), Person: person, Role: string(role), SBU: sbu,
		Created: start, Expires: expires})
	if err != nil {
		y.t.Fatal(err)
	}
}

// reply is an answer, read to its end.
type reply struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    string
}

// do sends a request as somebody ("" = nobody) and returns its status and body.
func (y *yard) do(who, method, path, contentType string, body io.Reader) (int, string) {
	y.t.Helper()
	answer := y.send(who, method, path, contentType, body)
	return answer.status, answer.body
}

func (y *yard) send(who, method, path, contentType string, body io.Reader) reply {
	y.t.Helper()
	request := y.request(method, path, body)
	if who != "" {
		request.Header.Set("Authorization", "Bearer token-"+who)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	return y.ask(request)
}

func (y *yard) request(method, path string, body io.Reader) *http.Request {
	y.t.Helper()
	request, err := http.NewRequestWithContext(y.t.Context(), method, y.web.URL+path, body)
	if err != nil {
		y.t.Fatal(err)
	}
	return request
}

// ask sends a request, and follows no redirection.
func (y *yard) ask(request *http.Request) reply {
	y.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		y.t.Fatalf("%s %s: %v", request.Method, request.URL.Path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		y.t.Fatalf("%s %s: %v", request.Method, request.URL.Path, err)
	}
	return reply{answer.StatusCode, answer.Header, answer.Cookies(), string(text)}
}

// lockedBuffer lets a test read a log that is still written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (y *yard) logged() string {
	y.log.mu.Lock()
	defer y.log.mu.Unlock()
	return y.log.text.String()
}

func storeNewest(n int) store.EventFilter { return store.EventFilter{Newest: true, Limit: n} }

// golden compares got with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got; -update writes it anew):\n%s", path, diff)
	}
}

// topology has one pool of three servers in PROD, one of them a smoke server, and one server in FAT.
func topology() *fleet.Topology {
	server := func(n, port string, smoke bool) fleet.Server {
		return fleet.Server{Name: "hotel-api-" + n, Address: "127.0.0.1:" + port, Smoke: smoke}
	}
	return &fleet.Topology{
		Environments: []fleet.Environment{{Name: "FAT"}, {Name: "UAT"}, {Name: "PROD", Production: true}},
		SBUs:         []fleet.SBU{{Name: "hotel"}, {Name: "flight"}},
		Repositories: []fleet.Repository{{Name: "hotel/hotel-api", Branches: []string{"release/*"}}},
		Apps:         []fleet.App{{Name: "hotel-api", Pool: "hotel-api", SBU: "hotel", Repository: "hotel/hotel-api", Kind: fleet.KindAPI}},
		Pools: []fleet.Pool{{Name: "hotel-api", SBU: "hotel", Sites: []fleet.Site{
			{Environment: "FAT", Servers: []fleet.Server{{Name: "fat-1", Address: "127.0.0.1:18000"}}},
			{Environment: "PROD", Balancer: fleet.Balancer{Driver: "haproxy"},
				Servers: []fleet.Server{server("1", "18001", true), server("2", "18002", false), server("3", "18003", false)}},
		}}},
	}
}

var (
	oldRelease = roller.AppRelease{App: "hotel-api", Package: "sha256:" + hexOf("old"), Version: "1.4.1", Commit: "c0ffee"}
	newRelease = roller.AppRelease{App: "hotel-api", Package: "sha256:" + hexOf("new"), Version: "1.4.2", Commit: "decade"}
)

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// healthy is PROD/hotel-api with the smoke server baking the new release at a quarter of its share.
func healthy() server.SiteLook {
	run := func(r roller.AppRelease) roller.HostState {
		return roller.HostState{Running: map[string]string{"hotel-api": r.Name()}}
	}
	return server.SiteLook{
		Balanced: true,
		Members: map[string]roller.Member{
			"hotel-api-1": {Weight: 25, Up: true}, "hotel-api-2": {Weight: 100, Up: true}, "hotel-api-3": {Weight: 100, Up: true},
		},
		Hosts: map[string]roller.HostState{"hotel-api-1": run(newRelease), "hotel-api-2": run(oldRelease), "hotel-api-3": run(oldRelease)},
	}
}

const (
	coachID = "hotel-api-7.2"
	rollID  = "hotel-api-7.2-PROD-hotel-api"
)

// baking stores a Coach that is baking in production, with a verdict, and one that ended before it.
func (y *yard) baking() {
	y.t.Helper()
	y.takeIn(coach("hotel-api-7.1", "c0ffee0000000000000000000000000000000000", rop.Building))
	y.takeIn(coach(coachID, "decade0000000000000000000000000000000000", rop.Building))
	y.save("hotel-api-7.1", func(c *rop.Coach) {
		c.State, c.Reason = rop.Superseded, "superseded by "+coachID+": its packages are never promoted"
	})
	y.save(coachID, func(c *rop.Coach) {
		c.State, c.Environment, c.Reason = rop.Delivering, "PROD", "UAT passed"
		c.Builds[0].State, c.Builds[0].Package, c.Builds[0].Number = rop.BuildPublished, newRelease.Package, 17
		c.Builds[0].URL = "http://jenkins.example/job/deliver/job/hotel-api/17/"
		c.Approval = &rop.Approval{Actor: "person:engineer", At: start.Add(time.Minute), Reason: "read it"}
		c.Stages = []rop.StageTime{
			{Name: "build", Start: start, End: start.Add(40 * time.Second)},
			{Name: "FAT", Start: start.Add(40 * time.Second), End: start.Add(52 * time.Second)},
			{Name: "approval", Start: start.Add(52 * time.Second), End: start.Add(time.Minute)},
			{Name: "UAT", Start: start.Add(time.Minute), End: start.Add(90 * time.Second)},
			{Name: "PROD", Start: start.Add(90 * time.Second)},
		}
		c.Rolls = []rop.RollRef{{ID: rollID, Environment: "PROD", Pool: "hotel-api"}}
	}, roll())
	y.differ(fleet.SiteRef{Environment: "FAT", Pool: "hotel-api"},
		roller.Difference{Server: "fat-1", Kind: roller.DriftPulledOut, Expected: "weight 100", Found: "weight 0", Since: start},
		roller.Difference{Server: "fat-1", Kind: roller.DriftMaintenance, Expected: "in rotation", Found: "<b>MAINT</b>", Since: start})
	y.at = start.Add(2 * time.Minute)
}

const trainID = "hotel-line-1"

// addTrain stores an open Train of the hotel without Coaches.
func (y *yard) addTrain() {
	y.t.Helper()
	train := pipeline.Train{Line: "hotel-line", SBU: "hotel", Created: start, By: "person:engineer", Mode: pipeline.ByHand, Policy: ar.PolicyDependents,
		State: pipeline.TrainOpen, Reason: "open: Coaches are coupled"}
	_, err := y.store.CreateTrain(context.Background(), train, func(t pipeline.Train) event.Event {
		return event.Event{At: start, Actor: t.By, Object: "train/" + t.ID, Coach: t.ID, What: "train_created", To: string(t.State), Why: "release of week 10"}
	})
	if err != nil {
		y.t.Fatal(err)
	}
}

// couple gives a Coach a seat in the Train.
func (y *yard) couple(coach string) {
	y.t.Helper()
	if err := y.store.Couple(context.Background(), pipeline.Seat{Coach: coach, Train: trainID, By: "person:engineer", At: start}); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) uncouple(coach string) {
	y.t.Helper()
	if err := y.store.Uncouple(context.Background(), coach, trainID); err != nil {
		y.t.Fatal(err)
	}
}

// differ stores what an audit found on a site.
func (y *yard) differ(site fleet.SiteRef, differences ...roller.Difference) {
	y.t.Helper()
	ctx, claim := context.Background(), roller.AuditClaim{Site: site, Owner: "test", Until: start}
	taken, err := y.store.ClaimAudit(ctx, claim, start)
	if err != nil || !taken {
		y.t.Fatalf("claim the audit of %s: %v, %v", site, taken, err)
	}
	belief, err := y.store.Belief(ctx, site)
	if err == nil {
		err = y.store.SaveDrift(ctx, claim, belief, roller.DriftReport{Differences: differences})
	}
	if err != nil {
		y.t.Fatal(err)
	}
}

// survey is the site as show has it.
func (y *yard) survey() (roller.Survey, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.look.Problem != "" {
		return roller.Survey{}, errors.New(y.look.Problem)
	}
	seen := roller.Survey{Servers: map[string]roller.ServerState{}, Balanced: true}
	for name, m := range y.look.Members {
		seen.Servers[name] = roller.ServerState{Server: fleet.Server{Name: name}, Asked: true, Reachable: true, Member: m, Host: y.look.Hosts[name]}
	}
	return seen, nil
}

func (y *yard) takeIn(c rop.Coach) {
	y.t.Helper()
	old, err := y.store.Tip(context.Background(), c.Repository, c.Branch)
	if err != nil {
		y.t.Fatal(err)
	}
	err = y.store.TakeIn(context.Background(), pipeline.TakeIn{Repository: c.Repository, Branch: c.Branch, OldTip: old, NewTip: c.Commit, Coach: &c,
		Events: []event.Event{{At: c.Created, Actor: "push:wang.fang", Object: "coach/" + c.ID, Coach: c.ID, What: "coach_created", To: "building", Why: c.Reason}}})
	if err != nil {
		y.t.Fatal(err)
	}
}

// reserve lets a plan hold something.
func (y *yard) reserve(r rop.Reserved) {
	y.t.Helper()
	y.saved(coachID, func(*rop.Coach) {}, pipeline.Save{Reserve: &r})
}

// save changes a Coach as its worker would.
func (y *yard) save(id string, change func(*rop.Coach), rolls ...roller.Roll) {
	y.t.Helper()
	y.saved(id, change, pipeline.Save{NewRolls: rolls})
}

func (y *yard) saved(id string, change func(*rop.Coach), save pipeline.Save) {
	y.t.Helper()
	ctx := context.Background()
	claims, err := y.store.ClaimCoaches(ctx, "test", start, time.Hour)
	if err != nil {
		y.t.Fatal(err)
	}
	defer func() {
		for _, claim := range claims {
			if err := y.store.ReleaseCoach(ctx, claim); err != nil {
				y.t.Error(err)
			}
		}
	}()
	for _, claim := range claims {
		if claim.Coach.ID != id {
			continue
		}
		c := claim.Coach
		change(&c)
		save.Coach, save.Events = c, []event.Event{{
			At: start.Add(90 * time.Second), Actor: event.Railyard, Object: "coach/" + id, Coach: id, What: "state_changed", To: string(c.State) + " " + c.Environment, Why: c.Reason,
		}}
		if err := y.store.SaveCoach(ctx, claim, save); err != nil {
			y.t.Fatal(err)
		}
		return
	}
	y.t.Fatalf("coach %s is not there to be claimed", id)
}

func coach(id, commit string, state rop.State) rop.Coach {
	c := rop.Coach{
		ID: id, Project: "hotel-api", Series: 7, Candidate: int(id[len(id)-1] - '0'), SBU: "hotel", Repository: "hotel/hotel-api", Branch: "release/1.4",
		Commit: commit, Subject: "answer <b>faster</b>", Author: "wang.fang", Created: start, State: state, PlanDigest: "sha256:" + hexOf("plan"),
		Plan: rop.Plan{Project: "hotel-api", Version: "1.4.2", Apps: []string{"hotel-api"}}, Reason: "1 commit(s) since c0ffee00: answer <b>faster</b>",
	}
	c.Builds = []rop.Build{{App: "hotel-api", Attempt: 1, Deployment: rop.DeploymentID(id, "hotel-api", 1), State: rop.BuildQueued,
		Controller: "main", Job: "deliver/hotel-api", Queued: start}}
	return c
}

func roll() roller.Roll {
	baseline := 0.2
	return roller.Roll{
		ID: rollID, Kind: roller.Release, Coach: coachID, Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Created: start,
		Author: event.Railyard, To: roller.NewRevision(newRelease), From: roller.NewRevision(oldRelease), Size: 3, MinUp: 2,
		Stage: roller.Baking, StageSince: start.Add(100 * time.Second), Batches: 2, Reason: "smoke servers are tested and take 25 % of their share",
		Verdict: &verdict.Verdict{Outcome: verdict.Pending, Reason: "5xx: 40 of at least 200 requests seen", At: start.Add(110 * time.Second), Stage: "baking",
			Left: 960, Findings: []verdict.Finding{{Indicator: "5xx", Server: "hotel-api-1", Outcome: verdict.Pending, Value: 0.5, Limit: 1, Baseline: &baseline,
				Samples: 40, Reason: "40 of at least 200 requests seen"}}},
		Targets: []roller.Target{
			{Server: "hotel-api-1", Batch: 0, State: roller.Settled, Since: start, Touched: true, Exposed: true},
			{Server: "hotel-api-2", Batch: 1, State: roller.Active, Step: roller.PullOut, Since: start, Note: "12 sessions left"},
			{Server: "hotel-api-3", Batch: 2, State: roller.Waiting, Since: start},
		},
	}
}
