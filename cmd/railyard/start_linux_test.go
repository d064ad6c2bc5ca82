package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNothingOpensTheNetworkAtStart starts the program, stops it in the middle of reading standard input, which is after all
// packages were initialised and a command ran, and looks at what it holds open.
func TestNothingOpensTheNetworkAtStart(t *testing.T) {
	bin, err := exec.LookPath("railyard") // TestMain has put this very program there
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "topology", "apply", "-")
	cmd.Env = append(os.Environ(), "RAILYARD_TOKEN="+goodToken)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fill(t, in)
	files := held(t, cmd.Process.Pid)
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	message, err := io.ReadAll(bufio.NewReader(out))
	if err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(string(message), "the topology is not applied") {
		t.Errorf("%v; the command should have read its input and refused it, but it says %s", err, message)
	}
	if len(files) < 3 {
		t.Errorf("it holds %q; this test should at least see its standard streams", files)
	}
	for _, file := range files {
		if strings.HasPrefix(file, "socket:") {
			t.Errorf("it holds %q before it was asked for anything", files)
		}
	}
}

// fill writes more than a pipe holds, so that it returns only once the program reads.
func fill(t *testing.T, in io.Writer) {
	t.Helper()
	if _, err := io.WriteString(in, strings.Repeat("#\n", 1<<20)); err != nil {
		t.Fatal(err)
	}
}

// held lists what a process has open: "pipe:[123]", "socket:[456]".
func held(t *testing.T, pid int) (files []string) {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if file, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			files = append(files, file)
		}
	}
	return files
}

// TestASecondSignalEndsAtOnce: a command that does not end by itself after a signal, here because it reads, is ended by the
// next one. That the first is obeyed in peace is shown by the scripts.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	bin, err := exec.LookPath("railyard")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "check", "-")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fill(t, in) // now it reads, and handles signals
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for sent := 0; ; sent++ {
		if sent > 200 {
			t.Fatal("it outlives 200 signals")
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		select {
		case <-ended:
			status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || sent == 0 {
				t.Errorf("it ended with %v after %d signals", cmd.ProcessState, sent+1)
			}
			return
		case <-again.C:
		}
	}
}
