package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/packages"
	"railyard/internal/roller"
	"railyard/internal/roller/balancer/haproxy"
	"railyard/internal/roller/host/ssh"
	"railyard/internal/roller/smoke"
	"railyard/internal/rollmon"
	"railyard/internal/store"
)

// railyard is Railyard as `railyard serve` puts it together for rolls: the runner over SQLite, the drivers for HAProxy and
// ssh, the smoke tester, the monitor. Each roll has a database of its own, by which the site runs the old release.
type railyard struct {
	*yard
	log      *logrus.Logger
	timeline bool // tell when each event was saved
	topology *fleet.Topology
	packages *packages.Store
	host     *ssh.Host
	open     roller.OpenSite
	rolls    int
	last     *store.Store
}

var site = fleet.SiteRef{Environment: "PROD", Pool: backend}

// topologyText describes the fleet as its owner would.
const topologyText = `
environments: [{name: PROD, production: true}]
sbus: [{name: bench, title: Bench}]
repositories: [{name: bench/web, clone: "https://git.example/bench/web.git", branches: [release/*]}]
apps:
  - name: web
    kind: api
    sbu: bench
    pool: pool
    repository: bench/web
    jenkins: {controller: main, job: deliver/web}
    restart: "ROOT/restart ROOT {{.Server}}"
    smoke: [{path: /, body: VERSION}]
pools:
  - name: pool
    sbu: bench
    sites:
      - environment: PROD
        balancer: {driver: haproxy, address: "unix:ROOT/haproxy.sock", backend: pool}
        host: {driver: ssh}
        strategy: {pattern: [25], pause: 0s, watch: 0s, min_up: 75}
        servers:
`

func newRailyard(y *yard, timeline bool) (*railyard, error) {
	r := &railyard{yard: y, timeline: timeline, log: logrus.New()}
	log, err := os.Create(y.path("railyard.log"))
	if err != nil {
		return nil, err
	}
	r.log.SetOutput(log)
	text := strings.NewReplacer("ROOT", y.root, "VERSION", newRelease.Version).Replace(topologyText)
	for i, name := range y.names {
		text += fmt.Sprintf("          - {name: %s, address: %q, dir: %q}\n", name, y.address[i], y.path("srv", name))
	}
	if r.topology, err = fleet.Load("topology.yaml", []byte(text)); err != nil {
		return nil, err
	}
	if err := os.Mkdir(y.path("packages"), 0o755); err != nil {
		return nil, err
	}
	if r.packages, err = packages.Open(context.Background(), "file://"+y.path("packages")); err != nil {
		return nil, err
	}
	config := ssh.Config{User: y.sshd.user, KeyFile: y.sshd.key, KnownHosts: y.sshd.knownHosts, Port: y.sshd.port}
	if r.host, err = ssh.New(config, r.packages); err != nil {
		return nil, err
	}
	info, _ := r.topology.Site(site)
	balancer, err := haproxy.New(info.Site.Balancer)
	if err != nil {
		return nil, err
	}
	r.open = roller.OpenSite{Balancer: balancer, Host: r.host, Tester: smoke.New(), Machines: map[string]roller.Machine{}}
	for _, s := range info.Site.Servers {
		r.open.Machines[s.Name] = roller.Machine{Site: site, Server: s, Apps: info.Apps}
	}
	return r, nil
}

func (*railyard) name() string { return "railyard" }

// OpenSite implements roller.Sites.
func (r *railyard) OpenSite(fleet.SiteRef) (roller.OpenSite, error) { return r.open, nil }

// ready warms the ssh connections and opens a database.
func (r *railyard) ready(ctx context.Context) (err error) {
	for _, m := range r.open.Machines {
		if _, err := r.host.Observe(ctx, m); err != nil {
			return err
		}
	}
	r.rolls++
	if r.last, err = store.Open(ctx, fmt.Sprintf("sqlite:%s", r.path(fmt.Sprintf("railyard-%d.db", r.rolls))), r.log); err != nil {
		return err
	}
	return r.runsOld(ctx)
}

