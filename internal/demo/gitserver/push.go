package gitserver

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Change is one commit that a developer pushes.
type Change struct {
	Repository string // "hotel/hotel-api"
	Branch     string // "release/1.4"; grows from the default branch when it is new
	Author     string // a role, "release-engineer"
	Message    string // "hotel-api: 1.4.1"
	// Files are written over the tree, by path. Content that begins with "#!" becomes executable.
	Files map[string]string
}

// Pushed is what came of a push.
type Pushed struct {
	Commit   string        // "9b1c…", 40 hex digits
	Began    time.Time     // when git push was started
	Duration time.Duration // of git push, hook included
	Output   string        // what git push wrote, with the hook's lines after "remote: "
}

// Push clones the repository, commits the change (also when it changes no file: a retry is a new commit) and pushes it
// over HTTP.
func (s *Server) Push(ctx context.Context, c Change) (Pushed, error) {
	pushed, err := s.push(ctx, c)
	if err != nil {
		return pushed, fmt.Errorf("push to %s of %s: %w", c.Branch, c.Repository, err)
	}
	return pushed, nil
}

func (s *Server) push(ctx context.Context, c Change) (Pushed, error) {
	tree, err := os.MkdirTemp(filepath.Join(s.opts.Dir, "work"), "tree-*")
	if err != nil {
		return Pushed{}, err
	}
	defer os.RemoveAll(tree)
	if _, err := s.git(ctx, c.Author, "clone", "--quiet", s.CloneURL(c.Repository), tree); err != nil {
		return Pushed{}, err
	}
	if err := s.checkout(ctx, c, tree); err != nil {
		return Pushed{}, err
	}
	if err := write(tree, c.Files); err != nil {
		return Pushed{}, err
	}
	for _, args := range [][]string{
		{"-C", tree, "add", "--all"},
		{"-C", tree, "commit", "--quiet", "--allow-empty", "--message", c.Message},
	} {
		if _, err := s.git(ctx, c.Author, args...); err != nil {
			return Pushed{}, err
		}
	}
	commit, err := s.git(ctx, c.Author, "-C", tree, "rev-parse", "HEAD")
	if err != nil {
		return Pushed{}, err
	}
	pushed := Pushed{Commit: strings.TrimSpace(commit), Began: time.Now()}
	pushed.Output, err = s.git(ctx, c.Author, "-C", tree, "push", "origin", "HEAD:refs/heads/"+c.Branch)
	pushed.Duration = time.Since(pushed.Began)
	return pushed, err
}

// DeleteBranch pushes the deletion of a branch, as author.
func (s *Server) DeleteBranch(ctx context.Context, repository, branch, author string) error {
	tree, err := os.MkdirTemp(filepath.Join(s.opts.Dir, "work"), "tree-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	if _, err = s.git(ctx, author, "clone", "--quiet", "--bare", s.CloneURL(repository), tree); err == nil {
		_, err = s.git(ctx, author, "-C", tree, "push", "origin", ":refs/heads/"+branch)
	}
	if err != nil {
		return fmt.Errorf("delete %s of %s: %w", branch, repository, err)
	}
	return nil
}

// checkout puts the work tree on the branch: as it is at the code host, else grown from the default branch, else empty.
func (s *Server) checkout(ctx context.Context, c Change, tree string) error {
	heads, err := s.git(ctx, c.Author, "-C", tree, "for-each-ref", "--format=%(refname)", "refs/remotes/origin")
	if err != nil {
		return err
	}
	known := strings.Fields(heads)
	args := []string{"symbolic-ref", "HEAD", "refs/heads/" + c.Branch}
	switch {
	case slices.Contains(known, "refs/remotes/origin/"+c.Branch):
		args = []string{"checkout", "--quiet", "-B", c.Branch, "origin/" + c.Branch}
	case slices.Contains(known, "refs/remotes/origin/"+DefaultBranch):
		args = []string{"checkout", "--quiet", "--no-track", "-B", c.Branch, "origin/" + DefaultBranch}
	}
	_, err = s.git(ctx, c.Author, append([]string{"-C", tree}, args...)...)
	return err
}

func write(tree string, files map[string]string) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if !filepath.IsLocal(path) {
			return fmt.Errorf("write %q: the path must stay inside the work tree", path)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(files[path], "#!") {
			mode = 0o755
		}
		name := filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(files[path]), mode); err != nil {
			return err
		}
	}
	return nil
}
