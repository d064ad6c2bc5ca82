package packages

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrBadDigest says that a string does not name a package.
var ErrBadDigest = errors.New("not a package digest")

const (
	digestPrefix = "sha256:"
	digestDigits = 2 * sha256.Size
)

// Digest names a package by its bytes: "sha256:" and 64 hexadecimal digits in lower case.
type Digest string

// ParseDigest checks that s names a package. There is one spelling per package, so digests may be compared as strings.
// Errors satisfy errors.Is with ErrBadDigest.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(digits) != digestDigits || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%w: %.100q, expected \"sha256:\" and 64 hexadecimal digits in lower case", ErrBadDigest, s)
	}
	return Digest(s), nil
}

// String returns the whole digest.
func (d Digest) String() string { return string(d) }

// Short returns the first 12 digits, for people: "2c26b46b68ff".
func (d Digest) Short() string {
	digits := strings.TrimPrefix(string(d), digestPrefix)
	return digits[:min(12, len(digits))]
}

// key is where the store keeps the package. Two digits of fan-out keep directories small.
func (d Digest) key() string {
	digits := strings.TrimPrefix(string(d), digestPrefix)
	return "sha256/" + digits[:2] + "/" + digits
}

func digestOf(sum []byte) Digest { return Digest(digestPrefix + hex.EncodeToString(sum)) }
