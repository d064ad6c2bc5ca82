package groovy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"railyard/internal/jenkins/jenkinstest"
)

// Engine executes Pipelines; it is the jenkinstest.Engine of one or several
// stand-ins, and safe for concurrent use. Close it after them.
type Engine struct {
	tools     toolchain
	libraries map[string]fs.FS

	start sync.Once
	bad   error // why it could not be started
	cmd   *exec.Cmd
	ended chan struct{}
	said  tailBuffer // the last the process said on standard error

	mu     sync.Mutex // guards what follows
	stdin  io.WriteCloser
	builds map[string]*running
	serial int
	closed bool
}

// New makes an engine with the shared libraries that Jenkinsfiles may name by
// @Library, by their names. A library is a directory with vars/, src/ and
// resources/. The process starts with the first build. The error is ErrNoGroovy
// when it could not.
func New(libraries map[string]fs.FS) (*Engine, error) {
	tools, err := findToolchain()
	if err != nil {
		return nil, err
	}
	return &Engine{tools: tools, libraries: libraries, ended: make(chan struct{}), builds: map[string]*running{}}, nil
}

// Warm starts the process now rather than with the first build.
func (e *Engine) Warm() error {
	e.start.Do(func() { e.bad = e.launch() })
	return e.bad
}

// Close ends the process, and with it every build.
func (e *Engine) Close() error {
	e.start.Do(func() { e.bad = errors.New("the engine was closed") })
	e.mu.Lock()
	e.closed = true
	stdin := e.stdin
	e.mu.Unlock()
	if e.cmd == nil || e.cmd.Process == nil {
		return nil
	}
	_ = stdin.Close()
	_ = e.cmd.Process.Kill() // it has nothing to save
	<-e.ended
	return nil
}

func (e *Engine) launch() error {
	classes, err := e.tools.compiled()
	if err != nil {
		return err
	}
	e.cmd = e.tools.command(classes, "harness.Main")
	e.cmd.Stderr = &e.said
	stdin, err := e.cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := e.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := e.cmd.Start(); err != nil {
		return fmt.Errorf("start the Groovy host: %w", err)
	}
	e.mu.Lock()
	e.stdin = stdin
	e.mu.Unlock()
	ready := make(chan struct{})
	go e.listen(stdout, ready)
	select {
	case <-ready:
		return nil
	case <-e.ended:
		return fmt.Errorf("the Groovy host ended: %s", e.said.String())
	}
}

// listen hands every message to its build, in order.
func (e *Engine) listen(stdout io.Reader, ready chan<- struct{}) {
	defer close(e.ended)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			fmt.Fprintf(&e.said, "not understood: %s: %v\n", line, err)
			break
		}
		if m.Op == "ready" {
			close(ready)
			continue
		}
		e.mu.Lock()
		b := e.builds[m.Build]
		e.mu.Unlock()
		if b != nil { // else it is suspended, and still says its last words
			b.inbox.put(m)
		}
	}
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait() // how it ended says nothing: its end is what counts
}

func (e *Engine) send(o order) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, err = e.stdin.Write(append(line, '\n'))
	return err
}

// Run implements jenkinstest.Engine.
func (e *Engine) Run(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
	fail := func(err error) jenkinstest.Result {
		fmt.Fprintf(r, "ERROR: %v\n", err)
		return jenkinstest.Failure
	}
	if err := e.Warm(); err != nil {
		return fail(err)
	}
	libraries, err := e.snapshot(r)
	if err != nil {
		return fail(err)
	}
	e.mu.Lock()
	e.serial++
	b := newRunning(e, r, fmt.Sprintf("%s #%d (%d)", r.Job, r.Number, e.serial))
	e.builds[b.key] = b
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.builds, b.key)
		e.mu.Unlock()
	}()
	if err := e.send(b.order(libraries)); err != nil {
		return fail(err)
	}
	return b.follow(ctx)
}

// snapshot is the build's own copy of the libraries, which stays the same when it is resumed: name → directory.
func (e *Engine) snapshot(r *jenkinstest.Run) (map[string]string, error) {
	note := filepath.Join(r.Dir, "libraries.json")
	if text, err := os.ReadFile(note); err == nil {
		var dirs map[string]string
		if err := json.Unmarshal(text, &dirs); err == nil {
			return dirs, nil
		}
	}
	dirs := map[string]string{}
	for name, files := range e.libraries {
		dir, err := cached("library-"+name, files, func(from, to string) error { return os.CopyFS(to, os.DirFS(from)) })
		if err != nil {
			return nil, err
		}
		dirs[name] = dir
	}
	text, err := json.Marshal(dirs)
	if err == nil {
		err = os.WriteFile(note, text, 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("note the build's libraries: %w", err)
	}
	return dirs, nil
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 8192; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
