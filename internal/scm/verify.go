package scm

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// verifyHMAC checks a header that holds prefix and the hexadecimal HMAC-SHA256 of the body, in constant time.
//
// SHA-1 signatures are not accepted: every host that sends one also sends the SHA-256 one.
func verifyHMAC(header http.Header, name, prefix string, body, secret []byte) error {
	if len(secret) == 0 {
		return ErrNoSecret
	}
	value := header.Get(name)
	if value == "" {
		return fmt.Errorf("%w: the header %s is missing; set the secret at the code host", ErrBadSignature, name)
	}
	digits, ok := strings.CutPrefix(value, prefix)
	if !ok {
		return fmt.Errorf("%w: the header %s does not begin with %q", ErrBadSignature, name, prefix)
	}
	got, err := hex.DecodeString(digits)
	if err != nil {
		return fmt.Errorf("%w: the header %s is not hexadecimal", ErrBadSignature, name)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	if !hmac.Equal(got, mac.Sum(nil)) {
		return fmt.Errorf("%w: the header %s does not match the body; compare the secrets on both sides", ErrBadSignature, name)
	}
	return nil
}

// verifyToken checks a header that holds the secret itself. Both are hashed first, so that not even their lengths leak by time.
func verifyToken(header http.Header, name string, secret []byte) error {
	if len(secret) == 0 {
		return ErrNoSecret
	}
	value := header.Get(name)
	if value == "" {
		return fmt.Errorf("%w: the header %s is missing; set the secret token at the code host", ErrBadSignature, name)
	}
	got, want := sha256.Sum256([]byte(value)), sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return fmt.Errorf("%w: the header %s is not our secret; compare the secrets on both sides", ErrBadSignature, name)
	}
	return nil
}
