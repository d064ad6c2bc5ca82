package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/server"
)

// open is what answers without a token, and why.
var open = map[string]string{
	"GET /healthz":          "the process supervisor has no token",
	"GET /readyz":           "neither has a balancer",
	"POST /hooks/:provider": "proves itself by signature",
	"GET /login":            "asks for the token",
	"POST /login":           "checks the token",
	"POST /logout":          "only forgets the token",
	"GET /assets/:file":     "style and script of the login page",
}

func TestNoAddressAnswersWithoutAuthorisation(t *testing.T) {
	y := newYard(t)
	y.baking()
	y.addTrain()
	y.addToken("nothing", "no-such-role", "*", time.Time{})
	walked := 0
	for _, route := range y.server.Routes() {
		name := route.Method + " " + route.Path
		if open[name] != "" {
			continue
		}
		walked++
		t.Run(name, func(t *testing.T) {
			for who, want := range map[string]int{"": 401, "unknown": 401, "nothing": 403} {
				status, body := y.do(who, route.Method, fill(route.Path), contentType(route.Path), strings.NewReader(fillBody(route.Path)))
				asked := status == http.StatusSeeOther && want == 401 // a page sends visitors to the login
				if status != want && !asked {
					t.Errorf("as %q: got %d %s, expected %d", who, status, body, want)
				}
			}
		})
	}
	if walked < 15 {
		t.Errorf("only %d addresses were walked", walked)
	}
}

// fill makes an address of objects that exist, so that nothing but the missing right can refuse it.
func fill(path string) string {
	return strings.NewReplacer(":coach", coachID, ":roll", rollID, ":deployment", coachID+"-hotel-api-a1",
		":train", trainID, ":environment", "PROD", ":pool", "hotel-api").Replace(path)
}

func contentType(path string) string {
	switch {
	case strings.HasSuffix(path, "/package"):
		return "application/gzip"
	case strings.HasSuffix(path, "/topology"):
		return "application/yaml"
	}
	return "application/json"
}

func fillBody(path string) string {
	switch {
	case strings.HasSuffix(path, "/trains"):
		return `{"line":"hotel-line","sbu":"hotel","reason":"test"}`
	case strings.HasSuffix(path, "/couple"), strings.HasSuffix(path, "/uncouple"):
		return `{"coach":"` + coachID + `","reason":"test"}`
	case strings.HasSuffix(path, "/overrides"):
		return `{"train":"` + trainID + `","freeze":"golden-week","reason":"test"}`
	case strings.HasSuffix(path, "/trains/:train/commands"):
		return `{"command":"cancel","reason":"test"}`
	case strings.HasSuffix(path, "/commands"):
		return `{"command":"brake","reason":"test"}`
	case strings.HasSuffix(path, "/bars/clear"):
		return `{"environment":"PROD","pool":"hotel-api","revision":"45c5994d2742","reason":"test"}`
	case strings.HasSuffix(path, "/verdicts"):
		return `{"pass":true,"reason":"test"}`
	case strings.HasSuffix(path, "/begin"), strings.HasSuffix(path, "/buttons"):
		return `{"job":"deliver/hotel-api","number":1}`
	}
	return `{"reason":"test"}`
}

