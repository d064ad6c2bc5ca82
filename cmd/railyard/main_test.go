package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"railyard/internal/jenkins/jenkinstest"
)

var update = flag.Bool("update", false, "write docs/cli.md and the goldens anew")

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"railyard": main}) }

// TestScripts runs testdata/script: each file is a rule of the command line, by name. A script has a service of its own,
// which speaks the API (see standin_test.go); `api …` directs it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			s, err := newStandIn()
			if err != nil {
				return err
			}
			env.Defer(s.close)
			env.Values[standInKey{}] = s
			for name, value := range map[string]string{
				"RAILYARD_URL": s.url(), "RAILYARD_TOKEN": goodToken, "TZ": "UTC", "TOPOLOGY": mustAbs("../../docs/examples/topology.yaml"),
				"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
			} {
				env.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"api":        direct,
			"exits":      exits,
			"freeport":   freeport,
			"jenkins":    startJenkins,
			"eventually": eventually,
		},
	})
}

func mustAbs(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir + "/" + path
}

// exits runs a command that must end with this exit code: exits 3 railyard wait …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exited *exec.ExitError
		if !errors.As(err, &exited) {
			ts.Fatalf("%v", err)
		}
		got = exited.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// freeport sets a variable to an address of this machine that nobody listens on: freeport ADDRESS
func freeport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// startJenkins starts a Jenkins with the API token "admin-token" of the user admin: jenkins VARIABLE
func startJenkins(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jenkins VARIABLE")
	}
	s, err := jenkinstest.Start(jenkinstest.Options{Dir: ts.MkAbs("jenkins-home")})
	ts.Check(err)
	ts.Defer(func() { ts.Check(s.Close()) })
	ts.Setenv(args[0], s.URL)
}

// eventually repeats a command until it prints what matches: eventually REGEXP COMMAND…
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP COMMAND…")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	ts.Check(until(args[0]+" in "+strings.Join(args[1:], " "), func() (bool, <-chan struct{}) {
		if ts.Exec(args[1], args[2:]...) == nil && want.MatchString(ts.ReadFile("stdout")) {
			return true, nil
		}
		soon := make(chan struct{})
		time.AfterFunc(50*time.Millisecond, func() { close(soon) })
		return false, soon
	}))
}

// until waits for a condition that something else makes true. tick is closed whenever it may have become so.
func until(what string, condition func() (ok bool, changed <-chan struct{})) error {
	deadline, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		ok, changed := condition()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-deadline.Done():
			return errors.New("this has not happened: " + what)
		}
	}
}

func TestNothingIsPrintedTwiceAndCodesAreTheContract(t *testing.T) {
	for _, c := range []struct {
		rule string
		args []string
		code int
	}{
		{"help is no error", []string{"--help"}, 0},
		{"no command is a usage error", nil, exitUsage},
		{"an unknown command is a usage error", []string{"relase"}, exitUsage},
		{"an unknown flag is a usage error", []string{"version", "--verbose"}, exitUsage},
		{"a missing argument is a usage error", []string{"publish", "--deployment", "d"}, exitUsage},
		{"a missing flag is a usage error", []string{"wait"}, exitUsage},
		{"two flags that exclude each other are a usage error", []string{"wait", "--coach", "a", "--deployment", "b"}, exitUsage},
		{"an output that is not known is a usage error", []string{"version", "--output", "xml"}, exitUsage},
		{"a server that is no address is a usage error", []string{"sites", "--server", "railyard"}, exitUsage},
		{"a password in the server's address is a usage error", []string{"sites", "--server", "http://u:secret@h"}, exitUsage},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var out, errOut bytes.Buffer
			if code := run(append([]string{"railyard"}, c.args...), nil, &out, &errOut); code != c.code {
				t.Errorf("exit code %d, want %d; %s", code, c.code, errOut.String())
			}
			if bytes.Contains(errOut.Bytes(), []byte("secret")) {
				t.Errorf("the message shows the password: %s", errOut.String())
			}
			if c.code != 0 && bytes.Count(errOut.Bytes(), []byte("\n")) != 2 {
				t.Errorf("a usage error is one sentence and where to read on, got\n%s", errOut.String())
			}
		})
	}
}
