package prometheus_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/prometheus"
	"railyard/internal/verdict"
)

// answering is an HTTP server that is no Prometheus, or not in its best shape.
func answering(t *testing.T, handle http.HandlerFunc) string {
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.URL
}

func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

const vectorOfOne = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"server":"hotel-api-1"},"value":[1700000000,"12"]}]}}`

func TestRubbishIsNamedAsWhatItIs(t *testing.T) {
	for _, c := range []struct {
		rule   string
		handle http.HandlerFunc
		want   verdict.Outcome
		words  string
	}{
		{"a good answer is read", says(200, "application/json", vectorOfOne), verdict.Pass, "heap 12 on hotel-api-1"},
		{"a web page", says(200, "text/html; charset=utf-8", "<html>Sign in</html>"), verdict.SourceDown, `answered 200 with "text/html" instead of JSON: is this a Prometheus?`},
		{"a login page behind a redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/login" {
				http.Redirect(w, r, "/login", http.StatusFound)
				return
			}
			says(200, "text/html", "<html>Sign in</html>")(w, r)
		}, verdict.SourceDown, "instead of JSON"},
		{"503", says(503, "text/plain", "Service Unavailable"), verdict.SourceDown, "answered 503 Service Unavailable"},
		{"503 in JSON", says(503, "application/json", `{"status":"error","errorType":"unavailable","error":"TSDB not ready"}`), verdict.SourceDown, "answered 503 Service Unavailable"},
		{"401", says(401, "text/plain", "no"), verdict.SourceDown, "answered 401 Unauthorized"},
		{"404", says(404, "text/plain", "404 page not found"), verdict.SourceDown, "answered 404 Not Found"},
		{"429 in JSON", says(429, "application/json", `{}`), verdict.SourceDown, "client error: 429"},
		{"an empty answer", says(200, "application/json", ""), verdict.SourceDown, "not a query result"},
		{"half an answer", says(200, "application/json", vectorOfOne[:90]), verdict.SourceDown, "not a query result"},
		{"another API's answer", says(200, "application/json", `{"items":[1,2,3]}`), verdict.SourceDown, "not a query result"},
		{"an unknown kind of result", says(200, "application/json", `{"status":"success","data":{"resultType":"cube","result":[]}}`), verdict.SourceDown, "not a query result"},
		{"a million series", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[`)
			for n := range 1_000_000 {
				if _, err := fmt.Fprintf(w, `{"metric":{"server":"s-%d"},"value":[1700000000,"12"]},`, n); err != nil {
					return // the reader has had enough
				}
			}
			fmt.Fprint(w, `]}}`)
		}, verdict.NoData, "answered more than 1048576 bytes: let the query return one sample per server"},
		{"a clock that is behind", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-5*time.Minute).UTC().Format(http.TimeFormat))
			says(200, "application/json", vectorOfOne)(w, r)
		}, verdict.NoData, "its clock and ours differ: it is 5m"},
		{"a clock that is ahead", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			says(200, "application/json", vectorOfOne)(w, r)
		}, verdict.NoData, "ahead"},
		{"an answer that does not come", func(_ http.ResponseWriter, r *http.Request) { hang(r) }, verdict.SourceDown, "did not answer within 300ms"},
		{"an answer that does not end", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, vectorOfOne[:40])
			w.(http.Flusher).Flush()
			hang(r)
		}, verdict.SourceDown, "did not answer within 300ms"},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, verdict.SourceDown, "cannot be asked: "},
	} {
		t.Run(c.rule, func(t *testing.T) {
			timeout := 10 * time.Second
			if strings.Contains(c.words, "300ms") {
				timeout = 300 * time.Millisecond
			}
			s := newSource(t, answering(t, c.handle), prometheus.Options{Timeout: timeout, MaxBytes: 1 << 20})
			server := rollmon.Server{Name: "hotel-api-1", Member: "hotel-api-1"}
			since := time.Now().Add(-10 * time.Second)
			v := judge(gauge("heap_mb"), ask(t, s, gauge("heap_mb"), "", since, server), since, server)
			if v.Outcome != c.want || !strings.Contains(v.Reason, c.words) {
				t.Errorf("%s: %s\nwant %s with %s", v.Outcome, v.Reason, c.want, c.words)
			}
		})
	}
}

// hang waits until the client has gone. It reads the request first, since only then the server notices.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestAServerThatIsNotThereIsDown(t *testing.T) {
	s := newSource(t, "http://"+freeAddress(t), prometheus.Options{})
	r := ask(t, s, gauge("heap_mb"), "", time.Now(), named("hotel-api-1")...)
	if r.Failure != verdict.SourceDown || !strings.Contains(r.Reason, "connection refused") || strings.Contains(r.Reason, "http://") {
		t.Errorf("%+v", r)
	}
}

func TestNamesThatCouldChangeTheQueryAreRefused(t *testing.T) {
	s := newSource(t, "http://127.0.0.1:1", prometheus.Options{})
	r := ask(t, s, gauge("heap_mb"), "", time.Now(), rollmon.Server{Name: `x"} or vector(0) or m{a="`})
	if r.Failure != verdict.NoData || !strings.Contains(r.Reason, "cannot be put into a query") {
		t.Errorf("%+v", r)
	}
}
