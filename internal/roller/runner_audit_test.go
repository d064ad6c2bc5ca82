package roller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/event"
	"railyard/internal/fleet"
)

// auditYard is a store, and sites whose one balancer and servers a test can change.
type auditYard struct {
	mu       sync.Mutex
	sites    []fleet.SiteRef
	members  map[string]Member
	holder   string
	claims   map[fleet.SiteRef]AuditClaim
	known    map[fleet.SiteRef][]Difference
	events   []event.Event
	looks    map[fleet.SiteRef][]time.Time // at the balancer
	asking   int                           // servers being asked now
	most     int
	hang     func(ctx context.Context) error // a server's answer takes this long
	onLook   func()                          // called when a balancer is read
	balancer error
}

func newAuditYard(sites int, servers int) *auditYard {
	y := &auditYard{claims: map[fleet.SiteRef]AuditClaim{}, known: map[fleet.SiteRef][]Difference{}, members: map[string]Member{},
		looks: map[fleet.SiteRef][]time.Time{}, hang: func(context.Context) error { return nil }, onLook: func() {}}
	for i := range sites {
		y.sites = append(y.sites, fleet.SiteRef{Environment: "PROD", Pool: fmt.Sprintf("pool-%d", i)})
	}
	for i := range servers {
		y.members[fmt.Sprintf("s%d", i)] = Member{Weight: 100, Up: true}
	}
	return y
}

func (y *auditYard) auditor(owner string) *Auditor {
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	return &Auditor{Store: y, Sites: y, All: func() []fleet.SiteRef { return y.sites }, Log: log, Owner: owner}
}

// run lets auditors work for a while of the bubble's time.
func (y *auditYard) run(t *testing.T, d time.Duration, auditors ...*Auditor) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, a := range auditors {
		all.Go(func() {
			if err := a.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("auditor: %v", err)
			}
		})
	}
	<-time.After(d)
	stop()
	all.Wait()
}

func (y *auditYard) locked(f func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	f()
}

func (y *auditYard) told() (all []string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, e := range y.events {
		all = append(all, e.What+" "+e.Server)
	}
	return all
}

func (y *auditYard) ClaimAudit(_ context.Context, c AuditClaim, free time.Time) (bool, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.claims[c.Site].Until.After(free) {
		return false, nil
	}
	y.claims[c.Site] = c
	return true, nil
}

func (y *auditYard) Belief(_ context.Context, site fleet.SiteRef) (Belief, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	return Belief{Site: site, Revision: oldRev, Roll: "r-1", Holder: y.holder, Known: y.known[site]}, nil
}

func (y *auditYard) SaveDrift(_ context.Context, c AuditClaim, b Belief, d DriftReport) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.claims[c.Site] != c || y.holder != "" {
		return ErrFenced
	}
	y.known[b.Site], y.events = d.Differences, append(y.events, d.Events...)
	return nil
}

func (y *auditYard) OpenSite(site fleet.SiteRef) (OpenSite, error) {
	open := OpenSite{Balancer: auditBalancer{y, site}, Host: auditHost{y}, Machines: map[string]Machine{}}
	y.mu.Lock()
	defer y.mu.Unlock()
	for name := range y.members {
		open.Machines[name] = Machine{Site: site, Server: fleet.Server{Name: name}}
	}
	return open, nil
}

type auditBalancer struct {
	y    *auditYard
	site fleet.SiteRef
}

func (b auditBalancer) Observe(context.Context) (map[string]Member, error) {
	b.y.mu.Lock()
	defer b.y.mu.Unlock()
	b.y.looks[b.site] = append(b.y.looks[b.site], time.Now())
	b.y.onLook()
	members := map[string]Member{}
	for name, m := range b.y.members {
		members[name] = m
	}
	return members, b.y.balancer
}

func (auditBalancer) SetWeight(context.Context, string, int) error {
	return errors.New("an audit changes nothing")
}

type auditHost struct{ y *auditYard }

func (h auditHost) Observe(ctx context.Context, _ Machine) (HostState, error) {
	h.y.locked(func() { h.y.asking++; h.y.most = max(h.y.most, h.y.asking) })
	err := h.y.hang(ctx)
	h.y.locked(func() { h.y.asking-- })
	return HostState{Running: map[string]string{"hotel-api": oldRev.Apps[0].Name()}}, err
}

func (auditHost) Switch(context.Context, Machine, Revision) error {
	return errors.New("an audit changes nothing")
}

// audited runs a test in which nothing takes time but what says so.
func audited(t *testing.T, rule string, test func(t *testing.T)) {
	t.Run(rule, func(t *testing.T) { synctest.Test(t, test) })
}

