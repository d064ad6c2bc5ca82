package ssh

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/roller/host/hosttest"
)

var _ roller.Host = (*Host)(nil)

func TestMain(m *testing.M) {
	hosttest.Main(m, func(p *hosttest.Packages, extra string) (roller.Host, error) {
		var c [4]string
		if err := json.Unmarshal([]byte(extra), &c); err != nil {
			return nil, err
		}
		return New(Config{User: c[0], KeyFile: c[1], KnownHosts: c[2], Address: func(fleet.Server) string { return c[3] }}, p)
	})
}

func server(t *testing.T) fleet.Server {
	return fleet.Server{Name: "hotel-1", Address: "127.0.0.1:18001", Dir: t.TempDir() + "/srv one"}
}

func TestTheSSHDriverIsAHost(t *testing.T) {
	s := startSSHD(t)
	hosttest.Run(t, func(t *testing.T, p *hosttest.Packages) hosttest.Fixture {
		return hosttest.Fixture{Host: s.host(t, s.config, p), Server: server(t), Extra: s.extra(t)}
	})
}

func TestTheSSHDriverHasSlots(t *testing.T) {
	s := startSSHD(t)
	hosttest.RunSlots(t, func(t *testing.T, p *hosttest.Packages) hosttest.Fixture {
		return hosttest.Fixture{Host: s.host(t, s.config, p), Server: server(t), Extra: s.extra(t)}
	})
}

func machine(t *testing.T) roller.Machine {
	return roller.Machine{Server: server(t), Apps: []fleet.App{{Name: "api"}}}
}

func observe(t *testing.T, h *Host, m roller.Machine, limit time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err := h.Observe(ctx, m)
	return err
}

const patience = 30 * time.Second

func TestWordsArriveAsTheyAre(t *testing.T) {
	s := startSSHD(t)
	h := s.host(t, s.config, hosttest.NewPackages(t))
	words := []string{"it's", "", "$HOME `id` \\", "two\nlines", "*", "\"'\"", "ü"}
	out, err := h.transport.Run(t.Context(), machine(t), append([]string{"printf", "<%s>"}, words...)...)
	if want := "<" + strings.Join(words, "><") + ">"; err != nil || out.Stdout != want || out.Code != 0 {
		t.Errorf("got %+v, %v, want %q", out, err, want)
	}
	out, err = h.transport.Run(t.Context(), machine(t), "/bin/sh", "-c", "echo why >&2; exit 7")
	if err != nil || out.Code != 7 || out.Stderr != "why\n" {
		t.Errorf("got %+v, %v, want code 7 and why", out, err)
	}
	if _, err = h.transport.Run(t.Context(), machine(t), "/bin/sh", "-c", "kill -9 $$"); err == nil || !strings.Contains(err.Error(), "signal KILL") {
		t.Errorf("a killed command: %v", err)
	}
}

