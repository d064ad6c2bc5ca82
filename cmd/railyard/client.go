package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

// How the service is found when nothing is said: where `railyard serve` listens by default.
const defaultServer = "http://127.0.0.1:8080"

// quick is how long one answer of the service may take when nobody asked it to wait.
const quick = 30 * time.Second

// link is how a command reaches the service. The token is never an argument, since every user of a machine sees those.
type link struct {
	server    string // "https://railyard.example.com"
	tokenFile string // "/etc/railyard/token"
}

// bind adds the flags to a command and all commands below it.
func (l *link) bind(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&l.server, "server", "", "address of the service (default $RAILYARD_URL, or "+defaultServer+")")
	flags.StringVar(&l.tokenFile, "token-file", "", "file that holds the token (default $RAILYARD_TOKEN, or the file $RAILYARD_TOKEN_FILE)")
}

// open returns a client of the service's API whose requests take at most timeout; 0 = as long as their contexts allow.
func (l *link) open(timeout time.Duration) (*api.ClientWithResponses, error) {
	address, err := l.address()
	if err != nil {
		return nil, err
	}
	token, err := l.token()
	if err != nil {
		return nil, err
	}
	return api.NewClientWithResponses(address+"/api/v1", api.WithHTTPClient(&http.Client{Timeout: timeout}),
		api.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
			req.Header.Set("Accept", "application/json")
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			return nil
		}))
}

func (l *link) address() (string, error) {
	address := firstOf(l.server, os.Getenv("RAILYARD_URL"), defaultServer)
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", usagef("the address of the service is %q; expected one such as https://railyard.example.com (--server or RAILYARD_URL)", redact(address))
	}
	if u.User != nil {
		return "", usagef("the address of the service must hold no user or password; put the token into RAILYARD_TOKEN or --token-file")
	}
	u.RawQuery, u.Fragment = "", ""
	return strings.TrimRight(u.String(), "/"), nil
}

// redact keeps what may be a password out of messages.
func redact(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return "…" + address[i:]
	}
	return address
}

// token reads the token: the file named by the flag, else the environment. "" = none, for services that allow that.
func (l *link) token() (string, error) {
	file, word := l.tokenFile, ""
	if file == "" {
		word, file = os.Getenv("RAILYARD_TOKEN"), os.Getenv("RAILYARD_TOKEN_FILE")
	}
	where := "RAILYARD_TOKEN"
	if word == "" && file != "" {
		text, err := os.ReadFile(file) //nolint:gosec // the caller's own file, with the caller's rights
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		if strings.TrimSpace(string(text)) == "" {
			return "", fmt.Errorf("the token file %s is empty; put a token of `railyard token create` into it", file)
		}
		where, word = "the token file "+file, string(text)
	}
	word = strings.TrimSpace(word)
	if strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%s holds no token: a token is one word of ASCII characters", where)
	}
	return word, nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// refusal is an error that the service answered.
type refusal struct {
	status  int                // 404
	code    api.ErrorErrorCode // "not_found"; "" when something else than Railyard answered
	message string
}

func (r refusal) Error() string { return clean(r.message) }

// errAway says that the service gave no answer at all.
var errAway = errors.New("the service gives no answer")

// passing reports whether the same request may succeed a little later.
func passing(err error) bool {
	var r refusal
	if errors.As(err, &r) {
		return r.code == api.Unavailable || r.status == http.StatusTooManyRequests || r.status >= 500
	}
	return errors.Is(err, errAway)
}

// about puts the object before an error that does not name it.
func about(what, id string, err error) error {
	if err == nil || strings.Contains(err.Error(), id) {
		return err
	}
	return fmt.Errorf("%s %s: %w", what, id, err)
}

// refusedAs reports whether the service refused with this code.
func refusedAs(err error, code api.ErrorErrorCode) bool {
	var r refusal
	return errors.As(err, &r) && r.code == code
}

// reply is what every answer of the generated client has.
type reply interface {
	StatusCode() int
	Status() string
	GetJSONDefault() *api.Error
}

// done turns an answer into an error: nil when it is a success, else one that is errAway or a refusal. It is written around
// a call of the client: done(c.ApproveCoachWithResponse(…)).
func done(r reply, err error) error {
	if err != nil {
		return noAnswer(err)
	}
	if r.StatusCode() >= 200 && r.StatusCode() <= 299 {
		return nil
	}
	refused := refusal{status: r.StatusCode()}
	if body := r.GetJSONDefault(); body != nil && body.Error.Message != "" {
		refused.code, refused.message = body.Error.Code, body.Error.Message
	} else {
		refused.message = fmt.Sprintf("the answer is %s, and not in Railyard's form; is the address right?", r.Status())
	}
	if r.StatusCode() == http.StatusUnauthorized {
		refused.message += " (the token comes from RAILYARD_TOKEN, --token-file or RAILYARD_TOKEN_FILE)"
	}
	return refused
}

// decoded is done for answers that carry a value.
func decoded[T any](r interface {
	reply
	GetJSON200() *T
}, err error) (value T, _ error) {
	if err := done(r, err); err != nil {
		return value, err
	}
	if r.GetJSON200() == nil {
		return value, refusal{status: r.StatusCode(), message: "the answer is not in Railyard's form; is the address right?"}
	}
	return *r.GetJSON200(), nil
}

// noAnswer says that the service is away, unless the error has another cause: the command was ended, or what came is not
// an answer of Railyard's.
func noAnswer(err error) error {
	var (
		u      *url.Error
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &u):
		where := u.URL
		if at, err := url.Parse(u.URL); err == nil {
			where = at.Scheme + "://" + at.Host
		}
		return fmt.Errorf("%w at %s: %w", errAway, where, u.Err)
	case errors.As(err, &syntax), errors.As(err, &kind):
		return refusal{message: "the answer is not in Railyard's form; is the address right?"}
	}
	return fmt.Errorf("%w: the answer broke off: %w", errAway, err)
}
