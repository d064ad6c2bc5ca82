package service

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"railyard/internal/fleet"
	"railyard/internal/rop"
	"railyard/pipeline"
)

func TestACommitIsMarkedAtTheHostItsRepositoryIsClonedFrom(t *testing.T) {
	type request struct{ path, token, state, target, context string }
	var got request
	code := http.StatusCreated
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte("[]"))
			return
		}
		var in struct {
			State, Context string
			Target         string `json:"target_url"`
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		got = request{r.URL.Path, r.Header.Get("Authorization"), in.State, in.Target, in.Context}
		w.WriteHeader(code)
	}))
	t.Cleanup(host.Close)
	t.Setenv("STATUS_TOKEN", "s3cret")
	s, err := newStatuses([]Statuses{{Host: "Git.example.com", Kind: "gitea", API: host.URL + "/api/v1", Token: "env:STATUS_TOKEN"}}, "https://railyard.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	coach := rop.Coach{ID: "hotel-api-7.2", Project: "hotel-api", Commit: "8ca5f638"}
	mark := pipeline.CommitStatus{State: pipeline.MarkFailure, Description: "rolled_back PROD"}

	for _, clone := range []string{"https://git.example.com/hotel/hotel-api.git", "ssh://git@GIT.example.com/hotel/hotel-api", "git@git.example.com:hotel/hotel-api.git"} {
		repo := fleet.Repository{Name: "hotel/hotel-api", Clone: clone}
		if !s.Marks(repo) {
			t.Fatalf("%s is not known", clone)
		}
		if err := s.Mark(t.Context(), repo, coach, mark); err != nil {
			t.Fatal(err)
		}
		want := request{"/api/v1/repos/hotel/hotel-api/statuses/8ca5f638", "token s3cret", "failure", "https://railyard.example.com/coaches/hotel-api-7.2", "railyard/hotel-api"}
		if got != want {
			t.Errorf("%s: %+v, want %+v", clone, got, want)
		}
	}
	for _, clone := range []string{"https://git.elsewhere.com/hotel/hotel-api.git", "/srv/git/hotel-api.git", ""} {
		if s.Marks(fleet.Repository{Clone: clone}) {
			t.Errorf("%q is taken for a repository of git.example.com", clone)
		}
	}
	code = http.StatusNotFound
	if err := s.Mark(t.Context(), fleet.Repository{Name: "a/b", Clone: "https://git.example.com/a/b"}, coach, mark); !errors.Is(err, pipeline.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
}