func TestAuditor(t *testing.T) {
	audited(t, "every site is looked at once in each period, and no two at the same moment", func(t *testing.T) {
		y := newAuditYard(20, 3)
		y.run(t, 10*time.Minute+time.Second, y.auditor("a"))
		moments := map[time.Time]bool{}
		for _, site := range y.sites {
			if n := len(y.looks[site]); n != 10 {
				t.Errorf("%s was looked at %d times in 10 minutes, expected 10", site, n)
			}
			moments[y.looks[site][0]] = true
		}
		if len(moments) != 20 {
			t.Errorf("20 sites at %d moments, expected them spread", len(moments))
		}
		if len(y.events) > 0 {
			t.Errorf("events of sites that are as they should be: %v", y.told())
		}
	})
	audited(t, "two replicas share the audits", func(t *testing.T) {
		y := newAuditYard(20, 3)
		y.run(t, 10*time.Minute+time.Second, y.auditor("a"), y.auditor("b"))
		for _, site := range y.sites {
			if n := len(y.looks[site]); n != 10 {
				t.Errorf("%s was looked at %d times in 10 minutes by two replicas, expected 10", site, n)
			}
		}
	})
	audited(t, "a difference is told once, and a new process does not tell it again", func(t *testing.T) {
		y := newAuditYard(1, 3)
		y.members["s1"] = Member{Weight: 0, Up: true}
		y.run(t, 5*time.Minute, y.auditor("a"))
		y.run(t, 5*time.Minute, y.auditor("b"))
		y.locked(func() { y.members["s1"] = Member{Weight: 100, Up: true} })
		y.run(t, 5*time.Minute, y.auditor("c"))
		if got := y.told(); !slices.Equal(got, []string{"drift_found s1", "drift_gone s1"}) {
			t.Errorf("told %v", got)
		}
	})
	audited(t, "a site that a roll holds is not looked at", func(t *testing.T) {
		y := newAuditYard(1, 3)
		y.holder, y.members["s1"] = "r-2", Member{}
		y.run(t, 5*time.Minute, y.auditor("a"))
		if len(y.looks) > 0 || len(y.events) > 0 {
			t.Errorf("looked %v, told %v", y.looks, y.told())
		}
	})
	audited(t, "what was seen of a site that a roll took meanwhile is not told", func(t *testing.T) {
		y := newAuditYard(1, 3)
		y.onLook = func() { y.holder, y.members["s1"] = "r-2", Member{} }
		y.run(t, 2*time.Minute, y.auditor("a"))
		if len(y.looks) == 0 || len(y.events) > 0 {
			t.Errorf("looked %v, told %v; expected a look and no word", y.looks, y.told())
		}
	})
	audited(t, "the end of a roll is a reason to look at once", func(t *testing.T) {
		y := newAuditYard(1, 3)
		a := y.auditor("a")
		a.Every = time.Hour
		a.Soon(y.sites[0])
		y.run(t, time.Millisecond, a)
		if len(y.looks[y.sites[0]]) != 1 {
			t.Errorf("looked %v, expected once", y.looks)
		}
	})
	audited(t, "servers that do not answer take their own time only, and no more than 32 are asked at once", func(t *testing.T) {
		y := newAuditYard(8, 25)
		y.hang = func(context.Context) error {
			<-time.After(hostPatience - time.Second)
			return ErrUnreachable
		}
		a := y.auditor("a")
		for _, site := range y.sites {
			a.Soon(site)
		}
		y.run(t, 75*time.Second, a)
		<-time.After(hostPatience) // looks that were cut off
		if y.most != auditLooks {
			t.Errorf("%d servers were asked at once, expected %d", y.most, auditLooks)
		}
		for _, site := range y.sites {
			if n := len(y.known[site]); n != 25 {
				t.Errorf("%s: %d differences, expected 25 servers that cannot be reached", site, n)
			}
		}
	})
	audited(t, "a balancer that is away changes nothing of what is known of its members", func(t *testing.T) {
		y := newAuditYard(1, 3)
		y.members["s1"] = Member{Weight: 0, Up: true}
		y.run(t, 2*time.Minute, y.auditor("a"))
		y.locked(func() { y.balancer = errors.New("no such socket") })
		y.run(t, 5*time.Minute, y.auditor("a"))
		y.locked(func() { y.balancer = nil })
		y.run(t, 5*time.Minute, y.auditor("a"))
		if got := y.told(); !slices.Equal(got, []string{"drift_found s1", "drift_found ", "drift_gone "}) {
			t.Errorf("told %v", got)
		}
	})
	audited(t, "a driver that never returns holds up no audit", func(t *testing.T) {
		y := newAuditYard(1, 1)
		release := make(chan struct{})
		y.hang = func(context.Context) error { <-release; return nil }
		y.run(t, 2*time.Minute, y.auditor("a"))
		close(release)
		if got := y.told(); !slices.Equal(got, []string{"drift_found s0"}) {
			t.Errorf("told %v", got)
		}
	})
}

// BenchmarkAudit says what a server costs in an audit that finds nothing: with drivers that answer at once, and without the
// database, which sees four statements per site.
func BenchmarkAudit(b *testing.B) {
	for _, servers := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%d servers", servers), func(b *testing.B) {
			y := newAuditYard(1, servers)
			a := y.auditor("a")
			a.defaults()
			b.ReportAllocs()
			for b.Loop() {
				if err := a.audit(b.Context(), y.sites[0], farFuture); err != nil {
					b.Fatal(err)
				}
			}
			if len(y.events) > 0 {
				b.Fatalf("told %v", y.told())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*servers), "ns/server")
		})
	}
}
