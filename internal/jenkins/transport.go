package jenkins

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sync/singleflight"
)

const (
	maxAnswer = 64 << 20 // bytes of any answer's body
	maxPage   = 64 << 10 // bytes of an error page that are read for its reason
)

// transport sends requests to one controller. A success (2xx) passes through; a
// redirect passes only as the answer to an action; everything else is an error of
// this package. It is safe for concurrent use.
type transport struct {
	next        http.RoundTripper
	base        *url.URL
	user, token string

	asking singleflight.Group // one crumb request at a time
	mu     sync.Mutex
	crumb  crumb // zero until Jenkins has asked for one
}

// crumb is the CSRF token of a session. API tokens need none.
type crumb struct {
	field, value string // "Jenkins-Crumb", "6b1f…"
	cookies      []*http.Cookie
}

// allowRedirect marks the context of requests that a redirect may answer.
type allowRedirect struct{}

const (
	crumbPath    = "/crumbIssuer/api/json"
	noValidCrumb = "No valid crumb was included"
)

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, crumbPath) {
		// gojenkins asks before each POST, and a failure of that request makes
		// it panic. Crumbs are added here, so it need not know of any.
		return noCrumb(r), nil
	}
	body, err := readBody(r)
	if err != nil {
		return nil, fmt.Errorf("%s: read the request: %w", object(r), err)
	}
	answer, err := t.send(r, body)
	if err != nil || answer.StatusCode != http.StatusForbidden || r.Method != http.MethodPost {
		return t.judge(r, answer, err)
	}
	// A rejected crumb means that nothing was done, so this one repetition of
	// a POST is safe: sessions end with every restart of Jenkins.
	page, err := readPage(answer)
	if err != nil || !strings.Contains(page, noValidCrumb) {
		return nil, refusal(r, answer, page, err)
	}
	if err := t.fetchCrumb(r.Context()); err != nil {
		return nil, err
	}
	answer, err = t.send(r, body)
	return t.judge(r, answer, err)
}

// send sends one copy of r with credentials and, if known, the crumb.
func (t *transport) send(r *http.Request, body []byte) (*http.Response, error) {
	r = r.Clone(r.Context())
	if body != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
	}
	r.SetBasicAuth(t.user, t.token)
	if r.Method == http.MethodPost {
		t.mu.Lock()
		c := t.crumb
		t.mu.Unlock()
		if c.field != "" {
			r.Header.Set(c.field, c.value)
			for _, cookie := range c.cookies {
				r.AddCookie(cookie)
			}
		}
	}
	return t.next.RoundTrip(r)
}

// fetchCrumb gets a crumb together with the session that it belongs to.
func (t *transport) fetchCrumb(ctx context.Context) error {
	_, err, _ := t.asking.Do("crumb", func() (any, error) {
		// Several requests may wait for this one, so it must not end with the
		// first of them.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultTimeout)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base.String()+crumbPath, nil)
		if err != nil {
			return nil, err
		}
		sent, err := t.send(r, nil)
		answer, err := t.judge(r, sent, err)
		if err != nil {
			return nil, fmt.Errorf("fetch a crumb: %w", err)
		}
		defer answer.Body.Close()
		var c struct{ Crumb, CrumbRequestField string }
		if err := json.NewDecoder(answer.Body).Decode(&c); err != nil {
			return nil, fmt.Errorf("fetch a crumb: %w: %w", ErrNotJenkins, err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.crumb = crumb{c.CrumbRequestField, c.Crumb, answer.Cookies()}
		return nil, nil
	})
	return err
}

// judge turns whatever came back into an answer or a typed error.
func (t *transport) judge(r *http.Request, answer *http.Response, err error) (*http.Response, error) {
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, fmt.Errorf("%s: %w", object(r), err)
		}
		return nil, fmt.Errorf("%s: %w: %w", object(r), ErrUnreachable, err)
	}
	api := strings.Contains(r.URL.Path, "/api/json")
	wanted := wantedType(r)
	got, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")) // "" if it is none
	switch {
	case answersAction(r, answer):
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		where := answer.Header.Get("Location")
		answer.Body.Close()
		if toLogin(answer) {
			return nil, fmt.Errorf("%s: %w: redirected to a login page (%s): the user needs an API token that works without a browser", object(r), ErrUnauthorized, where)
		}
		return nil, fmt.Errorf("%s: %w: redirected to %s: correct the controller's URL", object(r), ErrNotJenkins, where)
	case answer.StatusCode >= 400:
		page, err := readPage(answer)
		return nil, refusal(r, answer, page, err)
	case r.Method == http.MethodPost && got == "text/html":
		// Jenkins confirms with an empty body; a page is from somebody else.
		page, err := readPage(answer)
		if err != nil || strings.TrimSpace(page) != "" {
			return nil, fmt.Errorf("%s: %w: it is a page and no confirmation: check the controller's URL and what stands in front of it", object(r), ErrNotJenkins)
		}
		answer.Body = http.NoBody
	case wanted != "" && got != wanted:
		answer.Body.Close()
		return nil, fmt.Errorf("%s: %w: got %q where %s was expected: check the controller's URL and what stands in front of it",
			object(r), ErrNotJenkins, got, wanted)
	}
	answer.Body = &checkedBody{ReadCloser: answer.Body, object: object(r), left: maxAnswer, mayBeEmpty: !api}
	return answer, nil
}

