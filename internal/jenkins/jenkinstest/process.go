package jenkinstest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// process runs one command of a build in a process group of its own. When ctx
// is cancelled the group gets SIGTERM, and SIGKILL after the grace. Whatever of
// the build is left afterwards is killed, as Jenkins does.
func (e *execution) process(ctx context.Context, args []string) (exitCode int, err error) {
	// The kernel sends Pdeathsig when the thread that started the child ends,
	// so this thread has to stay for as long as the child lives.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = e.workspace, e.env
	cmd.Stdout, cmd.Stderr = e.out, e.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = e.c.o.KillGrace
	if err := e.start(cmd); err != nil {
		return 0, err
	}
	err = cmd.Wait()
	e.c.mu.Lock()
	delete(e.c.groups, cmd.Process.Pid)
	e.c.mu.Unlock()
	killMarked(e.build.Cookie)
	if exit := new(exec.ExitError); errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if ctx.Err() != nil {
		err = nil
	}
	return cmd.ProcessState.ExitCode(), err
}

// start starts cmd unless the controller has just died, and notes its group.
func (e *execution) start(cmd *exec.Cmd) error {
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	if e.c.dead {
		return errShutdown
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	e.c.groups[cmd.Process.Pid] = true
	if e.c.o.Nice > 0 {
		// A process that has ended already has no priority.
		_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, e.c.o.Nice)
	}
	return nil
}

// Variables in the environment of processes by which they are found again.
const (
	cookieVariable = "HUDSON_COOKIE"         // of a build
	stepCookie     = "JENKINS_SERVER_COOKIE" // of one sh step
)

const (
	leftoverGrace = 500 * time.Millisecond
	leftoverPoll  = 10 * time.Millisecond
)

// killMarked ends every process whose environment carries the build's cookie:
// SIGTERM, then SIGKILL.
func killMarked(cookie string) { killWith(cookieVariable, cookie) }

// killWith is killMarked for any variable of the environment.
func killWith(variable, cookie string) {
	pids := marked(variable, cookie)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended meanwhile
	}
	for deadline := time.Now().Add(leftoverGrace); len(pids) > 0 && time.Now().Before(deadline); pids = marked(variable, cookie) {
		time.Sleep(leftoverPoll)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// marked lists the processes with the variable in their environment. Zombies have
// no environment any more.
func marked(variable, cookie string) []int {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil
	}
	var pids []int
	want := []byte(variable + "=" + cookie)
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil {
			continue // ended, or not ours to see
		}
		for entry := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(entry, want) {
				if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}
