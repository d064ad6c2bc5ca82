//go:build linux

package e2e

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/demo/child"
	"railyard/internal/demo/ports"
	"railyard/internal/demo/yard"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/internal/store/mariadbtest"
)

// The lease of these replicas is shorter than the 10 seconds it has by default, so that the tests need not wait so long.
const replicaLease = 2 * time.Second

// replicas are two "railyard serve" processes over one MariaDB, in a crash yard.
type replicas struct {
	*crashYard
	store   *store.Store // our own view of the database
	name    string       // of the database
	admin   *sql.DB
	ports   *ports.Set
	running map[string]*child.Process // "a", "b"
}

func openReplicas(t *testing.T) *replicas {
	t.Helper()
	server := mariadbtest.Start(t)
	dsn := server.Database(t)
	c := openCrashYard(t, func(o *yard.Options) {
		o.Database = dsn
		o.Speed = yard.Speed{Baking: time.Second, Pause: 500 * time.Millisecond, Watch: 500 * time.Millisecond}
	})
	log := logrus.New()
	log.SetOutput(bytes.NewBuffer(nil))
	s, err := store.Open(t.Context(), dsn, log)
	c.must(err)
	r := &replicas{crashYard: c, store: s, name: dsn[strings.LastIndexByte(dsn, '/')+1:], admin: server.Admin(), ports: &ports.Set{}, running: map[string]*child.Process{}}
	t.Cleanup(func() {
		for name := range r.running {
			r.end(name)
		}
		c.must(s.Close())
		c.must(r.ports.Close())
	})
	return r
}

