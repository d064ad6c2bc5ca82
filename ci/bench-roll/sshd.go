package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"railyard/internal/demo/child"
	"railyard/internal/demo/ports"
)

// sshd reaches every server: they are all on this machine.
type sshd struct {
	user       string
	port       int
	key        string // file of the user's private key
	knownHosts string
	process    *child.Process
}

func startSSHD(ctx context.Context, dir string, free *ports.Set) (sshd, error) {
	s := sshd{key: filepath.Join(dir, "id"), knownHosts: filepath.Join(dir, "known_hosts")}
	current, err := user.Current()
	if err != nil {
		return s, err
	}
	s.user = current.Username
	if s.port, err = free.Take(); err != nil {
		return s, err
	}
	host, err := newKey(filepath.Join(dir, "host"))
	if err != nil {
		return s, err
	}
	mine, err := newKey(s.key)
	if err != nil {
		return s, err
	}
	if current.Uid == "0" { // sshd wants it for the separation of its rights, and Debian's unit makes it
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return s, err
		}
	}
	// SHLVL keeps bash from reading the start-up file of whoever runs the benchmark with every command.
	config := fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %s
AuthorizedKeysFile %s
PermitRootLogin yes
PasswordAuthentication no
StrictModes no
UsePAM no
MaxStartups 100:30:200
MaxSessions 100
PidFile none
SetEnv SHLVL=1
Subsystem sftp internal-sftp
`, s.port, filepath.Join(dir, "host"), filepath.Join(dir, "authorized_keys"))
	for file, content := range map[string]string{
		"sshd_config":     config,
		"authorized_keys": string(ssh.MarshalAuthorizedKey(mine)),
		"known_hosts":     knownhosts.Line([]string{ports.Address(s.port)}, host) + "\n",
	} {
		if err := write(filepath.Join(dir, file), content); err != nil {
			return s, err
		}
	}
	if s.process, err = start(filepath.Join(dir, "log"), "sshd", "-D", "-e", "-f", filepath.Join(dir, "sshd_config")); err != nil {
		return s, err
	}
	return s, poll(ctx, 10*time.Second, "sshd to listen", func() error {
		conn, err := net.Dial("tcp", ports.Address(s.port))
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// newKey writes a private key and returns its public one.
func newKey(file string) (ssh.PublicKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	if err := write(file, string(pem.EncodeToMemory(block))); err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(private.Public())
}
