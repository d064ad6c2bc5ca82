package ssh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"railyard/internal/roller"
)

// dial connects and logs in.
func dial(ctx context.Context, c Config, limits timings, address string) (*ssh.Client, error) {
	keys, done, err := signers(ctx, c)
	if err != nil {
		return nil, err
	}
	defer done()
	known, err := knownhosts.New(c.KnownHosts)
	if err != nil {
		return nil, fmt.Errorf("read known hosts: %w", err)
	}
	var badKey error // kept apart: what the handshake makes of it is not for people
	config := &ssh.ClientConfig{
		User:              c.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(keys...)},
		HostKeyAlgorithms: algorithms(known, address),
		HostKeyCallback: func(hostname string, remote net.Addr, key ssh.PublicKey) error {
			badKey = judgeKey(known(hostname, remote, key), c.KnownHosts, hostname, key)
			return badKey
		},
		ClientVersion: "SSH-2.0-Railyard",
	}

	dialer := net.Dialer{Timeout: limits.dial}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w: %w", address, because(ctx, err), roller.ErrUnreachable)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	_ = raw.SetDeadline(time.Now().Add(limits.handshake)) // a socket that cannot take it fails below
	sc, channels, requests, err := ssh.NewClientConn(raw, address, config)
	if !stop() && err == nil {
		_ = sc.Close()
		return nil, context.Cause(ctx)
	}
	switch {
	case badKey != nil:
		_ = raw.Close()
		return nil, badKey
	case err != nil:
		_ = raw.Close()
		return nil, fmt.Errorf("log in to %s as %s: %w%s: %w", address, c.User, because(ctx, err), advice(err), roller.ErrUnreachable)
	}
	_ = raw.SetDeadline(time.Time{})
	return ssh.NewClient(sc, channels, requests), nil
}

func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// advice says what to check when the machine knows us not.
func advice(err error) string {
	if strings.Contains(err.Error(), "unable to authenticate") {
		return "; is Railyard's public key in the user's authorized_keys there?"
	}
	return ""
}

// signers returns the keys to log in with; done lets go of the agent, which signs during the handshake.
func signers(ctx context.Context, c Config) (keys []ssh.Signer, done func(), err error) {
	done = func() {}
	if c.KeyFile != "" {
		text, err := os.ReadFile(c.KeyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("read the ssh key: %w", err)
		}
		key, err := ssh.ParsePrivateKey(text)
		var locked *ssh.PassphraseMissingError
		if errors.As(err, &locked) {
			return nil, nil, fmt.Errorf("read the ssh key %s: it has a passphrase; load it into an ssh agent, or use one without", c.KeyFile)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the ssh key %s: %w", c.KeyFile, err)
		}
		keys = append(keys, key)
	}
	if c.Agent != "" {
		var d net.Dialer
		socket, err := d.DialContext(ctx, "unix", c.Agent)
		if err != nil {
			return nil, nil, fmt.Errorf("ask the ssh agent: %w", err)
		}
		done = func() { _ = socket.Close() }
		held, err := agent.NewClient(socket).Signers()
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("ask the ssh agent for its keys: %w", err)
		}
		keys = append(keys, held...)
	}
	if len(keys) == 0 {
		done()
		return nil, nil, errors.New("the ssh agent holds no key; add one with ssh-add")
	}
	return keys, done, nil
}

// judgeKey explains what the known hosts say of a machine's key.
func judgeKey(err error, file, hostname string, key ssh.PublicKey) error {
	var wrong *knownhosts.KeyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && len(wrong.Want) > 0:
		lines := make([]string, 0, len(wrong.Want))
		for _, want := range wrong.Want {
			lines = append(lines, fmt.Sprintf("%s in line %d", ssh.FingerprintSHA256(want.Key), want.Line))
		}
		return fmt.Errorf("the host key of %s has changed: it is %s, and %s has %s; if the machine was installed anew, replace the line; "+
			"if not, somebody else may be answering in its place: %w", hostname, ssh.FingerprintSHA256(key), file, strings.Join(lines, ", "), roller.ErrPermanent)
	case errors.As(err, &wrong):
		return fmt.Errorf("the host key of %s is not known: it is %s; compare it on the machine and add it to %s, for example with ssh-keyscan: %w",
			hostname, ssh.FingerprintSHA256(key), file, roller.ErrPermanent)
	default:
		return fmt.Errorf("the host key %s of %s is refused by %s: %w: %w", ssh.FingerprintSHA256(key), hostname, file, err, roller.ErrPermanent)
	}
}

// algorithms are those of the keys that are known of a machine, so that it proves itself by one of them and not by one we
// never saw; nil if none is known. The known hosts tell when they are asked about a key that is nobody's.
func algorithms(known ssh.HostKeyCallback, address string) []string {
	nobody, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil
	}
	var wrong *knownhosts.KeyError
	if !errors.As(known(address, &net.TCPAddr{IP: net.IPv4zero}, nobody), &wrong) {
		return nil
	}
	var names []string
	for _, want := range wrong.Want {
		kinds := []string{want.Key.Type()}
		if kinds[0] == ssh.KeyAlgoRSA {
			kinds = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, kind := range kinds {
			if !slices.Contains(names, kind) {
				names = append(names, kind)
			}
		}
	}
	return names
}
