package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server"
	"railyard/server/api"
)

func TestWhatTheAPISays(t *testing.T) {
	cases := []struct{ golden, path string }{
		{"sites.json", "/sites"},
		{"sites-prod.json", "/sites?environment=PROD"},
		{"coaches.json", "/coaches"},
		{"coaches-active.json", "/coaches?active=true&project=hotel-api&limit=1"},
		{"coach.json", "/coaches/" + coachID},
		{"roll.json", "/rolls/" + rollID},
		{"deployment.json", "/deployments/" + coachID + "-hotel-api-a1"},
		{"events.json", "/events"},
		{"events-after.json", "/events?after=1&coach=" + coachID},
	}
	y := newYard(t)
	y.baking()
	for _, c := range cases {
		t.Run(c.golden, func(t *testing.T) {
			status, body := y.do("viewer", "GET", "/api/v1"+c.path, "", nil)
			if status != 200 {
				t.Fatalf("got %d %s", status, body)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, []byte(body), "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, c.golden, pretty.String())
		})
	}
}

func TestRequestsThatTheContractRefuses(t *testing.T) {
	y := newYard(t)
	y.baking()
	command := "POST /rolls/" + rollID + "/commands"
	cases := []struct {
		rule, who, path, body string
		status                int
		says                  string
	}{
		{"a limit above the maximum", "viewer", "GET /events?limit=5000", "", 400, "query parameter limit: number must be at most 1000"},
		{"a limit that is no number", "viewer", "GET /events?limit=many", "", 400, "query parameter limit"},
		{"a wait above the maximum", "viewer", "GET /coaches/x?wait=61", "", 400, "query parameter wait: number must be at most 60"},
		{"a negative id", "viewer", "GET /events?after=-1", "", 400, "query parameter after"},
		{"an unknown command", "operator", command, `{"command":"stop","reason":"r"}`, 400, "body.command"},
		{"a missing reason", "operator", command, `{"command":"brake"}`, 400, "reason"},
		{"an empty reason", "operator", command, `{"command":"brake","reason":""}`, 400, "body.reason"},
		{"a reason without end", "operator", command, `{"command":"brake","reason":"` + strings.Repeat("x", 1001) + `"}`, 400, "body.reason"},
		{"skip without a server", "operator", command, `{"command":"skip","reason":"r"}`, 400, "body.server"},
		{"brake with a server", "operator", command, `{"command":"brake","reason":"r","server":"hotel-api-1"}`, 400, "body.server"},
		{"a body that is no JSON", "operator", command, `{`, 400, "body"},
		{"a body too large", "operator", command, `{"reason":"` + strings.Repeat("x", 70_000) + `"}`, 413, "at most 65536 bytes"},
		{"a build number that is none", "jenkins", "POST /deployments/" + coachID + "-hotel-api-a1/begin", `{"job":"j","number":0}`, 400, "body.number"},
		{"an unknown Coach", "viewer", "GET /coaches/none", "", 404, "not found"},
		{"an unknown roll", "operator", "POST /rolls/none/commands", `{"command":"brake","reason":"r"}`, 404, "not found"},
		{"an unknown deployment", "jenkins", "POST /deployments/none/begin", `{"job":"j","number":1}`, 404, "not found"},
		{"an unknown environment", "viewer", "GET /sites?environment=MOON", "", 404, `environment "MOON"`},
		{"an unknown address", "viewer", "GET /nothing", "", 404, "no such address"},
		{"a method that the address does not take", "viewer", "DELETE /coaches", "", 404, "does not take this method"},
		{"a topology with a mistake says where", "operator", "PUT /topology", "environments:\n  - nam: FAT\n", 400, "topology.yaml:2:5"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			method, path, _ := strings.Cut(c.path, " ")
			status, text := y.do(c.who, method, "/api/v1"+path, contentType(path), strings.NewReader(c.body))
			var body api.Error
			if err := json.Unmarshal([]byte(text), &body); err != nil {
				t.Fatalf("got %d %q: %v", status, text, err)
			}
			if status != c.status || !strings.Contains(body.Error.Message, c.says) {
				t.Errorf("got %d %q, expected %d and %q", status, body.Error.Message, c.status, c.says)
			}
		})
	}
	t.Run("a form, which any page could send", func(t *testing.T) {
		status, text := y.do("operator", "POST", "/api/v1/rolls/"+rollID+"/commands", "text/plain", strings.NewReader(`{"command":"brake","reason":"r"}`))
		if status != 400 || !strings.Contains(text, "Content-Type") {
			t.Errorf("got %d %s, expected 400 and Content-Type", status, text)
		}
	})
}

