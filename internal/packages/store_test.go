package packages

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

func open(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// files lists all files below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func name(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestStoreKeepsWhatWasPut(t *testing.T) {
	for _, scheme := range []string{"mem", "file"} {
		t.Run(scheme, func(t *testing.T) {
			url := "mem://"
			if scheme == "file" {
				url = "file://" + filepath.Join(t.TempDir(), "not", "there yet")
			}
			s := open(t, strings.ReplaceAll(url, " ", "%20"))
			for _, content := range []string{"", "hello", strings.Repeat("x", 1<<20)} {
				for range 2 { // the second time is no error
					digest, size, err := s.Put(t.Context(), strings.NewReader(content), 1<<20)
					if err != nil || digest != name(content) || size != int64(len(content)) {
						t.Fatalf("Put: %s %d %v", digest, size, err)
					}
				}
				if size, err := s.Stat(t.Context(), name(content)); err != nil || size != int64(len(content)) {
					t.Errorf("Stat: %d %v", size, err)
				}
				r, size, err := s.Open(t.Context(), name(content))
				if err != nil || size != int64(len(content)) {
					t.Fatalf("Open: %d %v", size, err)
				}
				got, err := io.ReadAll(r)
				if err != nil || string(got) != content || r.Close() != nil {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
			}
		})
	}
}

func TestStoreErrors(t *testing.T) {
	s := open(t, "mem://")
	for digest, want := range map[string]error{
		name("absent"):                           ErrNotFound,
		"":                                       ErrBadDigest,
		"sha256:":                                ErrBadDigest,
		"sha256:../../../../etc/passwd":          ErrBadDigest,
		strings.ToUpper(name("x")):               ErrBadDigest,
		"sha256:" + strings.Repeat("A", 64):      ErrBadDigest,
		strings.TrimPrefix(name("x"), "sha256:"): ErrBadDigest,
		name("x") + "0":                          ErrBadDigest,
	} {
		if _, _, err := s.Open(t.Context(), digest); !errors.Is(err, want) {
			t.Errorf("Open(%q): err = %v, want %v", digest, err, want)
		}
		if _, err := s.Stat(t.Context(), digest); !errors.Is(err, want) {
			t.Errorf("Stat(%q): err = %v, want %v", digest, err, want)
		}
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	cut := errors.New("connection cut")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		rule string
		ctx  context.Context
		r    io.Reader
		want error
	}{
		{"a cut stream", t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(cut)), cut},
		{"one byte too many", t.Context(), strings.NewReader("123456789"), ErrTooLarge},
		{"a cancelled request", cancelled, strings.NewReader("1"), context.Canceled},
	} {
		t.Run(c.rule, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, "file://"+dir)
			if _, _, err := s.Put(c.ctx, c.r, 8); !errors.Is(err, c.want) {
				t.Errorf("err = %v, want %v", err, c.want)
			}
			if left := files(t, dir); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestPutSpoolsWithoutAName(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	looked := false
	r := io.MultiReader(strings.NewReader("first half"), readerFunc(func([]byte) (int, error) {
		looked = true
		if left := files(t, dir); len(left) > 0 {
			t.Errorf("a kill now would leave %q", left)
		}
		return 0, io.EOF
	}))
	if _, _, err := s.Put(t.Context(), r, 100); err != nil || !looked {
		t.Errorf("%v, looked %v", err, looked)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReaderTellsCorruption(t *testing.T) {
	for rule, damage := range map[string]func([]byte) []byte{
		"a flipped bit":   func(b []byte) []byte { b[3] ^= 1; return b },
		"a missing end":   func(b []byte) []byte { return b[:len(b)-1] },
		"an empty file":   func([]byte) []byte { return nil },
		"bytes at an end": func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(rule, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, "file://"+dir)
			digest, _, err := s.Put(t.Context(), strings.NewReader("some package"), 100)
			if err != nil {
				t.Fatal(err)
			}
			stored := files(t, dir)
			if len(stored) != 1 {
				t.Fatalf("files %q, want one", stored)
			}
			if err := os.WriteFile(stored[0], damage([]byte("some package")), 0o644); err != nil {
				t.Fatal(err)
			}
			r, _, err := s.Open(t.Context(), digest)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := io.ReadAll(r); !errors.Is(err, ErrCorrupt) {
				t.Errorf("err = %v, want ErrCorrupt", err)
			}
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("read on: err = %v, want ErrCorrupt", err)
			}

			// Putting the package again repairs it.
			if _, _, err := s.Put(t.Context(), strings.NewReader("some package"), 100); err != nil {
				t.Fatal(err)
			}
			if err := s.verify(t.Context(), Digest(digest)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConcurrentPutsOfOnePackage(t *testing.T) {
	s := open(t, "file://"+t.TempDir())
	content := strings.Repeat("package", 100_000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			digest, _, err := s.Put(t.Context(), strings.NewReader(content), 1<<20)
			if err == nil {
				err = s.verify(t.Context(), Digest(digest))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenSweepsOldLeftOvers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	if _, _, err := s.Put(t.Context(), strings.NewReader("kept"), 100); err != nil {
		t.Fatal(err)
	}
	kept := files(t, dir)[0]
	old, young := kept+".18a.tmp", kept+".18b.tmp"
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	if err := errors.Join(os.Chtimes(old, yesterday, yesterday), os.Chtimes(kept, yesterday, yesterday)); err != nil {
		t.Fatal(err)
	}
	open(t, "file://"+dir)
	if got := files(t, dir); !slices.Equal(got, []string{kept, young}) {
		t.Errorf("after the sweep: %q", got)
	}
}

func TestRelativeDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	s := open(t, "file://./pkg")
	digest, _, err := s.Put(t.Context(), strings.NewReader("x"), 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join("pkg", Digest(digest).key())); err != nil {
		t.Error(err)
	}
}

func TestDigest(t *testing.T) {
	d, err := ParseDigest(name("foo"))
	if err != nil || d.Short() != "2c26b46b68ff" || d.String() != name("foo") {
		t.Errorf("%q %q %v", d, d.Short(), err)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if d, err := ParseDigest(s); err == nil && (len(d) != 71 || string(d) != s) || err != nil && !errors.Is(err, ErrBadDigest) {
			t.Fatalf("%q: %q %v", s, d, err)
		}
		_ = Digest(s).Short() // never panics
	})
}

func TestPutIsNamedByItsBytes(t *testing.T) {
	s := open(t, "mem://")
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOf(rapid.Byte()).Draw(rt, "content")
		digest, _, err := s.Put(t.Context(), iotest.HalfReader(bytes.NewReader(content)), 1<<20)
		if err != nil || digest != name(string(content)) {
			rt.Fatalf("%s %v", digest, err)
		}
	})
}
