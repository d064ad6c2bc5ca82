package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
func (l *link) open(timeout time.Duration) (*api.Client, error) {
	address, err := l.address()
	if err != nil {
		return nil, err
	}
	token, err := l.token()
	if err != nil {
		return nil, err
	}
	return api.NewClient(address+"/api/v1", api.WithHTTPClient(&http.Client{Timeout: timeout}),
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
	from, token := "RAILYARD_TOKEN", os.Getenv("RAILYARD_TOKEN")
	if file := l.tokenFile; file != "" || token == "" {
		if file == "" {
			file = os.Getenv("RAILYARD_TOKEN_FILE")
		}
		if file == "" {
			return "", nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		if from, token = "the token file "+file, strings.TrimSpace(string(text)); token == "" {
			return "", fmt.Errorf("%s is empty; put a token of `railyard token create` into it", from)
		}
	}
	token = strings.TrimSpace(token)
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%s holds no token: a token is one word of ASCII characters", from)
	}
	return token, nil
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

// answered takes the service's answer: nil when it is a success whose body may be read, else an error (errAway, refusal).
func answered(resp *http.Response, err error) error {
	if err != nil {
		return noAnswer(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	r := refusal{status: resp.StatusCode}
	var body api.Error
	if json.Unmarshal(text, &body) == nil && body.Error.Message != "" {
		r.code, r.message = body.Error.Code, body.Error.Message
	} else {
		r.message = fmt.Sprintf("%s answered %s, which is not Railyard's way of answering; is the address right?",
			resp.Request.URL.Host, resp.Status)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		r.message += " (the token comes from RAILYARD_TOKEN, --token-file or RAILYARD_TOKEN_FILE)"
	}
	return r
}

// noAnswer tells a service that is away from a command that was ended.
func noAnswer(err error) error {
	var u *url.Error
	if !errors.As(err, &u) || errors.Is(err, context.Canceled) {
		return err
	}
	where := u.URL
	if at, perr := url.Parse(u.URL); perr == nil {
		where = at.Scheme + "://" + at.Host
	}
	return fmt.Errorf("%w at %s: %w", errAway, where, u.Err)
}

// decoded reads a JSON answer. It is written around a call of the client: decoded[api.Coach](c.GetCoach(…)).
func decoded[T any](resp *http.Response, err error) (T, error) {
	var value T
	if err := answered(resp, err); err != nil {
		return value, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&value); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) || resp.Header.Get("Content-Type") == "text/html" {
			return value, refusal{resp.StatusCode, "", "the answer is not Railyard's; is the address right?"}
		}
		return value, fmt.Errorf("%w: the answer broke off: %w", errAway, err)
	}
	return value, nil
}

// done is for answers without a body.
func done(resp *http.Response, err error) error {
	if err := answered(resp, err); err != nil {
		return err
	}
	return resp.Body.Close()
}
