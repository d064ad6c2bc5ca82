package hook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"railyard/internal/scm"
	"railyard/internal/scm/hook"
)

const secret = "It's a \"secret\" to $everybody\\ %s"

// receiver is a Railyard that only knows the generic provider. It answers the codes of answers in turn, the last one for ever.
type receiver struct {
	*httptest.Server
	mu         sync.Mutex
	answers    []int
	pushes     []scm.Push
	deliveries []string
	errs       []error
}

func newReceiver(t *testing.T, answers ...int) *receiver {
	t.Helper()
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := scm.ReadBody(req.Body, scm.DefaultMaxBody)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	push, err := scm.Receive(scm.Providers()["generic"], req.Header, body, []byte(secret))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deliveries = append(r.deliveries, req.Header.Get("X-Railyard-Delivery"))
	if err != nil {
		r.errs = append(r.errs, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.pushes = append(r.pushes, push)
	w.WriteHeader(r.answers[0])
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
}

// run runs a command that must succeed and returns all it printed.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "REMOTE_USER=alice",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// newRepos returns a bare repository with the hook installed and configured, and a clone of it with one commit, not pushed.
func newRepos(t *testing.T, url string) (bare, work string) {
	t.Helper()
	dir := t.TempDir()
	bare, work = filepath.Join(dir, "hotel-api.git"), filepath.Join(dir, "work")
	run(t, dir, "git", "init", "-q", "--bare", bare)
	script := filepath.Join(bare, "hooks", "post-receive")
	key := filepath.Join(dir, "key")
	for path, content := range map[string]string{script: hook.Script(), key: secret + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"url": url, "repository": "hotel/hotel-api", "secretFile": key,
		"cloneUrl": "https://git.example.com/hotel/hotel-api.git", "timeout": "5", "retryDelay": "0"} {
		run(t, bare, "git", "config", "railyard."+name, value)
	}
	run(t, dir, "git", "clone", "-q", "file://"+bare, work)
	run(t, work, "git", "commit", "-q", "--allow-empty", "-m", "first")
	return bare, work
}

func TestPushIsAnnouncedAsItHappened(t *testing.T) {
	r := newReceiver(t, http.StatusAccepted)
	_, work := newRepos(t, r.URL)
	first := strings.TrimSpace(run(t, work, "git", "rev-parse", "HEAD"))
	branch := `release/1.2-"quoted"-旅`

	out := run(t, work, "git", "push", "-q", "origin", "HEAD:refs/heads/"+branch, "HEAD:refs/tags/v1")
	if !strings.Contains(out, "railyard: push accepted (202)") {
		t.Errorf("the pusher reads %q", out)
	}
	run(t, work, "git", "commit", "-q", "--allow-empty", "-m", "second")
	second := strings.TrimSpace(run(t, work, "git", "rev-parse", "HEAD"))
	run(t, work, "git", "push", "-q", "origin", "HEAD:refs/heads/"+branch)
	run(t, work, "git", "push", "-q", "origin", ":refs/heads/"+branch)

	change := func(before, after string) scm.Change {
		return scm.Change{Ref: "refs/heads/" + branch, RefKind: scm.Branch, Name: branch, Before: before, After: after,
			Commit: after, Created: before == "", Deleted: after == ""}
	}
	want := [][]scm.Change{
		{change("", first), {Ref: "refs/tags/v1", RefKind: scm.Tag, Name: "v1", After: first, Created: true}},
		{change(first, second)},
		{change(second, "")},
	}
	var got [][]scm.Change
	for _, p := range r.pushes {
		got = append(got, p.Changes)
		if p.Repo != "hotel/hotel-api" || p.Pusher != "alice" || p.CloneURL != "https://git.example.com/hotel/hotel-api.git" {
			t.Errorf("push of %q, %q by %q", p.Repo, p.CloneURL, p.Pusher)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(r.errs) > 0 {
		t.Errorf("%v %s", r.errs, diff)
	}
	slices.Sort(r.deliveries)
	if ids := slices.Compact(r.deliveries); len(ids) != 3 || len(ids[0]) != 32 {
		t.Errorf("three pushes have the delivery ids %q", ids)
	}
}

func TestRetriesKeepTheDeliveryID(t *testing.T) {
	r := newReceiver(t, http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusAccepted)
	_, work := newRepos(t, r.URL)
	out := run(t, work, "git", "push", "-q", "origin", "HEAD:refs/heads/main")
	if !strings.Contains(out, "push accepted (202)") {
		t.Errorf("the pusher reads %q", out)
	}
	if len(r.deliveries) != 3 || r.deliveries[0] != r.deliveries[1] || r.deliveries[1] != r.deliveries[2] {
		t.Errorf("deliveries %q, want the same one three times", r.deliveries)
	}
}

func TestPushSucceedsWhateverRailyardDoes(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused.Close()
	hang := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-hang
	}))
	defer hanging.Close()
	defer close(hang)

	cases := []struct {
		rule, url string
		config    map[string]string
		attempts  int
		answer    int
		says      string
	}{
		{rule: "away", url: "http://" + refused.Addr().String(), says: "Railyard is away (no answer, 3 attempts)"},
		{rule: "hanging", url: hanging.URL, config: map[string]string{"timeout": "0.2"}, says: "Railyard is away (no answer, 3 attempts)"},
		{rule: "failing", answer: 500, attempts: 3, says: "Railyard is away (500, 3 attempts)"},
		{rule: "an unknown repository is not retried", answer: 404, attempts: 1, says: "does not know this repository (404)"},
		{rule: "another refusal is not retried", answer: 413, attempts: 1, says: "Railyard answered 413"},
		{rule: "another secret is not retried", answer: 202, attempts: 1, config: map[string]string{"secretFile": "HEAD"},
			says: "refused the signature (401)"},
		{rule: "no secret", answer: 202, config: map[string]string{"secretFile": "/nonexistent"}, says: "/nonexistent cannot be read"},
		{rule: "an empty secret", answer: 202, config: map[string]string{"secretFile": "/dev/null"}, says: "is /dev/null empty?"},
		{rule: "not set up", answer: 202, config: map[string]string{"url": ""}, says: "git config railyard.url URL"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			r := newReceiver(t, c.answer)
			if c.url == "" {
				c.url = r.URL
			}
			bare, work := newRepos(t, c.url)
			for name, value := range c.config {
				if value == "" {
					run(t, bare, "git", "config", "--unset", "railyard."+name)
				} else {
					run(t, bare, "git", "config", "railyard."+name, value)
				}
			}
			out := run(t, work, "git", "push", "-q", "origin", "HEAD:refs/heads/main") // fails the test if git does
			if !strings.Contains(out, "railyard: warning: push not announced: ") || !strings.Contains(out, c.says) {
				t.Errorf("the pusher reads %q, want %q", out, c.says)
			}
			if len(r.deliveries) != c.attempts {
				t.Errorf("%d attempts, want %d", len(r.deliveries), c.attempts)
			}
			if run(t, bare, "git", "rev-parse", "main") != run(t, work, "git", "rev-parse", "HEAD") {
				t.Error("the branch did not move")
			}
		})
	}
}

