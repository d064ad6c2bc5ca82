// Package ssh is the host driver for machines that are reached by ssh. It speaks SSH itself: commands over one connection
// per server, which is kept and healed, and uploads by sftp over the same one.
//
// A machine needs sshd with sftp, a user who may restart the apps, and flock, setsid, timeout, sha256sum, tar and gzip, as
// any Linux distribution has them. Host keys are checked against a known_hosts file; there is no way around that.
package ssh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/roller/host/deploy"
)

// Config says how machines are reached. The same holds for all machines of a driver.
type Config struct {
	User       string // "railyard"
	KeyFile    string // "/etc/railyard/id_ed25519", without passphrase; "" = only the agent's keys
	Agent      string // the socket of an ssh agent, as in SSH_AUTH_SOCK; "" = only KeyFile
	KnownHosts string // "/etc/railyard/known_hosts"
	Port       int    // of sshd on every machine; 0 = 22
	// Address says where a server's sshd listens, "10.0.0.7:22"; nil = the host of Server.Address, at Port.
	Address func(fleet.Server) string
}

// Host implements roller.Host. It is safe for concurrent use.
type Host struct {
	*deploy.Host
	transport *transport
}

// New returns the driver. It does not connect; keys and known hosts are read at each connection, so they can be replaced.
func New(c Config, p deploy.Packages) (*Host, error) {
	switch {
	case c.User == "":
		return nil, errors.New("configure ssh hosts: no user; set the name to log in with")
	case c.KeyFile == "" && c.Agent == "":
		return nil, errors.New("configure ssh hosts: neither a key file nor an agent; set one of them")
	case c.KnownHosts == "":
		return nil, errors.New("configure ssh hosts: no known_hosts file; write one with ssh-keyscan and check its fingerprints")
	}
	if c.Port == 0 {
		c.Port = 22
	}
	if c.Address == nil {
		c.Address = func(s fleet.Server) string {
			host, _, err := net.SplitHostPort(s.Address)
			if err != nil {
				host = s.Address
			}
			return net.JoinHostPort(host, strconv.Itoa(c.Port))
		}
	}
	t := &transport{pool: newPool(c)}
	return &Host{Host: deploy.New(t, p), transport: t}, nil
}

// Close closes all connections. Switches that were begun go on on their machines.
func (h *Host) Close() error { return h.transport.pool.close() }

// transport implements deploy.Transport.
type transport struct{ pool *pool }

// Run runs the command by the user's login shell.
func (t *transport) Run(ctx context.Context, m roller.Machine, argv ...string) (deploy.Output, error) {
	session, c, err := onConnection(ctx, t.pool, m.Server, (*ssh.Session).Close, (*ssh.Client).NewSession)
	if err != nil {
		return deploy.Output{}, err
	}
	defer c.give()
	defer session.Close()
	var stdout, stderr deploy.Tail
	session.Stdout, session.Stderr = &stdout, &stderr
	ended := make(chan error, 1)
	go func() { ended <- session.Run(commandLine(argv)) }()
	select {
	case <-ctx.Done():
		return deploy.Output{}, c.late(ctx)
	case err = <-ended:
	}
	var exit *ssh.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		if exit.Signal() != "" {
			return deploy.Output{}, fmt.Errorf("the command was ended by signal %s", exit.Signal())
		}
		return deploy.Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: exit.ExitStatus()}, nil
	default:
		c.drop()
		return deploy.Output{}, fmt.Errorf("the connection to %s broke while the command ran: %w: %w", c.address, err, roller.ErrUnreachable)
	}
	return deploy.Output{Stdout: stdout.String(), Stderr: stderr.String()}, nil
}

// commandLine quotes the words for any POSIX shell. exec spares a process.
func commandLine(argv []string) string {
	words := make([]string, 0, len(argv)+1)
	words = append(words, "exec")
	for _, word := range argv {
		words = append(words, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return strings.Join(words, " ")
}

// Upload writes the file by sftp under another name, and renames it.
func (t *transport) Upload(ctx context.Context, m roller.Machine, target string, content io.Reader) error {
	client, c, err := onConnection(ctx, t.pool, m.Server, (*sftp.Client).Close, newSFTP)
	if err != nil {
		return fmt.Errorf("open sftp: %w", err)
	}
	defer c.give()
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()

	part := path.Join(path.Dir(target), ".part-"+rand.Text())
	if err := write(client, part, content); err != nil {
		if ctx.Err() == nil {
			_ = client.Remove(part) // or the next look for archives removes it, an hour later
		}
		return c.explain(ctx, err)
	}
	if err := client.PosixRename(part, target); err != nil {
		return c.explain(ctx, err)
	}
	return nil
}

func newSFTP(c *ssh.Client) (*sftp.Client, error) {
	return sftp.NewClient(c, sftp.UseConcurrentWrites(true))
}

// write writes a file and closes it in any case, so that its space can be freed.
func write(client *sftp.Client, path string, content io.Reader) error {
	f, err := client.Create(path)
	if err != nil {
		return err
	}
	_, err = f.ReadFrom(content)
	return errors.Join(err, f.Close())
}

// explain says what an error of sftp may mean.
func (c *conn) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return c.late(ctx)
	}
	var status *sftp.StatusError
	if errors.As(err, &status) && status.FxCode() == sftp.ErrSSHFxFailure {
		return fmt.Errorf("%w; is the disk full?", err)
	}
	if errors.Is(err, sftp.ErrSSHFxConnectionLost) {
		c.drop()
		return fmt.Errorf("the connection to %s broke: %w: %w", c.address, err, roller.ErrUnreachable)
	}
	return err
}

// late is the error of a call whose context ended. A machine that does not answer in time is one that cannot be reached.
func (c *conn) late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer from %s in time: %w: %w", c.address, context.Cause(ctx), roller.ErrUnreachable)
	}
	return context.Cause(ctx)
}

// timings bound what a connection may take.
type timings struct {
	dial      time.Duration // until a TCP connection stands
	handshake time.Duration // until the machine has let us in
	alive     time.Duration // between two questions whether it is still there, and for its answer
}

var defaultTimings = timings{dial: 5 * time.Second, handshake: 10 * time.Second, alive: 10 * time.Second}