func TestOrdersAreStoredBeforeTheyAreAccepted(t *testing.T) {
	y := newYard(t)
	y.baking()
	ctx := t.Context()
	accept := func(who, path, body string, want int) {
		t.Helper()
		if status, text := y.do(who, "POST", "/api/v1"+path, "application/json", strings.NewReader(body)); status != want {
			t.Fatalf("%s: got %d %s, expected %d", path, status, text, want)
		}
	}
	accept("engineer", "/rolls/"+rollID+"/commands", `{"command":"brake","reason":"looks odd"}`, 202)
	accept("engineer", "/rolls/"+rollID+"/commands", `{"command":"skip","server":"hotel-api-2","reason":"broken disk"}`, 202)
	accept("engineer", "/coaches/"+coachID+"/approve", `{"reason":"read it"}`, 204)
	accept("engineer", "/coaches/"+coachID+"/revoke", `{"reason":"not now"}`, 202)

	commands, err := y.store.PendingCommands(ctx, rollID)
	if err != nil || len(commands) != 2 {
		t.Fatalf("commands: %v, %v", commands, err)
	}
	want := roller.Command{ID: commands[0].ID, Roll: rollID, Kind: roller.CmdBrake, Actor: "person:engineer", Reason: "looks odd", At: y.now()}
	if commands[0] != want || commands[1].Kind != roller.CmdSkip || commands[1].Server != "hotel-api-2" {
		t.Errorf("commands: %+v", commands)
	}
	coach, err := y.store.Coach(ctx, coachID)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := y.store.Facts(ctx, coach)
	if err != nil {
		t.Fatal(err)
	}
	if len(facts.Commands) != 1 || facts.Commands[0].Kind != pipeline.CmdRevoke || facts.Commands[0].Reason != "not now" {
		t.Errorf("coach commands: %+v", facts.Commands)
	}
	if len(facts.Approvals) != 1 || facts.Approvals[0].Plan != coach.PlanDigest || facts.Approvals[0].Packages["hotel-api"] != newRelease.Package {
		t.Errorf("approvals: %+v, expected one bound to the plan and the package", facts.Approvals)
	}
	if kicks := y.kicks(); !slices.Equal(kicks, []string{"brake " + rollID, "roll " + rollID, "roll " + rollID, "coach " + coachID, "coach " + coachID}) {
		t.Errorf("kicked: %v", kicks)
	}
	events, err := y.store.Events(ctx, store.EventFilter{Coach: coachID, Newest: true, Limit: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i, what := range []string{"brake_asked", "skip_asked", "approval_given", "revoke_asked"} {
		if events[i].What != what || events[i].Actor != "person:engineer" || events[i].Why == "" {
			t.Errorf("event %d: %+v, expected %s", i, events[i], what)
		}
	}
}

func TestAPlanIsNotPassedBeforeItsPackagesAreThere(t *testing.T) {
	y := newYard(t)
	y.takeIn(coach(coachID, "decade0000000000000000000000000000000000", "building"))
	status, text := y.do("engineer", "POST", "/api/v1/coaches/"+coachID+"/approve", "application/json", strings.NewReader(`{"reason":"r"}`))
	if status != http.StatusConflict || !strings.Contains(text, "not published yet") {
		t.Errorf("got %d %s, expected 409", status, text)
	}
}

func TestTheSecondBuildOfADeploymentIsADuplicate(t *testing.T) {
	y := newYard(t)
	y.baking()
	begin := func(body string) (int, string) {
		return y.do("jenkins", "POST", "/api/v1/deployments/"+coachID+"-hotel-api-a1/begin", "application/json", strings.NewReader(body))
	}
	if status, text := begin(`{"job":"deliver/hotel-api","number":17,"url":"http://jenkins.example/17/"}`); status != 200 || !strings.Contains(text, coachID) {
		t.Fatalf("the first: got %d %s", status, text)
	}
	if status, text := begin(`{"job":"deliver/hotel-api","number":17}`); status != 200 {
		t.Errorf("the same again: got %d %s, expected 200", status, text)
	}
	if status, text := begin(`{"job":"deliver/hotel-api","number":18}`); status != 409 || !strings.Contains(text, "#17") {
		t.Errorf("another: got %d %s, expected 409 that names #17", status, text)
	}
	coach, _ := y.store.Coach(t.Context(), coachID)
	facts, err := y.store.Facts(t.Context(), coach)
	if begun := facts.Begun[coachID+"-hotel-api-a1"]; err != nil || begun != (pipeline.Begun{Number: 17, URL: "http://jenkins.example/17/"}) {
		t.Errorf("the fact: %+v, %v", begun, err)
	}
	if status, text := begin(`{"job":"deliver/other","number":1}`); status != 409 {
		t.Errorf("another job: got %d %s, expected 409", status, text)
	}
}

func TestPublishingAPackage(t *testing.T) {
	y := newYard(t, func(o *server.Options) { o.MaxPackage = 1 << 20 })
	y.baking()
	put := func(body io.Reader) (int, string) {
		return y.do("jenkins", "PUT", "/api/v1/deployments/"+coachID+"-hotel-api-a1/package", "application/gzip", body)
	}
	bytesOf := strings.Repeat("package", 10_000)
	sum := sha256.Sum256([]byte(bytesOf))
	digest := "sha256:" + hex.EncodeToString(sum[:])

	if status, text := put(strings.NewReader(strings.Repeat("x", 1<<20+1))); status != 413 {
		t.Errorf("too large: got %d %s, expected 413", status, text)
	}
	if status, text := put(strings.NewReader("")); status != 400 {
		t.Errorf("empty: got %d %s, expected 400", status, text)
	}
	status, text := put(strings.NewReader(bytesOf))
	if status != 200 || !strings.Contains(text, digest) {
		t.Fatalf("got %d %s, expected 200 with %s", status, text, digest)
	}
	r, size, err := y.packages.Open(t.Context(), digest)
	if err != nil || size != int64(len(bytesOf)) {
		t.Fatalf("stored: %d bytes, %v", size, err)
	}
	r.Close()
	if status, text := put(strings.NewReader(bytesOf)); status != 200 {
		t.Errorf("the same bytes again: got %d %s, expected 200", status, text)
	}
	if status, text := put(strings.NewReader("other bytes")); status != 409 {
		t.Errorf("other bytes: got %d %s, expected 409", status, text)
	}
	coach, _ := y.store.Coach(t.Context(), coachID)
	facts, err := y.store.Facts(t.Context(), coach)
	if p := facts.Packages[coachID+"-hotel-api-a1"]; err != nil || p.Digest != digest || p.App != "hotel-api" {
		t.Errorf("the fact: %+v, %v", p, err)
	}
}

func TestTheTopologyComesBackAsItWasApplied(t *testing.T) {
	y := newYard(t)
	if status, _ := y.do("viewer", "GET", "/api/v1/topology", "", nil); status != 404 {
		t.Errorf("before any: got %d, expected 404", status)
	}
	_, _, err := y.store.ApplyTopology(t.Context(), store.Topology{Digest: "sha256:1", Text: "# ours\n", AppliedBy: "person:operator", AppliedAt: start})
	if err != nil {
		t.Fatal(err)
	}
	answer := y.send("viewer", "GET", "/api/v1/topology", "", nil)
	if answer.body != "# ours\n" || answer.header.Get("Railyard-Digest") != "sha256:1" {
		t.Errorf("got %q with digest %q", answer.body, answer.header.Get("Railyard-Digest"))
	}
}

func TestWhatARotationIsCalled(t *testing.T) {
	cases := []struct {
		rule   string
		member roller.Member
		want   api.ServerRotation
	}{
		{"up with a weight: in", roller.Member{Up: true, Weight: 25}, api.In},
		{"up without a weight: we pulled it out", roller.Member{Up: true}, api.Out},
		{"its check fails: down, whatever its weight", roller.Member{Weight: 100}, api.Down},
		{"somebody's maintenance is theirs, whatever our flag says", roller.Member{Foreign: true, Weight: 100}, api.Maintenance},
	}
	y := newYard(t)
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			y.show(func(l *server.SiteLook) { l.Members["hotel-api-2"] = c.member })
			eventually(t, func() bool { return y.site(t).Servers[1].Rotation == c.want })
		})
	}
	y.show(func(l *server.SiteLook) { clear(l.Members); clear(l.Hosts) })
	eventually(t, func() bool {
		s := y.site(t).Servers[1]
		return s.Rotation == api.Unknown && s.Known == nil && s.Version == nil && s.Weight == nil
	})
}

