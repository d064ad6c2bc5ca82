package ssh

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"railyard/internal/demo/child"
	"railyard/internal/demo/ports"
	"railyard/internal/fleet"
	"railyard/internal/roller/host/hosttest"
)

// sshd is a real sshd on a loopback port, with two host keys and one user: whoever runs the test.
type sshd struct {
	dir      string
	address  string // "127.0.0.1:20431"
	hostKeys []ssh.PublicKey
	userKey  crypto.Signer
	config   Config
	process  *child.Process
}

// startSSHD starts one; wrap is a command that the server is started by, such as unshare.
func startSSHD(t testing.TB, wrap ...string) *sshd {
	t.Helper()
	current, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	var free ports.Set
	t.Cleanup(func() { free.Close() })
	port, err := free.Take()
	if err != nil {
		t.Fatal(err)
	}
	s := &sshd{dir: t.TempDir(), address: ports.Address(port)}
	s.hostKeys = append(s.hostKeys, s.newKey(t, "host_ed25519", newED25519(t)), s.newKey(t, "host_ecdsa", newECDSA(t)))
	s.userKey = newED25519(t)
	s.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(s.newKey(t, "id", s.userKey))))
	s.write(t, "known_hosts", knownhosts.Line([]string{s.address}, s.hostKeys[0])+"\n")
	s.config = Config{
		User: current.Username, KeyFile: s.path("id"), KnownHosts: s.path("known_hosts"),
		Address: func(fleet.Server) string { return s.address },
	}
	s.write(t, "sshd_config", fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nHostKey %s\nAuthorizedKeysFile %s\n"+
		"PermitRootLogin yes\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\nSubsystem sftp internal-sftp\n",
		port, s.path("host_ed25519"), s.path("host_ecdsa"), s.path("authorized_keys")))
	if current.Uid == "0" { // sshd wants it for the separation of its rights, and Debian's unit makes it
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.start(t, wrap...)
	return s
}

func (s *sshd) start(t testing.TB, wrap ...string) {
	t.Helper()
	binary, err := exec.LookPath("sshd")
	if err != nil {
		binary = "/usr/sbin/sshd" // not on everybody's PATH
	}
	log, err := os.Create(s.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	argv := append(wrap, binary, "-D", "-e", "-f", s.path("sshd_config"))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if s.process, err = child.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-s.process.Done():
			said, _ := os.ReadFile(s.path("log"))
			t.Fatalf("sshd ended: %v\n%s", s.process.Err(), said)
		case <-ctx.Done():
			t.Fatalf("sshd does not listen: %v", err)
		}
	}
}

func (s *sshd) stop(t testing.TB) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-s.process.Done()
}

func (s *sshd) path(name string) string { return filepath.Join(s.dir, name) }

func (s *sshd) write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newED25519(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECDSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newKey writes the private key and returns the public one.
func (s *sshd) newKey(t testing.TB, name string, key crypto.Signer) ssh.PublicKey {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, name, string(pem.EncodeToMemory(block)))
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// host is a driver that ends with the test.
func (s *sshd) host(t testing.TB, c Config, p *hosttest.Packages) *Host {
	t.Helper()
	h, err := New(c, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() }) // some tests break its connections
	return h
}

// extra tells the process of the suite how to reach this sshd.
func (s *sshd) extra(t testing.TB) string {
	t.Helper()
	c := s.config
	text, err := json.Marshal([]string{c.User, c.KeyFile, c.KnownHosts, s.address})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wire is a way to an sshd that can be watched, cut and frozen.
type wire struct {
	address string
	mu      sync.Mutex
	conns   []net.Conn
	dials   int
	frozen  chan struct{} // not nil while frozen
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String()}
	t.Cleanup(func() { l.Close(); w.thaw(); w.cut() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			w.mu.Lock()
			w.dials++
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			go w.carry(in, out)
			go w.carry(out, in)
		}
	}()
	return w
}

func (w *wire) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		frozen := w.frozen
		w.mu.Unlock()
		if frozen != nil {
			<-frozen
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = make(chan struct{})
}

func (w *wire) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.frozen != nil {
		close(w.frozen)
		w.frozen = nil
	}
}

func (w *wire) dialed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials
}

// silence is a listener that takes connections and never says a word.
func silence(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}()
	return l.Addr().String()
}