// runsOld keeps in the database that the old release was completed on the site.
func (r *railyard) runsOld(ctx context.Context) error {
	before := r.newRoll("before")
	if err := r.last.AddRoll(ctx, before); err != nil {
		return err
	}
	claims, err := r.last.ClaimRolls(ctx, "before", time.Now(), time.Minute)
	if err != nil || len(claims) != 1 {
		return fmt.Errorf("claim the roll before: %d claimed: %w", len(claims), err)
	}
	before.Stage = roller.Done
	old := roller.NewRevision(oldRelease)
	return r.last.SaveRoll(ctx, claims[0], roller.Save{Roll: before, Complete: &old})
}

func (r *railyard) newRoll(id string) roller.Roll {
	now := time.Now().UTC().Truncate(time.Microsecond)
	info, _ := r.topology.Site(site)
	return roller.Roll{
		ID: id, Kind: roller.Release, Coach: "web-1.1", Site: site, Created: now, Author: event.Railyard,
		Changes: []roller.AppRelease{newRelease}, Strategy: info.Strategy, Balanced: true,
		Stage: roller.Queued, StageSince: now, ProgressAt: now,
	}
}

// roll measures from before the roll is stored until it is saved as done.
func (r *railyard) roll(ctx context.Context) (took time.Duration, err error) {
	work, stop := context.WithCancel(ctx)
	defer stop()
	saved := make(chan roller.Roll, 1000) // more than one roll ever saves
	topology := func() *fleet.Topology { return r.topology }
	runner := &roller.Runner{
		Store: r.last, Sites: r, Log: r.log, Owner: "bench",
		Judge: rollmon.NewMonitor(topology, nil, time.Now, r.log),
		Saved: func(roll roller.Roll) { saved <- roll },
	}
	news := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go r.spreadNews(work, news)
	go func() { ended <- runner.Run(work, news) }()
	defer func() {
		stop()
		if lost := <-ended; !errors.Is(lost, context.Canceled) {
			err = errors.Join(err, lost)
		}
		err = errors.Join(err, r.last.Close())
	}()

	begin := time.Now()
	if err := r.last.AddRoll(ctx, r.newRoll("roll")); err != nil {
		return 0, err
	}
	end, err := wait(ctx, saved)
	if err != nil {
		return 0, err
	}
	if r.timeline {
		if err := r.tell(ctx, begin); err != nil {
			return 0, err
		}
	}
	return end.Sub(begin), nil
}

// wait waits until the roll is saved as done.
func wait(ctx context.Context, saved <-chan roller.Roll) (time.Time, error) {
	var last roller.Roll
	late := time.NewTimer(2 * time.Minute)
	defer late.Stop()
	for last.Stage != roller.Done {
		select {
		case last = <-saved:
		case <-late.C:
			return time.Time{}, fmt.Errorf("the roll is not done in two minutes: %s: %s", last.Stage, last.Reason)
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
		if last.Pause != nil {
			return time.Time{}, fmt.Errorf("the roll paused: %s", last.Pause.Reason)
		}
	}
	end := time.Now()
	for _, t := range last.Targets {
		if t.State != roller.Settled {
			return time.Time{}, fmt.Errorf("%s is %s: %s", t.Server, t.State, t.Note)
		}
	}
	return end, nil
}

// spreadNews wakes the runner when something was stored, as the service does.
func (r *railyard) spreadNews(ctx context.Context, news chan<- struct{}) {
	for {
		changed := r.last.Changed()
		select {
		case news <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return
		}
	}
}

// tell prints the events of the roll with their time since it was stored.
func (r *railyard) tell(ctx context.Context, begin time.Time) error {
	events, err := r.last.Events(ctx, store.EventFilter{Object: "roll/roll", Limit: 1000})
	if err != nil {
		return err
	}
	byTime := func(a, b event.Event) int { return a.At.Compare(b.At) }
	for _, e := range slices.SortedStableFunc(slices.Values(events), byTime) {
		fmt.Printf("  %6.0f ms  %-4s %-20s %s\n", e.At.Sub(begin).Seconds()*1000, e.Server, e.What, e.Why)
	}
	return nil
}

func (r *railyard) close() error {
	return errors.Join(r.host.Close(), r.packages.Close())
}
