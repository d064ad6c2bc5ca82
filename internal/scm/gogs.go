package scm

import "net/http"

// gogs reads the events of Gogs.
type gogs struct{}

func (gogs) Name() string { return "gogs" }

func (gogs) Verify(header http.Header, body, secret []byte) error {
	return verifyHMAC(header, "X-Gogs-Signature", "", body, secret)
}

func (gogs) Parse(header http.Header, body []byte) (Push, error) {
	return parseHubLike(header, body, "X-Gogs-Event", "X-Gogs-Delivery")
}
