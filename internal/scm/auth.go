package scm

import (
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
)

// Auth is how a Mirror shows itself to the code host. The zero value is anonymous. It prints without its secrets.
type Auth struct {
	Username string // "railyard"; for ssh "git" when empty
	Password string // over HTTP(S): a password or an access token
	CABundle []byte // over HTTPS: PEM of private certificate authorities, beside those of the system

	SSHKey        []byte // over ssh: private key in PEM, without a passphrase
	SSHKnownHosts string // over ssh: path of a known_hosts file; the host must be in it. "" means that of the user
}

// String tells who, and with what kind of secret.
func (a Auth) String() string {
	switch {
	case len(a.SSHKey) > 0:
		return "ssh key of " + firstOf(a.Username, ssh.DefaultUsername)
	case a.Password != "":
		return "password of " + a.Username
	default:
		return "anonymous"
	}
}

// GoString keeps %#v from printing the secrets.
func (a Auth) GoString() string { return a.String() }

// method returns go-git's form of a, for url.
func (a Auth) method(url string) (transport.AuthMethod, error) {
	if strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://") {
		if a.Username == "" && a.Password == "" {
			return nil, nil //nolint:nilnil // go-git's way to say anonymous
		}
		return &http.BasicAuth{Username: a.Username, Password: a.Password}, nil
	}
	if len(a.SSHKey) == 0 {
		return nil, nil //nolint:nilnil // as above; over ssh, go-git then asks the agent
	}
	keys, err := ssh.NewPublicKeys(firstOf(a.Username, ssh.DefaultUsername), a.SSHKey, "")
	if err != nil {
		return nil, fmt.Errorf("read ssh key: %w", err)
	}
	if a.SSHKnownHosts != "" {
		if keys.HostKeyCallback, err = ssh.NewKnownHostsCallback(a.SSHKnownHosts); err != nil {
			return nil, fmt.Errorf("read known hosts: %w", err)
		}
	}
	return keys, nil
}