// answersAction recognises the redirect with which Jenkins confirms an action.
// One to the same path, or a permanent one, comes from something in front of it.
func answersAction(r *http.Request, answer *http.Response) bool {
	if r.Context().Value(allowRedirect{}) == nil || answer.StatusCode != http.StatusFound && answer.StatusCode != http.StatusSeeOther {
		return false
	}
	to, err := answer.Location()
	return err == nil && to.Path != r.URL.Path && !toLogin(answer)
}

// toLogin recognises a single sign-on that answers in Jenkins' place.
func toLogin(answer *http.Response) bool {
	to, err := answer.Location()
	return err == nil && (strings.Contains(to.Path, "login") || strings.Contains(to.Path, "securityRealm"))
}

// wantedType is the media type of the answer to r; "" when any will do.
func wantedType(r *http.Request) string {
	switch {
	case strings.Contains(r.URL.Path, "/api/json"), r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/wfapi/"):
		return "application/json"
	case r.Method == http.MethodGet && strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/config.xml"):
		return "application/xml"
	}
	return ""
}

var missingPermission = regexp.MustCompile(`([^\s<>]+) is missing the ([^\s<>]+/[^\s<>]+) permission`)

// refusal is the error for a status of 400 or more. A page that broke off says
// nothing: what is missing of it may be that only the crumb was too old.
func refusal(r *http.Request, answer *http.Response, page string, cut error) error {
	status := answer.StatusCode
	if cut != nil {
		return fmt.Errorf("%s: %w: the page of an answer with %d broke off: %w", object(r), ErrUnreachable, status, cut)
	}
	reason := answer.Header.Get("X-Error")
	if reason == "" {
		reason = sentence(page)
	}
	refused := &RefusedError{Status: status, Object: object(r), Reason: reason}
	switch status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%s: %w: check the user name and API token", object(r), ErrUnauthorized)
	case http.StatusForbidden:
		if strings.Contains(page, noValidCrumb) {
			refused.Hint = "use an API token in place of the password, or let the proxy in front of Jenkins pass cookies on"
			return refused
		}
		e := &PermissionError{User: answer.Header.Get("X-You-Are-Authenticated-As"), Object: object(r)}
		if m := missingPermission.FindStringSubmatch(page); m != nil {
			e.Permission = m[2]
		} else {
			e.Permission = permissionName(answer.Header.Get("X-Required-Permission"))
		}
		return e
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w: it does not exist, or the user lacks the permission to see it", object(r), ErrNotFound)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%s: %w: %d %s", object(r), ErrUnreachable, status, reason)
	case http.StatusConflict:
		refused.Hint = "enable the job in Jenkins"
	}
	return refused
}

// permissionName turns "hudson.model.Item.Build" into "Job/Build".
func permissionName(java string) string {
	parts := strings.Split(java, ".")
	if len(parts) < 2 {
		return java
	}
	owner, name := parts[len(parts)-2], parts[len(parts)-1]
	if shown, ok := map[string]string{"Hudson": "Overall", "Item": "Job"}[owner]; ok {
		owner = shown
	}
	return owner + "/" + name
}

var (
	tags   = regexp.MustCompile(`(?s)<(script|style|head)\b.*?</(script|style|head)>|<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// sentence is what an HTML error page says, in one line.
func sentence(page string) string {
	text := strings.TrimSpace(spaces.ReplaceAllString(tags.ReplaceAllString(page, " "), " "))
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}

func readPage(answer *http.Response) (string, error) {
	defer answer.Body.Close()
	page, err := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	return string(page), err
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

// object names a request in errors, without query: "POST /job/deliver/build".
func object(r *http.Request) string { return r.Method + " " + r.URL.EscapedPath() }

func noCrumb(r *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader("{}")),
	}
}

// checkedBody is the body of a success. A connection that breaks off counts as
// unreachable, a body beyond the bound fails instead of filling the memory, and
// an empty body fails where JSON is expected: gojenkins takes it for an object
// with nothing in it, for instance for a queue without items.
type checkedBody struct {
	io.ReadCloser
	object     string // "GET /queue/api/json"
	left       int64  // bytes that may still come
	mayBeEmpty bool
}

func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return 0, fmt.Errorf("%s: %w: the answer is larger than %d MiB", b.object, ErrNotJenkins, maxAnswer>>20)
	case n > 0:
		b.mayBeEmpty = true
	case errors.Is(err, io.EOF) && !b.mayBeEmpty:
		return 0, fmt.Errorf("%s: %w: the answer is empty", b.object, ErrNotJenkins)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%s: %w: the answer broke off: %w", b.object, ErrUnreachable, err)
	}
	return n, err
}
