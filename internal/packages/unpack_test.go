package packages

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// entry is one member of a hand-made archive.
type entry struct {
	name, link, content string
	kind                byte
	mode                int64
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: e.mode, Size: int64(len(e.content))}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpackRefusesHostileArchives(t *testing.T) {
	limits := Limits{MaxBytes: 64 << 10, MaxEntries: 10}
	many := make([]entry, 11)
	for i := range many {
		many[i] = entry{name: fmt.Sprint(i)}
	}
	zeros := strings.Repeat("0", 65<<10)
	good := archive(t, entry{name: "a", content: "hello"})
	cases := []struct {
		rule  string
		input []byte
		want  error
		names string // what the message must name
	}{
		{"a path that climbs", archive(t, entry{name: "../evil"}), ErrUnsafePath, `"../evil"`},
		{"a path that climbs later", archive(t, entry{name: "a/../../evil"}), ErrUnsafePath, "evil"},
		{"a path that climbs and comes back", archive(t, entry{name: "a/../b"}), ErrUnsafePath, "a/../b"},
		{"an absolute path", archive(t, entry{name: "/etc/evil"}), ErrUnsafePath, "/etc/evil"},
		{"a directory that climbs", archive(t, entry{name: "../d/", kind: tar.TypeDir}), ErrUnsafePath, "../d/"},
		{"an endless path", archive(t, entry{name: strings.Repeat("a/", 600), kind: tar.TypeDir}), ErrUnsafePath, "a/a/"},
		{"a deep path", archive(t, entry{name: strings.Repeat("a/", 101) + "b"}), ErrUnsafePath, "a/a/"},
		{"a link that climbs", archive(t, entry{name: "l", link: "../x", kind: tar.TypeSymlink}), ErrUnsafePath, `"l"`},
		{"a link that climbs from below", archive(t, entry{name: "d/l", link: "../../x", kind: tar.TypeSymlink}), ErrUnsafePath, `"d/l"`},
		{"a link to an absolute path", archive(t, entry{name: "l", link: "/etc", kind: tar.TypeSymlink}), ErrUnsafePath, "/etc"},
		{"a link to nothing", archive(t, entry{name: "l", kind: tar.TypeSymlink}), ErrUnsafePath, `"l"`},
		{"links that climb together", archive(t,
			entry{name: "a/b/top", link: "../..", kind: tar.TypeSymlink},
			entry{name: "a/b/l", link: "top/..", kind: tar.TypeSymlink}), ErrUnsafePath, `"a/b/l"`},
		{"a file through a link", archive(t,
			entry{name: "d/", kind: tar.TypeDir, mode: 0o755},
			entry{name: "l", link: "d", kind: tar.TypeSymlink}, entry{name: "l/x"}), ErrUnsafePath, `"l/x"`},
		{"a file over a link", archive(t,
			entry{name: "l", link: "x", kind: tar.TypeSymlink}, entry{name: "l", content: "evil"}), ErrDuplicate, `"l"`},
		{"a hard link that climbs", archive(t, entry{name: "h", link: "../x", kind: tar.TypeLink}), ErrUnsafePath, `"h"`},
		{"a hard link to an absolute path", archive(t, entry{name: "h", link: "/etc/passwd", kind: tar.TypeLink}), ErrUnsafePath, "/etc/passwd"},
		{"a hard link to a symbolic link", archive(t,
			entry{name: "l", link: "x", kind: tar.TypeSymlink}, entry{name: "h", link: "l", kind: tar.TypeLink}), ErrUnsafePath, `"h"`},
		{"a hard link to itself", archive(t, entry{name: "h", link: "h", kind: tar.TypeLink}), ErrUnsafePath, `"h"`},
		{"a character device", archive(t, entry{name: "null", kind: tar.TypeChar}), ErrUnsafeType, "null"},
		{"a block device", archive(t, entry{name: "sda", kind: tar.TypeBlock}), ErrUnsafeType, "sda"},
		{"a FIFO", archive(t, entry{name: "pipe", kind: tar.TypeFifo}), ErrUnsafeType, "pipe"},
		{"two files of one name", archive(t, entry{name: "a"}, entry{name: "a"}), ErrDuplicate, `"a"`},
		{"two spellings of one name", archive(t, entry{name: "a"}, entry{name: ".//a"}), ErrDuplicate, `".//a"`},
		{"two directories of one name", archive(t, entry{name: "d/", kind: tar.TypeDir}, entry{name: "d/", kind: tar.TypeDir}), ErrDuplicate, "d/"},
		{"a file that is a directory", archive(t, entry{name: "d/x"}, entry{name: "d"}), ErrDuplicate, `"d"`},
		{"a directory that is a file", archive(t, entry{name: "d"}, entry{name: "d/x"}), ErrDuplicate, `"d/x"`},
		{"the directory itself as a file", archive(t, entry{name: "."}), ErrDuplicate, `"."`},
		{"too many files", archive(t, many...), ErrTooMany, `"10"`},
		{"too many implied directories", archive(t, entry{name: "1/2/3/4/5/6/7/8/9/10/11"}), ErrTooMany, "1/2/3"},
		{"a size bomb", archive(t, entry{name: "bomb", content: zeros}), ErrTooLarge, "bomb"},
		{"a size bomb in parts", archive(t, entry{name: "a", content: zeros[:40<<10]}, entry{name: "b", content: zeros[:40<<10]}), ErrTooLarge, `"b"`},
		{"a size bomb behind the end", append(bytes.Clone(good), gzipped(t, zeros)...), ErrTooLarge, ""},
		{"a sparse file larger than the archive", sparseBomb(t), ErrTooLarge, "sparse"},
		{"a cut archive", good[:len(good)-10], ErrNotArchive, ""},
		{"a wrong checksum", append(bytes.Clone(good[:len(good)-8]), make([]byte, 8)...), ErrNotArchive, ""},
		{"bytes behind the end", append(bytes.Clone(good), "junk"...), ErrNotArchive, ""},
		{"no gzip", []byte("hello"), ErrNotArchive, ""},
		{"no tar", gzipped(t, strings.Repeat("hello", 1000)), ErrNotArchive, ""},
		{"nothing", nil, ErrNotArchive, ""},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "release")
			err := Unpack(bytes.NewReader(c.input), dir, limits)
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.names) {
				t.Errorf("err = %v, want %v naming %s", err, c.want, c.names)
			}
			if left := tree(t, parent); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func gzipped(t testing.TB, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	if _, err := io.WriteString(gz, content); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sparseBomb is an archive of a file of 1 GiB that holds nothing, as GNU tar makes it.
func sparseBomb(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "sparse"))
	if err == nil {
		err = errors.Join(f.Truncate(1<<30), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tar", "--sparse", "--format=pax", "-C", dir, "-cz", "sparse").Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUnpackRefusesADirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(bytes.NewReader(archive(t, entry{name: "a"})), dir, Limits{}); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("err = %v, want ErrNotEmpty", err)
	}
	if got := tree(t, dir); len(got) != 1 {
		t.Errorf("the directory holds %v", got)
	}
}

