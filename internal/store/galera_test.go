package store_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/internal/store/mariadbtest"
)

// galeraRule is one case of several replicas, each at a node of its own.
type galeraRule struct {
	name string
	test func(t *testing.T, c *mariadbtest.Cluster, dsns []string)
}

// Railyard's replicas may share a Galera cluster, whose nodes know nothing of each other's row locks and find out at COMMIT that
// two of them changed the same row.
func TestGalera(t *testing.T) {
	c := mariadbtest.StartCluster(t)
	n := 0
	for _, rules := range [][]rule{leaseRules, siteRules} {
		for _, r := range rules {
			dsns := c.Database(t)
			n++
			t.Run(r.name, func(t *testing.T) { r.test(t, dsns[n%len(dsns)]) })
		}
	}
	for _, r := range []galeraRule{
		{"replicas at different nodes that claim never both win", nodesNeverBothWin},
		{"what one node refuses at commit because another one changed the row is run again", refusedAtCommit},
		{"a node shows at once what was committed at another", readsAreCurrent},
		{"of rolls that ask for a site at different nodes one gets the lock", oneNodeGetsTheLock},
		{"followers at one node lose no event of two replicas at others", func(t *testing.T, _ *mariadbtest.Cluster, dsns []string) {
			followersLoseNothing(t, []*store.Store{open(t, dsns[0]), open(t, dsns[1])}, open(t, dsns[2]))
		}},
		{"when a node is killed in the middle of its work, nothing that was saved is lost", nodeKilled}, // the last: the node stays away
	} {
		dsns := c.Database(t)
		t.Run(r.name, func(t *testing.T) { r.test(t, c, dsns) })
	}
}

func nodesNeverBothWin(t *testing.T, _ *mariadbtest.Cluster, dsns []string) {
	var replicas []*store.Store
	for _, dsn := range dsns {
		replicas = append(replicas, open(t, dsn))
	}
	const pieces = 10
	for i := range pieces {
		ok(t, replicas[0].AddRoll(t.Context(), roll(fmt.Sprint("r-", i), 2)))
	}
	for round := range 3 {
		var mu sync.Mutex
		winners := map[string][]string{}
		var all sync.WaitGroup
		for i, s := range replicas {
			owner := fmt.Sprintf("%d-%d", i, round)
			all.Go(func() {
				claims, err := s.ClaimRolls(t.Context(), owner, t0.Add(time.Duration(round)*ttl), ttl)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, claim := range claims {
					winners[claim.Roll.ID] = append(winners[claim.Roll.ID], owner)
				}
			})
		}
		all.Wait()
		for piece, w := range winners {
			if len(w) != 1 {
				t.Errorf("%s was won by %v", piece, w)
			}
		}
		// A claim that was refused at commit is left to the next round, so one may have been left by all.
		for i := range pieces {
			if id := fmt.Sprint("r-", i); len(winners[id]) == 0 {
				claims := must[[]roller.Claim](t)(replicas[0].ClaimRolls(t.Context(), "again", t0.Add(time.Duration(round)*ttl), ttl))
				t.Logf("round %d: %s was left to the next look, which took %d", round, id, len(claims))
				break
			}
		}
	}
}

// refusedAtCommit lets transactions at two nodes change a row, each before the other commits.
func refusedAtCommit(t *testing.T, _ *mariadbtest.Cluster, dsns []string) {
	a, b := open(t, dsns[0]), open(t, dsns[1])
	ok(t, a.AddRoll(t.Context(), roll("r-1", 1)))
	var tries atomic.Int32
	var changed sync.WaitGroup
	changed.Add(2)
	var all sync.WaitGroup
	for i, s := range []*store.Store{a, b} {
		all.Go(func() {
			once := sync.OnceFunc(func() { changed.Done(); changed.Wait() })
			err := s.Transact(t.Context(), func(exec store.Exec) error {
				tries.Add(1)
				err := exec("UPDATE rolls SET fence = fence + ? WHERE id = 'r-1'", 1+9*i)
				once()
				return err
			})
			if err != nil {
				t.Errorf("transaction at node %d: %v", i+1, err)
			}
		})
	}
	all.Wait()
	if n := tries.Load(); n < 3 {
		t.Errorf("%d tries: no transaction was refused", n)
	}
	for _, s := range []*store.Store{a, b} {
		equal(t, "fence", column(t, s, "SELECT fence FROM rolls"), []string{"11"})
	}
}

func readsAreCurrent(t *testing.T, _ *mariadbtest.Cluster, dsns []string) {
	a, b := open(t, dsns[0]), open(t, dsns[2])
	for i := range 50 {
		id := fmt.Sprint("r-", i)
		ok(t, a.AddRoll(t.Context(), roll(id, 3)))
		equal(t, "targets of "+id, len(must[roller.Roll](t)(b.Roll(t.Context(), id)).Targets), 3)
		must[int64](t)(a.AddRollCommand(t.Context(), roller.Command{Roll: id, Kind: roller.CmdBrake, Actor: "person:re", At: t0}))
		equal(t, "commands of "+id, len(must[[]roller.Command](t)(b.PendingCommands(t.Context(), id))), 1)
	}
}

func oneNodeGetsTheLock(t *testing.T, _ *mariadbtest.Cluster, dsns []string) {
	holders := make(chan string, len(dsns))
	for i, dsn := range dsns {
		s := open(t, dsn)
		go func() {
			holder, err := s.LockSites(t.Context(), roll("r", 1).Locks(), fmt.Sprint("r-", i), "", t0, ttl)
			if err != nil {
				t.Error(err)
			}
			holders <- holder.Roll
		}()
	}
	first := <-holders
	for range len(dsns) - 1 {
		equal(t, "holder", <-holders, first)
	}
}

// nodeKilled saves at a node until that is killed, and goes on at another.
func nodeKilled(t *testing.T, c *mariadbtest.Cluster, dsns []string) {
	dies, lives := open(t, dsns[1]), open(t, dsns[0])
	ok(t, lives.AddRoll(t.Context(), roll("r-1", 1)))
	claim := claimRoll(t, dies, "a", t0)
	saved, ended := atomic.Int64{}, make(chan struct{})
	saved.Store(-1)
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			target := claim.Roll.Targets[0]
			target.Note = strconv.Itoa(i)
			if dies.SaveRoll(t.Context(), claim, roller.Save{Roll: claim.Roll, Targets: []roller.Target{target},
				Events: []event.Event{{At: t0, Object: "roll/r-1", What: "counted", To: target.Note}}}) != nil {
				return
			}
			saved.Store(int64(i))
		}
	}()
	for saved.Load() < 20 {
		select {
		case <-ended:
			t.Fatal("the node ended the saves before it was killed")
		case <-time.After(5 * time.Millisecond):
		}
	}
	c.Kill(t, 1)
	<-ended
	next := claimRoll(t, lives, "b", t0.Add(ttl))
	events := must[[]event.Event](t)(lives.Events(t.Context(), store.EventFilter{Newest: true, Limit: 1}))
	count := must[int](t)(strconv.Atoi(events[0].To))
	if int64(count) < saved.Load() {
		t.Errorf("save %d returned before the node was killed; the last one kept is %d", saved.Load(), count)
	}
	equal(t, "note of the server, which is saved with the event", next.Roll.Targets[0].Note, events[0].To)
	equal(t, "events", events[0].ID, int64(count+1))
	ok(t, lives.SaveRoll(t.Context(), next, roller.Save{Roll: next.Roll}))
}