// TestSecretIsNeverAnArgument runs the hook with a PATH on which every command is first recorded: what `ps` could show.
func TestSecretIsNeverAnArgument(t *testing.T) {
	r := newReceiver(t, http.StatusAccepted)
	bare, work := newRepos(t, r.URL)
	run(t, work, "git", "push", "-q", "--no-verify", "origin", "HEAD:refs/heads/main")
	shims, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	for _, tool := range []string{"git", "openssl", "curl", "od", "tr", "sed", "id", "sleep", "printf", "echo", "cat", "head"} {
		real, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		shim := fmt.Sprintf("#!/bin/sh\n{ echo \"RAN %s $*\"; /usr/bin/env; } >>%s\nexec %s \"$@\"\n", tool, log, real)
		if err := os.WriteFile(filepath.Join(shims, tool), []byte(shim), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "hooks/post-receive")
	cmd.Dir, cmd.Env = bare, []string{"PATH=" + shims}
	cmd.Stdin = strings.NewReader(strings.Repeat("0", 40) + " " + strings.Repeat("a", 40) + " refs/heads/main\n")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "accepted (202)") {
		t.Fatalf("%v %s", err, out)
	}
	seen, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"git", "openssl", "curl", "od"} {
		if !strings.Contains(string(seen), "RAN "+tool) {
			t.Errorf("%s was not recorded, so this test proves nothing", tool)
		}
	}
	for what, s := range map[string]string{"the secret": secret, "the secret in hexadecimal": hex.EncodeToString([]byte(secret)),
		"a part of the secret": "everybody", "a part in hexadecimal": hex.EncodeToString([]byte("everybody"))} {
		if strings.Contains(string(seen), s) {
			t.Errorf("%s is an argument or in the environment of a command:\n%s", what, seen)
		}
	}
}

// TestSignatureIsHMACForAnySecret compares the shell's HMAC with Go's, in every POSIX shell of this machine.
func TestSignatureIsHMACForAnySecret(t *testing.T) {
	var got http.Header
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	bare, _ := newRepos(t, srv.URL)
	key := filepath.Join(bare, "key")
	run(t, bare, "git", "config", "railyard.secretFile", key)
	var shells []string
	for _, shell := range []string{"sh", "dash", "bash"} {
		if path, err := exec.LookPath(shell); err == nil {
			shells = append(shells, path)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 1, 200).Filter(func(b []byte) bool {
			return b[len(b)-1] != '\n' && b[len(b)-1] != '\r'
		}).Draw(t, "secret")
		end := rapid.SampledFrom([]string{"", "\n", "\r\n"}).Draw(t, "end")
		if err := os.WriteFile(key, append(slices.Clone(secret), end...), 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		cmd := exec.Command(rapid.SampledFrom(shells).Draw(t, "shell"), "hooks/post-receive")
		cmd.Dir = bare
		cmd.Stdin = strings.NewReader(strings.Repeat("0", 40) + " " + strings.Repeat("a", 40) + " refs/heads/main\n")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "accepted (202)") {
			t.Fatalf("%v %s", err, out)
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); got.Get("X-Railyard-Signature") != want {
			t.Fatalf("signature %s, want %s", got.Get("X-Railyard-Signature"), want)
		}
	})
}

func TestTenThousandRefsAreAnnouncedAtOnce(t *testing.T) {
	r := newReceiver(t, http.StatusAccepted)
	bare, _ := newRepos(t, r.URL)
	var stdin strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&stdin, "%040d %040x refs/heads/b%d\n", 0, i+1, i)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "hooks/post-receive")
	cmd.Dir, cmd.Stdin = bare, strings.NewReader(stdin.String())
	out, err := cmd.CombinedOutput()
	if err != nil || len(r.pushes) != 1 || len(r.pushes[0].Changes) != 10_000 {
		t.Errorf("%v %s: %d pushes, %v", err, out, len(r.pushes), r.errs)
	}
}