func TestUnpackPassesTheReadersErrorOn(t *testing.T) {
	good := archive(t, entry{name: "a", content: strings.Repeat("hello", 1000)})
	dir := filepath.Join(t.TempDir(), "release")
	r := io.MultiReader(bytes.NewReader(good), iotest.ErrReader(ErrCorrupt)) // a verifying reader, at its very end
	if err := Unpack(r, dir, Limits{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("err = %v, want ErrCorrupt", err)
	}
	if got := tree(t, dir); len(got) != 0 {
		t.Errorf("the directory holds %v", got)
	}
}

func TestUnpackKeepsModesWithoutSetuid(t *testing.T) {
	dir := t.TempDir()
	err := Unpack(bytes.NewReader(archive(t,
		entry{name: "./", kind: tar.TypeDir, mode: 0o750},
		entry{name: "bin/run", mode: 0o4755},
		entry{name: "bin/group", mode: 0o2711},
		entry{name: "secret", mode: 0o400},
		entry{name: "open", mode: 0o666},
		entry{name: "sticky/", kind: tar.TypeDir, mode: 0o1777},
		entry{name: "closed/", kind: tar.TypeDir, mode: 0o055},
		entry{name: "closed/x"},
		entry{name: "current", link: "bin", kind: tar.TypeSymlink},
		entry{name: "bin/up", link: "../secret", kind: tar.TypeSymlink},
		entry{name: "same", link: "bin/run", kind: tar.TypeLink},
	)), dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		".": "drwxr-x---", "bin": "drwxr-xr-x", "bin/run": "-rwxr-xr-x ", "bin/group": "-rwx--x--x ", "secret": "-r-------- ",
		"open": "-rw-rw-rw- ", "sticky": "drwxrwxrwx", "closed": "drwxr-xr-x", "closed/x": "-rw-r--r-- ", "current": "-> bin",
		"bin/up": "-> ../secret", "same": "-rwxr-xr-x ",
	}
	got := tree(t, dir)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	got["."] = info.Mode().String()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// tree describes everything below dir: mode and content of files, target of links.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch info.Mode().Type() {
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			found[name] = "-> " + target
			return err
		case fs.ModeDir:
			found[name] = info.Mode().String()
		default:
			content, err := os.ReadFile(path)
			found[name] = info.Mode().String() + " " + string(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// grow makes a random tree below dir.
func grow(t *rapid.T, dir string, depth int) {
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z0-9 ._旅"'\\-]{1,12}`).Filter(func(s string) bool {
		return s != "." && s != ".."
	}), 0, 5, rapid.ID).Draw(t, "names") {
		path := filepath.Join(dir, name)
		var err error
		switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
		case kind == 0 && depth > 0:
			mode := fs.FileMode(rapid.IntRange(0, 0o77).Draw(t, "mode")) | 0o700
			if err = os.Mkdir(path, 0o700); err == nil {
				grow(t, path, depth-1)
				err = os.Chmod(path, mode)
			}
		case kind == 1:
			err = os.Symlink(strings.Repeat("../", rapid.IntRange(0, 3-depth).Draw(t, "up"))+"some/where", path)
		default:
			mode := fs.FileMode(rapid.IntRange(0, 0o777).Draw(t, "mode")) | 0o400
			if err = os.WriteFile(path, rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "content"), 0o600); err == nil {
				err = os.Chmod(path, mode)
			}
		}
		if err != nil {
			t.Fatalf("grow: %v", err)
		}
	}
}

