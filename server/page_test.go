package server_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"railyard/internal/access"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/verdict"
	"railyard/server"
)

// tags of assets change with every change of style, which is not what these pages are about.
var assetTag = regexp.MustCompile(`\?v=[0-9a-f]{8}`)

func TestPages(t *testing.T) {
	y := newYard(t)
	y.baking()
	y.addTrain()
	y.couple(coachID)
	y.addToken("li.wei", access.Operator, "*", start.AddDate(1, 0, 0))
	said := verdict.Entered{Coach: coachID, Environment: "UAT", Actor: "person:lin", Reason: "cancelling <b>fails</b>", At: start.Add(80 * time.Second)}
	if err := y.store.AddTestVerdict(t.Context(), said); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		golden, path string
		status       int
	}{
		{"yard.en.html", "/", 200},
		{"yard.zh.html", "/?lang=zh", 200},
		{"coach.en.html", "/coaches/" + coachID, 200},
		{"coach.zh.html", "/coaches/" + coachID + "?lang=zh", 200},
		{"train.en.html", "/trains/" + trainID, 200},
		{"train.zh.html", "/trains/" + trainID + "?lang=zh", 200},
		{"plan.en.html", "/coaches/" + coachID + "/plan", 200},
		{"deps.en.html", "/dependencies", 200},
		{"deps.zh.html", "/dependencies?lang=zh", 200},
		{"login.en.html", "/login?next=/coaches/" + coachID, 200},
		{"trouble.en.html", "/coaches/none", 404},
	}
	for _, c := range cases {
		t.Run(c.golden, func(t *testing.T) {
			status, body := y.do("li.wei", "GET", c.path, "", nil)
			if status != c.status {
				t.Fatalf("got %d, expected %d", status, c.status)
			}
			if bad := regexp.MustCompile(`0x[0-9a-f]{6}|%!|ZgotmplZ|&lt;nil&gt;`).FindString(body); bad != "" {
				t.Errorf("the page shows the program's inside: %s", bad)
			}
			body = assetTag.ReplaceAllString(body, "")
			body = regexp.MustCompile(`(Request|请求) [0-9a-f]{16}`).ReplaceAllString(body, "$1 …")
			golden(t, "pages/"+c.golden, body)
		})
	}
}

func TestWhatPeopleWroteIsShownAndNotObeyed(t *testing.T) {
	y := newYard(t)
	y.baking()
	evil := `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	y.save(coachID, func(c *rop.Coach) { c.Subject, c.Reason, c.Author = evil, evil, evil })
	y.show(func(l *server.SiteLook) {
		l.Problem = evil
		l.Hosts["hotel-api-1"] = roller.HostState{Running: map[string]string{"hotel-api": evil}}
	})
	y.addTrain()
	y.couple(coachID)
	for _, path := range []string{"/", "/coaches/" + coachID, "/trains/" + trainID} {
		_, body := y.do("viewer", "GET", path, "", nil)
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s obeys what was pushed", path)
		}
		if !strings.Contains(body, "&lt;script&gt;alert(1)") {
			t.Errorf("%s does not show what was pushed", path)
		}
	}
}

func TestEveryAnswerClosesWhatBrowsersAllow(t *testing.T) {
	y := newYard(t)
	for _, path := range []string{"/", "/login", "/assets/page.js", "/api/v1/sites", "/healthz", "/none"} {
		answer := y.send("viewer", "GET", path, "", nil)
		csp := answer.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
			t.Errorf("%s: Content-Security-Policy is %q", path, csp)
		}
		if answer.header.Get("X-Content-Type-Options") != "nosniff" || answer.header.Get("Railyard-Request") == "" {
			t.Errorf("%s: headers are missing: %v", path, answer.header)
		}
	}
}

func TestPagesHaveNothingInlineAndNothingFromElsewhere(t *testing.T) {
	y := newYard(t)
	y.baking()
	inline := regexp.MustCompile(`<script(?:[^>]*[^>])?>[^<]|<style|\sstyle=|\son[a-z]+=|(?:src|href)="(?:https?:)?//`)
	y.addTrain()
	y.couple(coachID)
	for _, path := range []string{"/", "/coaches/" + coachID, "/login", "/trains/" + trainID, "/coaches/" + coachID + "/plan", "/dependencies"} {
		_, body := y.do("viewer", "GET", path, "", nil)
		body = strings.ReplaceAll(body, `href="http://jenkins.example/`, "") // a link to the build, followed only when clicked
		if found := inline.FindString(body); found != "" {
			t.Errorf("%s has %q", path, found)
		}
	}
}

func TestALinkFromAnotherSiteFindsItsWayThroughTheStrictCookie(t *testing.T) {
	y := newYard(t)
	ask := func(site string) reply {
		request := y.request("GET", "/coaches/"+coachID, nil)
		request.Header.Set("Sec-Fetch-Site", site)
		request.Header.Set("Sec-Fetch-Mode", "navigate")
		return y.ask(request)
	}
	if answer := ask("cross-site"); answer.status != 200 || answer.header.Get("Refresh") != "0" {
		t.Errorf("from another site: got %d, Refresh %q; expected a reload of our own", answer.status, answer.header.Get("Refresh"))
	}
	if answer := ask("same-origin"); answer.status != 303 || answer.header.Get("Location") != "/login?next=%2Fcoaches%2F"+coachID {
		t.Errorf("after the reload: got %d to %q, expected the login", answer.status, answer.header.Get("Location"))
	}
}
