package scm

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"golang.org/x/crypto/ssh/knownhosts"
)

// isSSHRefusal tells an ssh handshake that failed for lack of trust, on either side, from one that broke.
func isSSHRefusal(err error) bool {
	var key *knownhosts.KeyError
	return errors.As(err, &key) || strings.Contains(err.Error(), "ssh: unable to authenticate") ||
		strings.Contains(err.Error(), "knownhosts: ")
}

// isHostFailure tells a host that is away, answers with an error, breaks off, or does not speak git, from trouble with our own files.
// It does not ask for net.Error, which a plain "is a directory" also is.
func isHostFailure(err error) bool {
	var request *url.Error
	var connection *net.OpError
	var lookup *net.DNSError
	var status *plumbing.UnexpectedError
	var garbage *packp.ErrUnexpectedData
	return errors.As(err, &request) || errors.As(err, &connection) || errors.As(err, &lookup) || errors.As(err, &status) ||
		errors.As(err, &garbage) || errors.Is(err, pktline.ErrInvalidPktLen) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "ssh: handshake failed")
}

// brief is the first line of an error, without the page of HTML that some hosts put behind it.
func brief(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
