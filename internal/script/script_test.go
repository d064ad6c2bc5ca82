package script

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "driver")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

type document struct {
	Word string `json:"word"`
}

func TestADocumentInADocumentOut(t *testing.T) {
	var got document
	if err := Run(t.Context(), program(t, "cat"), document{"hello"}, &got); err != nil || got.Word != "hello" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := Run(t.Context(), program(t, `echo '{"word":"deaf"}'`), document{strings.Repeat("x", 1<<20)}, &got); err != nil || got.Word != "deaf" {
		t.Errorf("a program that does not read its input: %+v, %v", got, err)
	}
}

func TestWhatIsNotAnAnswerIsAnError(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", `expected one JSON document on standard output, got "": EOF`},
		{"words", "echo done", `got "done"`},
		{"half a document", `printf '{"word":'`, "unexpected EOF"},
		{"two documents", `echo '{}{}'`, "more than one document"},
		{"a misspelled field", `echo '{"wort":"x"}'`, `unknown field "wort"`},
		{"a code with a reason", "echo 'no such pool' >&2; exit 3", "it ended with code 3: no such pool"},
		{"a code without", "exit 3", "it ended with code 3 and said nothing on standard error"},
		{"a signal", "kill -9 $$", "it ended with code -1"},
		{"a very long answer", "head -c 20000000 /dev/zero", "expected one JSON document"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := program(t, tt.text)
			err := Run(t.Context(), path, document{}, &document{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one with %q and the program's path", err, tt.want)
			}
		})
	}
	if err := Run(t.Context(), "/no/such/program", document{}, &document{}); err == nil || !strings.Contains(err.Error(), "is it there and executable?") {
		t.Errorf("a missing program: %v", err)
	}
	var failed *Error
	if err := Run(t.Context(), program(t, "exit 69"), document{}, &document{}); !errors.As(err, &failed) || failed.Code != CodeUnreachable {
		t.Errorf("error %v, want an *Error with the code", err)
	}
}

func TestAProgramEndsWithItsCaller(t *testing.T) {
	dir := t.TempDir()
	why := errors.New("brake")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	path := program(t, "trap 'echo polite >"+dir+"/signal; exit 1' TERM; : >"+dir+"/began; while :; do sleep 0.01; done")
	go func() { done <- Run(ctx, path, document{}, &document{}) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := false; !began; {
		_, err := os.Stat(dir + "/began")
		began = err == nil
		<-tick.C
	}
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("error %v, want the caller's reason", err)
	}
	if said, err := os.ReadFile(dir + "/signal"); err != nil || string(said) != "polite\n" {
		t.Errorf("the program was not asked politely: %q, %v", said, err)
	}
}
