package scm

import (
	"fmt"
	"net/http"
)

// bitbucketCloud reads the repo:push event of bitbucket.org.
type bitbucketCloud struct{}

func (bitbucketCloud) Name() string { return "bitbucket-cloud" }

func (bitbucketCloud) Verify(header http.Header, body, secret []byte) error {
	return verifyHMAC(header, "X-Hub-Signature", "sha256=", body, secret)
}

func (bitbucketCloud) Parse(header http.Header, body []byte) (Push, error) {
	if event := header.Get("X-Event-Key"); event != "repo:push" {
		return Push{}, unfollowed("X-Event-Key", event)
	}
	var src cloudPush
	if err := decode(body, &src); err != nil {
		return Push{}, err
	}
	return convertCloud(src, header.Get("X-Request-UUID"))
}

type cloudPush struct {
	Push struct {
		Changes []cloudChange `json:"changes"`
	} `json:"push"`
	Repository struct {
		FullName string `json:"full_name"` // "hotel/hotel-api"
	} `json:"repository"`
	Actor struct {
		Username    string `json:"username"`
		Nickname    string `json:"nickname"`
		DisplayName string `json:"display_name"`
	} `json:"actor"`
}

type cloudChange struct {
	Forced bool      `json:"forced"`
	Old    *cloudRef `json:"old"` // null when the ref is new
	New    *cloudRef `json:"new"` // null when the ref is gone
}

type cloudRef struct {
	Type   string `json:"type"` // "branch", "named_branch", "tag", "annotated_tag"
	Name   string `json:"name"` // "release/1.2"
	Target struct {
		Hash string `json:"hash"` // the commit, also of an annotated tag
	} `json:"target"`
}

func convertCloud(src cloudPush, delivery string) (Push, error) {
	if err := checkRepo(src.Repository.FullName, "repository.full_name"); err != nil {
		return Push{}, err
	}
	if len(src.Push.Changes) == 0 {
		return Push{}, fmt.Errorf("%w: no ref changed", ErrIgnored)
	}
	push := Push{
		Repo: src.Repository.FullName,
		// The event has no address to clone from, but bitbucket.org is one place.
		CloneURL:   "https://bitbucket.org/" + src.Repository.FullName + ".git",
		Pusher:     firstOf(src.Actor.Username, src.Actor.Nickname, src.Actor.DisplayName),
		DeliveryID: delivery,
	}
	for _, s := range src.Push.Changes {
		c, err := convertCloudChange(s)
		if err != nil {
			return Push{}, err
		}
		push.Changes = append(push.Changes, c)
	}
	return push, nil
}

func convertCloudChange(src cloudChange) (Change, error) {
	var before, after string
	some := src.New
	if src.New != nil {
		after = src.New.Target.Hash
	}
	if src.Old != nil {
		before = src.Old.Target.Hash
		if some == nil {
			some = src.Old
		}
	}
	if some == nil {
		return Change{}, fmt.Errorf("%w: a change has neither old nor new", ErrMalformed)
	}
	var ref string
	switch some.Type {
	case "branch", "named_branch":
		ref = "refs/heads/" + some.Name
	case "tag", "annotated_tag":
		ref = "refs/tags/" + some.Name
	default:
		return Change{}, fmt.Errorf("%w: ref type %.80q, expected \"branch\" or \"tag\"", ErrMalformed, some.Type)
	}
	c, err := newChange(ref, before, after)
	if err != nil {
		return Change{}, err
	}
	c.Forced = src.Forced && !c.Created && !c.Deleted
	c.Commit = c.After
	return c, nil
}
