//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/child"
	"railyard/internal/demo/yard"
	"railyard/internal/fleet"
	"railyard/internal/packages"
	"railyard/internal/roller"
	"railyard/internal/store"
)

// crashYard is a yard with one small pool, in which rolls are made directly so that each can be killed at another save.
type crashYard struct {
	*yard.Yard
	t        *testing.T
	site     fleet.SiteRef
	releases map[string]roller.AppRelease // version → release
	rolls    int
}

const servers = 3

func openCrashYard(t *testing.T, change ...func(*yard.Options)) *crashYard {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the yard did not open in a minute"))
	defer cancel()
	pool := yard.Pool{App: apps.PublicAPI, Kind: "api", Traffic: true, Servers: map[string]int{"PROD": servers}}
	options := yard.Options{
		Dir: shortDir(t), Railyard: railyard, Pools: []yard.Pool{pool}, Rate: 60,
		Speed:        yard.Speed{Baking: 300 * time.Millisecond, Pause: 100 * time.Millisecond, Watch: 100 * time.Millisecond},
		NoIndicators: true,
	}
	for _, c := range change {
		c(&options)
	}
	y, err := yard.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &crashYard{Yard: y, t: t, site: fleet.SiteRef{Environment: "PROD", Pool: pool.App}, releases: map[string]roller.AppRelease{}}
	c.stop()
	for _, version := range []string{"1.0.0", "1.1.0"} {
		c.build(ctx, version)
	}
	return c
}

// build makes a release and puts its package into the service's package store.
func (c *crashYard) build(ctx context.Context, version string) {
	c.t.Helper()
	files, err := apps.Source(apps.PublicAPI, apps.Options{Version: version})
	c.must(err)
	dir := filepath.Join(c.Dir, "src", version)
	c.must(os.MkdirAll(dir, 0o755))
	for path, content := range files {
		c.must(os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
		c.must(os.WriteFile(filepath.Join(dir, path), []byte(content), 0o755))
	}
	cmd := exec.CommandContext(ctx, "./build.sh")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("build %s: %v\n%s", version, err, out)
	}
	var packed bytes.Buffer
	c.must(packages.Pack(&packed, filepath.Join(dir, "dist")))
	kept, err := packages.Open(ctx, "file://"+filepath.Join(c.Dir, "packages"))
	c.must(err)
	defer kept.Close()
	digest, _, err := kept.Put(ctx, &packed, 64<<20)
	c.must(err)
	c.releases[version] = roller.AppRelease{App: apps.PublicAPI, Package: digest, Version: version}
}

func (c *crashYard) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *crashYard) stop() {
	c.t.Helper()
	c.must(c.Process().Stop(10 * time.Second))
}

// database opens the service's database while the service is not running.
func (c *crashYard) database() *store.Store {
	c.t.Helper()
	return openDatabase(c.t, c.Dir)
}

// order makes a roll of the site to a version.
func (c *crashYard) order(version string) string {
	c.t.Helper()
	s := c.database()
	defer s.Close()
	row, err := s.CurrentTopology(c.t.Context())
	c.must(err)
	topology, err := fleet.Load("topology", []byte(row.Text))
	c.must(err)
	site, _ := topology.Site(c.site)
	c.rolls++
	now := time.Now().UTC().Truncate(time.Microsecond)
	roll := roller.Roll{
		ID: fmt.Sprintf("crash-%d", c.rolls), Kind: roller.Release, Coach: "none", Site: c.site, Created: now,
		Changes: []roller.AppRelease{c.releases[version]}, Strategy: site.Strategy, Balanced: true, Traffic: true,
		Stage: roller.Queued, StageSince: now, ProgressAt: now,
	}
	c.must(s.AddRoll(c.t.Context(), roll))
	return roll.ID
}

// crash runs the service until it kills itself at the given save, or the roll is done without reaching it.
func (c *crashYard) crash(at int, when, roll string) (died bool) {
	c.t.Helper()
	return c.crashOf("roll", at, when, func() (bool, bool) { return c.roll(roll) })
}

