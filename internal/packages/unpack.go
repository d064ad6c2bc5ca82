package packages

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"time"
)

var (
	// ErrUnsafePath says that an entry would be, or point, outside the directory.
	ErrUnsafePath = errors.New("unsafe path")
	// ErrUnsafeType says that an entry is something that no package needs: a device, a FIFO.
	ErrUnsafeType = errors.New("unsafe type of entry")
	// ErrDuplicate says that two entries have one path.
	ErrDuplicate = errors.New("duplicate path")
	// ErrTooMany says that an archive has more entries than allowed.
	ErrTooMany = errors.New("too many entries")
	// ErrNotArchive says that the bytes are no whole tar.gz.
	ErrNotArchive = errors.New("not a tar.gz archive")
	// ErrNotEmpty says that the directory to unpack into has something in it.
	ErrNotEmpty = errors.New("directory is not empty")
)

// Limits bound what an archive may unpack to. A zero field means its default.
type Limits struct {
	MaxBytes   int64 // of the whole archive when decompressed, and of all its files; default 4 GiB
	MaxEntries int   // files, directories and links, those implied by longer paths included; default 200,000
}

const (
	defaultMaxBytes   = 4 << 30
	defaultMaxEntries = 200_000
	maxPathBytes      = 1024
	maxDepth          = 100 // directories; each step of a path costs a system call per access
)

func (l Limits) orDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = defaultMaxBytes
	}
	if l.MaxEntries <= 0 {
		l.MaxEntries = defaultMaxEntries
	}
	return l
}

// Unpack writes the files of a tar.gz below dir, which must be missing or empty. It reads r to its end, so that a verifying reader has
// its say. On any error it leaves dir as empty as it was.
//
// Files keep their permission bits but no setuid, setgid or sticky bit; directories are in addition always open to their owner, who
// must be able to remove the release. Modification times are kept, so that all servers of a pool agree on Last-Modified.
// Symbolic links must be relative and stay inside; hard links must name a file that came before.
//
// Errors name the entry and satisfy errors.Is with ErrUnsafePath, ErrUnsafeType, ErrDuplicate, ErrTooMany, ErrTooLarge, ErrNotArchive
// or ErrNotEmpty, unless the reader or the file system failed.
func Unpack(r io.Reader, dir string, limits Limits) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	if entries, err := os.ReadDir(dir); err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	} else if len(entries) > 0 {
		return fmt.Errorf("unpack into %s: %w: it has %q", dir, ErrNotEmpty, entries[0].Name())
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	defer root.Close()
	u := unpacker{root: root, limits: limits.orDefaults(), seen: map[string]kind{".": implied}, dirs: map[string]*tar.Header{}}
	if err := u.run(r); err != nil {
		return errors.Join(fmt.Errorf("unpack into %s: %w", dir, err), empty(root))
	}
	return nil
}

// kind is what a path of the archive is.
type kind int

const (
	implied kind = iota + 1 // a directory that only appeared within a longer path
	directory
	file
	symlink
)

type unpacker struct {
	root   *os.Root // every access goes through it: a second wall behind our own checks
	limits Limits
	seen   map[string]kind
	bytes  int64                  // of all files so far; a sparse file is larger than what the archive holds of it
	dirs   map[string]*tar.Header // modes and times are set last, as writing into a directory changes it
}

func (u *unpacker) run(r io.Reader) error {
	gz, err := gzip.NewReader(r)
	if err != nil {
		return notArchive(err)
	}
	plain := &cappedReader{r: gz, left: u.limits.MaxBytes}
	tr := tar.NewReader(plain)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return notArchive(err)
		}
		if err := u.entry(h, tr); err != nil {
			return fmt.Errorf("entry %.200q: %w", h.Name, err)
		}
	}
	// What follows the end mark is padding; its checksum still has to be right.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return notArchive(err)
	}
	return u.finishDirs()
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // a comment, such as git archive writes
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if err := u.parents(name); err != nil {
		return err
	}
	switch u.seen[name] {
	case 0:
	case implied:
		if h.Typeflag != tar.TypeDir {
			return fmt.Errorf("%w: it is a directory already", ErrDuplicate)
		}
	default:
		return ErrDuplicate
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(name, h)
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(name, h, content)
	case tar.TypeSymlink:
		return u.symlink(name, h.Linkname)
	case tar.TypeLink:
		return u.hardLink(name, h.Linkname)
	default:
		return fmt.Errorf("%w: %q", ErrUnsafeType, h.Typeflag)
	}
}

// note counts and remembers a path.
func (u *unpacker) note(name string, k kind) error {
	if u.seen[name] == 0 && len(u.seen) > u.limits.MaxEntries {
		return fmt.Errorf("%w: more than %d", ErrTooMany, u.limits.MaxEntries)
	}
	u.seen[name] = k
	return nil
}