// start starts a replica. It does not wait until it answers: no test asks it anything.
func (r *replicas) start(name string) {
	r.t.Helper()
	port, err := r.ports.Take()
	r.must(err)
	cmd := exec.Command(railyard, "serve", "--config", filepath.Join(r.Dir, "railyard.yaml"))
	cmd.Env = append(os.Environ(), "RAILYARD_NAME="+name, "RAILYARD_LISTEN="+ports.Address(port), "RAILYARD_LEASETTL="+replicaLease.String(),
		"RAILYARD_MIRRORS="+filepath.Join(r.Dir, "mirrors-"+name))
	log, err := os.OpenFile(r.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	r.must(err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	r.running[name], err = child.Start(cmd)
	r.must(err)
}

func (r *replicas) log(name string) string { return filepath.Join(r.Dir, "replica-"+name+".log") }

func (r *replicas) end(name string) {
	r.t.Helper()
	r.must(r.running[name].Stop(10 * time.Second))
	delete(r.running, name)
}

// order makes a roll of the site to the version whose turn it is: the two take turns. It returns the roll and its version, and
// how often each server was started on that before.
func (r *replicas) order() (id, version string, before map[string]int) {
	r.t.Helper()
	version = []string{"1.0.0", "1.1.0"}[r.rolls%2]
	row, err := r.store.CurrentTopology(r.t.Context())
	r.must(err)
	topology, err := fleet.Load("topology", []byte(row.Text))
	r.must(err)
	site, _ := topology.Site(r.site)
	r.rolls++
	roll := roller.NewRoll(site, roller.Release, fmt.Sprintf("shared-%d", r.rolls), time.Now().UTC().Truncate(time.Microsecond))
	roll.Changes = []roller.AppRelease{r.releases[version]}
	r.must(r.store.AddRoll(r.t.Context(), roll))
	return roll.ID, version, r.starts(r.releases[version].Name())
}

// row is what the database says of a roll: its state, and who owns it.
func (r *replicas) row(id string) (roll roller.Roll, owner string, fence int64) {
	r.t.Helper()
	roll, err := r.store.Roll(r.t.Context(), id)
	r.must(err)
	r.must(r.admin.QueryRowContext(r.t.Context(), "SELECT owner, fence FROM "+r.name+".rolls WHERE id = ?", id).Scan(&owner, &fence)) //nolint:gosec // our own
	owner, _, _ = strings.Cut(owner, "-")
	return roll, owner, fence
}

// until waits until something holds of a roll, and returns who owns it then.
func (r *replicas) until(id, what string, holds func(roll roller.Roll, owner string) bool) (owner string) {
	r.t.Helper()
	eventually(r.t, id+": "+what, func() (string, bool) {
		roll, name, fence := r.row(id)
		owner = name
		return fmt.Sprintf("%s, of %q with fence %d: %s", roll.Stage, name, fence, roll.Reason), holds(roll, name)
	})
	return owner
}

func other(name string) string { return map[string]string{"a": "b", "b": "a"}[name] }

func inTheMiddle(roll roller.Roll, owner string) bool {
	if owner == "" || roll.Stage != roller.Rolling {
		return false
	}
	for _, t := range roll.Targets {
		if t.State == roller.Active && t.Step != roller.PullOut {
			return true
		}
	}
	return false
}

func ended(roll roller.Roll, _ string) bool { return roll.Stage.Terminal() }

// ends waits until the roll has completed, and checks that every server was started once on what it brought and takes its share.
func (r *replicas) ends(id, version string, before map[string]int) {
	r.t.Helper()
	r.until(id, "its end", ended)
	if roll, _, _ := r.row(id); roll.Stage != roller.Done {
		r.t.Fatalf("%s ended %s: %s", id, roll.Stage, roll.Reason)
	}
	for machine, n := range r.starts(r.releases[version].Name()) {
		if started := n - before[machine]; started != 1 {
			r.t.Errorf("%s: %s was started %d times on %s, expected once", id, machine, started, version)
		}
	}
	r.allInRotation(id)
}

func TestTwoReplicasOverOneMariaDB(t *testing.T) {
	t.Parallel() // it waits more than it works, in a yard of its own
	r := openReplicas(t)
	r.start("a")
	r.start("b")
	r.ends(r.order())
	from := time.Now()
	for _, c := range []struct {
		rule string
		test func(t *testing.T)
	}{
		{"one that is killed hands its roll over within the lease", r.killed},
		{"one that is frozen and wakes writes no row", r.frozenToTheEnd},
		{"one that wakes in the middle disturbs nothing that its successor does not put right", r.frozenInTheMiddle},
	} {
		t.Run(c.rule, func(t *testing.T) {
			r.crashYard.t = t
			c.test(t)
		})
		r.crashYard.t = t
	}
	if visits := r.Load.Window(from, time.Now()); visits.Requests == 0 || visits.Failed > 0 {
		t.Errorf("%d of %d requests failed, expected none of many", visits.Failed, visits.Requests)
	}
}

func (r *replicas) killed(t *testing.T) {
	id, version, before := r.order()
	owner := r.until(id, "the middle", inTheMiddle)
	killed := time.Now()
	r.must(r.running[owner].Signal(syscall.SIGKILL))
	<-r.running[owner].Done()
	next := r.until(id, "another owner", func(_ roller.Roll, name string) bool { return name == other(owner) })
	t.Logf("%s took over from %s %s after it was killed; the lease is %s", next, owner, time.Since(killed).Round(10*time.Millisecond), replicaLease)
	r.ends(id, version, before)
	delete(r.running, owner)
	r.start(owner)
}

func (r *replicas) frozenToTheEnd(t *testing.T) {
	id, version, before := r.order()
	owner := r.until(id, "the middle", inTheMiddle)
	r.must(r.running[owner].Signal(syscall.SIGSTOP))
	r.until(id, "another owner", func(_ roller.Roll, name string) bool { return name == other(owner) })
	r.ends(id, version, before)
	saved := r.rows()
	r.must(r.running[owner].Signal(syscall.SIGCONT))
	r.handedOver(owner, id)
	if now := r.rows(); now != saved {
		t.Errorf("%s woke and wrote: the rows were\n%s\nand are\n%s", owner, saved, now)
	}
	r.allInRotation("after " + owner + " woke")
}

func (r *replicas) frozenInTheMiddle(t *testing.T) {
	for range 3 {
		id, version, before := r.order()
		owner := r.until(id, "the middle", inTheMiddle)
		r.must(r.running[owner].Signal(syscall.SIGSTOP))
		r.until(id, "another owner", func(_ roller.Roll, name string) bool { return name == other(owner) })
		r.must(r.running[owner].Signal(syscall.SIGCONT))
		r.handedOver(owner, id)
		if _, now, _ := r.row(id); now != other(owner) && now != "" {
			t.Errorf("%s belongs to %q again", id, now)
		}
		r.ends(id, version, before)
	}
}

// handedOver waits until a replica has found out that another one has its roll.
func (r *replicas) handedOver(name, id string) {
	r.t.Helper()
	eventually(r.t, name+" gives "+id+" up", func() (string, bool) {
		text, err := os.ReadFile(r.log(name))
		r.must(err)
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "roll handed over") && strings.Contains(line, "roll="+id) {
				return "", true
			}
		}
		return string(text[max(0, len(text)-500):]), false
	})
}

// rows are the checksums of what the database keeps about Coaches and rolls. Audits go on.
func (r *replicas) rows() (text string) {
	r.t.Helper()
	var tables []string
	for _, table := range []string{"rolls", "roll_targets", "roll_commands", "coaches", "coach_commands", "events", "sites", "site_locks", "barred"} {
		tables = append(tables, r.name+"."+table)
	}
	found, err := r.admin.QueryContext(r.t.Context(), "CHECKSUM TABLE "+strings.Join(tables, ", "))
	r.must(err)
	defer found.Close()
	for found.Next() {
		var table string
		var sum int64
		r.must(found.Scan(&table, &sum))
		text += fmt.Sprintf("%s %d\n", table, sum)
	}
	r.must(found.Err())
	return text
}
