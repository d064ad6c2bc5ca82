package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/internal/store/mariadbtest"
	"railyard/pipeline"
)

var sqliteRules = []rule{
	{"a second process is refused and told who has the file", func(t *testing.T, dsn string) {
		open(t, dsn)
		_, err := store.Open(t.Context(), dsn, quiet)
		wantErr(t, err, store.ErrInUse)
		if !strings.Contains(err.Error(), fmt.Sprintf("by process %d ", os.Getpid())) {
			t.Errorf("error does not name the process: %v", err)
		}
	}},
	{"the file is for its owner only", func(t *testing.T, dsn string) {
		open(t, dsn)
		for _, suffix := range []string{"", "-wal", ".lock"} {
			info, err := os.Stat(strings.TrimPrefix(dsn, "sqlite:") + suffix)
			ok(t, err)
			equal(t, suffix, info.Mode().Perm(), os.FileMode(0o600))
		}
	}},
	{"what was saved survives kill -9, and the dead process's leases end at once", survivesKill},
}

// childDatabase tells the test binary to be the process that survivesKill kills.
const childDatabase = "RAILYARD_TEST_DATABASE"

// childMain claims a roll for long and saves without end, printing the number of each save after it returned.
func childMain(dsn string) int {
	ctx := context.Background()
	s, err := store.Open(ctx, dsn, quiet)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	claims, err := s.ClaimRolls(ctx, "child", t0, 1000*time.Hour)
	for i := 0; err == nil; i++ {
		target := claims[0].Roll.Targets[0]
		target.Note = strconv.Itoa(i)
		err = s.SaveRoll(ctx, claims[0], roller.Save{Roll: claims[0].Roll, Targets: []roller.Target{target},
			Events: []event.Event{{At: t0, Object: "roll/r-1", What: "counted", To: target.Note}}})
		fmt.Println(i)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func survivesKill(t *testing.T, dsn string) {
	s := open(t, dsn)
	ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
	ok(t, s.Close())

	child := exec.Command(must[string](t)(os.Executable()), "-test.run=^$")
	child.Env = append(os.Environ(), childDatabase+"="+dsn)
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	ok(t, err)
	ok(t, child.Start())
	lines := bufio.NewScanner(output)
	saved := -1
	for lines.Scan() {
		saved = must[int](t)(strconv.Atoi(lines.Text()))
		if saved == 300 {
			ok(t, child.Process.Kill())
		}
	}
	_ = child.Wait() // killed

	s = open(t, dsn)
	events := must[[]event.Event](t)(s.Events(t.Context(), store.EventFilter{Newest: true, Limit: 1}))
	count := must[int](t)(strconv.Atoi(events[0].To))
	if count < saved {
		t.Errorf("save %d returned before the kill; the last one kept is %d", saved, count)
	}
	c := claimRoll(t, s, "next", t0) // in the same moment, 1000 hours before the lease would have ended
	equal(t, "note of the server, which is saved with the event", c.Roll.Targets[0].Note, events[0].To)
	equal(t, "events", events[0].ID, int64(count+1))
}

var mariadbRules = []rule{
	{"replicas that start at once on an empty database all open it", replicasStartAtOnce},
	{"a deadlock is run again and both transactions are there", deadlockIsRunAgain},
	{"followers lose no event of two replicas", func(t *testing.T, dsn string) {
		a, b := open(t, dsn), open(t, dsn)
		followersLoseNothing(t, []*store.Store{a, b}, b)
	}},
	{"two replicas that claim never both win", func(t *testing.T, dsn string) {
		a, b := open(t, dsn), open(t, dsn)
		for i := range 20 {
			ok(t, a.AddRoll(t.Context(), roll(fmt.Sprint("r-", i), 2)))
		}
		var wins atomic.Int32
		var both sync.WaitGroup
		for name, s := range map[string]*store.Store{"a": a, "b": b} {
			both.Go(func() {
				claims, err := s.ClaimRolls(t.Context(), name, t0, ttl)
				if err != nil {
					t.Error(err)
				}
				wins.Add(int32(len(claims)))
			})
		}
		both.Wait()
		equal(t, "wins", wins.Load(), int32(20))
	}},
	{"a replica that freezes in a transaction keeps its rows for a few seconds only", frozenReplica},
	{"a lost connection before commit is run again", lostConnection},
	{"a connection lost during commit ends the claim", lostCommit},
	{"a server that is away is an error at once", func(t *testing.T, dsn string) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := store.Open(ctx, "mysql://root:s3cret@127.0.0.1:1/railyard", quiet)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("error is %v, want connection refused", err)
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error names the password: %v", err)
		}
	}},
}

