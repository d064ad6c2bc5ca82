package zabbix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"railyard/internal/rollmon/source/answer"
	"railyard/internal/verdict"
)

// apiPath is where a Zabbix frontend answers JSON-RPC.
const apiPath = "/api_jsonrpc.php"

// client speaks the frontend's JSON-RPC.
type client struct {
	address string
	token   string
	http    *http.Client

	mu     sync.Mutex
	bearer *bool // whether this frontend takes the token in a header (since 6.4) or in the request; nil = not asked yet
}

// rpc is a request.
type rpc struct {
	Version string  `json:"jsonrpc"`
	Method  string  `json:"method"`
	Params  any     `json:"params"`
	Auth    *string `json:"auth,omitempty"`
	ID      int     `json:"id"`
}

// rpcError is what a frontend answers instead of a result, with HTTP status 200.
type rpcError struct {
	Code    int    `json:"code"`    // -32602
	Message string `json:"message"` // "Invalid params."
	Data    string `json:"data"`    // "Not authorized."
}

// Codes of JSON-RPC that say the request itself is at fault; others say the frontend cannot answer now. They and the
// words below are from the frontend's own source (ui/include/classes/core/CJsonRpc.php, services/CUser.php).
const (
	invalidRequest = -32600
	unknownMethod  = -32601
	invalidParams  = -32602
)

// tokenWords begin the data of an error about the token: of 6.0 and of 6.4, and later.
var tokenWords = []string{"Not authori", "Session terminated", "API token expired", "Incorrect user name or password"}

func (e rpcError) refusal() *answer.Refusal {
	words := strings.TrimSpace(e.Message + " " + e.Data)
	for _, about := range tokenWords {
		if strings.HasPrefix(e.Data, about) {
			return &answer.Refusal{Outcome: verdict.SourceDown, Words: "does not accept our API token: " + words}
		}
	}
	switch e.Code {
	case invalidRequest, unknownMethod, invalidParams:
		return &answer.Refusal{Outcome: verdict.NoData, Words: "refuses the request: " + words}
	}
	return &answer.Refusal{Outcome: verdict.SourceDown, Words: "answered an error: " + words}
}

// call asks one method. A failure is an *answer.Refusal, or the network's error.
func (c *client) call(ctx context.Context, method string, params, result any) error {
	bearer, err := c.takesBearer(ctx)
	if err != nil {
		return err
	}
	return c.post(ctx, method, params, result, &bearer)
}

// takesBearer asks the frontend's version once it answers. Before 6.4 the header is not looked at, and from 7.2 on
// a token in the request is an error.
func (c *client) takesBearer(ctx context.Context) (bool, error) {
	c.mu.Lock()
	known := c.bearer
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	var version string
	if err := c.post(ctx, "apiinfo.version", []string{}, &version, nil); err != nil {
		return false, err
	}
	major, minor, err := parseVersion(version)
	if err != nil {
		return false, &answer.Refusal{Outcome: verdict.SourceDown, Words: err.Error()}
	}
	bearer := major > 6 || major == 6 && minor >= 4
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bearer = &bearer
	return bearer, nil
}

func parseVersion(version string) (major, minor int, err error) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) >= 2 {
		major, err = strconv.Atoi(parts[0])
		if err == nil {
			minor, err = strconv.Atoi(parts[1])
		}
	}
	if err != nil || major == 0 {
		return 0, 0, fmt.Errorf("answered the version %q: expected one such as 7.0.3", version)
	}
	return major, minor, nil
}

// post sends one request. bearer says where the token goes; nil = nowhere.
func (c *client) post(ctx context.Context, method string, params, result any, bearer *bool) error {
	request := rpc{Version: "2.0", Method: method, Params: params, ID: 1}
	if bearer != nil && !*bearer {
		request.Auth = &c.token
	}
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address+apiPath, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", answer.WithoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json-rpc")
	if bearer != nil && *bearer {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer.WithoutURL(err)
	}
	defer resp.Body.Close()
	return decode(resp, result)
}

func decode(resp *http.Response, result any) error {
	var reply struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	err := json.NewDecoder(resp.Body).Decode(&reply)
	if err == nil && reply.Error != nil {
		return reply.Error.refusal()
	}
	if err == nil && reply.Result == nil {
		err = errors.New("it has neither result nor error")
	}
	if err == nil {
		err = json.Unmarshal(reply.Result, result)
	}
	var refused *answer.Refusal
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return &answer.Refusal{Outcome: verdict.SourceDown, Words: fmt.Sprintf("answered something that is not a result (%d): %s", resp.StatusCode, err)}
}

// explain words a failed call, and says which doubt it is.
func explain(ctx context.Context, err error) (verdict.Outcome, string) {
	if cause := context.Cause(ctx); cause != nil {
		return verdict.SourceDown, cause.Error()
	}
	var refused *answer.Refusal
	if errors.As(err, &refused) {
		return refused.Outcome, refused.Words
	}
	return verdict.SourceDown, "cannot be asked: " + answer.WithoutURL(err).Error()
}

// point is one value of a history.
type point struct {
	at    time.Time
	value float64
}
