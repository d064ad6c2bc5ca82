package scm

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// newKey makes a key pair: a private key in PEM and its line for authorized_keys.
func newKey(t *testing.T) (private []byte, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub)))
}

// startSSHD starts a real sshd that lets authorized in as the user of this process, and returns its address and host key.
func startSSHD(t *testing.T, authorized string) (address, hostKey string) {
	t.Helper()
	path, err := exec.LookPath("sshd")
	if err != nil {
		path = "/usr/sbin/sshd" // not on the PATH of plain users
	}
	dir := t.TempDir()
	private, hostKey := newKey(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	config := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nPidFile none\n"+
		"StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n", port, dir, dir)
	for name, content := range map[string]string{"host": string(private), "authorized": authorized + "\n", "config": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // privilege separation needs it; the service makes it at boot
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, "-D", "-e", "-f", filepath.Join(dir, "config"))
	var log strings.Builder
	cmd.Stderr = &log
	pdeathsig(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
			return address, hostKey
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not listen: %v", err)
		}
	}
}

func TestMirrorOverSSH(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	r.commit("one")
	r.push("main")
	key, public := newKey(t)
	address, hostKey := startSSHD(t, public)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	url := "ssh://" + me.Username + "@" + address + r.bare
	known := func(key string) string {
		host, port, _ := net.SplitHostPort(address)
		path := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(path, []byte(fmt.Sprintf("[%s]:%s %s\n", host, port, key)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := Auth{Username: me.Username, SSHKey: key, SSHKnownHosts: known(hostKey)}
	m := OpenMirror(t.TempDir(), url, good)
	fetch(t, m)
	if err := r.same(m); err != nil {
		t.Error(err)
	}

	otherKey, otherPublic := newKey(t)
	for rule, auth := range map[string]Auth{
		"a key that the host does not know": {Username: me.Username, SSHKey: otherKey, SSHKnownHosts: good.SSHKnownHosts},
		"a host key that changed":           {Username: me.Username, SSHKey: key, SSHKnownHosts: known(otherPublic)},
		"no key at all that can be read":    {Username: me.Username, SSHKey: []byte("garbage"), SSHKnownHosts: good.SSHKnownHosts},
	} {
		if err := OpenMirror(t.TempDir(), url, auth).Fetch(t.Context()); !errors.Is(err, ErrDenied) {
			t.Errorf("%s: err = %v, want ErrDenied", rule, err)
		}
	}
	if err := OpenMirror(t.TempDir(), url+"x", good).Fetch(t.Context()); !errors.Is(err, ErrNoRepository) {
		t.Errorf("no repository: err = %v, want ErrNoRepository", err)
	}
}