func TestTokens(t *testing.T) {
	y := newYard(t)
	y.addToken("late", access.Viewer, "hotel", start.Add(-time.Second))
	y.addToken("gone", access.Viewer, "hotel", time.Time{})
	if err := y.store.RevokeToken(t.Context(), hexOf("token-gone"), start); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		rule, who string
		status    int
	}{
		{"a token that is in force opens", "viewer", 200},
		{"an expired token does not", "late", 401},
		{"a revoked token does not", "gone", 401},
		{"an unknown token does not", "guess", 401},
		{"no token does not", "", 401},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			if status, body := y.do(c.who, "GET", "/api/v1/events", "", nil); status != c.status {
				t.Errorf("got %d %s, expected %d", status, body, c.status)
			}
		})
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	cases := []struct {
		rule, who, path, body string
		status                int
	}{
		{"a viewer sees", "viewer", "GET /coaches/" + coachID, "", 200},
		{"a viewer does not brake", "viewer", "POST /rolls/" + rollID + "/commands", `{"command":"brake","reason":"r"}`, 403},
		{"a developer brakes what their SBU releases", "developer", "POST /rolls/" + rollID + "/commands", `{"command":"brake","reason":"r"}`, 202},
		{"a developer does not resume", "developer", "POST /rolls/" + rollID + "/commands", `{"command":"resume","reason":"r"}`, 403},
		{"a release engineer resumes", "engineer", "POST /rolls/" + rollID + "/commands", `{"command":"resume","reason":"r"}`, 202},
		{"a release engineer of another SBU does not", "stranger", "POST /rolls/" + rollID + "/commands", `{"command":"resume","reason":"r"}`, 403},
		{"a release engineer passes a plan", "engineer", "POST /coaches/" + coachID + "/approve", `{"reason":"r"}`, 204},
		{"a developer withdraws a Coach of their SBU", "developer", "POST /coaches/" + coachID + "/revoke", `{"reason":"r"}`, 202},
		{"Jenkins does not pass plans", "jenkins", "POST /coaches/" + coachID + "/approve", `{"reason":"r"}`, 403},
		{"people do not begin builds", "operator", "POST /deployments/" + coachID + "-hotel-api-a1/begin", `{"job":"deliver/hotel-api","number":1}`, 403},
		{"a developer does not clear a bar", "developer", "POST /bars/clear", `{"environment":"PROD","pool":"hotel-api","revision":"x","reason":"r"}`, 403},
		{"a bar that is not there cannot be cleared", "engineer", "POST /bars/clear", `{"environment":"PROD","pool":"hotel-api","revision":"x","reason":"r"}`, 404},
		{"a release engineer creates Trains of their SBU", "engineer", "POST /trains", `{"line":"hotel-line","sbu":"hotel","reason":"r"}`, 201},
		{"a release engineer of another SBU does not", "stranger", "POST /trains", `{"line":"hotel-line","sbu":"hotel","reason":"r"}`, 403},
		{"a developer couples nothing", "developer", "POST /trains/hotel-line-1/couple", `{"coach":"` + coachID + `","reason":"r"}`, 403},
		{"a Coach of another SBU is not coupled", "stranger", "POST /trains/hotel-line-1/couple", `{"coach":"` + coachID + `","reason":"r"}`, 403},
		{"a Coach that is in production on its own is not coupled", "engineer", "POST /trains/hotel-line-1/couple", `{"coach":"` + coachID + `","reason":"r"}`, 409},
		{"nobody departs with a plan that is another by now", "engineer", "POST /trains/hotel-line-1/commands", `{"command":"depart","plan":"3f9a0c12b4d5","reason":"r"}`, 409},
		{"departure names the plan that was looked at", "engineer", "POST /trains/hotel-line-1/commands", `{"command":"depart","reason":"r"}`, 400},
		{"a release engineer cancels", "engineer", "POST /trains/hotel-line-1/commands", `{"command":"cancel","reason":"r"}`, 202},
		{"a freeze that is not there is not overridden", "engineer", "POST /overrides", `{"train":"hotel-line-1","freeze":"never","reason":"r"}`, 404},
		{"a release engineer does not apply topologies", "engineer", "PUT /topology", `sbus: []`, 403},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			y := newYard(t)
			y.baking()
			y.addTrain()
			method, path, _ := strings.Cut(c.path, " ")
			if status, body := y.do(c.who, method, "/api/v1"+path, contentType(path), strings.NewReader(c.body)); status != c.status {
				t.Errorf("got %d %s, expected %d", status, body, c.status)
			}
		})
	}
}

func TestTheAuthorDoesNotPassTheirOwnPlan(t *testing.T) {
	y := newYard(t)
	y.baking()
	y.addToken("wang.fang", access.ReleaseEngineer, "hotel", time.Time{})
	if status, body := y.do("wang.fang", "POST", "/api/v1/coaches/"+coachID+"/approve", "application/json", strings.NewReader(`{"reason":"mine"}`)); status != 403 {
		t.Errorf("got %d %s, expected 403", status, body)
	}
}

func TestAnonymousMayAtMostLook(t *testing.T) {
	y := newYard(t, func(o *server.Options) { o.AnonymousRole = access.Viewer })
	y.baking()
	if status, _ := y.do("", "GET", "/api/v1/coaches", "", nil); status != 200 {
		t.Errorf("looking: got %d, expected 200", status)
	}
	if status, _ := y.do("", "POST", "/api/v1/coaches/"+coachID+"/revoke", "application/json", strings.NewReader(`{"reason":"r"}`)); status != 403 {
		t.Errorf("revoking: got %d, expected 403", status)
	}
	if status, _ := y.do("guess", "GET", "/api/v1/coaches", "", nil); status != 401 {
		t.Errorf("a wrong token: got %d, expected 401, not anonymous", status)
	}
}

