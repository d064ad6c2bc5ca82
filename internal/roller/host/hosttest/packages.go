package hosttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"railyard/internal/packages"
)

// Packages is a package store in a directory, which other processes can open too. It does not verify what it reads.
type Packages struct {
	Dir   string
	Opens atomic.Int64 // calls of Open in this process
}

// NewPackages returns an empty store that ends with the test.
func NewPackages(t *testing.T) *Packages { return &Packages{Dir: t.TempDir()} }

// Open implements deploy.Packages.
func (p *Packages) Open(_ context.Context, digest string) (io.ReadCloser, int64, error) {
	p.Opens.Add(1)
	f, err := os.Open(filepath.Join(p.Dir, digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("open package %s: %w", digest, packages.ErrNotFound)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open package: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// entry is one entry of an archive.
type entry struct {
	name, content string
	link          string // a symbolic link to there
}

// add packs the entries and returns the digest.
func (p *Packages) add(t *testing.T, entries ...entry) string {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	w := tar.NewWriter(gz)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.content)), Mode: 0o755}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(buf.Bytes())
	digest := "sha256:" + hex.EncodeToString(sum[:])
	p.put(t, digest, buf.Bytes())
	return digest
}

// put stores content under a digest, right or wrong.
func (p *Packages) put(t *testing.T, digest string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.Dir, digest), content, 0o600); err != nil { //nolint:gosec // a test's own directory
		t.Fatal(err)
	}
}
