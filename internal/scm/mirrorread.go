package scm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// MaxFile is the largest file that Mirror.File returns, in bytes.
const MaxFile = 1 << 20

// read runs f on the mirror as it is now. It tells damage from questions that have no answer.
func (m *Mirror) read(operation string, f func(*git.Repository) error) error {
	m.swap.RLock()
	defer m.swap.RUnlock()
	repo, err := m.open(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		repo, err = nil, nil
	}
	switch {
	case err == nil && repo == nil:
		err = fmt.Errorf("%w: it was not fetched yet", ErrNoCommit)
		if operation == "tip" {
			err = fmt.Errorf("%w: it was not fetched yet", ErrNoBranch)
		}
	case err == nil:
		err = f(repo)
	}
	if err == nil {
		return nil
	}
	for _, answer := range []error{ErrNoBranch, ErrNoCommit, ErrNoFile, ErrTooLarge} {
		if errors.Is(err, answer) {
			return fmt.Errorf("read %s of %s: %w", operation, m.shown, err)
		}
	}
	m.broken.Store(true)
	return fmt.Errorf("read %s of %s: %w: %w", operation, m.shown, ErrCorrupt, err)
}

// Tip returns the commit at the tip of a branch, such as "release/1.2", as of the last Fetch. Errors satisfy errors.Is with ErrNoBranch.
func (m *Mirror) Tip(branch string) (commit string, err error) {
	err = m.read("tip", func(repo *git.Repository) error {
		name := plumbing.NewBranchReferenceName(branch)
		if name.Validate() != nil {
			return fmt.Errorf("%w: %q is no name that git accepts", ErrNoBranch, branch)
		}
		ref, err := repo.Reference(name, true)
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			return fmt.Errorf("%w: %q", ErrNoBranch, branch)
		}
		if err != nil {
			return err
		}
		commit = ref.Hash().String()
		_, err = repo.CommitObject(ref.Hash()) // a tip without its commit is damage, and this is where to notice it
		return err
	})
	return commit, err
}

// Branches returns the tip of every branch by its name, as of the last Fetch.
func (m *Mirror) Branches() (branches map[string]string, err error) {
	err = m.read("branches", func(repo *git.Repository) error {
		branches, err = branchesOf(repo)
		return err
	})
	return branches, err
}

func branchesOf(repo *git.Repository) (map[string]string, error) {
	refs, err := repo.Branches()
	if err != nil {
		return nil, err
	}
	branches := map[string]string{}
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		branches[ref.Name().Short()] = ref.Hash().String()
		return nil
	})
	return branches, err
}

// File returns a file, such as ".railyard/rop.yaml", as it is in a commit. Errors satisfy errors.Is with ErrNoCommit, ErrNoFile (also for
// directories, links and submodules) or ErrTooLarge (over MaxFile).
func (m *Mirror) File(commit, path string) (content []byte, err error) {
	err = m.read("file", func(repo *git.Repository) error {
		tree, err := treeOf(repo, commit)
		if err != nil {
			return err
		}
		entry, err := find(repo, tree, path)
		if err != nil {
			return fmt.Errorf("%w: %q in %s", err, path, commit)
		}
		if entry.Mode != filemode.Regular && entry.Mode != filemode.Executable && entry.Mode != filemode.Deprecated {
			return fmt.Errorf("%w: %q in %s is no regular file (mode %s)", ErrNoFile, path, commit, entry.Mode)
		}
		blob, err := repo.BlobObject(entry.Hash)
		if err != nil {
			return err
		}
		if blob.Size > MaxFile {
			return fmt.Errorf("%w: %q in %s has %d bytes, at most %d", ErrTooLarge, path, commit, blob.Size, MaxFile)
		}
		r, err := blob.Reader()
		if err != nil {
			return err
		}
		content, err = io.ReadAll(r)
		return errors.Join(err, r.Close())
	})
	return content, err
}

// find returns the entry at a path. It looks at names as they are, where go-git's own search also minds what other systems would make of them.
func find(repo *git.Repository, tree *object.Tree, path string) (object.TreeEntry, error) {
	name, rest, deeper := strings.Cut(path, "/")
	for _, entry := range tree.Entries {
		switch {
		case entry.Name != name:
		case !deeper:
			return entry, nil
		case entry.Mode != filemode.Dir:
			return object.TreeEntry{}, ErrNoFile
		default:
			below, err := repo.TreeObject(entry.Hash)
			if err != nil {
				return object.TreeEntry{}, err
			}
			return find(repo, below, rest)
		}
	}
	return object.TreeEntry{}, ErrNoFile
}

// Changed returns the paths that differ between two commits, sorted; of a renamed file both. a == "" stands for the empty tree.
// Errors satisfy errors.Is with ErrNoCommit.
func (m *Mirror) Changed(a, b string) (paths []string, err error) {
	err = m.read("changes", func(repo *git.Repository) error {
		var from *object.Tree
		if a != "" {
			if from, err = treeOf(repo, a); err != nil {
				return err
			}
		}
		to, err := treeOf(repo, b)
		if err != nil {
			return err
		}
		changes, err := object.DiffTree(from, to)
		if err != nil {
			return err
		}
		for _, c := range changes {
			for _, name := range []string{c.From.Name, c.To.Name} {
				if name != "" {
					paths = append(paths, name)
				}
			}
		}
		slices.Sort(paths)
		paths = slices.Compact(paths)
		return nil
	})
	return paths, err
}

func treeOf(repo *git.Repository, commit string) (*object.Tree, error) {
	c, err := commitOf(repo, commit)
	if err != nil {
		return nil, err
	}
	return c.Tree()
}

// commitOf returns a commit by its full hash.
func commitOf(repo *git.Repository, hash string) (*object.Commit, error) {
	if !isHash(hash) {
		return nil, fmt.Errorf("%w: %.80q, expected a full hash", ErrNoCommit, hash)
	}
	c, err := repo.CommitObject(plumbing.NewHash(hash))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrNoCommit, hash)
	}
	return c, err
}
