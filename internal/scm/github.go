package scm

import (
	"fmt"
	"net/http"
	"strings"
)

// github reads the push, create and delete events of GitHub and GitHub Enterprise.
type github struct{}

func (github) Name() string { return "github" }

func (github) Verify(header http.Header, body, secret []byte) error {
	return verifyHMAC(header, "X-Hub-Signature-256", "sha256=", body, secret)
}

func (github) Parse(header http.Header, body []byte) (Push, error) {
	return parseHubLike(header, body, "X-GitHub-Event", "X-GitHub-Delivery")
}

// parseHubLike reads the format that GitHub made and that Gogs and Gitea took over.
func parseHubLike(header http.Header, body []byte, eventHeader, deliveryHeader string) (Push, error) {
	event := header.Get(eventHeader)
	if event != "push" && event != "create" && event != "delete" {
		return Push{}, unfollowed(eventHeader, event)
	}
	body, err := formPayload(header, body)
	if err != nil {
		return Push{}, err
	}
	var src hubPush
	if err := decode(body, &src); err != nil {
		return Push{}, err
	}
	return convertHub(event, src, header.Get(deliveryHeader))
}

// hubPush holds the fields of three events: push has before and after, create and delete have ref_type, and Gitea's create has sha.
type hubPush struct {
	Ref        string `json:"ref"`
	RefType    string `json:"ref_type"` // "branch"
	Before     string `json:"before"`
	After      string `json:"after"`
	SHA        string `json:"sha"`
	Forced     bool   `json:"forced"`
	HeadCommit *struct {
		ID string `json:"id"`
	} `json:"head_commit"`
	Repository hubRepository `json:"repository"`
	Pusher     hubUser       `json:"pusher"`
	Sender     hubUser       `json:"sender"`
}

type hubRepository struct {
	Name     string  `json:"name"`      // "hotel-api"
	FullName string  `json:"full_name"` // "hotel/hotel-api"; absent before 2014
	Owner    hubUser `json:"owner"`
	CloneURL string  `json:"clone_url"` // absent before 2014
	HTMLURL  string  `json:"html_url"`
	URL      string  `json:"url"` // a page's address in push events, the API's in the others
}

type hubUser struct {
	Name     string `json:"name"`     // GitHub's pusher
	Login    string `json:"login"`    // GitHub's sender
	Username string `json:"username"` // Gogs and Gitea
}

func (u hubUser) name() string { return firstOf(u.Login, u.Username, u.Name) }

func convertHub(event string, src hubPush, delivery string) (Push, error) {
	push := Push{
		Repo:       src.Repository.FullName,
		CloneURL:   src.Repository.CloneURL,
		Pusher:     firstOf(src.Pusher.name(), src.Sender.name()),
		DeliveryID: delivery,
	}
	if owner := src.Repository.Owner.name(); push.Repo == "" && owner != "" && src.Repository.Name != "" {
		push.Repo = owner + "/" + src.Repository.Name
	}
	if err := checkRepo(push.Repo, "repository.full_name"); err != nil {
		return Push{}, err
	}
	if page := firstOf(src.Repository.HTMLURL, src.Repository.URL); push.CloneURL == "" && page != "" {
		push.CloneURL = strings.TrimSuffix(page, "/") + ".git"
	}
	var change Change
	var err error
	if event == "push" {
		change, err = convertHubChange(src)
	} else {
		change, err = newEvent(event, src.RefType, src.Ref, src.SHA)
	}
	if err != nil {
		return Push{}, err
	}
	push.Changes = []Change{change}
	return push, nil
}

func convertHubChange(src hubPush) (Change, error) {
	c, err := newChange(src.Ref, src.Before, src.After)
	if err != nil {
		return Change{}, err
	}
	// GitHub has sent forced=true with created and deleted refs, where no history is rewritten.
	c.Forced = src.Forced && !c.Created && !c.Deleted
	if c.RefKind == Tag && !c.Deleted && src.HeadCommit != nil {
		if c.Commit, err = cleanHash("head_commit", src.HeadCommit.ID); err != nil {
			return Change{}, fmt.Errorf("%w (ref %q)", err, c.Ref)
		}
	}
	return c, nil
}
