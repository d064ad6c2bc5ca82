package scm

import (
	"fmt"
	"net/http"
)

// gitlab reads the push and tag hooks of a GitLab project, group or whole instance (system hook).
type gitlab struct{}

func (gitlab) Name() string { return "gitlab" }

// Verify compares the secret token: GitLab sends the secret itself and signs nothing, so use HTTPS.
func (gitlab) Verify(header http.Header, _, secret []byte) error {
	return verifyToken(header, "X-Gitlab-Token", secret)
}

func (gitlab) Parse(header http.Header, body []byte) (Push, error) {
	event := header.Get("X-Gitlab-Event")
	switch event {
	case "Push Hook", "Tag Push Hook", "System Hook":
	default:
		return Push{}, unfollowed("X-Gitlab-Event", event)
	}
	var src gitlabPush
	if err := decode(body, &src); err != nil {
		return Push{}, err
	}
	// A system hook tells of everything, and says of what only in its body.
	if kind := firstOf(src.EventName, src.ObjectKind); kind != "push" && kind != "tag_push" {
		if event == "System Hook" && kind != "" {
			return Push{}, unfollowed("event_name", kind)
		}
		return Push{}, fmt.Errorf("%w: event_name is %.80q, expected \"push\" or \"tag_push\"", ErrMalformed, kind)
	}
	// Idempotency-Key stays the same over retries; GitLab before 17.4 has only the other one.
	return convertGitlab(src, firstOf(header.Get("Idempotency-Key"), header.Get("X-Gitlab-Event-UUID")))
}

type gitlabPush struct {
	ObjectKind   string `json:"object_kind"` // "push"; absent in system hooks
	EventName    string `json:"event_name"`  // "tag_push"; absent in old project hooks
	Before       string `json:"before"`
	After        string `json:"after"`
	Ref          string `json:"ref"`
	CheckoutSHA  string `json:"checkout_sha"` // the commit, also of an annotated tag; null when deleted
	UserUsername string `json:"user_username"`
	UserName     string `json:"user_name"`
	Project      struct {
		PathWithNamespace string `json:"path_with_namespace"` // "hotel/backend/hotel-api"
		GitHTTPURL        string `json:"git_http_url"`
	} `json:"project"`
}

func convertGitlab(src gitlabPush, delivery string) (Push, error) {
	if err := checkRepo(src.Project.PathWithNamespace, "project.path_with_namespace"); err != nil {
		return Push{}, err
	}
	c, err := newChange(src.Ref, src.Before, src.After)
	if err != nil {
		return Push{}, err
	}
	if c.RefKind == Tag && !c.Deleted {
		if c.Commit, err = cleanHash("checkout_sha", src.CheckoutSHA); err != nil {
			return Push{}, err
		}
	}
	return Push{
		Repo:       src.Project.PathWithNamespace,
		CloneURL:   src.Project.GitHTTPURL,
		Changes:    []Change{c},
		Pusher:     firstOf(src.UserUsername, src.UserName),
		DeliveryID: delivery,
	}, nil
}
