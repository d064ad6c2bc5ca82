// Package packages keeps the packages that Railyard releases, and packs and unpacks them.
//
// A package is one immutable tar.gz, named by the SHA-256 of its bytes. It is built once; the same bytes go through every
// environment. The Store keeps packages in any bucket that gocloud.dev/blob can open, a directory by default. Reading a package
// verifies it, so nobody downstream has to trust the storage. Unpack is for bytes that nobody should trust: it refuses everything
// that could touch a file outside its directory.
package packages

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/memblob"  // mem://; other drivers would cost the idle service memory
	"gocloud.dev/gcerrors"
)

var (
	// ErrNotFound says that the store has no such package.
	ErrNotFound = errors.New("no such package")
	// ErrCorrupt says that the stored bytes are not those that the digest names.
	ErrCorrupt = errors.New("package is corrupt")
	// ErrTooLarge says that a package, or what it unpacks to, is over its limit.
	ErrTooLarge = errors.New("package is too large")
)

// Store keeps packages by digest. It is safe for concurrent use, also by several processes on one bucket.
type Store struct {
	bucket *blob.Bucket
	dir    string // the directory of a file:// bucket, where uploads are spooled; "" for others, which spool in os.TempDir
}

// Open opens the store at a bucket URL, such as "file:///var/lib/railyard/packages" or "mem://". A directory is created if it is
// missing, and written to without temporary files elsewhere.
func Open(ctx context.Context, bucketURL string) (*Store, error) {
	u, err := url.Parse(bucketURL)
	if err != nil {
		return nil, fmt.Errorf("open package store: %w", err)
	}
	s := &Store{}
	if u.Scheme == "file" {
		q := u.Query()
		q.Set("create_dir", "true")
		q.Set("no_tmp_dir", "true") // os.TempDir may be another file system, where the last rename would fail
		q.Set("metadata", "skip")   // the digest is all there is to know
		u.RawQuery = q.Encode()
		s.dir = filepath.FromSlash(u.Path)
		if u.Host == "." {
			s.dir = filepath.Join(".", s.dir)
		}
	}
	if s.bucket, err = blob.OpenBucket(ctx, u.String()); err != nil {
		return nil, fmt.Errorf("open package store %s: %w", u.Redacted(), err)
	}
	if err := s.sweep(time.Now().Add(-24 * time.Hour)); err != nil {
		return nil, errors.Join(fmt.Errorf("open package store %s: %w", u.Redacted(), err), s.bucket.Close())
	}
	return s, nil
}

// sweep removes what uploads left in a directory when their process was killed, unless it is newer than before: other processes may
// be uploading now.
func (s *Store) sweep(before time.Time) error {
	if s.dir == "" {
		return nil
	}
	left, err := filepath.Glob(filepath.Join(s.dir, "sha256", "??", "*.tmp"))
	if err != nil {
		return err
	}
	for _, path := range left {
		info, err := os.Stat(path)
		if err == nil && info.ModTime().Before(before) {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove left-over upload: %w", err)
		}
	}
	return nil
}

// Close releases the bucket.
func (s *Store) Close() error {
	if err := s.bucket.Close(); err != nil {
		return fmt.Errorf("close package store: %w", err)
	}
	return nil
}

// Put stores what r yields, at most maxBytes, and returns its digest and size in bytes. Storing the same bytes again is no error and
// repairs a package that went bad on disk. If r or ctx fails, nothing is stored. Errors satisfy errors.Is with ErrTooLarge.
func (s *Store) Put(ctx context.Context, r io.Reader, maxBytes int64) (digest string, size int64, err error) {
	spool, err := s.spool()
	if err != nil {
		return "", 0, fmt.Errorf("put package: %w", err)
	}
	defer spool.Close()
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(spool, h), io.LimitReader(contextReader{ctx, r}, maxBytes+1))
	if err != nil {
		return "", 0, fmt.Errorf("put package: after %d bytes: %w", size, err)
	}
	if size > maxBytes {
		return "", 0, fmt.Errorf("put package: more than %d bytes: %w", maxBytes, ErrTooLarge)
	}
	d := digestOf(h.Sum(nil))
	if err := s.verify(ctx, d); err == nil {
		return string(d), size, nil
	} else if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
		return "", 0, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return "", 0, fmt.Errorf("put package %s: %w", d.Short(), err)
	}
	if err := s.upload(ctx, d, spool); err != nil {
		return "", 0, fmt.Errorf("put package %s: %w", d.Short(), err)
	}
	return string(d), size, nil
}

