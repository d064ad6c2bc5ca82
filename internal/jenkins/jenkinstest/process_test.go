package jenkinstest_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"railyard/internal/jenkins/jenkinstest"
)

// childRole makes the test binary be a stand-in, to be killed by the test.
const childRole = "JENKINSTEST_CHILD_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(childRole); home != "" {
		s, err := jenkinstest.Start(jenkinstest.Options{Dir: home})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(s.URL)
		select {}
	}
	os.Exit(m.Run())
}

func TestBuildEnvironment(t *testing.T) {
	cases := []struct {
		name, root string
		want       []string
		absent     []string
	}{
		{"with a root URL", "https://ci.example.org/jenkins", []string{
			"JENKINS_URL=https://ci.example.org/jenkins/", "JOB_URL=https://ci.example.org/jenkins/job/a/job/b%20c/",
			"BUILD_URL=https://ci.example.org/jenkins/job/a/job/b%20c/1/",
		}, nil},
		{"without a root URL", "", nil, []string{"JENKINS_URL=", "JOB_URL=", "BUILD_URL="}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			s := start(t, jenkinstest.Options{Dir: home, RootURL: c.root, Env: map[string]string{"SITE": "fat"}, Secrets: map[string]string{"KEY": "s3cr3t"}})
			create(t, s, "a/b c", jobXML("pwd; env | sort", true))
			trigger(t, s, "a/job/b%20c", "N=1")
			_, console := finished(t, s, "a/job/b%20c", 1)
			workspace := filepath.Join(home, "workspace", "a", "b c")
			for _, want := range append(c.want, "JOB_NAME=a/b c", "JOB_BASE_NAME=b c", "BUILD_NUMBER=1", "BUILD_ID=1", "BUILD_DISPLAY_NAME=#1",
				"BUILD_TAG=jenkins-a-b c-1", "NODE_NAME=built-in", "EXECUTOR_NUMBER=0", "SITE=fat", "KEY=****", "N=1", "WORKSPACE="+workspace, workspace) {
				if !strings.Contains(console, "\n"+want+"\n") {
					t.Errorf("no line %q in\n%s", want, console)
				}
			}
			for _, absent := range c.absent {
				if strings.Contains(console, "\n"+absent) {
					t.Errorf("%s is there without a root URL", absent)
				}
			}
		})
	}
}

func TestConsoleOfAFreestyleBuild(t *testing.T) {
	s := start(t, jenkinstest.Options{})
	create(t, s, "j", jobXML("echo out; echo err >&2; exit 5", true))
	trigger(t, s, "j", "N=1")
	result, console := finished(t, s, "j", 1)
	want := regexp.MustCompile(`^Started by user admin
Running as SYSTEM
Building in workspace \S+/workspace/j
\[j\] \$ /bin/sh -xe \S+\.sh
\+ echo out
out
\+ echo err
err
\+ exit 5
Build step 'Execute shell' marked build as failure
Finished: FAILURE
$`)
	if result != "FAILURE" || !want.MatchString(console) {
		t.Errorf("%s\n%s", result, console)
	}
}

func TestSecretsAreMaskedAlsoWhenTheyComeInParts(t *testing.T) {
	s := start(t, jenkinstest.Options{Secrets: map[string]string{"KEY": "s3cr3t", "LONG": "s3cr3t-and-more"}})
	create(t, s, "j", jobXML(`#!/bin/sh
printf 'a s3c'; printf 'r3t b\n'; echo "$LONG"
printf 'no newline %s' "$KEY"`, true))
	trigger(t, s, "j", "N=1")
	_, console := finished(t, s, "j", 1)
	if !strings.Contains(console, "\na **** b\n****\nno newline ****Finished: SUCCESS\n") || strings.Contains(console, "and-more") {
		t.Errorf("console\n%s", console)
	}
}

func TestAShebangReplacesTheShell(t *testing.T) {
	s := start(t, jenkinstest.Options{})
	create(t, s, "j", jobXML("#!/bin/sh -u\nfalse\necho reached", true))
	trigger(t, s, "j", "N=1")
	result, console := finished(t, s, "j", 1)
	if result != "SUCCESS" || !strings.Contains(console, "$ /bin/sh -u ") || !strings.Contains(console, "\nreached\n") {
		t.Errorf("%s\n%s", result, console)
	}
}

