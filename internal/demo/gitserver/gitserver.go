// Package gitserver is the code host: bare repositories behind git's own smart HTTP backend, with a post-receive hook
// that tells Railyard of every push, and a developer who pushes to them from a work tree with the real git.
package gitserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/demo/child"
)

const (
	// DefaultBranch is the branch that a clone checks out.
	DefaultBranch = "main"
	// requestLimit ends a fetch or push, hook included, that hangs; seconds, for timeout(1).
	requestLimit = "30"
	// bodyLimit is the largest push taken, in bytes.
	bodyLimit = 256 << 20
)

// Options describe the code host.
type Options struct {
	Dir        string             // repositories and work trees go below it
	Port       int                // loopback port to listen on; any free one when 0
	Hook       []byte             // post-receive script of every repository; none when empty
	WebhookURL string             // git config railyard.url, "http://127.0.0.1:20300/hooks/generic"
	SecretFile string             // git config railyard.secretFile, the file that holds the HMAC key
	Log        logrus.FieldLogger // receives what git's backend writes on stderr; nothing is logged when nil
}

// Server is a running code host. Its methods may be called from any goroutine.
type Server struct {
	opts    Options
	url     string // "http://127.0.0.1:20301"
	http    *http.Server
	serving sync.WaitGroup
}

// Start opens the code host. ctx bounds the start only. The caller must Close the server.
func Start(ctx context.Context, opts Options) (*Server, error) {
	for _, program := range []string{"git", "timeout"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("start git server: %w; install the packages git and coreutils", err)
		}
	}
	for _, dir := range []string{"repositories", "home", "work"} {
		if err := os.MkdirAll(filepath.Join(opts.Dir, dir), 0o755); err != nil {
			return nil, fmt.Errorf("start git server: %w", err)
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", opts.Port))
	if err != nil {
		return nil, fmt.Errorf("start git server: %w", err)
	}
	s := &Server{opts: opts, url: "http://" + listener.Addr().String()}
	s.http = &http.Server{Handler: measured(opts.Dir, s.backend()), ReadHeaderTimeout: 10 * time.Second}
	s.serving.Go(func() { _ = s.http.Serve(listener) }) // ends with ErrServerClosed in Close
	return s, nil
}

// backend serves all repositories. timeout(1) ends the backend together with its hook: a webhook that hangs must not
// leave processes behind.
func (s *Server) backend() http.Handler {
	timeout, _ := exec.LookPath("timeout") // was found in Start
	return &cgi.Handler{
		Path: timeout,
		Args: []string{"--kill-after=1", requestLimit, "git", "http-backend"},
		Dir:  s.opts.Dir,
		Env: append(s.environ("git-server"),
			"GIT_PROJECT_ROOT="+filepath.Join(s.opts.Dir, "repositories"),
			"GIT_HTTP_EXPORT_ALL=1"),
		Stderr: discardOrLog{s.opts.Log},
	}
}

// discardOrLog writes to the log what git's backend complains about.
type discardOrLog struct{ log logrus.FieldLogger }

func (w discardOrLog) Write(text []byte) (int, error) {
	if w.log != nil {
		w.log.WithField("stderr", strings.TrimSpace(string(text))).Warn("git server")
	}
	return len(text), nil
}

// measured gives a request of unknown length one, since CGI has to announce it. git sends pushes over 1 MiB in chunks.
func measured(dir string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength >= 0 {
			next.ServeHTTP(w, r)
			return
		}
		body, err := os.CreateTemp(dir, "request-*")
		if err != nil {
			http.Error(w, "keep request: "+err.Error(), http.StatusInternalServerError)
			return
		}
		defer os.Remove(body.Name())
		defer body.Close()
		size, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, bodyLimit))
		if err == nil {
			_, err = body.Seek(0, 0)
		}
		if err != nil {
			http.Error(w, "keep request: "+err.Error(), http.StatusBadRequest)
			return
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength, r.TransferEncoding = body, size, nil
		next.ServeHTTP(w, r)
	})
}

// Close stops the code host after the pushes under way, which their limit of 30 s bounds.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop git server: %w", err), s.http.Close())
	}
	s.serving.Wait()
	return err
}

// CloneURL is where the repository is cloned from and pushed to: "http://127.0.0.1:20301/hotel/hotel-api.git".
func (s *Server) CloneURL(name string) string { return s.url + "/" + name + ".git" }

// Create makes an empty repository, "hotel/hotel-api", and returns its clone URL. Everybody on this machine may push.
func (s *Server) Create(ctx context.Context, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("create repository %q: the name must be a path like hotel/hotel-api", name)
	}
	dir := filepath.Join(s.opts.Dir, "repositories", name+".git")
	steps := [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=" + DefaultBranch, dir},
		{"-C", dir, "config", "http.receivepack", "true"},
		{"-C", dir, "config", "railyard.repository", name},
		{"-C", dir, "config", "railyard.url", s.opts.WebhookURL},
		{"-C", dir, "config", "railyard.secretFile", s.opts.SecretFile},
	}
	for _, args := range steps {
		if _, err := s.git(ctx, "git-server", args...); err != nil {
			return "", fmt.Errorf("create repository %s: %w", name, err)
		}
	}
	if len(s.opts.Hook) > 0 {
		hook := filepath.Join(dir, "hooks", "post-receive")
		if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
			return "", fmt.Errorf("create repository %s: %w", name, err)
		}
		if err := os.WriteFile(hook, s.opts.Hook, 0o755); err != nil {
			return "", fmt.Errorf("create repository %s: install hook: %w", name, err)
		}
	}
	return s.CloneURL(name), nil
}

// environ keeps git apart from the configuration of whoever runs this. person is the author of commits.
func (s *Server) environ(person string) []string {
	mail := person + "@example.invalid"
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + filepath.Join(s.opts.Dir, "home"),
		"LC_ALL=C",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=" + person, "GIT_AUTHOR_EMAIL=" + mail,
		"GIT_COMMITTER_NAME=" + person, "GIT_COMMITTER_EMAIL=" + mail,
	}
}

// git runs one git command and returns what it wrote, standard error included.
func (s *Server) git(ctx context.Context, person string, args ...string) (string, error) {
	var output strings.Builder
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = s.opts.Dir, s.environ(person)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = 2 * time.Second
	if err := child.Run(cmd); err != nil {
		return output.String(), fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(output.String()))
	}
	return output.String(), nil
}
