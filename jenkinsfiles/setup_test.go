package jenkinsfiles_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

const job = "deliver"

// yard is a stand-in with the job, a repository, and a railyard command that
// notes what it is told and answers with the exit codes in files.
type yard struct {
	t        *testing.T
	dir      string
	s        *jenkinstest.Server
	client   *jenkins.Controller
	triggers int
}

// command stands where the real one is: its part of the contract is its exit codes.
const command = `#!/bin/sh
test "$RAILYARD_TOKEN" = s3cr3t && test "$RAILYARD_URL" = http://railyard.example || exit 9
echo "$@" >> "$YARD/calls"
case $1 in
publish) for file; do :; done; cp "$file" "$YARD/package-$BUILD_NUMBER.tar.gz" ;;
outcome) cat "$YARD/says-$5" 2>/dev/null || echo "PASSED 9 $5 is passed" ;;
esac
exit "$(cat "$YARD/$1" 2>/dev/null || echo 0)"
`

func newYard(t *testing.T, definition []byte, engine jenkinstest.Engine) *yard {
	t.Helper()
	y := &yard{t: t, dir: t.TempDir()}
	y.write("bin/railyard", command)
	s, err := jenkinstest.Start(jenkinstest.Options{
		Dir: t.TempDir(), Engine: engine, RootURL: jenkinstest.RootURLAuto,
		Users: []jenkinstest.User{
			{Name: "railyard", Token: "railyard-token", Permissions: []string{"Overall/Administer"}},
			{Name: "li", Token: "li-token", Permissions: []string{"Overall/Administer"}},
		},
		Credentials: map[string]jenkinstest.Credential{"railyard-token": {Secret: "s3cr3t"}},
		Env: map[string]string{
			"RAILYARD_URL": "http://railyard.example", "YARD": y.dir,
			"PATH": filepath.Join(y.dir, "bin") + ":" + os.Getenv("PATH"),
		},
		Secrets: map[string]string{"RAILYARD_TOKEN": "s3cr3t"},
	})
	if err != nil {
		t.Fatal(err)
	}
	y.s = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	log := logrus.New()
	log.SetOutput(io.Discard)
	if y.client, err = jenkins.New(jenkins.Config{Name: "test", URL: s.URL, User: "railyard", Token: "railyard-token"}, log); err != nil {
		t.Fatal(err)
	}
	if _, err := y.client.EnsureJob(t.Context(), job, definition); err != nil {
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

// start asks for a build of a commit.
func (y *yard) start(commit string) jenkins.Ask {
	y.t.Helper()
	return y.trigger(map[string]string{
		"APP": "hotel-api", "REPO_URL": "file://" + filepath.Join(y.dir, "repo"), "BRANCH": "release/1.0", "COMMIT": commit,
	})
}

// trigger asks for a build with parameters, to which it adds the deployment id.
func (y *yard) trigger(parameters map[string]string) jenkins.Ask {
	y.t.Helper()
	y.triggers++
	id := "d" + string(rune('0'+y.triggers))
	parameters[jenkins.DeploymentParam] = id
	queueID, err := y.client.Trigger(y.t.Context(), job, parameters)
	if err != nil {
		y.t.Fatal(err)
	}
	return jenkins.Ask{Job: job, Deployment: id, QueueID: queueID}
}

// run builds a commit and returns the finished build with its console.
func (y *yard) run(commit string) (jenkins.Build, string) {
	y.t.Helper()
	return y.end(y.start(commit))
}

func (y *yard) end(a jenkins.Ask) (b jenkins.Build, console string) {
	y.t.Helper()
	y.eventually("the build's end", func() bool {
		var err error
		if b, err = y.client.Find(y.t.Context(), a); err != nil {
			y.t.Fatal(err)
		}
		return b.Done()
	})
	return b, y.console(b.Number)
}

func (y *yard) console(number int64) string {
	y.t.Helper()
	text, _, _, err := y.client.Log(y.t.Context(), job, number, 0)
	if err != nil {
		y.t.Fatal(err)
	}
	return string(text)
}

func (y *yard) eventually(what string, holds func() bool) {
	y.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			y.t.Fatalf("did not come: %s", what)
		}
	}
}

func (y *yard) calls() string {
	text, err := os.ReadFile(filepath.Join(y.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		y.t.Fatal(err)
	}
	return string(text)
}

// as posts as a person.
func (y *yard) as(person, path, form string) {
	y.t.Helper()
	body := url.Values{}
	if form != "" {
		body.Set("json", form)
	}
	if status := y.ask(http.MethodPost, path, person, strings.NewReader(body.Encode()), nil); status >= 400 {
		y.t.Fatalf("POST %s = %d", path, status)
	}
}

func (y *yard) get(path string, into any) {
	y.t.Helper()
	if status := y.ask(http.MethodGet, path, "railyard", nil, into); status != http.StatusOK {
		y.t.Fatalf("GET %s = %d", path, status)
	}
}

func (y *yard) ask(method, path, person string, body io.Reader, into any) (status int) {
	y.t.Helper()
	r, err := http.NewRequestWithContext(y.t.Context(), method, y.s.URL+path, body)
	if err != nil {
		y.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(person, person+"-token")
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		y.t.Fatal(err)
	}
	defer answer.Body.Close()
	if into != nil && answer.StatusCode == http.StatusOK {
		if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
			y.t.Fatal(err)
		}
	}
	return answer.StatusCode
}
