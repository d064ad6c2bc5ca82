package ssh

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"railyard/internal/fleet"
	"railyard/internal/packages"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/internal/verdict"
)

// fleetOfTwo is a site of two machines, each with a real sshd of its own, rolled by the real engine over a real database.
type fleetOfTwo struct {
	t        *testing.T
	sshd     map[string]*sshd // by server
	config   Config
	dir      string
	packages *packages.Store
	store    *store.Store
	host     *Host
	rolls    int
}

func newFleetOfTwo(t *testing.T) *fleetOfTwo {
	t.Helper()
	f := &fleetOfTwo{t: t, sshd: map[string]*sshd{"s1": startSSHD(t), "s2": startSSHD(t)}, dir: t.TempDir()}
	f.config = f.sshd["s1"].config
	f.config.Address = func(s fleet.Server) string { return f.sshd[s.Name].address }
	key, err := os.ReadFile(f.sshd["s1"].path("authorized_keys"))
	f.must(err)
	f.sshd["s2"].write(t, "authorized_keys", string(key))
	f.know(f.sshd["s2"].hostKeys[0])
	log := logrus.New()
	log.SetOutput(io.Discard)
	f.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(f.dir, "railyard.db"), log)
	f.must(err)
	f.packages, err = packages.Open(t.Context(), "file://"+t.TempDir())
	f.must(err)
	t.Cleanup(func() { f.must(f.packages.Close()); f.must(f.store.Close()) })
	for name := range f.sshd {
		f.must(os.MkdirAll(filepath.Join(f.dir, name), 0o755))
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runner := &roller.Runner{Store: f.store, Sites: f, Judge: f, Log: log, Owner: "test"}
		_ = runner.Run(ctx, nil) // it ends by ctx alone
	}()
	t.Cleanup(func() { stop(); <-ended })
	f.connect()
	return f
}

func (f *fleetOfTwo) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// know writes the known hosts: the first machine's key, and this one for the second.
func (f *fleetOfTwo) know(second ssh.PublicKey) {
	f.t.Helper()
	one := f.sshd["s1"]
	one.write(f.t, "known_hosts", knownhosts.Line([]string{one.address}, one.hostKeys[0])+"\n"+knownhosts.Line([]string{f.sshd["s2"].address}, second)+"\n")
}

// connect drops the connections there are, so that the next use dials anew.
func (f *fleetOfTwo) connect() {
	f.t.Helper()
	if f.host != nil {
		f.host.Close()
	}
	var err error
	f.host, err = New(f.config, f.packages)
	f.must(err)
	f.t.Cleanup(func() { f.host.Close() })
}

// OpenSite implements roller.Sites.
func (f *fleetOfTwo) OpenSite(ref fleet.SiteRef) (roller.OpenSite, error) {
	site := roller.OpenSite{Host: f.host, Tester: f, Machines: map[string]roller.Machine{}}
	for name, s := range f.sshd {
		dir := filepath.Join(f.dir, name)
		restart := "echo restarted >>{{.Dir}}/restarts; while test -e {{.Dir}}/hangs; do sleep 0.1; done"
		site.Machines[name] = roller.Machine{Site: ref, Server: fleet.Server{Name: name, Address: s.address, Dir: dir},
			Apps: []fleet.App{{Name: "api", Restart: restart, Keep: 3}}}
	}
	return site, nil
}

// Test implements roller.Tester.
func (f *fleetOfTwo) Test(context.Context, roller.Machine) error { return nil }

// Judge implements roller.Judge.
func (f *fleetOfTwo) Judge(_ context.Context, q verdict.Question) verdict.Verdict {
	return verdict.Verdict{Outcome: verdict.Pass, At: time.Now().UTC(), Stage: q.Stage, Batch: q.Batch}
}

// roll orders a release of the next version.
func (f *fleetOfTwo) roll() (id string, app roller.AppRelease) {
	f.t.Helper()
	f.rolls++
	app = roller.AppRelease{App: "api", Version: fmt.Sprintf("1.%d.0", f.rolls)}
	dist := f.t.TempDir()
	f.must(os.WriteFile(filepath.Join(dist, "VERSION"), []byte(app.Version), 0o600))
	var packed bytes.Buffer
	f.must(packages.Pack(&packed, dist))
	var err error
	app.Package, _, err = f.packages.Put(f.t.Context(), &packed, 1<<20)
	f.must(err)
	site := fleet.SiteInfo{
		Ref:  fleet.SiteRef{Environment: "PROD", Pool: "api"},
		Site: fleet.Site{AllowDowntime: true, Balancer: fleet.Balancer{Driver: fleet.BalancerNone}},
		Strategy: fleet.Resolved{Pattern: []int{50}, StepTimeout: 6 * time.Second, Progress: time.Minute, DoubtBound: time.Minute,
			OnFailure: fleet.OnFailurePause},
	}
	r := roller.NewRoll(site, roller.Release, fmt.Sprintf("r-%d", f.rolls), time.Now().UTC().Truncate(time.Microsecond))
	r.Changes = []roller.AppRelease{app}
	f.must(f.store.AddRoll(f.t.Context(), r))
	return r.ID, app
}

