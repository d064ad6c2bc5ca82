// Package script runs a user's program as a driver: it gets one JSON document on its standard input and answers with one
// on its standard output. What it says on standard error becomes the error when it ends with another code than 0.
package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Codes by which a program says what kind of failure it was, as in sysexits.h.
const (
	CodePermanent   = 65 // EX_DATAERR: trying again cannot help
	CodeUnreachable = 69 // EX_UNAVAILABLE: what it speaks to does not answer
)

const (
	answerLimit = 16 << 20        // bytes read of an answer
	saidLimit   = 600             // bytes shown of standard error
	grace       = 5 * time.Second // between the polite and the other signal
)

// Error is a program that ended with another code than 0.
type Error struct {
	Code int    // 1; -1 = ended by a signal
	Said string // the end of its standard error
}

func (e *Error) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("it ended with code %d and said nothing on standard error", e.Code)
	}
	return fmt.Sprintf("it ended with code %d: %s", e.Code, e.Said)
}

// Run starts the program, hands it the request and decodes its answer, in which unknown fields are errors: a misspelled
// one would otherwise be one that is missing. When ctx ends, the program and its process group get SIGTERM, and SIGKILL
// five seconds later. A failed program is an *Error for errors.As.
func Run(ctx context.Context, program string, request, answer any) error {
	if err := run(ctx, program, request, answer); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

func run(ctx context.Context, program string, request, answer any) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	var stdout, stderr bounded
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start it: %w; is it there and executable?", err)
	}
	err = cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what is left of the group
		return cause
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return &Error{Code: exit.ExitCode(), Said: end(stderr.String())}
	case errors.Is(err, exec.ErrWaitDelay):
		return fmt.Errorf("it left a process behind that holds its standard output; redirect that process's output")
	case err != nil && !errors.Is(err, syscall.EPIPE): // it need not read what it does not need
		return err
	}
	return decode(stdout.String(), answer)
}

func decode(text string, answer any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	err := dec.Decode(answer)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one document")
		}
	}
	if err != nil {
		return fmt.Errorf("expected one JSON document on standard output, got %q: %w", end(text), err)
	}
	return nil
}

// end is the last part of a text, in which programs say why they failed.
func end(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > saidLimit {
		text = "…" + strings.ToValidUTF8(text[len(text)-saidLimit:], "")
	}
	return text
}

// bounded keeps answerLimit bytes and drops the rest, which is then no JSON any more.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), answerLimit-b.Len())])
	return len(p), nil
}
