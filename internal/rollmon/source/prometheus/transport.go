package prometheus

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"railyard/internal/verdict"
)

// refusal is an answer that was not read to its end, because its head already shows that it is useless.
type refusal struct {
	outcome verdict.Outcome
	words   string
}

func (r *refusal) Error() string { return r.words }

// guard looks at the head of every answer and bounds its body. Without it, a login page would be a JSON syntax error, a
// million series would be a million allocations, and a wrong clock would be an empty answer.
type guard struct {
	next    http.RoundTripper
	options Options
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if r := g.refuse(resp); r != nil {
		resp.Body.Close()
		return nil, r
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: g.options.MaxBytes, limit: g.options.MaxBytes}
	return resp, nil
}

func (g guard) refuse(resp *http.Response) *refusal {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode/100 == 3: // followed by the client; the page behind it is looked at in its turn
		return nil
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden ||
		resp.StatusCode == http.StatusNotFound:
		if kind != "application/json" || resp.StatusCode >= 500 {
			return &refusal{verdict.SourceDown, fmt.Sprintf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
		}
	case kind != "application/json":
		return &refusal{verdict.SourceDown, fmt.Sprintf("answered %d with %q instead of JSON: is this a Prometheus?", resp.StatusCode, kind)}
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		if off := date.Sub(g.options.Clock()).Round(time.Second); off.Abs() > g.options.MaxSkew {
			return &refusal{verdict.NoData, "its clock and ours differ: it is " + ahead(off) + ", so its samples are not those of this look"}
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
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// One byte more tells a body that ends here from one that goes on.
		n, err := b.ReadCloser.Read(make([]byte, 1))
		if n > 0 {
			return 0, &refusal{verdict.NoData, fmt.Sprintf("answered more than %d bytes: let the query return one sample per server", b.limit)}
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

// withoutURL drops the address that net/http puts before its errors, with what secrets it may hold.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
