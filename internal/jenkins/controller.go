package jenkins

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/bndr/gojenkins"
	"github.com/sirupsen/logrus"
)

// Config of the connection to one controller.
type Config struct {
	Name    string        // what errors and logs call it: "main"; the host when empty
	URL     string        // with context path: "https://ci.example.org/jenkins"
	User    string        // "railyard"
	Token   string        // API token, or password; already resolved
	CAFile  string        // PEM file of a private CA; "" for the system's
	Timeout time.Duration // of one request; 15 s when 0
	// Dial opens connections: through a tunnel, or in memory. The usual way when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	defaultTimeout = 15 * time.Second
	// defaultSettle is how long Find gives Jenkins to create the build of a
	// queue item that has just left the queue.
	defaultSettle = 500 * time.Millisecond
)

// Controller is the client of one Jenkins controller. It is safe for concurrent use.
type Controller struct {
	name   string
	base   string // URL without trailing slash
	client *http.Client
	log    logrus.FieldLogger
	settle time.Duration

	mu     sync.Mutex
	depths map[string]int // by job: see Poll
	turn   int            // see nextTurn

	originals map[string]Build // see look.originals
}

// New makes a client. It sends nothing: see Version for a first contact.
func New(cfg Config, log logrus.FieldLogger) (*Controller, error) {
	fail := func(what string, err error) (*Controller, error) {
		return nil, fmt.Errorf("configure jenkins controller %q: %s: %w", cfg.Name, what, err)
	}
	base, err := url.Parse(strings.TrimRight(cfg.URL, "/"))
	if err != nil {
		return fail("url", err)
	}
	switch {
	case base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return fail("url", fmt.Errorf("%q is not an address such as https://ci.example.org/jenkins", cfg.URL))
	case base.User != nil:
		return fail("url", errors.New("it holds a user: give user and token in their own fields"))
	case cfg.User == "" || cfg.Token == "":
		return fail("credentials", errors.New("user and API token are needed"))
	}
	network := http.DefaultTransport.(*http.Transport).Clone()
	if cfg.Dial != nil {
		network.DialContext, network.Proxy = cfg.Dial, nil
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return fail("ca file", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return fail("ca file", fmt.Errorf("%s holds no PEM certificate", cfg.CAFile))
		}
		network.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Name == "" {
		cfg.Name = base.Host
	}
	return &Controller{
		name: cfg.Name, base: base.String(), settle: defaultSettle,
		log: log.WithField("jenkins", cfg.Name), depths: map[string]int{},
		client: &http.Client{
			Transport:     &transport{next: network, base: base, user: cfg.User, token: cfg.Token},
			Timeout:       cfg.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Version asks Jenkins for its version, and so whether it is there and the
// credentials are right.
func (c *Controller) Version(ctx context.Context) (string, error) {
	answer, err := c.send(ctx, http.MethodGet, "/api/json?tree=quietingDown", nil)
	if err != nil {
		return "", c.failed("ask for the version", err)
	}
	defer answer.Body.Close()
	v := answer.Header.Get("X-Jenkins")
	if v == "" {
		return "", c.failed("ask for the version", fmt.Errorf("%w: it has no X-Jenkins header: check the controller's URL", ErrNotJenkins))
	}
	return v, nil
}

// failed names the controller and the operation of an error.
func (c *Controller) failed(operation string, err error) error {
	return fmt.Errorf("jenkins %s: %s: %w", c.name, operation, clean(err))
}

// clean takes off the *url.Error of the HTTP client: it repeats the address,
// query and all, and hides nothing else. A timeout of the client counts as
// unreachable.
func clean(err error) error {
	var e *url.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Timeout() && !errors.Is(e.Err, ErrUnreachable) {
		return fmt.Errorf("%w: %w", ErrUnreachable, e.Err)
	}
	return e.Err
}

// jobPath is "/job/deliver/job/hotel-api" for "deliver/hotel-api". A branch of a
// multibranch job keeps its encoded name: "repo/feature%2Fx".
func jobPath(fullName string) string {
	var b strings.Builder
	for _, name := range strings.Split(fullName, "/") {
		b.WriteString("/job/" + url.PathEscape(name))
	}
	return b.String()
}

// jobKey names a job by the decoded end of its URL: "/job/a/job/b". Jenkins makes
// URLs from its configured address, which may differ from ours in host and
// context path, and escapes other characters than we do.
func jobKey(fullName string) string {
	return "/job/" + strings.ReplaceAll(fullName, "/", "/job/")
}

// jobKeyOf is the jobKey of a job's URL.
func jobKeyOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	key := u.Path
	if i := strings.Index(key, "/job/"); i >= 0 {
		key = key[i:]
	}
	return strings.TrimSuffix(key, "/")
}

func buildPath(job string, number int64) string {
	return fmt.Sprintf("%s/%d", jobPath(job), number)
}

// send sends a request of our own. A redirect is returned, not followed.
func (c *Controller) send(ctx context.Context, method, path string, form url.Values) (*http.Response, error) {
	if method == http.MethodPost {
		ctx = context.WithValue(ctx, allowRedirect{}, true)
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c.client.Do(r)
}

// act sends an action. Jenkins confirms it with a redirect back to the object or
// with 204; a page with 200 comes from something else.
func (c *Controller) act(ctx context.Context, path string, form url.Values) error {
	answer, err := c.send(ctx, http.MethodPost, path, form)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return fmt.Errorf("POST %s: %w: it is a page and no confirmation: check the controller's URL and what stands in front of it", path, ErrNotJenkins)
	}
	return nil
}

// library is a gojenkins client for one operation. Its objects are not safe for
// concurrent use and keep old fields when polled again, so they are never shared.
func (c *Controller) library() *gojenkins.Jenkins {
	return gojenkins.CreateJenkins(c.client, c.base)
}

// get reads typed JSON through gojenkins.
func (c *Controller) get(ctx context.Context, path string, into any, query map[string]string) error {
	return guard(func() error {
		_, err := c.library().Requester.GetJSON(ctx, path, into, query) //nolint:bodyclose // gojenkins closes it
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		cut := errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrUnreachable)
		if errors.As(err, &syntax) || errors.As(err, &kind) || cut {
			return fmt.Errorf("GET %s: %w: %w", path, ErrNotJenkins, err)
		}
		return err
	})
}

// guard keeps a panic of the library from crossing the border.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gojenkins panicked: %v", p)
		}
	}()
	return f()
}

// readAll reads at most limit bytes and reports how many were left out.
func readAll(r io.Reader, limit int64) (text []byte, leftOut int64, err error) {
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(r, limit)); err != nil {
		return nil, 0, err
	}
	leftOut, err = io.Copy(io.Discard, r)
	return b.Bytes(), leftOut, err
}
