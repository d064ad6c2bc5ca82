package jenkinstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Node is an executor with a workspace, as the node step allocates it.
type Node struct {
	Workspace string            // "<home>/workspace/deliver/hotel-api@2"
	Env       map[string]string // WORKSPACE, NODE_NAME, EXECUTOR_NUMBER, …

	r    *Run
	slot *executor
}

// Node waits for a free executor and takes it. A resumed engine asks again.
// The error is an *Interrupt or the cause of ctx.
func (r *Run) Node(ctx context.Context) (*Node, error) {
	defer r.stopWaiting()
	for {
		n, freed, err := r.tryNode()
		if n != nil || err != nil {
			return n, err
		}
		select {
		case <-freed:
		case i := <-r.interrupts:
			return nil, i
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// tryNode takes an executor; when there is none, freed is closed at the next
// occasion to try.
func (r *Run) tryNode() (n *Node, freed <-chan struct{}, err error) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := c.freeExecutor()
	if slot == nil || c.quieting || c.closing {
		if c.freed == nil {
			c.freed = make(chan struct{})
		}
		if c.placeholders[r] == nil {
			now := c.o.Clock.Now()
			c.placeholders[r] = &queueItem{id: c.nextQueueID, job: r.b.job, since: now, buildable: now, state: stateBuildable}
			c.nextQueueID++
		}
		return nil, c.freed, nil
	}
	dir, err := c.lease(r.b.job)
	if err != nil {
		return nil, nil, err
	}
	slot.busy, slot.build = true, r.b
	n = &Node{Workspace: dir, r: r, slot: slot, Env: map[string]string{
		"WORKSPACE": dir, "WORKSPACE_TMP": dir + "@tmp", "NODE_NAME": "built-in", "NODE_LABELS": "built-in",
		"EXECUTOR_NUMBER": strconv.Itoa(slot.number),
	}}
	fmt.Fprintf(r.b.console, "Running on Jenkins in %s\n", dir)
	return n, nil, nil
}

// stopWaiting takes the run's node step out of the queue.
func (r *Run) stopWaiting() {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	delete(r.c.placeholders, r)
}

// Release gives the executor back. It may be called twice.
func (n *Node) Release() {
	c := n.r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.slot == nil {
		return
	}
	n.slot.busy, n.slot.build = false, nil
	n.slot = nil
	delete(c.workspaces, n.Workspace)
	c.maintain()
}

// Shell is one execution of the sh step.
type Shell struct {
	Step   string            // the engine's id of this execution, the same after a resume
	Script string            // run by /bin/sh -xe, or the interpreter of its first line
	Dir    string            // working directory; the node's workspace
	Env    map[string]string // on top of the environment of this process
	Out    io.Writer         // gets stdout and stderr as they come
	Return bool              // stdout is returned and not written to Out
}

const durablePoll = 20 * time.Millisecond

// Sh runs a script as Jenkins' durable task does: it writes to files, so it
// outlives the controller, and a second call with the same Step finds it again.
// The error is an *Interrupt or the cause of ctx; a suspension leaves the
// process alone, anything else ends it.
func (r *Run) Sh(ctx context.Context, s Shell) (exitCode int, stdout string, err error) {
	dir := filepath.Join(r.Dir, "durable-"+s.Step)
	cookie := "durable-" + r.b.Cookie + "-" + s.Step
	if _, err := os.Stat(filepath.Join(dir, "started")); err != nil {
		if err := r.startShell(s, dir, cookie); err != nil {
			return 0, "", fmt.Errorf("start the script: %w", err)
		}
	}
	tick := time.NewTicker(durablePoll)
	defer tick.Stop()
	for {
		code, ended := readNumber(filepath.Join(dir, "result"))
		if err := tail(dir, s.Out, ended); err != nil {
			return 0, "", err
		}
		if ended {
			out, err := os.ReadFile(filepath.Join(dir, "output"))
			if errors.Is(err, os.ErrNotExist) {
				err = nil
			}
			return code, string(out), err
		}
		select {
		case <-tick.C:
		case i := <-r.interrupts:
			r.endShell(dir, cookie)
			return 0, "", i
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), ErrSuspended) {
				r.endShell(dir, cookie)
			}
			return 0, "", context.Cause(ctx)
		}
	}
}

// startShell starts the process and a goroutine that writes its exit code. Both
// belong to the machine and not to the controller.
func (r *Run) startShell(s Shell, dir, cookie string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	script := filepath.Join(dir, "script.sh")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	out := log
	if s.Return {
		if out, err = os.Create(filepath.Join(dir, "output")); err != nil {
			log.Close()
			return err
		}
	}
	if err := os.WriteFile(script, []byte(s.Script), 0o755); err != nil {
		return err
	}
	args := []string{"/bin/sh", "-xe"}
	if first, _, _ := strings.Cut(s.Script, "\n"); strings.HasPrefix(first, "#!") {
		args = strings.Fields(first[2:])
	}
	cmd := exec.Command(args[0], append(args[1:], script)...)
	cmd.Dir, cmd.Env = s.Dir, os.Environ()
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		cmd.Env = append(cmd.Env, name+"="+s.Env[name])
	}
	// The first cookie marks the whole build, the second this step.
	cmd.Env = append(cmd.Env, cookieVariable+"="+r.b.Cookie, stepCookie+"="+cookie)
	cmd.Stdout, cmd.Stderr = out, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread that started the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		if out != log {
			defer out.Close()
		}
		err := cmd.Start()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "started"), nil, 0o644)
			if r.c.o.Nice > 0 {
				_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, r.c.o.Nice) // it may have ended
			}
		}
		started <- err
		if cmd.Process == nil {
			return
		}
		_ = cmd.Wait() // the exit code says it
		writeNumber(filepath.Join(dir, "result"), cmd.ProcessState.ExitCode())
	}()
	return <-started
}

// endShell ends the step's processes and waits until its end is written.
func (r *Run) endShell(dir, cookie string) {
	killWith(stepCookie, cookie)
	for deadline := time.Now().Add(leftoverGrace); time.Now().Before(deadline); time.Sleep(leftoverPoll) {
		if _, ended := readNumber(filepath.Join(dir, "result")); ended {
			return
		}
	}
}

// endShells ends the scripts of Pipelines, which outlive the controller.
func (c *controller) endShells() {
	for _, b := range c.running() {
		killMarked(b.Cookie)
	}
}

// tail copies what the log has gained since the last call, also one before a
// restart: whole lines, until the script has ended.
func tail(dir string, out io.Writer, ended bool) error {
	if out == nil {
		return nil
	}
	at := filepath.Join(dir, "offset")
	from, _ := readNumber(at)
	f, err := os.Open(filepath.Join(dir, "log"))
	if err != nil {
		return fmt.Errorf("read the script's log: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, int64(from), 1<<40))
	if err != nil {
		return fmt.Errorf("read the script's log: %w", err)
	}
	if !ended {
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	if len(text) == 0 {
		return nil
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	writeNumber(at, from+len(text))
	return nil
}

func readNumber(path string) (int, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(text))
	return n, err == nil
}

// writeNumber replaces the file in one step. A directory that is gone belongs to
// a build that was deleted.
func writeNumber(path string, n int) {
	if os.WriteFile(path+".tmp", []byte(strconv.Itoa(n)), 0o644) == nil {
		_ = os.Rename(path+".tmp", path)
	}
}
