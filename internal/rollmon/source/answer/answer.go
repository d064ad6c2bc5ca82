// Package answer guards what metric sources hear over HTTP: it looks at the head of every answer, bounds its body, and says
// in words what is wrong. Without it, a login page would be a JSON syntax error, a million series would be a million
// allocations, and a wrong clock would be an empty answer.
package answer

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"railyard/internal/verdict"
)

// Refusal is an answer that was not read to its end, because it is useless. It is an error for errors.As.
type Refusal struct {
	Outcome verdict.Outcome // SourceDown or NoData
	Words   string          // "answered 503 Service Unavailable"
}

func (r *Refusal) Error() string { return r.Words }

// Guard is an http.RoundTripper that returns a *Refusal for answers that no source can use. It is safe for concurrent use
// if Next is. MaxBytes, Next and Clock must be set.
type Guard struct {
	Next     http.RoundTripper
	Asked    string           // what is expected there, in the question a web page raises: "a Prometheus"
	Kinds    []string         // content types that are fine besides "application/json"
	MaxBytes int64            // of one answer
	Advice   string           // what to do when it is longer: "let the query return one sample per server"
	MaxSkew  time.Duration    // how far the server's clock may be off; 0 = it is not looked at
	Clock    func() time.Time // compared with the server's clock
}

// RoundTrip implements http.RoundTripper.
func (g Guard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.Next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if r := g.refuse(resp); r != nil {
		resp.Body.Close()
		return nil, r
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: g.MaxBytes, limit: g.MaxBytes, advice: g.Advice}
	return resp, nil
}

func (g Guard) refuse(resp *http.Response) *Refusal {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	expected := kind == "application/json" || slices.Contains(g.Kinds, kind)
	switch {
	case resp.StatusCode/100 == 3: // followed by the client; the page behind it is looked at in its turn
		return nil
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden ||
		resp.StatusCode == http.StatusNotFound:
		if !expected || resp.StatusCode >= 500 {
			return &Refusal{verdict.SourceDown, fmt.Sprintf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
		}
	case !expected:
		return &Refusal{verdict.SourceDown, fmt.Sprintf("answered %d with %q instead of JSON: is this %s?", resp.StatusCode, kind, g.Asked)}
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && g.MaxSkew > 0 {
		if off := date.Sub(g.Clock()).Round(time.Second); off.Abs() > g.MaxSkew {
			return &Refusal{verdict.NoData, "its clock and ours differ: it is " + ahead(off) + ", so its samples are not those of this look"}
		}
	}
	return nil
}

func ahead(off time.Duration) string {
	if off < 0 {
		return (-off).String() + " behind"
	}
	return off.String() + " ahead"
}

// bounded fails a body that is longer than its limit.
type bounded struct {
	io.ReadCloser
	left, limit int64
	advice      string
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// One byte more tells a body that ends here from one that goes on.
		n, err := b.ReadCloser.Read(make([]byte, 1))
		if n > 0 {
			return 0, &Refusal{verdict.NoData, fmt.Sprintf("answered more than %d bytes: %s", b.limit, b.advice)}
		}
		return 0, err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}

// WithoutURL drops the address that net/http puts before its errors, with what secrets it may hold.
func WithoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