func TestConcurrentBuildsHaveTheirOwnWorkspaces(t *testing.T) {
	dir := t.TempDir()
	s := start(t, jenkinstest.Options{})
	create(t, s, "j", jobXML(hold, true))
	trigger(t, s, "j", "N=1&DIR="+dir)
	eventually(t, "the first", func() bool { return exists(dir, "begun-1") })
	trigger(t, s, "j", "N=2&DIR="+dir)
	eventually(t, "the second", func() bool { return exists(dir, "begun-2") })
	touch(t, dir, "go")
	_, one := finished(t, s, "j", 1)
	_, two := finished(t, s, "j", 2)
	if !strings.Contains(one, "/workspace/j\n") || !strings.Contains(two, "/workspace/j@2\n") {
		t.Errorf("workspaces:\n%s\n%s", one, two)
	}
}

func TestAStoppedBuildMayCleanUpAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := start(t, jenkinstest.Options{})
	// The second process leaves the group, as a daemon does.
	create(t, s, "j", jobXML(`trap 'touch "$DIR/cleaned"; exit 1' TERM
setsid sh -c 'echo $$ > "$DIR/daemon"; exec sleep 1000' &
while :; do sleep 0.02; done`, true))
	trigger(t, s, "j", "DIR="+dir)
	eventually(t, "the daemon", func() bool { return pid(dir, "daemon") > 0 })
	if a := post(t, s, "/job/j/1/stop"); a.status != http.StatusFound {
		t.Fatalf("stop = %d", a.status)
	}
	result, console := finished(t, s, "j", 1)
	if result != "ABORTED" || !strings.HasSuffix(console, "Build was aborted\nAborted by admin\nFinished: ABORTED\n") {
		t.Errorf("%s\n%s", result, console)
	}
	if !exists(dir, "cleaned") {
		t.Error("the build had no chance to clean up")
	}
	if alive(pid(dir, "daemon")) {
		t.Error("the daemon of the build is still there")
	}
}

func TestABuildThatIgnoresSIGTERMIsKilledAfterTheGrace(t *testing.T) {
	dir := t.TempDir()
	s := start(t, jenkinstest.Options{KillGrace: 100 * time.Millisecond})
	create(t, s, "j", jobXML(`trap '' TERM; echo $$ > "$DIR/pid"; while :; do sleep 0.02; done`, true))
	trigger(t, s, "j", "DIR="+dir)
	eventually(t, "the build", func() bool { return pid(dir, "pid") > 0 })
	post(t, s, "/job/j/1/stop")
	if result, _ := finished(t, s, "j", 1); result != "ABORTED" {
		t.Errorf("result = %s", result)
	}
	if alive(pid(dir, "pid")) {
		t.Error("it is still there")
	}
}

func TestCloseEndsAllProcesses(t *testing.T) {
	dir := t.TempDir()
	s := start(t, jenkinstest.Options{})
	create(t, s, "j", jobXML(`sleep 1000 & echo $! > "$DIR/child"; echo $$ > "$DIR/shell"; wait`, true))
	trigger(t, s, "j", "DIR="+dir)
	eventually(t, "the build", func() bool { return pid(dir, "shell") > 0 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if alive(pid(dir, "shell")) || alive(pid(dir, "child")) {
		t.Error("Close left a process behind")
	}
}

func TestAKilledStandInTakesItsBuildsAlong(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+home)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child := &jenkinstest.Server{URL: strings.TrimSpace(line)}
	xml := jobXML(`sleep 1000 & echo $! > "$DIR/child"; echo $$ > "$DIR/shell"; wait`, true)
	if a := send(t, child, call{
		method: http.MethodPost, path: "/createItem?name=j", user: "admin", secret: "admin-token", body: string(xml),
		header: http.Header{"Content-Type": {"application/xml"}},
	}); a.status != http.StatusOK {
		t.Fatalf("createItem = %d", a.status)
	}
	trigger(t, child, "j", "DIR="+dir)
	eventually(t, "the build", func() bool { return pid(dir, "shell") > 0 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, "the end of the shell", func() bool { return !alive(pid(dir, "shell")) })

	s := start(t, jenkinstest.Options{Dir: home})
	if alive(pid(dir, "child")) {
		t.Error("a process of the build outlived the next start")
	}
	if result, _ := finished(t, s, "j", 1); result != "FAILURE" {
		t.Errorf("the build that was cut off = %s, want FAILURE", result)
	}
	trigger(t, s, "j", "DIR="+dir+"&N=2")
	eventually(t, "build #2", func() bool { return get(t, s, "/job/j/2/api/json").status == http.StatusOK })
}