func TestOptionsThatLeaveADoorOpenAreRefused(t *testing.T) {
	cases := []struct {
		rule   string
		change func(*server.Options)
		says   string
	}{
		{"an empty webhook secret", func(o *server.Options) { o.Secrets = map[string]string{"github": ""} }, `webhook secret of "github" is empty`},
		{"a secret of no code host", func(o *server.Options) { o.Secrets = map[string]string{"guthib": "x"} }, `expected one of`},
		{"anonymous operators", func(o *server.Options) { o.AnonymousRole = access.Operator }, `may at most look`},
		{"anonymous developers", func(o *server.Options) { o.AnonymousRole = access.Developer }, `may at most look`},
		{"an unknown anonymous role", func(o *server.Options) { o.AnonymousRole = "root" }, `anonymous role "root"`},
		{"no store", func(o *server.Options) { o.Store = nil }, `must all be given`},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			var options server.Options
			newYard(t, func(o *server.Options) { options = *o })
			c.change(&options)
			if _, err := server.New(options); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, expected an error that says %q", err, c.says)
			}
		})
	}
}

// hung is a database that does not answer at all.
type hung struct {
	server.Store
	down *bool
}

func (h hung) wait(ctx context.Context) error {
	if !*h.down {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (h hung) TokenByHash(ctx context.Context, hash string) (store.Token, error) {
	if err := h.wait(ctx); err != nil {
		return store.Token{}, err
	}
	return h.Store.TokenByHash(ctx, hash)
}

func (h hung) Roll(ctx context.Context, id string) (roller.Roll, error) {
	if err := h.wait(ctx); err != nil {
		return roller.Roll{}, err
	}
	return h.Store.Roll(ctx, id)
}

func (h hung) Coach(ctx context.Context, id string) (rop.Coach, error) {
	if err := h.wait(ctx); err != nil {
		return rop.Coach{}, err
	}
	return h.Store.Coach(ctx, id)
}

func (h hung) AddRollCommand(ctx context.Context, c roller.Command, events ...event.Event) (int64, error) {
	if err := h.wait(ctx); err != nil {
		return 0, err
	}
	return h.Store.AddRollCommand(ctx, c, events...)
}

func TestABrakeWorksWhileTheDatabaseHangs(t *testing.T) {
	down := false
	y := newYard(t, func(o *server.Options) { o.Store = hung{o.Store, &down} })
	y.server.Hurry(300 * time.Millisecond)
	y.baking()
	for _, who := range []string{"developer", "stranger", "operator"} {
		if status, _ := y.do(who, "GET", "/api/v1/coaches/"+coachID, "", nil); status != 200 {
			t.Fatal("the roll was not seen before")
		}
	}
	down = true
	cases := []struct {
		rule, who, command string
		status             int
		braked             bool
	}{
		{"a developer of the SBU brakes; it is said that it is not stored", "developer", "brake", 503, true},
		{"somebody of another SBU does not", "stranger", "brake", 403, false},
		{"whoever was not known before does not", "viewer", "brake", 503, false},
		{"nothing but a brake is taken", "operator", "emergency", 503, false},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			before := len(y.kicks())
			status, body := y.do(c.who, "POST", "/api/v1/rolls/"+rollID+"/commands", "application/json",
				strings.NewReader(`{"command":"`+c.command+`","reason":"r"}`))
			if status != c.status {
				t.Errorf("got %d %s, expected %d", status, body, c.status)
			}
			braked := len(y.kicks()) > before && y.kicks()[before] == "brake "+rollID
			if braked != c.braked {
				t.Errorf("braked: %v, expected %v", braked, c.braked)
			}
			if c.braked && !strings.Contains(body, "is not stored") {
				t.Errorf("the answer does not say that it is not stored: %s", body)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	y := newYard(t)
	form := func(values url.Values, header ...string) reply {
		request := y.request("POST", "/login", strings.NewReader(values.Encode()))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		return y.ask(request)
	}
	good := url.Values{"token": {"token-viewer"}, "next": {"/coaches/" + coachID}}
	answer := form(good)
	if answer.status != http.StatusSeeOther || answer.header.Get("Location") != "/coaches/"+coachID || len(answer.cookies) != 1 {
		t.Fatalf("login: got %d to %q with %v", answer.status, answer.header.Get("Location"), answer.cookies)
	}
	cookie := answer.cookies[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookie is open to scripts or other sites: %v", cookie)
	}
	for path, want := range map[string]int{"/": 200, "/api/v1/events": 401} {
		request := y.request("GET", path, nil)
		request.AddCookie(cookie)
		if answer := y.ask(request); answer.status != want {
			t.Errorf("%s with the cookie: got %d, expected %d", path, answer.status, want)
		}
	}
	if answer := form(url.Values{"token": {"guess"}}); answer.status != 401 || len(answer.cookies) != 0 {
		t.Errorf("a wrong token: got %d with %v", answer.status, answer.cookies)
	}
	if answer := form(good, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); answer.status != 403 {
		t.Errorf("a form of another site: got %d, expected 403", answer.status)
	}
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)"} {
		if answer := form(url.Values{"token": {"token-viewer"}, "next": {next}}); answer.header.Get("Location") != "/" {
			t.Errorf("next %q leads to %q", next, answer.header.Get("Location"))
		}
	}
}
