package jenkinstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// SCM is where a Jenkinsfile comes from.
type SCM struct {
	URL        string `json:"url"`        // "https://git.example.org/hotel-api.git"
	Branch     string `json:"branch"`     // "main"
	ScriptPath string `json:"scriptPath"` // "Jenkinsfile"
	Commit     string `json:"commit"`     // what was checked out; "" before that
}

// readScript fetches the branch into dir and reads the Jenkinsfile. A build that
// is resumed keeps the script it began with.
func readScript(ctx context.Context, s SCM, dir string, resumed bool) (string, SCM, error) {
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
		}
		return strings.TrimSpace(string(out)), nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", s, fmt.Errorf("make a directory for the script: %w", err)
	}
	var err error
	if _, there := os.Stat(filepath.Join(dir, ".git")); there != nil || !resumed {
		if _, err = git("init", "-q"); err == nil {
			if _, err = git("fetch", "-q", "--depth", "1", "--", s.URL, s.Branch); err == nil {
				_, err = git("checkout", "-q", "--force", "--detach", "FETCH_HEAD")
			}
		}
	}
	if err != nil {
		return "", s, fmt.Errorf("check out %s of %s: %w", s.Branch, s.URL, err)
	}
	if s.Commit, err = git("rev-parse", "HEAD"); err != nil {
		return "", s, err
	}
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(s.ScriptPath)))
	if errors.Is(err, os.ErrNotExist) {
		return "", s, fmt.Errorf("Unable to find %s from git %s", s.ScriptPath, s.URL)
	}
	return string(text), s, err
}

// Checkout puts the revision that the build's script came from into dir, as
// `checkout scm` does, and returns what that step returns.
func (r *Run) Checkout(ctx context.Context, dir string) (map[string]string, error) {
	if r.SCM == nil {
		return nil, errors.New("‘checkout scm’ is only available when using “Multibranch Pipeline” or “Pipeline script from SCM”")
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"fetch", "-q", "--", r.SCM.URL, r.SCM.Branch},
		{"checkout", "-q", "--force", "--detach", r.SCM.Commit},
	} {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
		}
	}
	return map[string]string{
		"GIT_COMMIT": r.SCM.Commit, "GIT_BRANCH": "origin/" + r.SCM.Branch, "GIT_URL": r.SCM.URL,
	}, nil
}

// branches lists the branches of a repository.
func branches(ctx context.Context, url string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "git", "ls-remote", "--heads", "--", url).Output()
	if err != nil {
		return nil, fmt.Errorf("list the branches of %s: %w", url, err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if _, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			names = append(names, strings.TrimPrefix(ref, "refs/heads/"))
		}
	}
	return names, nil
}