// crashOf runs the service until it kills itself at the given save of a roll or a Train, or has ended what it does.
func (c *crashYard) crashOf(what string, at int, when string, over func() (ended, ok bool)) (died bool) {
	c.t.Helper()
	cmd := exec.Command(crashserve, "--config", filepath.Join(c.Dir, "railyard.yaml"))
	cmd.Env = append(os.Environ(), "CRASH_AT="+strconv.Itoa(at), "CRASH_WHEN="+when, "CRASH_OF="+what)
	log, err := os.Create(filepath.Join(c.Dir, "crashserve.log"))
	c.must(err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	process, err := child.Start(cmd)
	c.must(err)
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-process.Done():
			return true
		case <-limit.C:
			text, _ := os.ReadFile(log.Name())
			c.must(process.Stop(5 * time.Second))
			c.t.Fatalf("save %d: neither killed nor done in a minute\n%s", at, text)
		case <-tick.C:
			if ended, ok := over(); ok && ended {
				c.must(process.Stop(10 * time.Second))
				return false
			}
		}
	}
}

// roll asks the service whether the roll has ended; ok is false while it does not answer.
func (c *crashYard) roll(id string) (ended, ok bool) {
	answer, err := c.API.GetRollWithResponse(c.t.Context(), id)
	if err != nil || answer.JSON200 == nil {
		return false, false
	}
	return answer.JSON200.Ended, true
}

// finish runs the service until the roll has ended, and returns it as saved.
func (c *crashYard) finish(id string) roller.Roll {
	c.t.Helper()
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), time.Minute, errors.New("the roll did not end in a minute"))
	defer cancel()
	c.must(c.Serve(ctx))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ended, ok := c.roll(id); ok && ended {
			break
		}
		select {
		case <-ctx.Done():
			answer, _ := c.API.GetRollWithResponse(c.t.Context(), id)
			c.t.Fatalf("%v: %s", context.Cause(ctx), answer.Body)
		case <-tick.C:
		}
	}
	c.stop()
	s := c.database()
	defer s.Close()
	r, err := s.Roll(c.t.Context(), id)
	c.must(err)
	return r
}

// starts counts how often each server was started on a release.
func (c *crashYard) starts(release string) map[string]int {
	n := map[string]int{}
	for i := range servers {
		machine := fmt.Sprintf("PROD/prod-%s-%d", apps.PublicAPI, i+1)
		for _, s := range c.Machines.Starts(machine, apps.PublicAPI) {
			if s.Revision == release {
				n[machine]++
			}
		}
	}
	return n
}

// A roll is killed with the service at every save it makes, after it was written and before it was; the next service
// finishes it. The two versions take turns.
func TestKilledAtEverySavedTransitionTheRollCompletesAndNoServerIsRestartedTwice(t *testing.T) {
	t.Parallel() // it waits more than it works, in a yard of its own
	c := openCrashYard(t)
	first := c.order("1.0.0")
	if r := c.finish(first); r.Stage != roller.Done {
		t.Fatalf("the first roll ended %s: %s", r.Stage, r.Reason)
	}
	next, last := "1.1.0", "1.0.0"
	died := true
	at := 0
	for died {
		at++
		when := "after"
		if at%4 == 0 {
			when = "before" // between the actions of one decision and the save of the next
		}
		release := c.releases[next].Name()
		before := c.starts(release)
		id := c.order(next)
		died = c.crash(at, when, id)
		r := c.finish(id)
		if r.Stage != roller.Done {
			t.Fatalf("killed %s save %d: the roll ended %s: %s", when, at, r.Stage, r.Reason)
		}
		for machine, n := range c.starts(release) {
			if restarted := n - before[machine]; restarted != 1 {
				t.Errorf("killed %s save %d: %s was started %d times on the revision, expected once", when, at, machine, restarted)
			}
		}
		c.allInRotation(fmt.Sprintf("killed %s save %d", when, at))
		next, last = last, next
	}
	if at < 20 {
		t.Errorf("the roll of %d servers made only %d saves; expected every step of every server to be one", servers, at-1)
	}
	t.Logf("killed at %d saved transitions", at-1)
}

func (c *crashYard) allInRotation(when string) {
	c.t.Helper()
	stats, err := c.Balancer.Stats(c.t.Context())
	c.must(err)
	for _, s := range stats {
		if !s.InRotation() || s.Weight != 100 {
			c.t.Errorf("%s: %s is %s at weight %d, expected in rotation at 100", when, s.Server, s.Status, s.Weight)
		}
	}
}
