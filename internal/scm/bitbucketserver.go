package scm

import (
	"fmt"
	"net/http"
	"strings"
)

// bitbucketServer reads Bitbucket Server and Data Center: pushes, and the news that a mirror farm has them too.
type bitbucketServer struct{}

func (bitbucketServer) Name() string { return "bitbucket-server" }

func (bitbucketServer) Verify(header http.Header, body, secret []byte) error {
	return verifyHMAC(header, "X-Hub-Signature", "sha256=", body, secret)
}

func (bitbucketServer) Parse(header http.Header, body []byte) (Push, error) {
	switch event := header.Get("X-Event-Key"); event {
	case "repo:refs_changed", "mirror:repo_synchronized":
	default:
		return Push{}, unfollowed("X-Event-Key", event)
	}
	var src serverPush
	if err := decode(body, &src); err != nil {
		return Push{}, err
	}
	return convertServer(src, header.Get("X-Request-Id"))
}

type serverPush struct {
	Actor struct {
		Name string `json:"name"`
	} `json:"actor"`
	Changes []struct {
		Ref struct {
			ID string `json:"id"` // "refs/heads/release/1.2"
		} `json:"ref"`
		FromHash string `json:"fromHash"`
		ToHash   string `json:"toHash"`
	} `json:"changes"`
	// ToCommit is the commit of the last change, also of an annotated tag; only since version 7.
	ToCommit *struct {
		ID string `json:"id"`
	} `json:"toCommit"`
	Repository struct {
		Slug    string `json:"slug"` // "hotel-api"
		Project struct {
			Key string `json:"key"` // "HOTEL"
		} `json:"project"`
		Links struct {
			Clone []struct {
				Name string `json:"name"` // "http" or "ssh"
				Href string `json:"href"`
			} `json:"clone"`
		} `json:"links"`
	} `json:"repository"`
}

func convertServer(src serverPush, delivery string) (Push, error) {
	if err := checkRepo(src.Repository.Slug, "repository.slug"); err != nil {
		return Push{}, err
	}
	if err := checkRepo(src.Repository.Project.Key, "repository.project.key"); err != nil {
		return Push{}, err
	}
	if len(src.Changes) == 0 {
		return Push{}, fmt.Errorf("%w: no ref changed", ErrIgnored)
	}
	push := Push{
		Repo:       src.Repository.Project.Key + "/" + src.Repository.Slug,
		Pusher:     src.Actor.Name,
		DeliveryID: delivery,
	}
	for _, link := range src.Repository.Links.Clone {
		if strings.HasPrefix(link.Href, "http") {
			push.CloneURL = link.Href
			break
		}
	}
	for _, s := range src.Changes {
		c, err := newChange(s.Ref.ID, s.FromHash, s.ToHash)
		if err != nil {
			return Push{}, err
		}
		if c.RefKind == Tag && !c.Deleted && len(src.Changes) == 1 && src.ToCommit != nil {
			if c.Commit, err = cleanHash("toCommit", src.ToCommit.ID); err != nil {
				return Push{}, err
			}
		}
		push.Changes = append(push.Changes, c)
	}
	return push, nil
}
