package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/singleflight"

	"railyard/internal/packages"
	"railyard/internal/roller"
)

// hopeless are what a package is that no second try makes better.
var hopeless = []error{
	packages.ErrBadDigest, packages.ErrCorrupt, packages.ErrNotFound, packages.ErrTooLarge, packages.ErrTooMany,
	packages.ErrUnsafePath, packages.ErrUnsafeType, packages.ErrDuplicate, packages.ErrNotArchive,
}

// Checker makes sure, before any machine sees an archive, that its bytes are those of its digest and that nothing in it
// leaves its directory. An archive is checked once, however many machines get it. It is safe for concurrent use.
type Checker struct {
	packages Packages
	limits   packages.Limits

	running singleflight.Group
	mu      sync.Mutex
	safe    map[string]bool // digests of archives that were checked
}

// NewChecker returns a checker of the archives in p.
func NewChecker(p Packages) *Checker { return &Checker{packages: p, safe: map[string]bool{}} }

// Check returns nil if the archive is safe to unpack. Errors satisfy errors.Is with roller.ErrPermanent when no second
// try can make it better.
func (c *Checker) Check(ctx context.Context, digest string) error {
	c.mu.Lock()
	known := c.safe[digest]
	c.mu.Unlock()
	if known {
		return nil
	}
	// Not with this caller's context: others wait for the same check.
	done := c.running.DoChan(digest, func() (any, error) { return nil, c.tryUnpack(context.WithoutCancel(ctx), digest) })
	var err error
	select {
	case <-ctx.Done():
		err = context.Cause(ctx)
	case result := <-done:
		err = result.Err
	}
	if err != nil {
		return fmt.Errorf("check package %s: %w", digest, Hopeless(err))
	}
	c.mu.Lock()
	c.safe[digest] = true
	c.mu.Unlock()
	return nil
}

// Hopeless marks the errors of packages that no second try makes better as permanent.
func Hopeless(err error) error {
	for _, is := range hopeless {
		if errors.Is(err, is) {
			return fmt.Errorf("%w: %w", err, roller.ErrPermanent)
		}
	}
	return err
}

// tryUnpack unpacks the archive here, where the rules are, and throws the files away.
func (c *Checker) tryUnpack(ctx context.Context, digest string) error {
	content, _, err := c.packages.Open(ctx, digest)
	if err != nil {
		return err
	}
	defer content.Close()
	dir, err := os.MkdirTemp("", "railyard-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	hash := sha256.New()
	unsafe := packages.Unpack(io.TeeReader(content, hash), filepath.Join(dir, "release"), c.limits)
	// What the unpacker left unread belongs to the digest too; and of wrong bytes, their contents say nothing.
	if _, err := io.Copy(hash, content); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != digest {
		return fmt.Errorf("the bytes are those of %s: %w", got, packages.ErrCorrupt)
	}
	return unsafe
}
