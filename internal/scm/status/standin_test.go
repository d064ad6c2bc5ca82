package status_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"railyard/internal/scm/status"
)

// mark is a status as a stand-in keeps it.
type mark struct{ state, context, description, url string }

// standIn is as much of a code host as statuses need, with the paths, headers and rules of its kind.
type standIn struct {
	*httptest.Server
	kind  string
	token string

	mu    sync.Mutex
	marks map[string][]mark // by "repository@commit", oldest first
	posts int
	fail  func(w http.ResponseWriter, r *http.Request) bool // answers instead; nil = never
}

const (
	repository = "hotel/backend/hotel-api" // GitLab has groups in groups
	commit     = "8ca5f638c3b1d0e2f4a5968778695a4b3c2d1e0f"
	token      = "s3cret-t0ken"
)

func startHost(t *testing.T, kind string) (*standIn, *status.Host) {
	s := &standIn{kind: kind, token: token, marks: map[string][]mark{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	api := map[string]string{"github": "", "gitea": "/api/v1", "gitlab": "/api/v4"}[kind]
	host, err := status.New(status.Options{Kind: kind, API: s.URL + api, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return s, host
}

func (s *standIn) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if s.fail != nil && s.fail(w, r) {
		return
	}
	header, want := "Authorization", map[string]string{"github": "Bearer " + token, "gitea": "token " + token}[s.kind]
	if s.kind == "gitlab" {
		header, want = "PRIVATE-TOKEN", token
	}
	if r.Header.Get(header) != want {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"message":"Bad credentials"}`)
		return
	}
	if s.kind == "gitlab" {
		s.lab(w, r)
		return
	}
	s.hub(w, r)
}

// hub is GitHub and Gitea: every POST adds a status, the newest of a context counts.
func (s *standIn) hub(w http.ResponseWriter, r *http.Request) {
	prefix := map[string]string{"github": "", "gitea": "/api/v1"}[s.kind] + "/repos/" + repository
	key := repository + "@" + commit
	switch {
	case r.Method == http.MethodGet && r.URL.Path == prefix+"/commits/"+commit+"/statuses":
		stateField := map[string]string{"github": "state", "gitea": "status"}[s.kind]
		list := []map[string]any{}
		for _, m := range slices.Backward(s.marks[key]) {
			list = append(list, map[string]any{"id": 1, stateField: m.state, "context": m.context, "description": m.description, "target_url": m.url})
		}
		_ = json.NewEncoder(w).Encode(list)
	case r.Method == http.MethodPost && r.URL.Path == prefix+"/statuses/"+commit:
		var in struct {
			State, Context, Description string
			Target                      string `json:"target_url"`
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil || len([]rune(in.Description)) > 140 && s.kind == "github" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"message":"Validation Failed"}`)
			return
		}
		s.posts++
		s.marks[key] = append(s.marks[key], mark{in.State, in.Context, in.Description, in.Target})
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"Not Found"}`)
	}
}

// lab is GitLab: a status that has not ended changes its state, and may not be set to the one it has; one that has ended is
// followed by a new one.
func (s *standIn) lab(w http.ResponseWriter, r *http.Request) {
	project := "/api/v4/projects/" + strings.ReplaceAll(repository, "/", "%2F")
	key := repository + "@" + commit
	switch {
	case r.Method == http.MethodGet && r.URL.EscapedPath() == project+"/repository/commits/"+commit+"/statuses":
		list := []map[string]any{}
		for _, m := range slices.Backward(s.marks[key]) {
			if m.context == r.URL.Query().Get("name") {
				list = append(list, map[string]any{"id": 93, "status": m.state, "name": m.context, "description": m.description, "target_url": m.url})
				break
			}
		}
		_ = json.NewEncoder(w).Encode(list)
	case r.Method == http.MethodPost && r.URL.EscapedPath() == project+"/statuses/"+commit:
		var in struct {
			State, Name, Description string
			Target                   string `json:"target_url"`
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil || !slices.Contains([]string{"pending", "running", "success", "failed", "canceled"}, in.State) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"state does not have a valid value"}`)
			return
		}
		all := s.marks[key]
		if n := len(all) - 1; n >= 0 && all[n].state == "running" && in.State == "running" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")"}`)
			return
		}
		s.posts++
		now := mark{in.State, in.Name, in.Description, in.Target}
		if n := len(all) - 1; n >= 0 && all[n].state == "running" {
			all[n] = now
		} else {
			s.marks[key] = append(all, now)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"404 Project Not Found"}`)
	}
}

func (s *standIn) newest() mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.marks[repository+"@"+commit]
	if len(all) == 0 {
		return mark{}
	}
	return all[len(all)-1]
}

func (s *standIn) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}

func (s *standIn) answers(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}