// deadlockIsRunAgain lets two transactions take two rows in opposite order, each holding its first when it asks for its
// second.
func deadlockIsRunAgain(t *testing.T, dsn string) {
	s := open(t, dsn)
	rows := []string{"r-1", "r-2"}
	for _, r := range rows {
		ok(t, s.AddRoll(t.Context(), roll(r, 1)))
	}
	var tries atomic.Int32
	var holding sync.WaitGroup
	holding.Add(2)
	var all sync.WaitGroup
	for i := range 2 {
		first, second := rows[i], rows[1-i]
		all.Go(func() {
			once := sync.OnceFunc(func() { holding.Done(); holding.Wait() })
			err := s.Transact(t.Context(), func(exec store.Exec) error {
				tries.Add(1)
				if err := exec("UPDATE rolls SET fence = fence + 1 WHERE id = ?", first); err != nil {
					return err
				}
				once()
				return exec("UPDATE rolls SET fence = fence + 10 WHERE id = ?", second)
			})
			if err != nil {
				t.Errorf("transaction %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if n := tries.Load(); n < 3 {
		t.Errorf("%d tries: the transactions did not deadlock", n)
	}
	equal(t, "fences", column(t, s, "SELECT fence FROM rolls"), []string{"11", "11"})
}

// frozenReplica leaves a transaction open that holds a roll's row, as a process that was stopped does.
func frozenReplica(t *testing.T, dsn string) {
	frozen, next := open(t, dsn), open(t, dsn)
	ok(t, next.AddRoll(t.Context(), roll("r-1", 1)))
	stale := claimRoll(t, frozen, "frozen", t0)
	holds, thaw := make(chan struct{}), make(chan struct{})
	ended := make(chan error)
	go func() {
		first := true
		ended <- frozen.Transact(t.Context(), func(exec store.Exec) error {
			if !first {
				return errCut // what it does after it was thrown out is another case
			}
			first = false
			if err := exec("UPDATE rolls SET stage = 'frozen' WHERE id = 'r-1'"); err != nil {
				return err
			}
			close(holds)
			<-thaw
			return exec("UPDATE rolls SET stage = 'frozen too' WHERE id = 'r-1'")
		})
	}()
	<-holds
	start := time.Now()
	var claims []roller.Claim
	for len(claims) == 0 && time.Since(start) < time.Minute { // each round waits for the row by itself
		claims = must[[]roller.Claim](t)(next.ClaimRolls(t.Context(), "next", t0.Add(ttl), ttl))
	}
	t.Logf("claimed %v after the other froze", time.Since(start).Round(100*time.Millisecond))
	if waited := time.Since(start); len(claims) != 1 || waited > ttl {
		t.Errorf("claimed %d rolls in %v, want one within the time of a lease", len(claims), waited)
	}
	close(thaw)
	if err := <-ended; err == nil {
		t.Error("the frozen transaction was committed")
	}
	wantErr(t, frozen.SaveRoll(t.Context(), stale, roller.Save{Roll: stale.Roll}), roller.ErrFenced)
	equal(t, "stage", must[roller.Roll](t)(next.Roll(t.Context(), "r-1")).Stage, roller.Smoke)
	equal(t, "stage column", column(t, next, "SELECT stage FROM rolls"), []string{"smoke"})
}

// lostConnection kills the connection in the middle of a transaction.
func lostConnection(t *testing.T, dsn string) {
	s := open(t, dsn)
	ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
	tries := 0
	ok(t, s.Transact(t.Context(), func(exec store.Exec) error {
		tries++
		if err := exec("UPDATE rolls SET fence = fence + 1 WHERE id = 'r-1'"); err != nil {
			return err
		}
		if tries == 1 {
			killConnections(t, dsn)
		}
		return exec("UPDATE rolls SET fence = fence + 10 WHERE id = 'r-1'")
	}))
	equal(t, "tries", tries, 2)
	equal(t, "fence", column(t, s, "SELECT fence FROM rolls"), []string{"11"})
}

// lostCommit kills the connection just before COMMIT is sent, so that its answer never comes.
func lostCommit(t *testing.T, dsn string) {
	s := open(t, dsn)
	ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
	push(t, s, coach(1, 1))
	r, c := claimRoll(t, s, "a", t0), claimCoach(t, s, "a", t0)
	kill := func() error { killConnections(t, dsn); return nil }
	restore := s.Cut(1, kill) // after the header
	err := s.SaveRoll(t.Context(), r, roller.Save{Roll: r.Roll})
	restore()
	wantErr(t, err, store.ErrUnknownOutcome)
	wantErr(t, err, roller.ErrFenced)
	restore = s.Cut(2, kill) // after the Coach and its builds
	err = s.SaveCoach(t.Context(), c, pipeline.Save{Coach: c.Coach})
	restore()
	wantErr(t, err, store.ErrUnknownOutcome)
	wantErr(t, err, pipeline.ErrFenced)
}

// killConnections ends every connection to the store's database, as a server or a network that fails does.
func killConnections(t *testing.T, dsn string) {
	admin := mariadbtest.Start(t).Admin()
	rows, err := admin.Query("SELECT id FROM information_schema.processlist WHERE db = ?", dsn[strings.LastIndexByte(dsn, '/')+1:])
	ok(t, err)
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		ok(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	ok(t, rows.Err())
	for _, id := range ids {
		if _, err := admin.Exec(fmt.Sprintf("KILL %d", id)); err != nil {
			t.Errorf("kill connection: %v", err)
		}
	}
}

func TestOpenRefusesAnAddressItCannotRead(t *testing.T) {
	for _, dsn := range []string{"", "sqlite:", "postgres://h/db", "railyard.db", "mysql://user:s3cret@host:3306", "mysql://user:s3cret@host:3306/db?parseTime=maybe",
		"user:s3cret@tcp(host:3306)", "user:s3cret@tcp(host:3306)/", "user:s3cret@blah(/db"} {
		_, err := store.Open(t.Context(), dsn, quiet)
		if err == nil {
			t.Errorf("%q was opened", dsn)
			continue
		}
		if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "mysql://user:password@host:3306/railyard") {
			t.Errorf("%q: the error must show what is expected and no password: %v", dsn, err)
		}
	}
}

func TestOpenMakesTheDirectory(t *testing.T) {
	open(t, "sqlite:"+filepath.Join(t.TempDir(), "a b?c%20", "railyard.db"))
}
