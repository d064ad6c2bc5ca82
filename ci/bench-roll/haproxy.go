package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// ask sends one command to the runtime API.
func (y *yard) ask(ctx context.Context, command string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", y.path("haproxy.sock"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// stat is one server in HAProxy's own words.
type stat struct {
	status   string // "UP", "UP 2/3", "DOWN"
	sessions int
	weight   int
}

func (y *yard) stats(ctx context.Context) (map[string]stat, error) {
	answer, err := y.ask(ctx, "show stat")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("show stat: %w: %q", err, answer)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	stats := map[string]stat{}
	for _, row := range rows[1:] {
		if row[column["pxname"]] != backend {
			continue
		}
		sessions, _ := strconv.Atoi(row[column["scur"]])
		weight, _ := strconv.Atoi(row[column["uweight"]])
		stats[row[column["svname"]]] = stat{row[column["status"]], sessions, weight}
	}
	return stats, nil
}

// answers reports whether a server, asked directly, answers with the version.
func answers(ctx context.Context, address, version string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || string(body) != version {
		return fmt.Errorf("%s answers %d %q, want %q", address, response.StatusCode, body, version)
	}
	return nil
}
