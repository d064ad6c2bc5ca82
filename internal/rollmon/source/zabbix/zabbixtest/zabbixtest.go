// Package zabbixtest is a stand-in for a Zabbix frontend: as much of its JSON-RPC API as a metric source asks for. It answers
// as the frontend's own source does (ui/api_jsonrpc.php, CJsonRpc.php, CHistory.php of 6.0, 6.4 and 7.0): errors with
// HTTP status 200, every number as a text, 412 for another content type, and a token in the request before 6.4, in a
// header since, and only there from 7.2 on.
package zabbixtest

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Server is one frontend. Set Version and Token before the first request; the methods may be called at any time.
type Server struct {
	*httptest.Server
	Version string // "7.0.3"
	Token   string // an API token that is valid

	mu       sync.Mutex
	hosts    []string // a host's id is its place here, plus 10000
	items    []*Item
	silent   atomic.Bool
	requests atomic.Int64
	over     chan struct{}
}

// Item is one item of a host.
type Item struct {
	Host  string
	Key   string
	Type  int    // 0 = float, 1 = character, 2 = log, 3 = unsigned, 4 = text
	Off   bool   // disabled
	Error string // not supported, and why

	id     int
	values []value
}

type value struct {
	at   time.Time
	text string
}

// Start starts a frontend that ends with the test.
func Start(t testing.TB, version string) *Server {
	s := &Server{Version: version, Token: strings.Repeat("4f5f6b1e", 8), over: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(s.over) })
	return s
}

// Add makes an item, and its host if there is none of that name.
func (s *Server) Add(i Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.hosts, i.Host) {
		s.hosts = append(s.hosts, i.Host)
	}
	i.id = 23000 + len(s.items)
	s.items = append(s.items, &i)
}

// Push keeps a value of an item that was added, as the Zabbix server writes it: 0.085 is "0.085", an unsigned has no point.
func (s *Server) Push(host, key string, at time.Time, v float64) {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	s.PushText(host, key, at, text)
}

// PushText keeps a value that is no number.
func (s *Server) PushText(host, key string, at time.Time, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.items {
		if i.Host == host && i.Key == key {
			i.values = append(i.values, value{at, text})
			return
		}
	}
	panic("zabbixtest: no item " + key + " on " + host)
}

// Silence makes the frontend take requests and answer none.
func (s *Server) Silence() { s.silent.Store(true) }

// Requests is how many requests came so far.
func (s *Server) Requests() int64 { return s.requests.Load() }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if s.silent.Load() {
		select {
		case <-r.Context().Done():
		case <-s.over:
		}
		return
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.URL.Path != "/api_jsonrpc.php":
		http.NotFound(w, r)
		return
	case !slices.Contains([]string{"application/json-rpc", "application/json", "application/jsonrequest"}, kind):
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_ = json.NewEncoder(w).Encode(s.answer(r, body))
}

type reply struct {
	Version string `json:"jsonrpc"`
	Result  any    `json:"result,omitempty"`
	Error   *fault `json:"error,omitempty"`
	ID      any    `json:"id"`
}

type fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    string `json:"data"`
}

