package urltest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// judgeJSON compares the value at a dotted path, "checks.0.state=ok". Numbers are compared as they are written, so
// "1" is not "1.0"; true, false and null are words.
func judgeJSON(want string, body []byte) error {
	path, value, ok := strings.Cut(want, "=")
	if !ok || path == "" {
		return errors.New("which is no check: write PATH=VALUE, for example status=ok")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return fmt.Errorf("but the body is not JSON (%w)", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("but the body goes on after its JSON")
	}
	at := doc
	for _, key := range strings.Split(path, ".") {
		next, ok := step(at, key)
		if !ok {
			return fmt.Errorf("but there is no %q", key)
		}
		at = next
	}
	text, ok := scalar(at)
	if !ok {
		return errors.New("but it is an object or a list")
	}
	if text != value {
		return fmt.Errorf("but it is %q", text)
	}
	return nil
}

func step(at any, key string) (any, bool) {
	switch at := at.(type) {
	case map[string]any:
		v, ok := at[key]
		return v, ok
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(at) {
			return nil, false
		}
		return at[i], true
	}
	return nil, false
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	case nil:
		return "null", true
	}
	return "", false
}
