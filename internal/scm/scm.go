// Package scm is one vocabulary over code hosts.
//
// A code host tells Railyard about a push by a webhook. A Provider knows one host's dialect: Verify proves that the delivery comes
// from somebody who knows the shared secret, Parse then turns it into a Push, a list of Changes of refs. Receive does both in the
// only safe order. Nothing native to a host leaves its file.
//
// A Push is a hint, not the truth: hosts cap, merge and lose deliveries, and list only some of the commits. What a branch holds is
// read from a Mirror, a bare copy of the repository that Railyard fetches itself.
package scm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// DefaultMaxBody is the largest webhook body worth reading, in bytes. It is GitHub's own cap for a delivery, the highest of the hosts.
const DefaultMaxBody = 25 << 20

var (
	// ErrNoSecret says that a repository has no webhook secret configured. It is never a reason to skip verification.
	ErrNoSecret = errors.New("no webhook secret is configured")
	// ErrBadSignature says that the delivery is not signed, or not with our secret.
	ErrBadSignature = errors.New("bad signature")
	// ErrMalformed says that a verified delivery is not what its host documents.
	ErrMalformed = errors.New("malformed payload")
	// ErrIgnored says that a delivery is fine but changes no ref: a ping, or an event that Railyard does not follow. Answer 2xx.
	ErrIgnored = errors.New("ignored delivery")
	// ErrTooLarge says that a body or a file is over its cap.
	ErrTooLarge = errors.New("too large")
)

// Push is what one delivery says.
type Push struct {
	Repo       string   // "hotel/hotel-api", as the host names it
	CloneURL   string   // "https://git.example.com/hotel/hotel-api.git"; "" when the host does not say
	Changes    []Change // at least one
	Pusher     string   // "alice"; "" when the host does not say
	DeliveryID string   // the same on each retry of one delivery; "" when the host sends none
}

// Change is one ref that moved.
//
// Before is "" when the ref is new or the host does not say; After is "" when the ref is gone or the host does not say (GitHub's
// create event has neither). Read Created and Deleted, not the hashes, to tell what happened.
type Change struct {
	Ref     string  // "refs/heads/release/1.2"
	RefKind RefKind // Branch
	Name    string  // "release/1.2"
	Before  string  // 40 or 64 hexadecimal digits in lower case, or ""
	After   string  // as Before; of an annotated tag on most hosts the tag object, not the commit
	Commit  string  // the commit that After leads to; "" when gone, or when After may be a tag object and the host does not say more
	Created bool
	Deleted bool
	Forced  bool // the host says that history was rewritten; several hosts never say, so Mirror.Commits decides
}

// RefKind tells apart what Railyard follows.
type RefKind string

// The kinds of refs.
const (
	Branch RefKind = "branch" // refs/heads/…
	Tag    RefKind = "tag"    // refs/tags/…
	Other  RefKind = "other"  // refs/pull/…, refs/notes/… and the like
)

// Provider reads the webhook dialect of one code host. Its methods are pure and safe for concurrent use.
type Provider interface {
	// Name is the word used in configuration and in the webhook's path, such as "github".
	Name() string
	// Verify proves that body was signed with secret. Errors satisfy errors.Is with ErrNoSecret or ErrBadSignature.
	Verify(header http.Header, body, secret []byte) error
	// Parse reads a verified delivery. Errors satisfy errors.Is with ErrMalformed or ErrIgnored.
	Parse(header http.Header, body []byte) (Push, error)
}

// Providers returns every code host that Railyard understands, by name.
func Providers() map[string]Provider {
	all := []Provider{generic{}, github{}, gitea{}, gogs{}, gitlab{}, bitbucketCloud{}, bitbucketServer{}}
	byName := make(map[string]Provider, len(all))
	for _, p := range all {
		byName[p.Name()] = p
	}
	return byName
}

// Receive verifies a delivery and only then parses it. Its errors are those of Verify and Parse.
func Receive(p Provider, header http.Header, body, secret []byte) (Push, error) {
	if err := p.Verify(header, body, secret); err != nil {
		return Push{}, fmt.Errorf("verify %s delivery: %w", p.Name(), err)
	}
	push, err := p.Parse(header, body)
	if err != nil {
		return Push{}, fmt.Errorf("parse %s delivery: %w", p.Name(), err)
	}
	return push, nil
}

// ReadBody reads a whole webhook body of at most limit bytes. A longer one fails with ErrTooLarge before more is kept in memory.
func ReadBody(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read webhook body: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("read webhook body: more than %d bytes: %w", limit, ErrTooLarge)
	}
	return body, nil
}
