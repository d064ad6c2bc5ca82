// Package urltest asks one URL and judges the answer by a fleet.Check: status, text in the body, a value in its JSON.
// The smoke test of a server and the monitor's URL tests are the same function, so that they cannot disagree.
package urltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"railyard/internal/fleet"
)

const (
	defaultTimeout = 2 * time.Second
	defaultStatus  = http.StatusOK
	bodyLimit      = 1 << 20 // what is read of an answer, bytes
	excerptLimit   = 200     // what an error shows of it, bytes
)

// Result is one asked URL.
type Result struct {
	Status  int           // 200; 0 = no answer
	Latency time.Duration // from the start until the body was read, or until it failed
	Err     error         // nil = the check passed; otherwise what was expected and what came
}

// NewClient returns a client that asks the server itself: by no proxy, following no redirect, and over a new connection
// each time, because an old one may belong to the process that was just replaced.
func NewClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{}).DialContext,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Check asks base+c.Path ("http://127.0.0.1:18001" + "/healthz") and judges the answer. It is bounded by ctx and by
// c.Timeout. It is safe for concurrent use if the client is.
func Check(ctx context.Context, client *http.Client, base string, c fleet.Check) Result {
	timeout := c.Timeout.D()
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no complete answer within %s", timeout))
	defer cancel()

	start := time.Now()
	status, body, err := get(ctx, client, base, c.Path)
	r := Result{Status: status, Latency: time.Since(start)}
	if err == nil {
		err = judge(c, status, body)
	}
	if err == nil && c.Latency > 0 && r.Latency > c.Latency.D() {
		err = fmt.Errorf("expected an answer within %s, it took %s", c.Latency, r.Latency.Round(time.Millisecond))
	}
	if err != nil {
		r.Err = fmt.Errorf("GET %s%s: %w", base, c.Path, err)
	}
	return r
}

// get returns the status, also with an error in the body, and at most bodyLimit+1 bytes.
func get(ctx context.Context, client *http.Client, base, path string) (int, []byte, error) {
	if !strings.HasPrefix(path, "/") {
		return 0, nil, fmt.Errorf("check path %q: expected it to start with /", path)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("make the request: %w", withoutURL(err))
	}
	req.Header.Set("User-Agent", "railyard-check")
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, because(ctx, withoutURL(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit+1))
	if err != nil {
		return resp.StatusCode, nil, fmt.Errorf("status %d, but the body ends early: %w", resp.StatusCode, because(ctx, err))
	}
	return resp.StatusCode, body, nil
}

// because prefers the context's reason to the network's.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// withoutURL drops the URL that net/http puts before its errors; ours names it already.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func judge(c fleet.Check, status int, body []byte) error {
	want := c.Status
	if want == 0 {
		want = defaultStatus
	}
	if status != want {
		return fmt.Errorf("expected status %d, got %d with body %s", want, status, excerpt(body))
	}
	if c.Body != "" && !bytes.Contains(body, []byte(c.Body)) {
		return fmt.Errorf("expected %q in the body, got %s", c.Body, excerpt(body))
	}
	if c.JSON == "" {
		return nil
	}
	if len(body) > bodyLimit {
		return fmt.Errorf("expected JSON with %s, got more than %d bytes: %s", c.JSON, bodyLimit, excerpt(body))
	}
	if err := judgeJSON(c.JSON, body); err != nil {
		return fmt.Errorf("expected JSON with %s, %w, got %s", c.JSON, err, excerpt(body))
	}
	return nil
}

// excerpt quotes the beginning of a body.
func excerpt(body []byte) string {
	if len(body) <= excerptLimit {
		return fmt.Sprintf("%q", body)
	}
	cut := body[:excerptLimit]
	for range utf8.UTFMax - 1 { // not within a character
		if r, size := utf8.DecodeLastRune(cut); r != utf8.RuneError || size != 1 {
			break
		}
		cut = cut[:len(cut)-1]
	}
	return fmt.Sprintf("%q…", cut)
}