// parents makes the directories above name. None of them may be a link or a file of this archive.
func (u *unpacker) parents(name string) error {
	parent := path.Dir(name)
	switch u.seen[parent] {
	case implied, directory:
		return nil
	case file:
		return fmt.Errorf("%w: %q is a file, not a directory", ErrDuplicate, parent)
	case symlink:
		return fmt.Errorf("%w: it would be written through the link %q", ErrUnsafePath, parent)
	}
	if err := u.parents(parent); err != nil {
		return err
	}
	if err := u.note(parent, implied); err != nil {
		return err
	}
	return u.root.Mkdir(parent, 0o755)
}

func (u *unpacker) directory(name string, h *tar.Header) error {
	known := u.seen[name] == implied
	if err := u.note(name, directory); err != nil {
		return err
	}
	u.dirs[name] = h
	if known {
		return nil
	}
	return u.root.Mkdir(name, 0o755)
}

func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	if h.Size > u.limits.MaxBytes-u.bytes {
		return fmt.Errorf("%w: more than %d bytes with this file", ErrTooLarge, u.limits.MaxBytes)
	}
	u.bytes += h.Size
	if err := u.note(name, file); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Chmod(permissions(h)) // after the fact, as the umask must not change it
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return notArchive(err)
	}
	return u.setTime(name, h)
}

// symlink makes a link that cannot leave the directory: all its ".." come first and there are no more than directories above it.
// With a ".." behind a name, the name could be another link, and then no one can tell from the text where it leads.
func (u *unpacker) symlink(name, target string) error {
	if target == "" || path.IsAbs(target) || len(target) > maxPathBytes || strings.ContainsRune(target, 0) {
		return fmt.Errorf("%w: link to %.200q, expected a relative path", ErrUnsafePath, target)
	}
	up, down := 0, false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			up++
			if down {
				return fmt.Errorf("%w: link to %.200q has \"..\" after a name", ErrUnsafePath, target)
			}
		default:
			down = true
		}
	}
	if up > strings.Count(name, "/") {
		return fmt.Errorf("%w: link to %.200q leaves the directory", ErrUnsafePath, target)
	}
	if err := u.note(name, symlink); err != nil {
		return err
	}
	return u.root.Symlink(target, name)
}

func (u *unpacker) hardLink(name, target string) error {
	old, err := cleanName(target)
	if err != nil {
		return fmt.Errorf("hard link to %.200q: %w", target, err)
	}
	if u.seen[old] != file {
		return fmt.Errorf("%w: hard link to %.200q, which is no file before it in the archive", ErrUnsafePath, target)
	}
	if err := u.note(name, file); err != nil {
		return err
	}
	return u.root.Link(old, name)
}

// finishDirs sets the modes and times of directories, the deepest first.
func (u *unpacker) finishDirs() error {
	names := make([]string, 0, len(u.dirs))
	for name := range u.dirs {
		names = append(names, name)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(names)))
	for _, name := range names {
		if err := u.root.Chmod(name, permissions(u.dirs[name])|0o700); err != nil {
			return err
		}
		if err := u.setTime(name, u.dirs[name]); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) setTime(name string, h *tar.Header) error {
	if h.ModTime.IsZero() || h.ModTime.Equal(time.Unix(0, 0)) {
		return nil // none recorded
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

func permissions(h *tar.Header) fs.FileMode { return h.FileInfo().Mode().Perm() }

// cleanName returns the one spelling of an entry's path: no "./", no double or trailing slash.
func cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("%w: it is empty", ErrUnsafePath)
	case path.IsAbs(name):
		return "", fmt.Errorf("%w: it is absolute", ErrUnsafePath)
	case len(name) > maxPathBytes:
		return "", fmt.Errorf("%w: it is longer than %d bytes", ErrUnsafePath, maxPathBytes)
	case strings.Count(name, "/") > maxDepth:
		return "", fmt.Errorf("%w: it is deeper than %d directories", ErrUnsafePath, maxDepth)
	case strings.ContainsRune(name, 0):
		return "", fmt.Errorf("%w: it has a zero byte", ErrUnsafePath)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("%w: it has \"..\"", ErrUnsafePath)
		}
	}
	return path.Clean(name), nil
}

// notArchive marks errors that mean damaged bytes, and leaves those of the reader and the file system alone.
func notArchive(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || isFlateCorrupt(err) {
		return fmt.Errorf("%w: %w", ErrNotArchive, err)
	}
	return err
}

// empty removes all that was unpacked.
func empty(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	for _, e := range entries {
		if err := root.RemoveAll(e.Name()); err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return nil
}

// cappedReader fails with ErrTooLarge where more than left bytes would be read.
type cappedReader struct {
	r    io.Reader
	left int64
}

func (c *cappedReader) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return n - 1, fmt.Errorf("%w when decompressed", ErrTooLarge)
	}
	return n, err
}
