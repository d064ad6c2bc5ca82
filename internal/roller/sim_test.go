package roller

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
)

// The simulation drives real Runners over a virtual store, balancer, servers, monitor and people, in virtual time, with
// faults of every kind until a calm begins. A seed decides everything that is drawn:
//
//	RAILYARD_SIM_SEED=4711 go test ./internal/roller -run TestSimulation -v      one seed, with its trace
//	RAILYARD_SIM_SEEDS=2000 go test ./internal/roller -run TestSimulation        many seeds
type sim struct {
	seed    uint64
	start   time.Time
	flipped rule
	traced  bool
	plain   *rand.Rand // for what is laid out before anything runs

	mu       sync.Mutex
	draws    map[string]uint64
	calm     bool
	over     chan struct{} // closed at the end: what hangs without minding its context is let go
	sites    map[fleet.SiteRef]*simSite
	store    *simStore
	procs    []*simProc // those that run now
	born     int
	brakes   map[string]simBrake
	wg       sync.WaitGroup
	begun    []time.Time // when actions began
	failures []string
	trace    []string
}

// simulate runs one seed and returns which properties it found broken, and the trace.
func simulate(t *testing.T, seed uint64, flipped rule, traced bool) (failures, trace []string) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		s := newSim(seed, flipped, traced)
		s.run()
		failures, trace = s.failures, s.trace
	})
	return failures, trace
}

func newSim(seed uint64, flipped rule, traced bool) *sim {
	s := &sim{
		seed: seed, start: time.Now(), flipped: flipped, traced: traced, plain: newRand(seed),
		draws: map[string]uint64{}, over: make(chan struct{}), sites: map[fleet.SiteRef]*simSite{}, brakes: map[string]simBrake{},
	}
	s.store = newSimStore(s)
	for i := range 1 + s.plain.IntN(2) {
		s.addSite(i)
	}
	if s.wide() {
		s.share()
	}
	return s
}

// wide reports whether sites share servers in this world, and people take back what has completed. It is so for some seeds only,
// chosen so that the seeds below keep finding what they found before there was any of it.
func (s *sim) wide() bool { return s.seed%8 == 0 || s.seed%8 == 5 }

func (s *sim) run() {
	s.wg.Go(s.nature)
	s.wg.Go(s.people)
	replicas := 1 + s.plain.IntN(2)
	for i := range replicas {
		s.wg.Go(func() { s.replica(i, i == 0) })
	}
	time.Sleep(time.Duration(60+s.plain.IntN(240)) * time.Second)
	s.becalm()
	s.finish()
	close(s.over)
	s.wg.Wait()
}

// locked does f while nobody else touches anything virtual; f waits for nothing.
func (s *sim) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// draw returns a source of randomness for the n-th use of a key. It depends on the seed and the key alone, so that
// goroutines cannot disturb each other's luck.
func (s *sim) draw(key string) *rand.Rand {
	s.mu.Lock()
	s.draws[key]++
	n := s.draws[key]
	s.mu.Unlock()
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", key, n)
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

// pause waits a random time between the bounds (with nanoseconds, so that two things hardly ever happen at once) or until
// the end. It reports whether time went by.
func (s *sim) pause(r *rand.Rand, least, most time.Duration) bool {
	timer := time.NewTimer(least + time.Duration(r.Int64N(int64(most-least))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.over:
		return false
	}
}

func (s *sim) isCalm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calm
}

// fail notes a broken property. s.mu is held.
func (s *sim) fail(format string, args ...any) {
	text := fmt.Sprintf("%8.3fs %s", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
	if len(s.failures) < 5 {
		s.failures = append(s.failures, text)
	}
	s.trace = append(s.trace, "BROKEN "+text)
}

// note adds to the trace. s.mu is held.
func (s *sim) note(format string, args ...any) {
	if s.traced {
		s.trace = append(s.trace, fmt.Sprintf("%8.3fs %s", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...)))
	}
}

func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// found are seeds that find a fault which was there once, and what it was.
var found = []struct {
	seed uint64
	what string
}{
	{26, "a roll that had waited for its lock began with what it had seen of the site before"},
	{3, "a new process took a member it had not read yet for one at weight 0, and switched it in rotation"},
	{92, "a balancer was reloaded while it could not be asked, and what it had put back was switched in rotation"},
	{34, "late joiners in two batches made watch and last batch alternate for ever"},
	{15, "a brake that was known in memory was obeyed, but not kept as a pause"},
	{22, "after a restart every server seemed out of rotation, and a rollback took them all at once"},
	{28, "an order to pull out was given again although others had died since"},
	{113, "another decision was saved over one of which it was not known whether it was saved"},
	{126, "without a balancer, a server that could not be asked once was taken below the floor"},
	{543, "a rollback ended with a server that a late order had switched again, and that nobody could ask"},
	{128, "a shared machine whose way back into rotation was only ordered counted as back in its other pool"},
}

func TestSimulation(t *testing.T) {
	if text := os.Getenv("RAILYARD_SIM_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		failures, trace := simulate(t, seed, "", true)
		t.Log(strings.Join(trace, "\n"))
		if len(failures) > 0 {
			t.Errorf("seed %d:\n%s", seed, strings.Join(failures, "\n"))
		}
		return
	}
	seeds := uint64(60)
	if text := os.Getenv("RAILYARD_SIM_SEEDS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = n
	}
	broken := 0
	for seed := range seeds {
		if failures, _ := simulate(t, seed, "", false); len(failures) > 0 {
			t.Errorf("seed %d:\n%s", seed, strings.Join(failures, "\n"))
			broken++
		}
		if broken == 10 {
			t.Fatal("10 seeds are broken; the others were not tried")
		}
	}
}

func TestSimulationKeepsFinding(t *testing.T) {
	for _, f := range found {
		t.Run(f.what, func(t *testing.T) {
			if failures, _ := simulate(t, f.seed, "", false); len(failures) > 0 {
				t.Errorf("seed %d:\n%s", f.seed, strings.Join(failures, "\n"))
			}
		})
	}
}

// What a seed finds can only be looked into when it happens again.
func TestASeedReplays(t *testing.T) {
	_, first := simulate(t, 26, "", true)
	_, second := simulate(t, 26, "", true)
	want(t, len(first) > 50, true)
	slices.Sort(first) // what begins at the same nanosecond has no order
	slices.Sort(second)
	want(t, second, first)
}

// A simulation that cannot fail proves nothing: with a rule switched off it must find that out.
func TestSimulationFindsAMissingRule(t *testing.T) {
	for flipped, says := range map[rule]string{
		ruleFloor: "the floor is",
		ruleJudge: "without a pass",
		ruleShare: "which it is shared with; the floor there is",
	} {
		t.Run(string(flipped), func(t *testing.T) {
			for seed := range uint64(40) {
				failures, _ := simulate(t, seed, flipped, false)
				if strings.Contains(strings.Join(failures, "\n"), says) {
					t.Logf("seed %d: %s", seed, failures[0])
					return
				}
			}
			t.Errorf("40 seeds without the rule %q, and none found it missing", flipped)
		})
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
