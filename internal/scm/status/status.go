// Package status shows on a code host how a commit stands: the mark beside it, with a line of words and a link.
//
// A Host speaks one host's dialect of the same two questions: what does the mark say, and set it. Set reads before it writes,
// so that repeating it after a lost reply adds nothing.
package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// State is what the mark says.
type State string

// The states.
const (
	Pending State = "pending" // it is on its way
	Success State = "success"
	Failure State = "failure"
	Error   State = "error" // nothing is said about the commit: it was withdrawn
)

// Status is one mark on a commit.
type Status struct {
	Context     string // names the mark among those of others: "railyard/hotel-api"
	State       State
	Description string // one line; cut to what the host takes
	URL         string // where more is to be seen; "" = nowhere
}

// Errors by errors.Is.
var (
	// ErrRefused: the host answered and will not. Somebody has to change something: the token's rights, the repository's name.
	ErrRefused = errors.New("refused by the code host")
	// ErrUnknownKind: no dialect of that name.
	ErrUnknownKind = errors.New("unknown kind of code host")
)

// Options say which host, and how Railyard shows itself there.
type Options struct {
	Kind   string        // "github", "gitlab", "gitea"
	API    string        // where its API begins: "https://api.github.com", "https://gitlab.example.com/api/v4", "https://gitea.example.com/api/v1"
	Token  string        // may write commit statuses, and nothing else
	Client *http.Client  // default: one of its own, that follows no redirect, since a token goes along
	Limit  time.Duration // of one request; default 10s
}

// Host writes marks on one code host. It is safe for concurrent use.
type Host struct {
	dialect dialect
	api     string
	token   string
	client  *http.Client
	limit   time.Duration
}

// Kinds lists the kinds of hosts.
func Kinds() []string { return []string{"gitea", "github", "gitlab"} }

// New returns a Host. It does not connect yet. errors.Is: ErrUnknownKind.
func New(o Options) (*Host, error) {
	dialects := map[string]dialect{"github": github{}, "gitlab": gitlab{}, "gitea": gitea{}}
	d, ok := dialects[o.Kind]
	if !ok {
		return nil, fmt.Errorf("commit statuses: %w %q: expected one of %s", ErrUnknownKind, o.Kind, strings.Join(Kinds(), ", "))
	}
	u, err := url.Parse(o.API)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return nil, errors.New("commit statuses: the address of the API must be http(s)://HOST/… without user and password")
	}
	h := &Host{dialect: d, api: strings.TrimRight(o.API, "/"), token: o.Token, client: o.Client, limit: o.Limit}
	if h.client == nil {
		h.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if h.limit <= 0 {
		h.limit = 10 * time.Second
	}
	return h, nil
}

// dialect is how one kind of host says it. Repository names are as the host writes them, "hotel/hotel-api".
type dialect interface {
	authorize(header http.Header, token string)
	// list is the path of a commit's marks of one context, newest first; latest finds the newest in the answer.
	list(repository, commit, context string) string
	latest(body []byte, context string) (Status, bool, error)
	// set is the path and the body of setting a mark.
	set(repository, commit string, s Status) (path string, body any)
	// same reports whether a mark says what is wanted already.
	same(is, want Status) bool
	// limit is how long a description may be, in characters.
	limit() int
}

// Set makes the mark of a commit say s. It does nothing when it does so already. errors.Is: ErrRefused; any other error may
// pass by itself.
func (h *Host) Set(ctx context.Context, repository, commit string, s Status) error {
	s.Description = cut(s.Description, h.dialect.limit())
	fail := func(err error) error {
		return fmt.Errorf("set the status of commit %.12s of %s at the code host: %w", commit, repository, err)
	}
	body, err := h.ask(ctx, http.MethodGet, h.dialect.list(repository, commit, s.Context), nil)
	if err != nil {
		return fail(err)
	}
	is, known, err := h.dialect.latest(body, s.Context)
	if err != nil {
		return fail(fmt.Errorf("it answered something that is no list of statuses: %w", err))
	}
	if known && h.dialect.same(is, s) {
		return nil
	}
	path, request := h.dialect.set(repository, commit, s)
	if _, err := h.ask(ctx, http.MethodPost, path, request); err != nil {
		return fail(err)
	}
	return nil
}

// answerLimit bounds what is read of an answer, bytes.
const answerLimit = 4 << 20

func (h *Host) ask(ctx context.Context, method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.limit, fmt.Errorf("it did not answer within %s", h.limit))
	defer cancel()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, h.api+path, reader)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", withoutURL(err))
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "railyard")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	h.dialect.authorize(req.Header, h.token)
	resp, err := h.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return nil, withoutURL(err)
	}
	return text, refusal(resp, text)
}

// refusal tells an answer that is a no from one that may be another tomorrow.
func refusal(resp *http.Response, body []byte) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	words := fmt.Sprintf("it answered %d %s: %s", resp.StatusCode, http.StatusText(resp.StatusCode), message(body))
	limited := resp.StatusCode == http.StatusTooManyRequests ||
		resp.StatusCode == http.StatusForbidden && (resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-RateLimit-Remaining") == "0")
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusRequestTimeout || limited {
		return errors.New(words)
	}
	return fmt.Errorf("%w: %s", ErrRefused, words)
}

// message is what a host says in an error, which is {"message": …} on all of them.
func message(body []byte) string {
	var said struct {
		Message any `json:"message"`
		Error   any `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil {
		for _, m := range []any{said.Message, said.Error} {
			if m != nil {
				return cut(fmt.Sprint(m), 200)
			}
		}
	}
	return "without a message in its form"
}

// cut shortens a text to so many characters, on one line.
func cut(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}

// withoutURL drops the address that net/http puts before its errors.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
