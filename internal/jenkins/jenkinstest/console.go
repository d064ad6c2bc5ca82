package jenkinstest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	noteBegin = "\x1b[8mha:"
	noteEnd   = "\x1b[0m"
	longLine  = 64 << 10 // a line is written in parts once it is longer
)

var notes = regexp.MustCompile(`\x1b\[8mha:[^\x1b]*\x1b\[0m`)

// consoleNote is an annotation as Jenkins writes it into a log.
func consoleNote(class string) string {
	return noteBegin + "////" + base64.StdEncoding.EncodeToString([]byte(class)) + noteEnd
}

// console is the log of one build: a file that grows line by line, with
// secrets replaced by ****. It is safe for concurrent use.
type console struct {
	path    string
	secrets []string // longest first, so that none is masked in part

	mu     sync.Mutex
	file   *os.File // nil once closed
	line   []byte   // not yet written: the end of it may be half a secret
	size   int64    // bytes in the file
	closed bool
}

func logPath(buildDir string) string { return filepath.Join(buildDir, "log") }

// createConsole begins a log, or goes on with that of a build that is resumed.
func createConsole(buildDir string, secrets []string) (*console, error) {
	file, err := os.OpenFile(logPath(buildDir), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create the build's log: %w", err)
	}
	c := &console{path: file.Name(), file: file}
	if info, err := file.Stat(); err == nil {
		c.size = info.Size()
	}
	for _, s := range secrets {
		c.mask(s)
	}
	return c, nil
}

// mask hides a secret in what is written from now on.
func (c *console) mask(secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if secret == "" || slices.Contains(c.secrets, secret) {
		return
	}
	c.secrets = append(c.secrets, secret)
	slices.SortFunc(c.secrets, func(a, b string) int { return len(b) - len(a) })
}

// masked is text without secrets.
func (c *console) masked(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hide(text)
}

func (c *console) hide(text string) string {
	for _, s := range c.secrets {
		text = strings.ReplaceAll(text, s, "****")
	}
	return text
}

// openConsole is the log of a finished build.
func openConsole(buildDir string) *console {
	c := &console{path: logPath(buildDir), closed: true}
	if info, err := os.Stat(c.path); err == nil {
		c.size = info.Size()
	}
	return c
}

// Write adds output. It never fails for a closed log: output of leaked
// processes is dropped, as Jenkins does.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return len(p), nil
	}
	c.line = append(c.line, p...)
	keep := 0
	end := bytes.LastIndexByte(c.line, '\n') + 1
	if end == 0 && len(c.line) > longLine {
		if len(c.secrets) > 0 {
			keep = len(c.secrets[0]) - 1
		}
		end = len(c.line) - keep
	}
	if err := c.flush(end); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush masks and writes the first n bytes that are held back.
func (c *console) flush(n int) error {
	if n <= 0 {
		return nil
	}
	text := c.hide(string(c.line[:n]))
	c.line = slices.Delete(c.line, 0, n)
	written, err := c.file.WriteString(text)
	c.size += int64(written)
	return err
}

// Close ends the log.
func (c *console) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return nil
	}
	err := c.flush(len(c.line))
	if e := c.file.Close(); err == nil {
		err = e
	}
	c.file, c.closed = nil, true
	return err
}

// read returns the log from a raw position on, without notes; next is where to
// go on, and more tells whether there may be anything there later.
func (c *console) read(from int64) (text []byte, next int64, more bool, err error) {
	c.mu.Lock()
	size, closed := c.size, c.closed
	c.mu.Unlock()
	if from > size || from < 0 {
		from = 0
	}
	if size == from {
		return nil, size, !closed, nil
	}
	file, err := os.Open(c.path)
	if err != nil {
		return nil, 0, false, fmt.Errorf("open the build's log: %w", err)
	}
	defer file.Close()
	text, err = io.ReadAll(io.NewSectionReader(file, from, size-from))
	if err != nil {
		return nil, 0, false, fmt.Errorf("read the build's log: %w", err)
	}
	return notes.ReplaceAll(text, nil), size, !closed, nil
}
