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

	"railyard/internal/packages"
	"railyard/internal/roller"
)

// hopeless are what a package is that no second try makes better.
var hopeless = []error{
	packages.ErrBadDigest, packages.ErrCorrupt, packages.ErrNotFound, packages.ErrTooLarge, packages.ErrTooMany,
	packages.ErrUnsafePath, packages.ErrUnsafeType, packages.ErrDuplicate, packages.ErrNotArchive,
}

// check makes sure, before any machine sees the archive, that its bytes are those of its digest and that nothing in it
// leaves its directory. An archive is checked once, however many machines get it.
func (h *Host) check(ctx context.Context, digest string) error {
	h.mu.Lock()
	known := h.checked[digest]
	h.mu.Unlock()
	if known {
		return nil
	}
	// Not with this caller's context: others wait for the same check.
	done := h.checks.DoChan(digest, func() (any, error) { return nil, h.tryUnpack(context.WithoutCancel(ctx), digest) })
	select {
	case <-ctx.Done():
		return fmt.Errorf("check package %s: %w", digest, context.Cause(ctx))
	case result := <-done:
		if result.Err == nil {
			h.mu.Lock()
			h.checked[digest] = true
			h.mu.Unlock()
			return nil
		}
		for _, is := range hopeless {
			if errors.Is(result.Err, is) {
				return fmt.Errorf("check package %s: %w: %w", digest, result.Err, roller.ErrPermanent)
			}
		}
		return fmt.Errorf("check package %s: %w", digest, result.Err)
	}
}

// tryUnpack unpacks the archive here, where the rules are, and throws the files away.
func (h *Host) tryUnpack(ctx context.Context, digest string) error {
	content, _, err := h.packages.Open(ctx, digest)
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
	unsafe := packages.Unpack(io.TeeReader(content, hash), filepath.Join(dir, "release"), h.limits)
	// What the unpacker left unread belongs to the digest too; and of wrong bytes, their contents say nothing.
	if _, err := io.Copy(hash, content); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != digest {
		return fmt.Errorf("the bytes are those of %s: %w", got, packages.ErrCorrupt)
	}
	return unsafe
}
