package enginebench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/internal/verdict"
)

const perPool = 100

// BenchmarkEngine rolls pools of 100 servers all at once: batches of 25 %, each judged for a second, and a second of watch.
// Every server takes its own time: an order up to 5 ms, a switch up to 500 ms, a smoke test up to 50 ms.
func BenchmarkEngine(b *testing.B) {
	for _, servers := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("%d servers", servers), func(b *testing.B) {
			for b.Loop() {
				measure(b, servers/perPool)
			}
		})
	}
}

// What the engine may cost per server. The bounds are those of the requirement; the figures are printed by the benchmark.
func TestStatementsPerServerStayUnderTwenty(t *testing.T) {
	cost := run(t, 3)
	if cost.statements >= 20 {
		t.Errorf("%.1f SQL statements per server, expected fewer than 20", cost.statements)
	}
}

type cost struct {
	cpu, wall  time.Duration
	statements float64 // per server
	leases     float64 // per server
	rss        int64   // bytes, the most ever
}

func measure(b *testing.B, pools int) {
	c := run(b, pools)
	servers := float64(pools * perPool)
	b.ReportMetric(c.cpu.Seconds(), "cpu-s")
	b.ReportMetric(c.cpu.Seconds()*1e6/servers, "cpu-µs/server")
	b.ReportMetric(c.wall.Seconds(), "wall-s")
	b.ReportMetric(c.statements, "sql/server")
	b.ReportMetric(c.leases, "lease-sql/server")
	b.ReportMetric(float64(c.rss)/1e6, "peak-MB")
}

// run rolls all pools to the end and returns what it cost.
func run(tb testing.TB, pools int) cost {
	tb.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	db, err := store.Open(tb.Context(), "sqlite:"+filepath.Join(tb.TempDir(), "railyard.db"), log)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	}()
	yard := newYard(pools)
	for _, site := range yard.sites {
		if err := db.AddRoll(tb.Context(), newRoll(site.ref)); err != nil {
			tb.Fatal(err)
		}
	}
	ended := make(chan roller.Roll, pools)
	runner := &roller.Runner{Store: db, Sites: yard, Judge: yard, Log: log, Owner: "bench", Saved: func(r roller.Roll) {
		if r.Stage.Terminal() {
			ended <- r
		}
	}}
	ctx, stop := context.WithCancel(tb.Context())
	done := make(chan struct{})
	began, used, statements, leases := time.Now(), cpu(tb), db.Statements(), db.LeaseStatements()
	go func() {
		defer close(done)
		_ = runner.Run(ctx, nil) // it ends by ctx alone
	}()
	for range pools {
		select {
		case r := <-ended:
			if r.Stage != roller.Done {
				tb.Errorf("roll %s ended %s: %s", r.ID, r.Stage, r.Reason)
			}
		case <-time.After(5 * time.Minute):
			tb.Fatal("the rolls did not end in five minutes")
		}
	}
	servers := float64(pools * perPool)
	c := cost{cpu: cpu(tb) - used, wall: time.Since(began), statements: float64(db.Statements()-statements) / servers,
		leases: float64(db.LeaseStatements()-leases) / servers, rss: peak(tb)}
	stop()
	<-done
	return c
}

func newRoll(site fleet.SiteRef) roller.Roll {
	return roller.Roll{
		ID: "r-" + site.Pool, Kind: roller.Release, Coach: "bench-1", Site: site, Stage: roller.Queued, Balanced: true, Traffic: true,
		Changes: []roller.AppRelease{{App: "api", Package: "sha256:222222222222", Version: "2"}},
		Created: time.Now(), StageSince: time.Now(), ProgressAt: time.Now(),
		Strategy: fleet.Resolved{
			Pattern: []int{25}, Pause: time.Second, Watch: time.Second, MinUpPercent: 50, DrainTimeout: 10 * time.Second,
			StepTimeout: time.Minute, Progress: 5 * time.Minute, DoubtBound: time.Minute, OnFailure: fleet.OnFailurePause,
		},
	}
}

// yard is every site of the virtual fleet.
type yard struct{ sites map[fleet.SiteRef]*site }

// site is one virtual pool: balancer, hosts and tester at once. It is safe for concurrent use.
type site struct {
	ref      fleet.SiteRef
	machines map[string]roller.Machine

	mu      sync.Mutex
	weights map[string]int
	running map[string]map[string]string
}

func newYard(pools int) *yard {
	y := &yard{sites: map[fleet.SiteRef]*site{}}
	for p := range pools {
		ref := fleet.SiteRef{Environment: "PROD", Pool: fmt.Sprintf("pool-%03d", p)}
		s := &site{ref: ref, machines: map[string]roller.Machine{}, weights: map[string]int{}, running: map[string]map[string]string{}}
		for i := range perPool {
			name := fmt.Sprintf("%s-%03d", ref.Pool, i)
			s.machines[name] = roller.Machine{Site: ref, Server: fleet.Server{Name: name}}
			s.weights[name] = 100
			s.running[name] = map[string]string{"api": "111111111111"}
		}
		y.sites[ref] = s
	}
	return y
}

// OpenSite implements roller.Sites.
func (y *yard) OpenSite(ref fleet.SiteRef) (roller.OpenSite, error) {
	s := y.sites[ref]
	return roller.OpenSite{Balancer: s, Host: host{s}, Tester: host{s}, Machines: s.machines}, nil
}

// Judge implements roller.Judge.
func (y *yard) Judge(_ context.Context, q verdict.Question) verdict.Verdict {
	return verdict.Verdict{Outcome: verdict.Pass, At: time.Now().UTC().Truncate(time.Microsecond), Stage: q.Stage, Batch: q.Batch, Reason: "all indicators are good"}
}

// Observe implements roller.Balancer.
func (s *site) Observe(context.Context) (map[string]roller.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := make(map[string]roller.Member, len(s.weights))
	for name, weight := range s.weights {
		members[name] = roller.Member{Weight: weight, Up: true, Detail: "UP"}
	}
	return members, nil
}

// SetWeight implements roller.Balancer.
func (s *site) SetWeight(ctx context.Context, member string, weight int) error {
	if err := takes(ctx, time.Millisecond, 5*time.Millisecond); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.weights[member] = weight
	return nil
}

type host struct{ *site }

// Observe implements roller.Host.
func (h host) Observe(_ context.Context, m roller.Machine) (roller.HostState, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return roller.HostState{Running: h.running[m.Server.Name]}, nil
}

// Switch implements roller.Host.
func (h host) Switch(ctx context.Context, m roller.Machine, r roller.Revision) error {
	if err := takes(ctx, 50*time.Millisecond, 500*time.Millisecond); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[m.Server.Name] = map[string]string{"api": r.Apps[0].Name()}
	return nil
}

// Test implements roller.Tester.
func (h host) Test(ctx context.Context, _ roller.Machine) error {
	return takes(ctx, 5*time.Millisecond, 50*time.Millisecond)
}

// takes lets a random time go by, so that no two servers move in step and their saves cannot be shared by luck.
func takes(ctx context.Context, least, most time.Duration) error {
	timer := time.NewTimer(least + rand.N(most-least))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cpu is the processor time this process has used.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory this process ever had resident, in bytes.
func peak(tb testing.TB) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return kb * 1024
		}
	}
	tb.Fatal("no VmHWM in /proc/self/status")
	return 0
}
