package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// micros is how a time is kept: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(b), nil
}

func decode[T any](body string) (T, error) {
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return v, fmt.Errorf("decode %T: %w", v, err)
	}
	return v, nil
}

func decodeAll[T any](bodies []string) ([]T, error) {
	values := make([]T, len(bodies))
	for i, body := range bodies {
		var err error
		if values[i], err = decode[T](body); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// clean makes a text from outside fit for a text column: MySQL refuses bytes that are not UTF-8.
func clean(text string) string { return strings.ToValidUTF8(text, string(utf8.RuneError)) }

// given is a text from outside with its name for people: {"the branch", "release/1.4"}.
type given struct{ name, text string }

// fits checks texts from outside against the width of their columns, because SQLite would take any length and MySQL's
// message does not say which value it was.
func fits(width int, texts ...given) error {
	for _, g := range texts {
		if n := utf8.RuneCountInString(g.text); n > width {
			return fmt.Errorf("%s has %d characters, at most %d can be kept: %w", g.name, n, width, ErrTooLong)
		}
	}
	return nil
}

// where collects the conditions of a list that a person filters.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

// eq adds column = value unless value is empty. The column is never text from outside.
func (w *where) eq(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}