func (s *Server) answer(r *http.Request, body []byte) reply {
	var call struct {
		Version string          `json:"jsonrpc"`
		Method  string          `json:"method"`
		Params  json.RawMessage `json:"params"`
		Auth    *string         `json:"auth"`
		ID      any             `json:"id"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return reply{Version: "2.0", Error: &fault{-32700, "Parse error", "Invalid JSON. An error occurred on the server while parsing the JSON text."}}
	}
	out := reply{Version: "2.0", ID: call.ID}
	if call.Version != "2.0" || call.Method == "" || call.Params == nil {
		out.Error = &fault{-32600, "Invalid request.", `Invalid parameter "/": the parameter "method" is missing.`}
		return out
	}
	out.Error = s.refuse(call.Method, call.Auth, r.Header.Get("Authorization"))
	if out.Error == nil {
		out.Result, out.Error = s.method(call.Method, call.Params)
	}
	return out
}

// refuse checks who asks, by the rules of the version.
func (s *Server) refuse(method string, auth *string, header string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	bearer, inHeader := strings.CutPrefix(header, "Bearer ")
	version, _ := strconv.ParseFloat(strings.Join(strings.SplitN(s.Version, ".", 3)[:2], "."), 64)
	if auth != nil && version >= 7.2 {
		return &fault{-32600, "Invalid request.", `Invalid parameter "/": unexpected parameter "auth".`}
	}
	given := ""
	switch {
	case auth != nil:
		given = *auth
	case inHeader && version >= 6.4:
		given = bearer
	}
	switch {
	case method == "apiinfo.version" && given != "":
		return &fault{-32602, "Invalid params.", `The "apiinfo.version" method must be called without the "auth" parameter.`}
	case method == "apiinfo.version":
		return nil
	case given == "":
		return &fault{-32602, "Invalid params.", "Not authorized."}
	case given != s.Token && version < 7:
		return &fault{-32602, "Invalid params.", "Session terminated, re-login, please."}
	case given != s.Token:
		return &fault{-32602, "Invalid params.", "Not authorized."}
	}
	return nil
}

func (s *Server) method(name string, params json.RawMessage) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case "apiinfo.version":
		return s.Version, nil
	case "host.get":
		return s.hostGet(params)
	case "item.get":
		return s.itemGet(params)
	case "history.get":
		return s.historyGet(params)
	}
	return nil, &fault{-32601, "Method not found.", fmt.Sprintf("Incorrect API %q.", strings.SplitN(name, ".", 2)[0])}
}

// parse reads parameters; one that is not known is an error, as it is to the frontend.
func parse(params json.RawMessage, into any) *fault {
	dec := json.NewDecoder(strings.NewReader(string(params)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &fault{-32602, "Invalid params.", `Invalid parameter "/": ` + err.Error()}
	}
	return nil
}

func (s *Server) hostGet(params json.RawMessage) (any, *fault) {
	var p struct {
		Output []string `json:"output"`
		Filter struct {
			Host []string `json:"host"`
		} `json:"filter"`
	}
	if f := parse(params, &p); f != nil {
		return nil, f
	}
	found := []map[string]string{}
	for n, host := range s.hosts {
		if slices.Contains(p.Filter.Host, host) {
			found = append(found, only(p.Output, map[string]string{"hostid": strconv.Itoa(10000 + n), "host": host, "name": host, "status": "0"}))
		}
	}
	return found, nil
}

func only(output []string, all map[string]string) map[string]string {
	shown := map[string]string{}
	for _, field := range output {
		shown[field] = all[field]
	}
	return shown
}

func (s *Server) itemGet(params json.RawMessage) (any, *fault) {
	var p struct {
		Output  []string `json:"output"`
		HostIDs []string `json:"hostids"`
		Filter  struct {
			Key string `json:"key_"`
		} `json:"filter"`
	}
	if f := parse(params, &p); f != nil {
		return nil, f
	}
	found := []map[string]string{}
	for _, i := range s.items {
		host := strconv.Itoa(10000 + slices.Index(s.hosts, i.Host))
		if i.Key != p.Filter.Key || !slices.Contains(p.HostIDs, host) {
			continue
		}
		found = append(found, only(p.Output, map[string]string{
			"itemid": strconv.Itoa(i.id), "hostid": host, "key_": i.Key, "value_type": strconv.Itoa(i.Type),
			"status": flag(i.Off), "state": flag(i.Error != ""), "error": i.Error,
		}))
	}
	return found, nil
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return "0"
}

func (s *Server) historyGet(params json.RawMessage) (any, *fault) {
	p := struct {
		Output    string   `json:"output"`
		History   *int     `json:"history"`
		ItemIDs   []string `json:"itemids"`
		From      int64    `json:"time_from"`
		Till      int64    `json:"time_till"`
		SortField string   `json:"sortfield"`
		SortOrder string   `json:"sortorder"`
		Limit     int      `json:"limit"`
	}{Till: math.MaxInt32, Limit: math.MaxInt32}
	if f := parse(params, &p); f != nil {
		return nil, f
	}
	kind := 3 // unsigned, unless another is asked for
	if p.History != nil {
		kind = *p.History
	}
	found := []map[string]string{}
	for _, i := range s.items {
		if i.Type != kind || !slices.Contains(p.ItemIDs, strconv.Itoa(i.id)) {
			continue
		}
		for _, v := range i.values {
			if clock := v.at.Unix(); clock >= p.From && clock <= p.Till {
				found = append(found, map[string]string{"itemid": strconv.Itoa(i.id), "clock": strconv.FormatInt(clock, 10), "value": v.text,
					"ns": strconv.Itoa(v.at.Nanosecond())})
			}
		}
	}
	if p.SortField == "clock" {
		slices.SortStableFunc(found, func(a, b map[string]string) int { return strings.Compare(a["clock"], b["clock"]) })
	}
	return found[:min(len(found), p.Limit)], nil
}
