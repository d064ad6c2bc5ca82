package jenkinsfiles_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
	"railyard/internal/packages"
	"railyard/jenkinsfiles"
)

var update = flag.Bool("update", false, "write the golden files")

func TestDeliverJobIsAsInTheGolden(t *testing.T) {
	const golden = "testdata/deliver.golden.xml"
	if *update {
		if err := os.WriteFile(golden, jenkinsfiles.DeliverJob(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(jenkinsfiles.DeliverJob())); diff != "" {
		t.Errorf("the job differs from its golden (go test -update writes it):\n%s", diff)
	}
}

const job = "deliver"

// yard is a stand-in with the job, a repository, and a railyard command that
// notes what it is told and answers with the exit codes in files.
type yard struct {
	t       *testing.T
	dir     string
	client  *jenkins.Controller
	commits int
}

// command stands where the real one is: its part of the contract is its exit codes.
const command = `#!/bin/sh
test "$RAILYARD_TOKEN" = s3cr3t && test "$RAILYARD_URL" = http://railyard.example || exit 9
echo "$@" >> "$YARD/calls"
case $1 in publish) for file; do :; done; cp "$file" "$YARD/package-$BUILD_NUMBER.tar.gz" ;; esac
exit "$(cat "$YARD/$1" 2>/dev/null || echo 0)"
`

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{t: t, dir: t.TempDir()}
	y.write("bin/railyard", command)
	s, err := jenkinstest.Start(jenkinstest.Options{
		Dir: t.TempDir(),
		Env: map[string]string{
			"RAILYARD_URL": "http://railyard.example", "YARD": y.dir,
			"PATH": filepath.Join(y.dir, "bin") + ":" + os.Getenv("PATH"),
		},
		Secrets: map[string]string{"RAILYARD_TOKEN": "s3cr3t"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	log := logrus.New()
	log.SetOutput(io.Discard)
	if y.client, err = jenkins.New(jenkins.Config{Name: "test", URL: s.URL, User: "admin", Token: "admin-token"}, log); err != nil {
		t.Fatal(err)
	}
	if _, err := y.client.EnsureJob(t.Context(), job, jenkinsfiles.DeliverJob()); err != nil {
		t.Fatal(err)
	}
	y.git("init", "-q", "-b", "release/1.0", ".")
	y.write("repo/build.sh", "#!/bin/sh\nset -eu\nrm -rf dist\nmkdir dist\ncp run dist/\necho \"token ${RAILYARD_TOKEN-none}\"\n")
	y.write("repo/run", "#!/bin/sh\necho 1\n")
	return y
}

func (y *yard) write(name, content string) {
	y.t.Helper()
	path := filepath.Join(y.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		y.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) git(args ...string) string {
	y.t.Helper()
	dir := filepath.Join(y.dir, "repo")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		y.t.Fatal(err)
	}
	cmd := exec.CommandContext(y.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		y.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (y *yard) commit() string {
	y.t.Helper()
	y.git("add", "-A")
	y.git("commit", "-q", "--allow-empty", "-m", "change")
	return y.git("rev-parse", "HEAD")
}

// run builds a commit and returns the finished build with its console.
func (y *yard) run(commit string) (jenkins.Build, string) {
	y.t.Helper()
	y.commits++
	id := "d" + string(rune('0'+y.commits))
	queueID, err := y.client.Trigger(y.t.Context(), job, map[string]string{
		jenkins.DeploymentParam: id, "APP": "hotel-api", "REPO_URL": "file://" + filepath.Join(y.dir, "repo"),
		"BRANCH": "release/1.0", "COMMIT": commit,
	})
	if err != nil {
		y.t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		b, err := y.client.Find(y.t.Context(), jenkins.Ask{Job: job, Deployment: id, QueueID: queueID})
		if err != nil {
			y.t.Fatal(err)
		}
		if b.Done() {
			text, _, _, err := y.client.Log(y.t.Context(), job, b.Number, 0)
			if err != nil {
				y.t.Fatal(err)
			}
			return b, string(text)
		}
	}
	y.t.Fatal("the build did not end")
	return jenkins.Build{}, ""
}

func (y *yard) calls() string {
	text, err := os.ReadFile(filepath.Join(y.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		y.t.Fatal(err)
	}
	return string(text)
}

func TestDeliver(t *testing.T) {
	const begun = "begin --deployment d1\n"
	cases := []struct {
		name    string
		prepare func(y *yard)
		result  string
		calls   string // "…" stands for the way to the package
		says    string
	}{
		{"a released commit is a success", func(*yard) {}, "SUCCESS",
			begun + "publish --deployment d1 --app hotel-api …/package.tar.gz\nwait --deployment d1\n", "building"},
		{"a duplicate ends quietly, with nothing built", func(y *yard) { y.write("begin", "4") }, "SUCCESS", begun, "nothing to do"},
		{"a superseded or revoked one is unstable", func(y *yard) { y.write("wait", "3") }, "UNSTABLE",
			begun + "publish --deployment d1 --app hotel-api …/package.tar.gz\nwait --deployment d1\n", ""},
		{"one that was rolled back is a failure", func(y *yard) { y.write("wait", "1") }, "FAILURE",
			begun + "publish --deployment d1 --app hotel-api …/package.tar.gz\nwait --deployment d1\n", ""},
		{"a failing build is a failure whatever its exit code", func(y *yard) { y.write("repo/build.sh", "#!/bin/sh\nexit 3\n") },
			"FAILURE", begun, "build.sh failed"},
		{"failing tests publish nothing", func(y *yard) { y.write("repo/test.sh", "#!/bin/sh\nexit 3\n") }, "FAILURE", begun, "test.sh failed"},
		{"a refused package is a failure", func(y *yard) { y.write("publish", "3") }, "FAILURE",
			begun + "publish --deployment d1 --app hotel-api …/package.tar.gz\n", "cannot publish"},
		{"a build without dist is a failure", func(y *yard) { y.write("repo/build.sh", "#!/bin/sh\ntrue\n") }, "FAILURE", begun, "made no dist"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			y := newYard(t)
			c.prepare(y)
			b, console := y.run(y.commit())
			if b.Result != c.result || !strings.Contains(console, c.says) {
				t.Errorf("result = %s, want %s with %q in\n%s", b.Result, c.result, c.says, console)
			}
			calls := y.calls()
			if at := strings.Index(calls, " /"); at > 0 {
				end := strings.Index(calls, "/package.tar.gz")
				calls = calls[:at+1] + "…" + calls[end:]
			}
			if calls != c.calls {
				t.Errorf("railyard was called with\n%swant\n%s", calls, c.calls)
			}
			if strings.Contains(console, "s3cr3t") || strings.Contains(console, "token ****") {
				t.Errorf("the console or build.sh saw the token:\n%s", console)
			}
		})
	}
}

func TestDeliverBuildsExactlyTheCommitAndTheSameBytes(t *testing.T) {
	y := newYard(t)
	// Times and modes that differ from build to build.
	y.write("repo/build.sh", `#!/bin/sh
set -eu
rm -rf dist
mkdir dist
if test $((BUILD_NUMBER % 4)) = 1; then umask 022; else umask 002; fi
cat run >dist/run
chmod +x dist/run
touch -d "@$BUILD_NUMBER" dist/run dist
`)
	first := y.commit()
	y.write("repo/run", "#!/bin/sh\necho 2\n")
	second := y.commit()
	for _, commit := range []string{first, second, first} {
		if b, console := y.run(commit); b.Result != "SUCCESS" {
			t.Fatalf("%s\n%s", b.Result, console)
		}
	}
	read := func(n string) []byte {
		text, err := os.ReadFile(filepath.Join(y.dir, "package-"+n+".tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if !bytes.Equal(read("1"), read("3")) {
		t.Error("the same commit made other bytes")
	}
	if header := read("1")[:8]; !bytes.Equal(header[3:], make([]byte, 5)) {
		t.Errorf("the gzip header % x holds a name or a time", header)
	}
	for n, want := range map[string]string{"1": "#!/bin/sh\necho 1\n", "2": "#!/bin/sh\necho 2\n"} {
		dir := t.TempDir()
		if err := packages.Unpack(bytes.NewReader(read(n)), dir, packages.Limits{}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "run")); err != nil || string(got) != want {
			t.Errorf("package %s has run = %q (%v), want %q", n, got, err, want)
		}
	}
}
