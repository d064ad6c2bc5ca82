package mariadbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Cluster is a Galera cluster of three nodes on loopback ports, each a real server with a data directory of its own. It belongs to
// one test, and ends with it.
type Cluster struct {
	Nodes []*Server

	number int // of the last database
}

const nodes = 3

// galeraLibrary is where Debian's galera-4 puts it.
const galeraLibrary = "/usr/lib/galera/libgalera_smm.so"

// StartCluster starts a cluster: the first node alone, the others get its state by rsync, as any node that joins does.
func StartCluster(tb testing.TB) *Cluster {
	tb.Helper()
	sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("mdb%d-", os.Getpid()))
	if err != nil {
		tb.Fatal(err)
	}
	c := &Cluster{}
	tb.Cleanup(func() {
		for _, n := range c.Nodes {
			if err := errors.Join(n.admin.Close(), n.kill()); err != nil {
				tb.Errorf("mariadbtest: end a node: %v", err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("mariadbtest: %v", err)
		}
	})
	if err := c.start(dir); err != nil {
		tb.Fatalf("start a Galera cluster (are mariadb-server and galera-4 installed? ci/setup does it): %v", err)
	}
	return c
}

func (c *Cluster) start(dir string) error {
	owner, err := giveAway(dir)
	if err != nil {
		return err
	}
	first := filepath.Join(dir, "1")
	install := exec.Command("mariadb-install-db", append([]string{"--no-defaults", "--datadir=" + filepath.Join(first, "data"), "--innodb-log-file-size=8M",
		"--auth-root-authentication-method=normal", "--skip-test-db"}, owner...)...)
	if err := makeHome(first, owner); err != nil {
		return err
	}
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	node, address, err := launchNode(first, 1, "", owner)
	if err != nil {
		return fmt.Errorf("node 1: %w", err)
	}
	c.Nodes = append(c.Nodes, node)
	joined, errs := make([]*Server, nodes-1), make([]error, nodes-1)
	var all sync.WaitGroup
	for i := range joined {
		all.Go(func() { joined[i], _, errs[i] = launchNode(filepath.Join(dir, strconv.Itoa(i+2)), i+2, address, owner) })
	}
	all.Wait()
	for i, node := range joined {
		if errs[i] == nil {
			c.Nodes = append(c.Nodes, node)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.together(nodes)
}

// giveAway lets the account mysql have a directory when the tests run as root: the state transfer by rsync drops root's rights.
// It returns the option that makes a server run as that account.
func giveAway(dir string) (options []string, err error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("mysql")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return nil, err
	}
	return []string{"--user=mysql"}, os.Chown(dir, uid, -1)
}

func makeHome(dir string, owner []string) error {
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil || owner == nil {
		return err
	}
	_, err := giveAway(dir)
	if err == nil {
		_, err = giveAway(filepath.Join(dir, "data"))
	}
	return err
}

// launchNode starts a node that joins the one at address, or a new cluster when there is none. It returns where others join it.
// It tries again: another process may take a free port first, and a node that joins may meet one that has just come.
func launchNode(dir string, number int, address string, owner []string) (s *Server, at string, err error) {
	for range 3 {
		if s, at, err = tryNode(dir, number, address, owner); err == nil {
			break
		}
	}
	return s, at, err
}

func tryNode(dir string, number int, address string, owner []string) (s *Server, at string, err error) {
	if err := makeHome(dir, owner); err != nil {
		return nil, "", err
	}
	var port [4]int // of clients, of the group, of changes that a node missed, of a whole state
	for i := range port {
		if port[i], err = freePort(); err != nil {
			return nil, "", err
		}
	}
	s = &Server{Port: port[0], Socket: filepath.Join(dir, "s"), dir: dir, ended: make(chan struct{})}
	at = fmt.Sprintf("127.0.0.1:%d", port[1])
	args := append(serverArgs(s, append([]string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data")}, owner...)),
		"--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M", "--max-connections=100",
		"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON", "--wsrep-provider="+galeraLibrary, "--wsrep-cluster-name=railyard",
		fmt.Sprintf("--wsrep-node-name=n%d", number), "--wsrep-node-address="+at, "--wsrep-sst-method=rsync",
		fmt.Sprintf("--wsrep-sst-receive-address=127.0.0.1:%d", port[3]), "--wsrep-cluster-address=gcomm://"+address,
		fmt.Sprintf("--wsrep-provider-options=base_port=%d;gmcast.listen_addr=tcp://%s;ist.recv_addr=127.0.0.1:%d;gcache.size=8M;gcache.page_size=8M;pc.recovery=false;pc.announce_timeout=PT1S;"+
			"evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT6S;evs.inactive_check_period=PT0.5S",
			port[1], at, port[2]))
	if address == "" {
		args = append(args, "--wsrep-new-cluster")
	}
	if err := s.run(args); err != nil {
		return nil, "", err
	}
	return s, at, nil
}

// Database makes an empty database and returns its address at each node, as store.Open takes it.
func (c *Cluster) Database(tb testing.TB) (dsns []string) {
	tb.Helper()
	c.number++
	name := fmt.Sprintf("test%d", c.number)
	if _, err := c.Nodes[0].admin.Exec("CREATE DATABASE " + name); err != nil {
		tb.Fatalf("mariadbtest: create database: %v", err)
	}
	for _, n := range c.Nodes {
		var there string
		for there == "" { // the others have it a moment later
			err := n.admin.QueryRowContext(tb.Context(), "SHOW DATABASES LIKE '"+name+"'").Scan(&there)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				tb.Fatalf("mariadbtest: look for database %s: %v", name, err)
			}
		}
		dsns = append(dsns, fmt.Sprintf("mysql://root@127.0.0.1:%d/%s", n.Port, name))
	}
	return dsns
}

// Kill ends a node as kill -9 does, and waits until the others are a cluster without it.
func (c *Cluster) Kill(tb testing.TB, node int) {
	tb.Helper()
	if err := c.Nodes[node].kill(); err != nil {
		tb.Fatal(err)
	}
	rest := &Cluster{}
	for i, n := range c.Nodes {
		if i != node {
			rest.Nodes = append(rest.Nodes, n)
		}
	}
	if err := rest.together(nodes - 1); err != nil {
		tb.Fatal(err)
	}
}

// together waits until the nodes are one cluster of so many, and ready.
func (c *Cluster) together(many int) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, n := range c.Nodes {
		for {
			var name, size, ready string
			err := n.admin.QueryRowContext(ctx, "SHOW STATUS LIKE 'wsrep_cluster_size'").Scan(&name, &size)
			if err == nil {
				err = n.admin.QueryRowContext(ctx, "SHOW STATUS LIKE 'wsrep_ready'").Scan(&name, &ready)
			}
			if err == nil && size == strconv.Itoa(many) && ready == "ON" {
				break
			}
			select {
			case <-tick.C:
			case <-n.ended:
				return errors.New("a node ended")
			case <-ctx.Done():
				return fmt.Errorf("no cluster of %d in %v: the size is %q, ready %q: %w", many, startTime, size, ready, err)
			}
		}
	}
	return nil
}
