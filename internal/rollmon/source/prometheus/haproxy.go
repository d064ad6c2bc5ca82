package prometheus

// The queries of a ratio over HAProxy's own counters per server, for topologies to use. Responses alone are not enough:
// when a server refuses a connection or breaks it off, the 502, 503 or 504 the visitor sees is HAProxy's, and counts as
// an error of the connection or of the response, not as a response of the server. code=~"5xx|" selects the responses of
// one class and the errors, which have no such label. last_over_time looks past a missed scrape at the moment of exposure.
const (
	HAProxyFailures = `sum by (server) ({__name__=~"` + haproxyCounters + `",` + haproxyScope + `,code=~"5xx|"})` +
		` - sum by (server) (last_over_time({__name__=~"` + haproxyCounters + `",` + haproxyScope + `,code=~"5xx|"}[1m] @ {{.Since}}))`
	HAProxyAttempts = `sum by (server) ({__name__=~"` + haproxyCounters + `",` + haproxyScope + `})` +
		` - sum by (server) (last_over_time({__name__=~"` + haproxyCounters + `",` + haproxyScope + `}[1m] @ {{.Since}}))`

	haproxyCounters = `haproxy_server_(http_responses|connection_errors|response_errors)_total`
	haproxyScope    = `proxy="{{.Backend}}",server=~"{{.Members}}"`
)
