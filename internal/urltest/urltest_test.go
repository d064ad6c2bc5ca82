package urltest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
)

func TestAnswersAreJudgedAsTheCheckSays(t *testing.T) {
	tests := []struct {
		name   string
		check  fleet.Check
		status int
		body   string
		want   string // the error after the URL, "" = passes
	}{
		{"200 is expected when nothing is said", fleet.Check{}, 200, "", ""},
		{"another status is not 200", fleet.Check{}, 503, "starting", `expected status 200, got 503 with body "starting"`},
		{"the status that is asked for", fleet.Check{Status: 404}, 404, "", ""},
		{"a redirect is an answer, not a way", fleet.Check{}, 302, "", `expected status 200, got 302 with body ""`},
		{"a redirect may be what is expected", fleet.Check{Status: 302}, 302, "", ""},
		{"text in the body", fleet.Check{Body: "1.4.2"}, 200, "hotel-api 1.4.2 up", ""},
		{"text missing in the body", fleet.Check{Body: "1.4.2"}, 200, "hotel-api 1.4.1", `expected "1.4.2" in the body, got "hotel-api 1.4.1"`},
		{"a JSON value", fleet.Check{JSON: "status=ok"}, 200, `{"status":"ok"}`, ""},
		{"a nested JSON value", fleet.Check{JSON: "db.replicas.1.up=true"}, 200, `{"db":{"replicas":[{"up":false},{"up":true}]}}`, ""},
		{"a JSON value with an equals sign", fleet.Check{JSON: "q=a=b"}, 200, `{"q":"a=b"}`, ""},
		{"a JSON number", fleet.Check{JSON: "n=12345678901234567890"}, 200, `{"n":12345678901234567890}`, ""},
		{"JSON null", fleet.Check{JSON: "error=null"}, 200, `{"error":null}`, ""},
		{"another JSON value", fleet.Check{JSON: "status=ok"}, 200, `{"status":"warming"}`, `expected JSON with status=ok, but it is "warming", got "{\"status\":\"warming\"}"`},
		{"a JSON key missing", fleet.Check{JSON: "db.up=true"}, 200, `{"db":3}`, `expected JSON with db.up=true, but there is no "up", got "{\"db\":3}"`},
		{"a JSON object is no value", fleet.Check{JSON: "db=x"}, 200, `{"db":{}}`, `expected JSON with db=x, but it is an object or a list, got "{\"db\":{}}"`},
		{"a JSON index out of range", fleet.Check{JSON: "l.1=x"}, 200, `{"l":["x"]}`, `expected JSON with l.1=x, but there is no "1", got "{\"l\":[\"x\"]}"`},
		{"HTML where JSON should be", fleet.Check{JSON: "status=ok"}, 200, `<html>`, `expected JSON with status=ok, but the body is not JSON (invalid character '<' looking for beginning of value), got "<html>"`},
		{"two documents are not JSON", fleet.Check{JSON: "status=ok"}, 200, `{"status":"ok"}{}`, `expected JSON with status=ok, but the body goes on after its JSON, got "{\"status\":\"ok\"}{}"`},
		{"a JSON check that is none", fleet.Check{JSON: "status"}, 200, `{}`, `expected JSON with status, which is no check: write PATH=VALUE, for example status=ok, got "{}"`},
		{"only the beginning of a body is shown", fleet.Check{Body: "x"}, 200, strings.Repeat("é", 300), `expected "x" in the body, got "` + strings.Repeat("é", 100) + `"…`},
		{"and no half character of it", fleet.Check{Body: "x"}, 200, "a" + strings.Repeat("é", 300), `expected "x" in the body, got "a` + strings.Repeat("é", 99) + `"…`},
		{"an endless page is not read to its end", fleet.Check{Body: "needle"}, 200, strings.Repeat("0123456789", 300_000) + "needle", `expected "needle" in the body, got "` + strings.Repeat("0123456789", 20) + `"…`},
		{"an endless page is not parsed", fleet.Check{JSON: "a=b"}, 200, strings.Repeat(" ", 2<<20), fmt.Sprintf(`expected JSON with a=b, got more than 1048576 bytes: "%200s"…`, "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer server.Close()
			tt.check.Path = "/healthz?full=1"
			r := Check(t.Context(), NewClient(), server.URL, tt.check)
			if r.Status != tt.status || r.Latency <= 0 {
				t.Errorf("status %d, latency %s; want %d and the time it took", r.Status, r.Latency, tt.status)
			}
			want := ""
			if tt.want != "" {
				want = "GET " + server.URL + "/healthz?full=1: " + tt.want
			}
			if got := text(r.Err); got != want {
				t.Errorf("error\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAServerThatDoesNotAnswerIsAnErrorInTime(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/half" {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-req.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	dead := httptest.NewServer(nil)
	dead.Close()
	brief := fleet.Duration(50 * time.Millisecond)
	tests := []struct {
		name, base, path string
		status           int
		want             string
	}{
		{"silence", server.URL, "/silent", 0, "no complete answer within 50ms"},
		{"a body that stops", server.URL, "/half", 200, "status 200, but the body ends early: no complete answer within 50ms"},
		{"nobody listens", dead.URL, "/", 0, "connection refused"},
		{"no path", server.URL, "healthz", 0, `check path "healthz": expected it to start with /`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Check(t.Context(), NewClient(), tt.base, fleet.Check{Path: tt.path, Timeout: brief})
			if r.Status != tt.status || !strings.HasSuffix(text(r.Err), tt.want) {
				t.Errorf("status %d, error %v; want %d and %q", r.Status, r.Err, tt.status, tt.want)
			}
		})
	}

	t.Run("the caller gives up", func(t *testing.T) {
		why := errors.New("brake")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if r := Check(ctx, NewClient(), server.URL, fleet.Check{Path: "/silent"}); !errors.Is(r.Err, why) {
			t.Errorf("error %v, want the caller's reason", r.Err)
		}
	})
}

func TestTheServerItselfIsAskedNotAProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	if proxy := NewClient().Transport.(*http.Transport).Proxy; proxy != nil {
		t.Error("the client may use a proxy")
	}
}

func TestEveryCheckHasAConnectionOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { seen[req.RemoteAddr] = true }))
	defer server.Close()
	client := NewClient()
	for range 5 {
		if r := Check(t.Context(), client, server.URL, fleet.Check{Path: "/"}); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if len(seen) != 5 {
		t.Errorf("5 checks came over %d connections", len(seen))
	}
}
