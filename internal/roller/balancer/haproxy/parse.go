package haproxy

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// stateFormat is how the answer to `show servers state` begins: the version of its format, and the header.
const stateFormat = "1\n# be_id "

// state is a server's line in `show servers state`.
type state struct {
	backend     int // the number of its backend
	weight      int // 0–256, as set at runtime
	configured  int // 0–256, from the configuration
	operational int // 0 stopped, 1 starting (slowstart), 2 running, 3 stopping (answers 404 to checks)
	admin       int // bits, see foreign
}

func (s state) up() bool { return s.operational == 1 || s.operational == 2 }

// Bits of srv_admin_state that say that somebody wants no traffic there. The others do not: 0x04 says that the
// configuration once did and stays after `state ready`, 0x20 is a name that does not resolve, 0x40 a name set at runtime.
const (
	forcedMaint    = 0x01
	inheritedMaint = 0x02
	forcedDrain    = 0x08
	inheritedDrain = 0x10
)

func (s state) foreign() bool {
	return s.admin&(forcedMaint|inheritedMaint|forcedDrain|inheritedDrain) != 0
}

// errCut says that an answer's closing empty line is missing.
var errCut = errors.New("the answer ends early; ask again")

// parseStates reads the answer to `show servers state BACKEND` and returns what follows it.
func parseStates(answer, backend string) (map[string]state, string, error) {
	if !strings.HasPrefix(answer, stateFormat) {
		if strings.HasPrefix(answer, "Can't find backend") {
			return nil, "", errors.New("HAProxy has no such backend; correct `backend:` in the topology, or the HAProxy configuration")
		}
		return nil, "", fmt.Errorf("this is not an answer to `show servers state`: %q; is this HAProxy's stats socket?", excerpt(answer))
	}
	table, rest, complete := strings.Cut(strings.TrimPrefix(answer, "1\n# "), "\n\n")
	if !complete {
		return nil, "", fmt.Errorf("`show servers state`: %w", errCut)
	}
	lines := strings.Split(table, "\n")
	header := strings.Fields(lines[0])
	states := make(map[string]state, len(lines)-1)
	for _, line := range lines[1:] {
		row, err := newRow(header, strings.Fields(line))
		if err != nil {
			return nil, "", fmt.Errorf("`show servers state`: %w", err)
		}
		if row.text("be_name") != backend {
			continue
		}
		s := state{
			backend:     row.number("be_id"),
			weight:      row.number("srv_uweight"),
			configured:  row.number("srv_iweight"),
			operational: row.number("srv_op_state"),
			admin:       row.number("srv_admin_state"),
		}
		name := row.text("srv_name")
		if row.err != nil {
			return nil, "", fmt.Errorf("`show servers state`: %w", row.err)
		}
		states[name] = s
	}
	return states, rest, nil
}

// stat is what `show stat` adds to a server's state.
type stat struct {
	sessions int    // in progress, and waiting in the server's own queue
	status   string // "UP", "DOWN 1/2", "MAINT (via web/s1)", "no check"
}

// failing reports whether the last checks failed, though not yet enough of them to call the server DOWN: "UP 2/3".
func (s stat) failing() bool {
	return strings.HasPrefix(s.status, "UP ") && strings.Contains(s.status, "/")
}

// parseStats reads the answer to `show stat BACKEND 4 -1`, by the names in its header.
func parseStats(answer, backend string) (map[string]stat, error) {
	if !strings.HasPrefix(answer, "# pxname,") {
		return nil, fmt.Errorf("this is not an answer to `show stat`: %q", excerpt(answer))
	}
	if !strings.HasSuffix(answer, "\n\n") {
		return nil, fmt.Errorf("`show stat`: %w", errCut)
	}
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# "))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("`show stat`: %w", err)
	}
	stats := make(map[string]stat, len(records)-1)
	for _, record := range records[1:] {
		row, err := newRow(records[0], record)
		if err != nil {
			return nil, fmt.Errorf("`show stat`: %w", err)
		}
		if row.text("pxname") != backend {
			continue
		}
		s := stat{sessions: row.number("scur") + row.number("qcur"), status: row.text("status")}
		name := row.text("svname")
		if row.err != nil {
			return nil, fmt.Errorf("`show stat`: %w", row.err)
		}
		stats[name] = s
	}
	return stats, nil
}

// row is one line of a table with a header. It keeps the first error, which is looked at when all was read.
type row struct {
	values map[string]string
	err    error
}

func newRow(header, fields []string) (*row, error) {
	if len(fields) != len(header) {
		return nil, fmt.Errorf("a line with %d fields under a header of %d: %w", len(fields), len(header), errCut)
	}
	r := &row{values: make(map[string]string, len(header))}
	for i, name := range header {
		r.values[name] = fields[i]
	}
	return r, nil
}

func (r *row) text(column string) string {
	value, ok := r.values[column]
	if !ok && r.err == nil {
		r.err = fmt.Errorf("there is no column %s; this version of HAProxy is not known", column)
	}
	return value
}

func (r *row) number(column string) int {
	n, err := strconv.Atoi(r.text(column))
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("column %s is %q: expected a number", column, r.values[column])
	}
	return n
}