func TestUnpackUndoesPack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatalf("%v", err)
		}
		src, dst, copied := filepath.Join(dir, "src"), filepath.Join(dir, "dst"), filepath.Join(dir, "copy")
		if err := os.Mkdir(src, 0o700); err != nil {
			rt.Fatalf("%v", err)
		}
		grow(rt, src, 3)
		var first, second bytes.Buffer
		if err := Pack(&first, src); err != nil {
			rt.Fatalf("%v", err)
		}
		if err := Unpack(bytes.NewReader(first.Bytes()), dst, Limits{}); err != nil {
			rt.Fatalf("%v", err)
		}
		if diff := cmp.Diff(tree(t, src), tree(t, dst)); diff != "" {
			rt.Fatalf("%s", diff)
		}
		// Another copy with other times has the same bytes.
		if err := os.Rename(dst, copied); err != nil {
			rt.Fatalf("%v", err)
		}
		if err := os.Chtimes(copied, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
			rt.Fatalf("%v", err)
		}
		if err := Pack(&second, copied); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			rt.Fatalf("two packs of one tree differ (%v)", err)
		}
	})
}

// TestNothingGetsOut unpacks random hostile archives: whatever the entries, nothing appears or leads outside the directory.
func TestNothingGetsOut(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "a", "b", ".", "..", "..", "", "a/b", "/"})
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.Map(rapid.SliceOfN(part, 1, 6), func(p []string) string { return strings.Join(p, "/") })
		var entries []entry
		for range rapid.IntRange(1, 8).Draw(rt, "entries") {
			e := entry{name: path.Draw(rt, "name"), link: path.Draw(rt, "link"), mode: 0o755,
				kind: rapid.SampledFrom([]byte{tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeSymlink, tar.TypeLink}).Draw(rt, "kind")}
			if e.kind == tar.TypeReg {
				e.name, e.link, e.content = strings.TrimRight(e.name, "/"), "", "x"
			}
			entries = append(entries, e)
		}
		parent, err := os.MkdirTemp(t.TempDir(), "out")
		if err != nil {
			rt.Fatalf("%v", err)
		}
		dir := filepath.Join(parent, "release")
		unpackErr := Unpack(bytes.NewReader(archive(t, entries...)), dir, Limits{})
		if around, err := os.ReadDir(parent); err != nil || len(around) != 1 {
			rt.Fatalf("beside the directory: %v %v", around, err)
		}
		for name := range tree(t, dir) {
			if unpackErr != nil {
				rt.Fatalf("%s is left after %v", name, unpackErr)
			}
			real, err := filepath.EvalSymlinks(filepath.Join(dir, name))
			if err == nil && real != dir && !strings.HasPrefix(real, dir+"/") {
				rt.Fatalf("%s leads to %s", name, real)
			}
		}
	})
}

func TestPackRefusesWhatUnpackWould(t *testing.T) {
	dir := t.TempDir()
	if err := exec.Command("mkfifo", filepath.Join(dir, "pipe")).Run(); err != nil {
		t.Fatal(err)
	}
	if err := Pack(io.Discard, dir); !errors.Is(err, ErrUnsafeType) || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("err = %v, want ErrUnsafeType naming pipe", err)
	}
	if err := Pack(io.Discard, filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v, want fs.ErrNotExist", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, entry{name: "d/a", content: "x"}, entry{name: "l", link: "d", kind: tar.TypeSymlink}))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = Unpack(bytes.NewReader(data), t.TempDir(), Limits{MaxBytes: 1 << 20, MaxEntries: 100})
	})
}
