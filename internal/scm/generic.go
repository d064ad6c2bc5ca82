package scm

import (
	"fmt"
	"net/http"
)

// generic reads what our own post-receive hook sends (package hook), and whatever else somebody writes in the same simple form:
//
//	{"repository": "hotel/hotel-api", "clone_url": "https://…", "pusher": "alice",
//	 "changes": [{"old": "<hash>", "new": "<hash>", "ref": "refs/heads/release/1.2"}]}
//
// X-Railyard-Signature is "sha256=" and the hexadecimal HMAC-SHA256 of the body; X-Railyard-Delivery names the push.
type generic struct{}

func (generic) Name() string { return "generic" }

func (generic) Verify(header http.Header, body, secret []byte) error {
	return verifyHMAC(header, "X-Railyard-Signature", "sha256=", body, secret)
}

func (generic) Parse(header http.Header, body []byte) (Push, error) {
	var src genericPush
	if err := decode(body, &src); err != nil {
		return Push{}, err
	}
	return convertGeneric(src, header.Get("X-Railyard-Delivery"))
}

type genericPush struct {
	Repository string `json:"repository"`
	CloneURL   string `json:"clone_url"`
	Pusher     string `json:"pusher"`
	Changes    []struct {
		Old string `json:"old"`
		New string `json:"new"`
		Ref string `json:"ref"`
	} `json:"changes"`
}

func convertGeneric(src genericPush, delivery string) (Push, error) {
	if err := checkRepo(src.Repository, "repository"); err != nil {
		return Push{}, err
	}
	if len(src.Changes) == 0 {
		return Push{}, fmt.Errorf("%w: no ref changed", ErrIgnored)
	}
	push := Push{Repo: src.Repository, CloneURL: src.CloneURL, Pusher: src.Pusher, DeliveryID: delivery}
	for _, s := range src.Changes {
		c, err := newChange(s.Ref, s.Old, s.New)
		if err != nil {
			return Push{}, err
		}
		push.Changes = append(push.Changes, c)
	}
	return push, nil
}
