package status

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// github is github.com and GitHub Enterprise: REST API 2022-11-28, "Commit statuses".
type github struct{}

func (github) authorize(h http.Header, token string) {
	h.Set("Authorization", "Bearer "+token)
	h.Set("Accept", "application/vnd.github+json")
	h.Set("X-GitHub-Api-Version", "2022-11-28")
}

// list: newest first, of all contexts; a page holds 100.
func (github) list(repository, commit, _ string) string {
	return "/repos/" + segments(repository) + "/commits/" + url.PathEscape(commit) + "/statuses?per_page=100"
}

func (github) latest(body []byte, context string) (Status, bool, error) {
	var all []hubStatus
	err := json.Unmarshal(body, &all)
	return first(all, context), has(all, context), err
}

func (github) set(repository, commit string, s Status) (string, any) {
	return "/repos/" + segments(repository) + "/statuses/" + url.PathEscape(commit), hubOf(s)
}

func (github) same(is, want Status) bool { return is == want }
func (github) limit() int                { return 140 }

// gitea is Gitea and Forgejo, whose API follows GitHub's.
type gitea struct{}

func (gitea) authorize(h http.Header, token string) { h.Set("Authorization", "token "+token) }

func (gitea) list(repository, commit, _ string) string {
	return "/repos/" + segments(repository) + "/commits/" + url.PathEscape(commit) + "/statuses?sort=recentupdate&limit=50"
}

func (gitea) latest(body []byte, context string) (Status, bool, error) {
	var all []hubStatus
	err := json.Unmarshal(body, &all)
	return first(all, context), has(all, context), err
}

func (gitea) set(repository, commit string, s Status) (string, any) {
	return "/repos/" + segments(repository) + "/statuses/" + url.PathEscape(commit), hubOf(s)
}

func (gitea) same(is, want Status) bool { return is == want }
func (gitea) limit() int                { return 255 }

// hubStatus is a status as GitHub and Gitea write it. Gitea answers with "status" and is asked with "state".
type hubStatus struct {
	State       string `json:"state,omitempty"`
	Status      string `json:"status,omitempty"`
	TargetURL   string `json:"target_url"`
	Description string `json:"description"`
	Context     string `json:"context"`
}

func hubOf(s Status) hubStatus {
	return hubStatus{State: string(s.State), TargetURL: s.URL, Description: s.Description, Context: s.Context}
}

func first(all []hubStatus, context string) Status {
	for _, s := range all {
		if s.Context == context {
			state := s.State
			if state == "" {
				state = s.Status
			}
			return Status{Context: context, State: State(state), Description: s.Description, URL: s.TargetURL}
		}
	}
	return Status{}
}

func has(all []hubStatus, context string) bool {
	for _, s := range all {
		if s.Context == context {
			return true
		}
	}
	return false
}

// gitlab is GitLab: API v4, "Commits: commit status". A mark there has the states of a job, and to set the state it has
// already is an error ("Cannot transition status via :run from :running"), so a changed description alone is not written.
type gitlab struct{}

var gitlabStates = map[State]string{Pending: "running", Success: "success", Failure: "failed", Error: "canceled"}

func (gitlab) authorize(h http.Header, token string) { h.Set("PRIVATE-TOKEN", token) }

func (gitlab) list(repository, commit, context string) string {
	return "/projects/" + url.PathEscape(repository) + "/repository/commits/" + url.PathEscape(commit) + "/statuses?per_page=100&name=" + url.QueryEscape(context)
}

// latest: without all=true a list holds only the newest of each name.
func (gitlab) latest(body []byte, context string) (Status, bool, error) {
	var all []struct {
		Status      string `json:"status"`
		Name        string `json:"name"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return Status{}, false, err
	}
	for _, s := range all {
		if s.Name != context {
			continue
		}
		found := Status{Context: context, Description: s.Description, URL: s.TargetURL}
		for ours, theirs := range gitlabStates {
			if theirs == s.Status {
				found.State = ours
			}
		}
		return found, true, nil
	}
	return Status{}, false, nil
}

func (gitlab) set(repository, commit string, s Status) (string, any) {
	return "/projects/" + url.PathEscape(repository) + "/statuses/" + url.PathEscape(commit), map[string]string{
		"state": gitlabStates[s.State], "name": s.Context, "target_url": s.URL, "description": s.Description,
	}
}

func (gitlab) same(is, want Status) bool { return is.State == want.State }
func (gitlab) limit() int                { return 255 }

// segments escapes a name of several parts for a path.
func segments(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
