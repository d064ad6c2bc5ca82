package scm

import "net/http"

// gitea reads Gitea's and Forgejo's events. They also send the headers of Gogs and GitHub, so that a Gitea repository may be
// configured as either of those; its own headers are preferred here.
type gitea struct{}

func (gitea) Name() string { return "gitea" }

func (gitea) Verify(header http.Header, body, secret []byte) error {
	return verifyHMAC(header, "X-Gitea-Signature", "", body, secret)
}

func (gitea) Parse(header http.Header, body []byte) (Push, error) {
	return parseHubLike(header, body, "X-Gitea-Event", "X-Gitea-Delivery")
}
