package scm

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// host is a real code host: bare repositories behind git http-backend.
type host struct {
	*httptest.Server
	root   string
	before http.HandlerFunc                                             // if set, sees each request first and may answer it
	wrap   func(http.ResponseWriter, *http.Request) http.ResponseWriter // if set, gets to see what is answered
	mu     sync.Mutex
}

func newHost(t testing.TB) *host {
	t.Helper()
	gitPath, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{root: t.TempDir()}
	backend := &cgi.Handler{Path: gitPath, Args: []string{"http-backend"}, Stderr: &strings.Builder{},
		Env: []string{"GIT_PROJECT_ROOT=" + h.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		before, wrap := h.before, h.wrap
		h.mu.Unlock()
		if before != nil {
			seen := &answered{ResponseWriter: w}
			if before(seen, r); seen.yes {
				return
			}
		}
		if wrap != nil {
			w = wrap(w, r)
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *host) intercept(f http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before = f
}

func (h *host) wrapWith(f func(http.ResponseWriter, *http.Request) http.ResponseWriter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrap = f
}

// answered notes whether a handler wrote something.
type answered struct {
	http.ResponseWriter
	yes bool
}

func (a *answered) WriteHeader(code int) { a.yes = true; a.ResponseWriter.WriteHeader(code) }

// repo is a repository on the host, and a work tree that pushes to it.
type repo struct {
	t    testing.TB
	bare string
	work string
	url  string
	now  time.Time // date of the next commit
}

func (h *host) newRepo(t testing.TB, name string) *repo {
	t.Helper()
	r := &repo{t: t, bare: filepath.Join(h.root, name+".git"), work: filepath.Join(t.TempDir(), "work"), url: h.URL + "/" + name + ".git",
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.run(h.root, "init", "-q", "--bare", "-b", "main", r.bare)
	r.run(h.root, "init", "-q", "-b", "main", r.work)
	r.git("remote", "add", "origin", r.bare)
	return r
}

func (r *repo) run(dir string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	date := r.now.Format(time.RFC3339)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=Bob", "GIT_COMMITTER_EMAIL=bob@example.com", "GIT_COMMITTER_DATE="+date)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) git(args ...string) string { r.t.Helper(); return r.run(r.work, args...) }

// write puts a file into the work tree.
func (r *repo) write(path, content string) {
	r.t.Helper()
	full := filepath.Join(r.work, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

// commit commits everything, a minute after the commit before, and returns its hash.
func (r *repo) commit(message string) string {
	r.t.Helper()
	r.now = r.now.Add(time.Minute)
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

func (r *repo) push(refspecs ...string) {
	r.t.Helper()
	r.git(append([]string{"push", "-q", "--force", "origin"}, refspecs...)...)
}

// truth is what the repository has, as git itself says.
func (r *repo) truth() map[string]string {
	branches := map[string]string{}
	for line := range strings.Lines(r.run(r.bare, "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads")) {
		hash, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		branches[name] = hash
	}
	return branches
}

func fetch(t testing.TB, m *Mirror) {
	t.Helper()
	if err := m.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// same compares the mirror with the repository, and reads all its history.
func (r *repo) same(m *Mirror) error {
	got, err := m.Branches()
	if err != nil {
		return err
	}
	want := r.truth()
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("branches differ: %s", diff)
	}
	for branch, hash := range want {
		tip, err := m.Tip(branch)
		if err != nil || tip != hash {
			return fmt.Errorf("tip of %s: %s, want %s: %w", branch, tip, hash, err)
		}
		paths, err := m.Changed("", tip)
		if err != nil {
			return err
		}
		for _, path := range paths {
			if _, err := m.File(tip, path); err != nil && !errors.Is(err, ErrNoFile) && !errors.Is(err, ErrTooLarge) {
				return err
			}
		}
	}
	return nil
}

// pdeathsig ends a child with its parent.
func pdeathsig(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
