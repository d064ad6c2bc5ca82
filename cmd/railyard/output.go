package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// format is the value of --output.
type format string

// The formats.
const (
	table    format = "table"
	jsonText format = "json"
)

// String, Set and Type make format a flag.
func (f *format) String() string { return string(*f) }

// Set takes the flag's value.
func (f *format) Set(text string) error {
	switch format(text) {
	case table, jsonText:
		*f = format(text)
		return nil
	}
	return fmt.Errorf("expected %s or %s", table, jsonText)
}

// Type is what help calls the value.
func (f *format) Type() string { return "table|json" }

func (f *format) bind(cmd *cobra.Command) {
	*f = table
	cmd.Flags().VarP(f, "output", "o", "what is printed: a table for people, or JSON as the API gives it")
}

// bindJSON adds --json, for those who expect it.
func (f *format) bindJSON(cmd *cobra.Command) {
	cmd.Flags().BoolFunc("json", "the same as --output json", func(string) error {
		*f = jsonText
		return nil
	})
}

// print writes value as JSON, or the rows that fill makes as a table.
func (f *format) print(w io.Writer, value any, fill func(t *rows)) error {
	if *f == jsonText {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	t := &rows{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	fill(t)
	return t.w.Flush()
}

// rows is a table being written.
type rows struct{ w *tabwriter.Writer }

// add writes a row. Of a text of several lines only the first one is shown.
func (t *rows) add(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		text, _, more := strings.Cut(fmt.Sprint(c), "\n")
		if more {
			text += " …"
		}
		if texts[i] = clean(text); texts[i] == "" {
			texts[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(texts, "\t"), "\t"))
}

// line writes a line outside the columns.
func (t *rows) line(format string, args ...any) {
	_ = t.w.Flush()
	fmt.Fprintln(t.w, clean(fmt.Sprintf(format, args...)))
	_ = t.w.Flush()
}

// or is the value of an optional field, or "".
func or[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// when is a time as people on this machine read it.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
