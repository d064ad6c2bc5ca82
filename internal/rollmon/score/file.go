package score

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A file holds the series of one shape, one server of one series a line:
//
//	SEED SERVER before FAILURES/ATTEMPTS: FAILURES/ATTEMPTS …      of counts
//	SEED SERVER before VALUE: VALUE …                              of measurements
//
// with - for a lost scrape behind the numbers that it hid, and a line # NAME: WORDS at the top.

// Write writes series of one shape.
func (s Shape) Write(w io.Writer, all []Series) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# %s: %s\n", s.Name, s.Tells)
	for _, series := range all {
		for server, steps := range series.During {
			fmt.Fprintf(b, "%d %d %s:", series.Seed, server, s.text(series.Before[server]))
			for _, step := range steps {
				fmt.Fprintf(b, " %s", s.text(step))
			}
			fmt.Fprintln(b)
		}
	}
	return b.Flush()
}

func (s Shape) text(step Step) string {
	lost := ""
	if step.Missing {
		lost = "-"
	}
	if s.counts != nil {
		return fmt.Sprintf("%d/%d%s", step.Failures, step.Attempts, lost)
	}
	return strconv.FormatFloat(step.Value, 'f', -1, 64) + lost
}

// Read reads what Write wrote.
func (s Shape) Read(r io.Reader) ([]Series, error) {
	var all []Series
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		seed, server, past, steps, err := s.line(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("read series of %q, line %d: %w", s.Name, n, err)
		}
		if server == 0 {
			all = append(all, Series{Shape: s.Name, Seed: seed})
		}
		if len(all) == 0 || all[len(all)-1].Seed != seed || len(all[len(all)-1].During) != server {
			return nil, fmt.Errorf("read series of %q, line %d: server %d of seed %d is out of order", s.Name, n, server, seed)
		}
		last := &all[len(all)-1]
		last.Before, last.During = append(last.Before, past), append(last.During, steps)
	}
	return all, lines.Err()
}

func (s Shape) line(text string) (seed uint64, server int, past Step, steps []Step, err error) {
	head, rest, ok := strings.Cut(text, ":")
	fields := strings.Fields(head)
	if !ok || len(fields) != 3 {
		return 0, 0, Step{}, nil, fmt.Errorf("%.40q is no line of a series", text)
	}
	if seed, err = strconv.ParseUint(fields[0], 10, 64); err != nil {
		return
	}
	if server, err = strconv.Atoi(fields[1]); err != nil {
		return
	}
	if past, err = s.parse(fields[2]); err != nil {
		return
	}
	for field := range strings.FieldsSeq(rest) {
		step, err := s.parse(field)
		if err != nil {
			return seed, server, past, nil, err
		}
		steps = append(steps, step)
	}
	return
}

func (s Shape) parse(text string) (step Step, err error) {
	text, step.Missing = strings.CutSuffix(text, "-")
	if s.counts == nil {
		step.Value, err = strconv.ParseFloat(text, 64)
		return step, err
	}
	failures, attempts, ok := strings.Cut(text, "/")
	if !ok {
		return Step{}, fmt.Errorf("%q is not FAILURES/ATTEMPTS", text)
	}
	if step.Failures, err = strconv.Atoi(failures); err == nil {
		step.Attempts, err = strconv.Atoi(attempts)
	}
	return step, err
}
