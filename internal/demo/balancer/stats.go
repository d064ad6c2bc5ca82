package balancer

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// ServerStats are the counters of one server since HAProxy started.
type ServerStats struct {
	Backend  string // "PROD_hotel-api"
	Server   string // "hotel-api-1"
	Status   string // "UP", "DOWN", "MAINT", "UP 1/2" on its way down
	Weight   int    // 0 = pulled out, 100 = full share
	Sessions int    // requests it answers now
	Requests int64  // answered or failed, of visitors only
	OK       int64  // answers 2xx and 3xx
	Client   int64  // answers 4xx
	Failed   int64  // answers 5xx, connections refused, answers cut off or too late
	Check    string // last health check, "L7OK", "L4CON"
}

// Up tells whether the health checks find the server well.
func (s ServerStats) Up() bool { return s.Status == "UP" }

// InRotation tells whether the server is given new requests.
func (s ServerStats) InRotation() bool { return strings.HasPrefix(s.Status, "UP") && s.Weight > 0 }

// Stats reads the counters of every server, in the order of the configuration.
func (b *Balancer) Stats(ctx context.Context) ([]ServerStats, error) {
	text, err := b.Command(ctx, "show stat")
	if err != nil {
		return nil, err
	}
	stats, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("read haproxy stats: %w", err)
	}
	return stats, nil
}

// WaitFor polls the counters until condition holds. what completes the error's sentence "waited for …".
func (b *Balancer) WaitFor(ctx context.Context, what string, condition func([]ServerStats) bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		stats, err := b.Stats(ctx)
		if err == nil && condition(stats) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("haproxy: waited for %s: %w; last seen: %+v", what, context.Cause(ctx), stats)
		case <-b.proc.Done():
			return fmt.Errorf("haproxy: waited for %s: it ended: %w", what, b.proc.Err())
		case <-tick.C:
		}
	}
}

// Command sends one line to the runtime API and returns the answer without surrounding space.
func (b *Balancer) Command(ctx context.Context, line string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", b.opts.Socket)
	if err != nil {
		return "", fmt.Errorf("haproxy %q: %w", line, err)
	}
	defer conn.Close()
	deadline, ok := ctx.Deadline()
	if limit := time.Now().Add(5 * time.Second); !ok || limit.Before(deadline) {
		deadline = limit
	}
	_ = conn.SetDeadline(deadline) // fails only on a closed connection, as the next line would
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return "", fmt.Errorf("haproxy %q: %w", line, err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("haproxy %q: %w", line, err)
	}
	return strings.TrimSpace(string(answer)), nil
}

// parse reads the CSV of "show stat", whose columns are found by name because versions add some.
func parse(text string) ([]ServerStats, error) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no header line in %q", text)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, name := range []string{"pxname", "svname", "type", "status", "weight", "scur", "stot", "econ", "eresp",
		"hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "check_status"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("no column %q", name)
		}
	}
	var stats []ServerStats
	for _, row := range rows[1:] {
		if row[column["type"]] != "2" { // 0 frontend, 1 backend, 2 server, 3 socket
			continue
		}
		number := func(name string) int64 {
			n, _ := strconv.ParseInt(row[column[name]], 10, 64) // empty means that nothing was counted
			return n
		}
		stats = append(stats, ServerStats{
			Backend:  row[column["pxname"]],
			Server:   row[column["svname"]],
			Status:   row[column["status"]],
			Weight:   int(number("weight")),
			Sessions: int(number("scur")),
			Requests: number("stot"),
			OK:       number("hrsp_2xx") + number("hrsp_3xx"),
			Client:   number("hrsp_4xx"),
			// HAProxy counts under 5xx only what the server itself answered.
			Failed: number("hrsp_5xx") + number("econ") + number("eresp"),
			Check:  row[column["check_status"]],
		})
	}
	return stats, nil
}