// Open returns a reader of a package, and its size in bytes. The reader fails with ErrCorrupt in place of io.EOF when the bytes are not
// those that digest names: use nothing of what was read until then. Errors satisfy errors.Is with ErrNotFound or ErrBadDigest.
func (s *Store) Open(ctx context.Context, digest string) (r io.ReadCloser, size int64, err error) {
	d, err := ParseDigest(digest)
	if err != nil {
		return nil, 0, fmt.Errorf("open package: %w", err)
	}
	blobReader, err := s.bucket.NewReader(ctx, d.key(), nil)
	if err != nil {
		return nil, 0, s.explain("open", d, err)
	}
	return &verifyingReader{ReadCloser: blobReader, hash: sha256.New(), want: d}, blobReader.Size(), nil
}

// Stat returns the size of a package in bytes. Errors satisfy errors.Is with ErrNotFound or ErrBadDigest.
func (s *Store) Stat(ctx context.Context, digest string) (size int64, err error) {
	d, err := ParseDigest(digest)
	if err != nil {
		return 0, fmt.Errorf("stat package: %w", err)
	}
	attrs, err := s.bucket.Attributes(ctx, d.key())
	if err != nil {
		return 0, s.explain("stat", d, err)
	}
	return attrs.Size, nil
}

func (s *Store) explain(operation string, d Digest, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%s package %s: %w", operation, d, ErrNotFound)
	}
	return fmt.Errorf("%s package %s: %w", operation, d, err)
}

// spool returns a file without a name: it disappears with the process, whatever way that ends.
func (s *Store) spool() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, ".incoming-*")
	if err != nil {
		return nil, fmt.Errorf("create spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink spool file: %w", err), f.Close())
	}
	return f, nil
}

func (s *Store) verify(ctx context.Context, d Digest) error {
	r, _, err := s.Open(ctx, string(d))
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("verify package %s: %w", d, err)
	}
	return nil
}

func (s *Store) upload(ctx context.Context, d Digest, r io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before Close, it makes the driver drop what was written
	w, err := s.bucket.NewWriter(ctx, d.key(), &blob.WriterOptions{ContentType: "application/gzip"})
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		cancel()
		return errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return err
	}
	return s.sync(d)
}

// sync makes a package in a directory survive a power cut: Railyard's database will say that it is there.
func (s *Store) sync(d Digest) error {
	if s.dir == "" {
		return nil
	}
	for path := filepath.Join(s.dir, filepath.FromSlash(d.key())); len(path) >= len(s.dir) && path != "."; path = filepath.Dir(path) {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("sync %s: %w", path, err)
		}
	}
	return nil
}

// verifyingReader passes bytes on and compares their hash at the end.
type verifyingReader struct {
	io.ReadCloser
	hash hash.Hash
	want Digest
	err  error
}

func (r *verifyingReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.ReadCloser.Read(p)
	r.hash.Write(p[:n])
	if errors.Is(err, io.EOF) {
		if got := digestOf(r.hash.Sum(nil)); got != r.want {
			err = fmt.Errorf("read package %s: the bytes are those of %s: %w", r.want, got, ErrCorrupt)
		}
	}
	r.err = err
	return n, err
}

// contextReader stops a copy between two reads when ctx ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