func (y *yard) site(t *testing.T) api.Site {
	t.Helper()
	_, body := y.do("viewer", "GET", "/api/v1/sites?environment=PROD", "", nil)
	var sites []api.Site
	if err := json.Unmarshal([]byte(body), &sites); err != nil || len(sites) != 1 {
		t.Fatalf("%s: %v", body, err)
	}
	return sites[0]
}

// eventually waits until a condition holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come true in 10 s")
		}
	}
}

func TestWithoutATopologyThereAreNoSites(t *testing.T) {
	y := newYard(t, func(o *server.Options) { o.Topology = func() *fleet.Topology { return nil } })
	if status, body := y.do("viewer", "GET", "/api/v1/sites", "", nil); status != 200 || strings.TrimSpace(body) != "[]" {
		t.Errorf("sites: got %d %s", status, body)
	}
	if status, _ := y.do("viewer", "GET", "/", "", nil); status != 200 {
		t.Errorf("page: got %d", status)
	}
	if answer := good().send(t, y); answer.status != 404 {
		t.Errorf("push: got %d, expected 404", answer.status)
	}
}

func TestHealth(t *testing.T) {
	y := newYard(t)
	for path, says := range map[string]string{"/healthz": "ok", "/readyz": "ready"} {
		if status, body := y.do("", "GET", path, "", nil); status != 200 || strings.TrimSpace(body) != says {
			t.Errorf("%s: got %d %q", path, status, body)
		}
	}
	y.baking()
	good().ids(t, y)
	status, body := y.do("viewer", "GET", "/metrics", "", nil)
	for _, line := range []string{
		`railyard_coaches{environment="PROD",state="delivering"} 1`,
		`railyard_rolls{environment="PROD",paused="false",stage="baking"} 1`,
		`railyard_deliveries_total{outcome="stored",provider="generic"} 1`,
		`railyard_http_request_duration_seconds_count{method="POST",route="/hooks/:provider",status="202"} 1`,
		"railyard_store_statements_total", "process_resident_memory_bytes",
	} {
		if status != 200 || !strings.Contains(body, line) {
			t.Errorf("/metrics: got %d without %s", status, line)
		}
	}
	y.store.Close()
	if status, _ := y.do("", "GET", "/readyz", "", nil); status != 503 {
		t.Errorf("/readyz without a database: got %d, expected 503", status)
	}
	if status, _ := y.do("", "GET", "/healthz", "", nil); status != 200 {
		t.Errorf("/healthz without a database: got %d, expected 200", status)
	}
}
