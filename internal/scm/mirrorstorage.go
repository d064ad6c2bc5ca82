package scm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// storage is go-git's bare repository in a directory, but it writes refs so that a reader sees the old or the new one. go-git empties the
// file and then writes it, so that a read at that moment, or after a crash there, finds a branch without a tip.
type storage struct {
	*filesystem.Storage
	path string
}

func newStorage(path string) *storage {
	files := calmFS{osfs.New(path, osfs.WithBoundOS()), path}
	return &storage{filesystem.NewStorage(files, cache.NewObjectLRU(objectCache)), path}
}

// calmFS lists directories that change meanwhile. go-git's own listing fails when a file is renamed between its name and its size are
// read, and takes that for a directory without packs: every commit would be unknown for the moment in which a fetch ends.
type calmFS struct {
	billy.Filesystem
	root string
}

// ReadDir lists what is there to stay.
func (f calmFS) ReadDir(path string) ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(filepath.Join(f.root, filepath.Clean("/"+path)))
	if err != nil {
		return nil, err
	}
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// CheckAndSetReference sets ref. There is nothing to check: a mirror has one writer.
func (s *storage) CheckAndSetReference(ref, _ *plumbing.Reference) error { return s.SetReference(ref) }

// SetReference puts a ref in place by a rename.
func (s *storage) SetReference(ref *plumbing.Reference) error {
	if ref.Type() != plumbing.HashReference {
		return s.Storage.SetReference(ref) // HEAD, once, when the mirror is made
	}
	if err := ref.Name().Validate(); err != nil {
		return fmt.Errorf("set ref %q: %w", ref.Name(), err)
	}
	temp, err := os.CreateTemp(s.path, refTemp+"*") // not below refs, where readers list everything
	if err != nil {
		return fmt.Errorf("set ref %s: %w", ref.Name(), err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(ref.Hash().String() + "\n")
	if err := errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("set ref %s: %w", ref.Name(), err)
	}
	final := filepath.Join(s.path, filepath.FromSlash(ref.Name().String()))
	if info, err := os.Stat(final); err == nil && info.IsDir() {
		removeEmptyDirs(final) // of deleted branches below this name
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o700); err != nil {
		return fmt.Errorf("set ref %s: %w", ref.Name(), err)
	}
	return os.Rename(temp.Name(), final)
}

const refTemp = "tmp-ref-"

// removeEmptyDirs removes root and the directories below it, as far as there is nothing in them.
func removeEmptyDirs(root string) {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // fails where something is left, and then so does who asked
	}
}