func TestOneConnectionPerServerIsReusedAndHealed(t *testing.T) {
	s := startSSHD(t)
	w := newWire(t, s.address)
	s.config.Address = func(fleet.Server) string { return w.address }
	s.write(t, "known_hosts", knownhosts.Line([]string{w.address}, s.hostKeys[0])+"\n")
	h := s.host(t, s.config, hosttest.NewPackages(t))
	m := machine(t)

	errs := make(chan error, 30)
	for range cap(errs) {
		go func() { errs <- observe(t, h, m, patience) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := w.dialed(); got != 1 {
		t.Errorf("30 calls at once dialed %d times, want once", got)
	}

	w.cut()
	if err := observe(t, h, m, patience); err != nil {
		t.Errorf("after the connection was cut: %v", err)
	}
	if got := w.dialed(); got != 2 {
		t.Errorf("dialed %d times after a cut, want 2", got)
	}

	w.freeze()
	if err := observe(t, h, m, 300*time.Millisecond); !errors.Is(err, roller.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("on a frozen connection: %v, want unreachable, in time", err)
	}
	w.thaw()
	if err := observe(t, h, m, patience); err != nil {
		t.Errorf("after the thaw: %v", err)
	}
}

func TestADeadConnectionIsNoticedWhileNobodyUsesIt(t *testing.T) {
	s := startSSHD(t)
	w := newWire(t, s.address)
	s.config.Address = func(fleet.Server) string { return w.address }
	s.write(t, "known_hosts", knownhosts.Line([]string{w.address}, s.hostKeys[0])+"\n")
	h := s.host(t, s.config, hosttest.NewPackages(t))
	h.transport.pool.timings.alive = 50 * time.Millisecond
	m := machine(t)
	if err := observe(t, h, m, patience); err != nil {
		t.Fatal(err)
	}
	c := h.transport.pool.places[m.Server.Name+" "+w.address].conn
	w.freeze()
	select {
	case <-c.gone:
	case <-time.After(patience):
		t.Fatal("the dead connection is still kept")
	}
	w.thaw()
	if err := observe(t, h, m, patience); err != nil || w.dialed() != 2 {
		t.Errorf("the next call: %v, after %d dials; want it to dial anew", err, w.dialed())
	}
}

func TestAMachineThatCannotBeAskedIsUnreachable(t *testing.T) {
	s := startSSHD(t)
	h := s.host(t, s.config, hosttest.NewPackages(t))
	m := machine(t)
	if err := observe(t, h, m, patience); err != nil {
		t.Fatal(err)
	}
	s.stop(t)
	h.transport.pool.close()
	h = s.host(t, s.config, hosttest.NewPackages(t))
	err := observe(t, h, m, patience)
	if !errors.Is(err, roller.ErrUnreachable) || !strings.Contains(err.Error(), "hotel-1") || !strings.Contains(err.Error(), s.address) {
		t.Errorf("a dead sshd: %v, want unreachable, naming server and address", err)
	}
	s.start(t)
	if err := observe(t, h, m, patience); err != nil {
		t.Errorf("after sshd is back: %v", err)
	}

	mute := s.config
	address := silence(t)
	mute.Address = func(fleet.Server) string { return address }
	h = s.host(t, mute, hosttest.NewPackages(t))
	if err := observe(t, h, m, 200*time.Millisecond); !errors.Is(err, roller.ErrUnreachable) {
		t.Errorf("a silent machine: %v, want unreachable", err)
	}
	h.transport.pool.timings.handshake = 100 * time.Millisecond
	if err := observe(t, h, m, patience); !errors.Is(err, roller.ErrUnreachable) {
		t.Errorf("a silent machine and a patient caller: %v, want unreachable", err)
	}
}

func TestAHostKeyMustBeTheKnownOne(t *testing.T) {
	s := startSSHD(t)
	other, err := ssh.NewPublicKey(newED25519(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := knownhosts.Line([]string{"10.0.0.1:22"}, other)
	tests := []struct {
		name, known, want string // want "" = accepted
	}{
		{"the known key", knownhosts.Line([]string{s.address}, s.hostKeys[0]), ""},
		{"the known key of another kind than the machine prefers", knownhosts.Line([]string{s.address}, s.hostKeys[1]), ""},
		{"a hashed line", knownhosts.Line([]string{knownhosts.HashHostname(knownhosts.Normalize(s.address))}, s.hostKeys[0]), ""},
		{"a changed key", elsewhere + "\n" + knownhosts.Line([]string{s.address}, other),
			"the host key of " + s.address + " has changed: it is " + ssh.FingerprintSHA256(s.hostKeys[0]) + ", and " + s.path("known_hosts") + " has " +
				ssh.FingerprintSHA256(other) + " in line 2; if the machine was installed anew, replace the line"},
		{"an unknown machine", elsewhere, "the host key of " + s.address + " is not known: it is SHA256:"},
		{"a revoked key", "@revoked " + knownhosts.Line([]string{s.address}, s.hostKeys[0]) + "\n@revoked " + knownhosts.Line([]string{s.address}, s.hostKeys[1]), "is refused by " + s.path("known_hosts")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.write(t, "known_hosts", tt.known+"\n")
			err := observe(t, s.host(t, s.config, hosttest.NewPackages(t)), machine(t), patience)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, roller.ErrPermanent) || errors.Is(err, roller.ErrUnreachable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error\n%v\nwant a permanent one with\n%s", err, tt.want)
			}
		})
	}
}

func TestLoginsAreByKeyFileOrAgent(t *testing.T) {
	s := startSSHD(t)
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: s.userKey}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	full, empty := filepath.Join(dir, "full"), filepath.Join(dir, "empty")
	serveAgent(t, full, ring)
	serveAgent(t, empty, agent.NewKeyring())
	s.newKey(t, "stranger", newED25519(t))
	s.write(t, "rubbish", "no key")
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(s.userKey, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "locked", string(pem.EncodeToMemory(locked)))

	tests := []struct{ name, key, agent, want string }{
		{"a key file", "id", "", ""},
		{"an agent", "", full, ""},
		{"a stranger's key file and the agent's key", "stranger", full, ""},
		{"a stranger's key", "stranger", "", "is Railyard's public key in the user's authorized_keys there?"},
		{"an agent without keys", "", empty, "the ssh agent holds no key; add one with ssh-add"},
		{"no agent there", "", filepath.Join(dir, "none"), "ask the ssh agent"},
		{"a key file that is none", "rubbish", "", "read the ssh key " + s.path("rubbish")},
		{"a key with a passphrase", "locked", "", "it has a passphrase; load it into an ssh agent, or use one without"},
		{"a key file that is missing", "missing", "", "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := s.config
			c.KeyFile, c.Agent = "", tt.agent
			if tt.key != "" {
				c.KeyFile = s.path(tt.key)
			}
			err := observe(t, s.host(t, c, hosttest.NewPackages(t)), machine(t), patience)
			if tt.want == "" && err != nil {
				t.Error(err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func serveAgent(t *testing.T, path string, ring agent.Agent) {
	t.Helper()
	l, err := net.Listen("unix", path)
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
			go func() {
				defer conn.Close()
				_ = agent.ServeAgent(ring, conn) // ends when the client hangs up
			}()
		}
	}()
}

func TestAnUploadIsWholeOrNotThere(t *testing.T) {
	s := startSSHD(t)
	h := s.host(t, s.config, hosttest.NewPackages(t))
	m := machine(t)
	dir := t.TempDir()
	target := filepath.Join(dir, "file")
	broken := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), &failing{})
	if err := h.transport.Upload(t.Context(), m, target, broken); !errors.Is(err, errSource) {
		t.Errorf("error %v, want the source's", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	want := strings.Repeat("0123456789", 300_000)
	for range 2 { // over itself, too
		if err := h.transport.Upload(t.Context(), m, target, strings.NewReader(want)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(target); err != nil || string(got) != want {
		t.Errorf("read %d bytes, %v; want the %d that were sent", len(got), err, len(want))
	}
	if err := h.transport.Upload(t.Context(), m, filepath.Join(dir, "none", "file"), strings.NewReader("")); err == nil {
		t.Error("an upload into a missing directory succeeded")
	}
}

var errSource = errors.New("the package store broke")

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errSource }

func TestAFullDiskIsAnErrorThatSaysSo(t *testing.T) {
	disk := t.TempDir()
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-Urm"
	}
	s := startSSHD(t, "unshare", flags, "/bin/sh", "-c", `mount -t tmpfs -o size=256k none "$0" && exec "$@"`, disk)
	h := s.host(t, s.config, hosttest.NewPackages(t))
	m := machine(t)
	large := strings.NewReader(strings.Repeat("x", 1<<20))
	err := h.transport.Upload(t.Context(), m, filepath.Join(disk, "file"), large)
	if err == nil || errors.Is(err, roller.ErrPermanent) || !strings.Contains(err.Error(), "is the disk full?") {
		t.Errorf("error %v, want one that asks for the disk and may pass", err)
	}
	if err := h.transport.Upload(t.Context(), m, filepath.Join(disk, "file"), strings.NewReader("small")); err != nil {
		t.Errorf("a small file afterwards: %v; want the space to be free again", err)
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for want, c := range map[string]Config{
		"no user":                {KeyFile: "k", KnownHosts: "h"},
		"neither a key file":     {User: "u", KnownHosts: "h"},
		"no known_hosts file":    {User: "u", KeyFile: "k"},
		"no known_hosts file; w": {User: "u", Agent: "a"},
	} {
		if _, err := New(c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v) = %v, want %q", c, err, want)
		}
	}
}

func TestTheSSHAddressIsTheServersHost(t *testing.T) {
	for _, tt := range []struct {
		address, want string
		port          int
	}{{"10.0.0.7:8080", "10.0.0.7:22", 0}, {"web-1.example", "web-1.example:22", 0}, {"[fd00::1]:80", "[fd00::1]:2222", 2222}} {
		h, err := New(Config{User: "u", KeyFile: "k", KnownHosts: "h", Port: tt.port}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.transport.pool.config.Address(fleet.Server{Address: tt.address}); got != tt.want {
			t.Errorf("address of %s = %s, want %s", tt.address, got, tt.want)
		}
	}
}
