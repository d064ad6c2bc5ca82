package scm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// decode reads a JSON body into v. Unknown fields are fine: hosts add some with every release.
func decode(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: the body is not the JSON that this event has: %w", ErrMalformed, err)
	}
	return nil
}

// formPayload returns the JSON of a delivery that may be sent as a form with the JSON in its field "payload": GitHub and its kin
// offer both content types, and sign the body as sent.
func formPayload(header http.Header, body []byte) ([]byte, error) {
	if !strings.HasPrefix(header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return body, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the body is not a form: %w", ErrMalformed, err)
	}
	if !form.Has("payload") {
		return nil, fmt.Errorf("%w: the form has no field \"payload\"", ErrMalformed)
	}
	return []byte(form.Get("payload")), nil
}

// newChange makes the change of a ref from two hashes as a host writes them: the zero hash or "" stands for "no such ref".
func newChange(ref, before, after string) (Change, error) {
	c := Change{Ref: ref}
	if err := setRef(&c); err != nil {
		return Change{}, err
	}
	var err error
	if c.Before, err = cleanHash("old", before); err != nil {
		return Change{}, fmt.Errorf("%w (ref %q)", err, ref)
	}
	if c.After, err = cleanHash("new", after); err != nil {
		return Change{}, fmt.Errorf("%w (ref %q)", err, ref)
	}
	if c.Before == "" && c.After == "" {
		return Change{}, fmt.Errorf("%w: ref %q has neither an old nor a new hash", ErrMalformed, ref)
	}
	c.Created, c.Deleted = c.Before == "", c.After == ""
	if c.RefKind == Branch {
		c.Commit = c.After // the tip of a branch is always a commit
	}
	return c, nil
}

// newEvent makes the change that a create or delete event tells, which name only the ref, and sometimes the new hash.
func newEvent(event, kind, name, sha string) (Change, error) {
	prefix := map[string]string{"branch": "refs/heads/", "tag": "refs/tags/"}[kind]
	if prefix == "" {
		if kind == "repository" {
			return Change{}, fmt.Errorf("%w: the %s event of a repository changes no ref", ErrIgnored, event)
		}
		return Change{}, fmt.Errorf("%w: ref_type is %q, expected \"branch\" or \"tag\"", ErrMalformed, kind)
	}
	c := Change{Ref: prefix + strings.TrimPrefix(name, prefix), Created: event == "create", Deleted: event == "delete"}
	if err := setRef(&c); err != nil {
		return Change{}, err
	}
	if c.Created {
		var err error
		if c.After, err = cleanHash("new", sha); err != nil {
			return Change{}, fmt.Errorf("%w (ref %q)", err, c.Ref)
		}
	}
	if c.RefKind == Branch {
		c.Commit = c.After
	}
	return c, nil
}

// setRef fills kind and name from c.Ref, which must be a full ref name that git accepts.
func setRef(c *Change) error {
	if !strings.HasPrefix(c.Ref, "refs/") {
		return fmt.Errorf("%w: ref %q, expected a full name such as \"refs/heads/main\"", ErrMalformed, c.Ref)
	}
	if err := plumbing.ReferenceName(c.Ref).Validate(); err != nil {
		return fmt.Errorf("%w: ref %q is not a name that git accepts", ErrMalformed, c.Ref)
	}
	switch {
	case strings.HasPrefix(c.Ref, "refs/heads/"):
		c.RefKind, c.Name = Branch, strings.TrimPrefix(c.Ref, "refs/heads/")
	case strings.HasPrefix(c.Ref, "refs/tags/"):
		c.RefKind, c.Name = Tag, strings.TrimPrefix(c.Ref, "refs/tags/")
	default:
		c.RefKind, c.Name = Other, strings.TrimPrefix(c.Ref, "refs/")
	}
	return nil
}

// cleanHash returns hash in lower case, "" for none or the zero hash, ErrMalformed for anything that is no SHA-1 or SHA-256.
func cleanHash(which, hash string) (string, error) {
	if strings.Trim(hash, "0") == "" && (hash == "" || isHash(hash)) {
		return "", nil
	}
	if !isHash(hash) {
		return "", fmt.Errorf("%w: %s hash %.80q, expected 40 or 64 hexadecimal digits", ErrMalformed, which, hash)
	}
	return strings.ToLower(hash), nil
}

func isHash(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

// checkRepo refuses a delivery that does not name its repository: it cannot be told which application it is about.
func checkRepo(name, field string) error {
	if name == "" {
		return fmt.Errorf("%w: %s is missing", ErrMalformed, field)
	}
	return nil
}

// unfollowed is the answer to an event that changes no ref, or to a delivery whose header names none.
func unfollowed(headerName, event string) error {
	if event == "" {
		return fmt.Errorf("%w: the header %s is missing", ErrMalformed, headerName)
	}
	return fmt.Errorf("%w: event %.80q is not a push", ErrIgnored, event)
}

// firstOf returns the first that is not empty.
func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
