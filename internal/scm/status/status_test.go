package status_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"railyard/internal/scm/status"
)

func on(state status.State, description string) status.Status {
	return status.Status{Context: "railyard/hotel-api", State: state, Description: description, URL: "https://railyard.example.com/coaches/hotel-api-7.2"}
}

func each(t *testing.T, test func(t *testing.T, s *standIn, h *status.Host)) {
	for _, kind := range status.Kinds() {
		t.Run(kind, func(t *testing.T) {
			s, h := startHost(t, kind)
			test(t, s, h)
		})
	}
}

func TestAMarkIsWrittenWithItsWordsAndItsLink(t *testing.T) {
	states := map[string]map[status.State]string{
		"github": {status.Pending: "pending", status.Success: "success", status.Failure: "failure", status.Error: "error"},
		"gitea":  {status.Pending: "pending", status.Success: "success", status.Failure: "failure", status.Error: "error"},
		"gitlab": {status.Pending: "running", status.Success: "success", status.Failure: "failed", status.Error: "canceled"},
	}
	each(t, func(t *testing.T, s *standIn, h *status.Host) {
		for _, state := range []status.State{status.Pending, status.Failure, status.Pending, status.Error, status.Success} {
			if err := h.Set(t.Context(), repository, commit, on(state, "PROD: rolling")); err != nil {
				t.Fatal(err)
			}
			want := mark{states[s.kind][state], "railyard/hotel-api", "PROD: rolling", "https://railyard.example.com/coaches/hotel-api-7.2"}
			if got := s.newest(); got != want {
				t.Errorf("the host has %+v, want %+v", got, want)
			}
		}
	})
}

func TestSettingItAgainAfterALostReplyAddsNothing(t *testing.T) {
	each(t, func(t *testing.T, s *standIn, h *status.Host) {
		for range 3 {
			if err := h.Set(t.Context(), repository, commit, on(status.Pending, "FAT")); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.written(); n != 1 {
			t.Errorf("written %d times", n)
		}
	})
}

func TestNewWordsOfTheSameStateAreNoFailure(t *testing.T) {
	each(t, func(t *testing.T, s *standIn, h *status.Host) {
		for _, words := range []string{"FAT", "UAT"} {
			if err := h.Set(t.Context(), repository, commit, on(status.Pending, words)); err != nil {
				t.Fatal(err)
			}
		}
		want := "UAT"
		if s.kind == "gitlab" {
			want = "FAT" // it takes no new words without a new state
		}
		if got := s.newest().description; got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	})
}

func TestALongReasonIsCutBetweenCharacters(t *testing.T) {
	each(t, func(t *testing.T, s *standIn, h *status.Host) {
		if err := h.Set(t.Context(), repository, commit, on(status.Failure, strings.Repeat("回滚 \n", 200))); err != nil {
			t.Fatal(err)
		}
		got := []rune(s.newest().description)
		if len(got) > 255 || got[len(got)-1] != '…' || strings.ContainsRune(string(got), '\n') {
			t.Errorf("%d characters: %s", len(got), string(got))
		}
	})
}

func TestWhatAPersonMustChangeIsToldFromWhatPasses(t *testing.T) {
	says := func(code int, body string, headers ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(code)
			fmt.Fprint(w, body)
			return true
		}
	}
	for _, c := range []struct {
		rule    string
		answer  func(http.ResponseWriter, *http.Request) bool
		refused bool
		words   string
	}{
		{"a bad token", says(401, `{"message":"Bad credentials"}`), true, "401 Unauthorized: Bad credentials"},
		{"a token without the right", says(403, `{"message":"Resource not accessible"}`), true, "403 Forbidden: Resource not accessible"},
		{"an unknown repository", says(404, `{"message":"Not Found"}`), true, "404 Not Found"},
		{"a commit that is not there", says(422, `{"message":"No commit found for SHA"}`), true, "No commit found"},
		{"a moved API, which must not get the token", says(301, "", "Location", "https://elsewhere.example.com/"), true, "301 Moved Permanently"},
		{"too many requests", says(429, `{"message":"slow down"}`), false, "429 Too Many Requests: slow down"},
		{"GitHub's rate limit", says(403, `{"message":"API rate limit exceeded"}`, "X-RateLimit-Remaining", "0"), false, "rate limit"},
		{"an outage", says(503, "<html>down</html>"), false, "503 Service Unavailable: without a message"},
		{"a page instead of JSON", says(200, "<html>Sign in</html>"), false, "no list of statuses"},
		{"a broken connection", func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, false, "EOF"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s, h := startHost(t, "github")
			s.answers(c.answer)
			err := h.Set(t.Context(), repository, commit, on(status.Pending, "FAT"))
			if err == nil || errors.Is(err, status.ErrRefused) != c.refused || !strings.Contains(err.Error(), c.words) {
				t.Fatalf("%v, want refused %v with %q", err, c.refused, c.words)
			}
			if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), s.URL) {
				t.Errorf("it tells too much: %v", err)
			}
		})
	}
}

func TestAHostThatHangsIsGivenUp(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	h, err := status.New(status.Options{Kind: "gitea", API: server.URL, Token: token, Limit: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Set(t.Context(), repository, commit, on(status.Pending, "FAT")); err == nil || !strings.Contains(err.Error(), "did not answer within 50ms") {
		t.Error(err)
	}
}

func TestAHostIsConfiguredWithAKnownKindAndAPlainAddress(t *testing.T) {
	for _, o := range []status.Options{
		{Kind: "sourceforge", API: "https://git.example.com"},
		{Kind: "gitea", API: "git.example.com"},
		{Kind: "gitea", API: "https://railyard:" + token + "@git.example.com"},
	} {
		if _, err := status.New(o); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s %s: %v", o.Kind, o.API, err)
		}
	}
}