// until waits until something holds of the roll.
func (f *fleetOfTwo) until(id, what string, holds func(roller.Roll) bool) roller.Roll {
	f.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := f.store.Roll(f.t.Context(), id)
		f.must(err)
		if holds(r) {
			return r
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			f.t.Fatalf("%s: not in a minute: %s; it is %s: %s %+v", id, what, r.Stage, r.Reason, r.Targets)
		}
	}
}

func (f *fleetOfTwo) ends(id string) roller.Roll {
	f.t.Helper()
	return f.until(id, "its end", func(r roller.Roll) bool { return r.Stage.Terminal() })
}

// runs checks what a machine runs, by its own files.
func (f *fleetOfTwo) runs(server string, app roller.AppRelease) {
	f.t.Helper()
	running, err := os.ReadFile(filepath.Join(f.dir, server, "api", "running"))
	f.must(err)
	if strings.TrimSpace(string(running)) != app.Name() {
		f.t.Errorf("%s runs %s, expected %s", server, running, app.Name())
	}
}

// owes checks that the roll ended without a server, and says why.
func (f *fleetOfTwo) owes(r roller.Roll, server string, why ...string) {
	f.t.Helper()
	if r.Stage != roller.Done || !strings.Contains(r.Reason, "owed: "+server) {
		f.t.Errorf("%s ended %s: %s; expected it done, and %s owed", r.ID, r.Stage, r.Reason, server)
	}
	for _, target := range r.Targets {
		for _, words := range why {
			if target.Server == server && !strings.Contains(target.Note, words) {
				f.t.Errorf("%s is %s for %q, expected %q", server, target.State, target.Note, words)
			}
		}
	}
}

func TestRollsOverSSH(t *testing.T) {
	f, whole := newFleetOfTwo(t), t // what is started again outlives its case
	id, old := f.roll()
	if r := f.ends(id); r.Stage != roller.Done {
		t.Fatalf("the first roll ended %s: %s", r.Stage, r.Reason)
	}
	f.runs("s1", old)
	f.runs("s2", old)
	for _, c := range []struct {
		rule string
		test func(t *testing.T)
	}{
		{"a machine whose host key has changed is not spoken to: it is owed, and the others roll", func(t *testing.T) {
			other, err := ssh.NewPublicKey(newED25519(t).Public())
			f.must(err)
			f.know(other)
			f.connect()
			id, app := f.roll()
			f.owes(f.ends(id), "s2", "the host key of "+f.sshd["s2"].address+" has changed")
			f.runs("s1", app)
			f.runs("s2", old)
			f.know(f.sshd["s2"].hostKeys[0])
		}},
		{"a machine that cannot be reached is owed, and the others roll", func(t *testing.T) {
			f.sshd["s2"].stop(t)
			f.connect()
			id, app := f.roll()
			f.owes(f.ends(id), "s2", "down when the roll started", f.sshd["s2"].address)
			f.runs("s1", app)
			f.runs("s2", old)
			f.sshd["s2"].start(whole)
		}},
		{"a machine that is lost in the middle of its switch fails it, and is caught up by a retry", func(t *testing.T) {
			f.connect()
			hangs := filepath.Join(f.dir, "s2", "api", "hangs")
			f.must(os.WriteFile(hangs, nil, 0o600))
			before, err := os.ReadFile(filepath.Join(f.dir, "s2", "api", "restarts"))
			f.must(err)
			id, app := f.roll()
			f.until(id, "s2 restarts", func(roller.Roll) bool {
				now, err := os.ReadFile(filepath.Join(f.dir, "s2", "api", "restarts"))
				f.must(err)
				return len(now) > len(before)
			})
			f.sshd["s2"].stop(t)
			r := f.until(id, "a pause", func(r roller.Roll) bool { return r.Pause != nil })
			if r.Pause.Cause != roller.CauseBudget || !strings.Contains(r.Pause.Reason, "s2 (switch: not done in 6s: ") {
				t.Errorf("paused for %s: %s; expected the failure budget, and s2 in its switch", r.Pause.Cause, r.Pause.Reason)
			}
			f.must(os.Remove(hangs))
			f.sshd["s2"].start(whole)
			_, err = f.store.AddRollCommand(t.Context(), roller.Command{Roll: id, Kind: roller.CmdRetry, Actor: "person:p", Reason: "it is back", At: time.Now()})
			f.must(err)
			if r := f.ends(id); r.Stage != roller.Done {
				t.Errorf("%s ended %s: %s", id, r.Stage, r.Reason)
			}
			f.runs("s1", app)
			f.runs("s2", app)
		}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			f.t = t
			c.test(t)
		})
		f.t = t
	}
}
