// Package mariadbtest runs a real MariaDB server for the tests of a package: one server for each test binary, started when
// the first test asks for it, on a free loopback port with a data directory of its own; one empty database for each test.
//
//	func TestMain(m *testing.M) { os.Exit(mariadbtest.Run(m)) }
//
//	dsn := mariadbtest.Start(t).Database(t)
//
// The server dies with the test process, however that ends.
package mariadbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Server is a running server that accepts root without a password on 127.0.0.1.
type Server struct {
	Port   int    // 127.0.0.1:Port
	Socket string // its unix socket

	dir    string
	pid    int
	ended  chan struct{} // closed when the process has ended
	admin  *sql.DB
	number atomic.Int64 // of the last database
}

// startTime bounds the wait for the server to answer.
const startTime = 60 * time.Second

var shared struct {
	sync.Mutex
	ready  bool // Run was called
	server *Server
	err    error
}

// Run runs the tests of a package and then ends the server, if one was started. Its result is for os.Exit.
func Run(m *testing.M) int {
	shared.Lock()
	shared.ready = true
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		if err := shared.server.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "mariadbtest:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Start returns the package's server, starting it first when needed. It may be called by parallel tests.
func Start(tb testing.TB) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.ready {
		tb.Fatal("mariadbtest: the package's TestMain must call mariadbtest.Run, which ends the server")
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start()
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

// Database makes an empty database and returns its address as store.Open takes it. It is dropped when the test ends.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := "test" + strconv.FormatInt(s.number.Add(1), 10)
	if _, err := s.admin.Exec("CREATE DATABASE " + name); err != nil {
		tb.Fatalf("mariadbtest: create database: %v", err)
	}
	tb.Cleanup(func() {
		if _, err := s.admin.Exec("DROP DATABASE " + name); err != nil {
			tb.Errorf("mariadbtest: drop database: %v", err)
		}
	})
	return fmt.Sprintf("mysql://root@127.0.0.1:%d/%s", s.Port, name)
}

// Admin is a connection pool of root's to no database.
func (s *Server) Admin() *sql.DB { return s.admin }

func start() (s *Server, err error) {
	// A unix socket's path may have at most 107 bytes, and a test's own directory can be longer.
	sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("mdb%d-", os.Getpid()))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start MariaDB: %w", err), os.RemoveAll(dir))
		}
	}()
	install := exec.Command("mariadb-install-db", append(common(dir), "--auth-root-authentication-method=normal", "--skip-test-db")...)
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w (is mariadb-server installed? ci/setup does it): %s", err, out)
	}
	for try := 1; ; try++ {
		s, err := launch(dir)
		if err == nil || try == 3 { // another process may take the free port first
			return s, err
		}
	}
}

// sweep removes what test processes left that were killed before they could.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), "mdb*-*"))
	for _, dir := range dirs {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), "mdb%d-", &pid); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir) // another test process may be at it, too
		}
	}
}

// common are the options that the installer and the server need alike.
func common(dir string) []string {
	options := []string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data")}
	if os.Getuid() == 0 {
		options = append(options, "--user=root")
	}
	return options
}

func launch(dir string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Port: port, Socket: filepath.Join(dir, "s"), dir: dir, ended: make(chan struct{})}
	err = s.run(append(serverArgs(s, common(dir)), "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--max-connections=200"))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// serverArgs are the options of any server. What is written only has to survive in memory: no test takes the power away.
func serverArgs(s *Server, common []string) []string {
	return append(common, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.Port), "--socket="+s.Socket,
		"--pid-file="+filepath.Join(s.dir, "pid"), "--log-error="+filepath.Join(s.dir, "log.err"), "--skip-name-resolve",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--sync-frm=0")
}

// run starts the server and waits until it answers.
func (s *Server) run(args []string) error {
	program, err := exec.LookPath("mariadbd")
	if err != nil {
		program = "/usr/sbin/mariadbd" // not in every user's path
	}
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.spawn(cmd); err != nil {
		return err
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr = "root", "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	s.admin = sql.OpenDB(connector)
	if err := s.answer(); err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log.err"))
		return errors.Join(fmt.Errorf("%w; its log:\n%s", err, log), s.admin.Close(), s.kill())
	}
	return nil
}

// spawn starts the server and follows its end. The kernel ends a child when the thread that started it ends, so that
// thread is kept as long as the child.
func (s *Server) spawn(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it is killed in the end, so its result says nothing
			close(s.ended)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.pid = cmd.Process.Pid
	return nil
}

// answer waits until the server does.
func (s *Server) answer() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.admin.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer in %v: %w", startTime, err)
		}
	}
}

func (s *Server) kill() error {
	err := syscall.Kill(s.pid, syscall.SIGKILL)
	<-s.ended
	if errors.Is(err, syscall.ESRCH) {
		return nil // it had ended already
	}
	return err
}

func (s *Server) stop() error {
	return errors.Join(s.admin.Close(), s.kill(), os.RemoveAll(s.dir))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
