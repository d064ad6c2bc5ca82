package roller

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
)

// Auditor compares every site that no roll holds with what is believed of it, from time to time, and tells what differs. It
// changes nothing: a person orders a catch-up roll.
//
// The audits of all sites are spread evenly over the period by the sites' names, so an idle pool costs one look at its
// balancer and servers per period. Replicas share them: whoever marks a site's audit first does it.
type Auditor struct {
	Store  DriftStore
	Sites  Sites
	All    func() []fleet.SiteRef // the sites of the topology in force
	Log    logrus.FieldLogger
	Owner  string           // this replica's name, as in Runner
	Every  time.Duration    // default 60s
	AtOnce int              // sites looked at at once; default 8
	Now    func() time.Time // default time.Now

	surveyor *Surveyor
	asked    chan fleet.SiteRef
	once     sync.Once
	under    sync.Map // site → its audit is under way here
}

// DriftStore keeps what audits found. internal/store implements it.
type DriftStore interface {
	// ClaimAudit takes the site's audit until the given time, unless somebody holds it beyond free.
	ClaimAudit(ctx context.Context, c AuditClaim, free time.Time) (taken bool, err error)
	// Belief reads what is believed of the site, all of one moment.
	Belief(ctx context.Context, site fleet.SiteRef) (Belief, error)
	// SaveDrift keeps what was found, with the events that tell of it, if the claim still stands, no roll holds the site, and
	// the same roll completed on it last as when b was read. ErrFenced writes nothing.
	SaveDrift(ctx context.Context, c AuditClaim, b Belief, d DriftReport) error
}

// AuditClaim is one audit of a site in one replica's hands.
type AuditClaim struct {
	Site  fleet.SiteRef
	Owner string
	Until time.Time
}

// Belief is what a site should be like.
type Belief struct {
	Site     fleet.SiteRef
	Revision Revision // the last that completed; zero if none
	Roll     string   // the roll that completed it: "hotel-api-7.2-PROD-hotel-api"
	At       time.Time
	Holder   string       // the roll that holds the site now; "" = none
	Known    []Difference // what the audit before found
}

const (
	auditEvery  = time.Minute
	auditsBusy  = 8               // sites
	auditLooks  = hostLooks       // servers, over all sites
	auditListed = 5 * time.Second // how often the list of sites is read again
)

func (a *Auditor) defaults() {
	a.once.Do(func() {
		if a.Every == 0 {
			a.Every = auditEvery
		}
		if a.AtOnce == 0 {
			a.AtOnce = auditsBusy
		}
		if a.Now == nil {
			a.Now = time.Now
		}
		a.surveyor = NewSurveyor(auditLooks)
		a.asked = make(chan fleet.SiteRef, 64)
	})
}

func (a *Auditor) now() time.Time { return a.Now().UTC().Truncate(time.Microsecond) }

// Soon asks for an audit of the site now, because something ended there. It never blocks; a busy auditor comes round anyway.
func (a *Auditor) Soon(site fleet.SiteRef) {
	a.defaults()
	select {
	case a.asked <- site:
	default:
	}
}

// Run audits until ctx ends.
func (a *Auditor) Run(ctx context.Context) error {
	a.defaults()
	var all sync.WaitGroup
	defer all.Wait()
	places := make(chan struct{}, a.AtOnce)
	begin := func(site fleet.SiteRef, free time.Time) {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		all.Go(func() {
			defer func() { <-places }()
			if err := a.audit(ctx, site, free); err != nil && ctx.Err() == nil {
				a.Log.WithError(err).WithField("site", site.String()).Warn("audit site; it is tried again at its next time")
			}
		})
	}
	due := map[fleet.SiteRef]time.Time{}
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case site := <-a.asked:
			begin(site, farFuture)
			continue
		case <-wake.C:
		}
		now := a.now()
		for _, site := range a.dueAt(due, now) {
			begin(site, now)
		}
		wake.Reset(a.rest(due))
	}
}

// farFuture is beyond every claim: an audit that is asked for waits for none.
var farFuture = time.UnixMicro(math.MaxInt64)

// dueAt returns the sites whose time has come, and sets the next time of each.
func (a *Auditor) dueAt(due map[fleet.SiteRef]time.Time, now time.Time) (sites []fleet.SiteRef) {
	listed := map[fleet.SiteRef]bool{}
	for _, site := range a.All() {
		listed[site] = true
		at, known := due[site]
		if known && now.Before(at) {
			continue
		}
		if known {
			sites = append(sites, site)
		}
		due[site] = nextAudit(site, now, a.Every)
	}
	for site := range due {
		if !listed[site] {
			delete(due, site)
		}
	}
	return sites
}

// nextAudit is the first moment after now that is the site's: the same on every replica.
func nextAudit(site fleet.SiteRef, now time.Time, every time.Duration) time.Time {
	h := fnv.New32a()
	_, _ = h.Write([]byte(site.String())) // never fails
	phase := time.Duration(float64(every) * float64(h.Sum32()) / (1 << 32))
	next := now.Truncate(every).Add(phase)
	if !next.After(now) {
		next = next.Add(every)
	}
	return next
}

// rest is how long no site is due.
func (a *Auditor) rest(due map[fleet.SiteRef]time.Time) time.Duration {
	wait := auditListed
	now := a.now()
	for _, at := range due {
		wait = min(wait, at.Sub(now))
	}
	return max(wait, time.Millisecond)
}

// audit looks at one site and saves what changed since the audit before.
func (a *Auditor) audit(ctx context.Context, ref fleet.SiteRef, free time.Time) error {
	if _, already := a.under.LoadOrStore(ref, true); already {
		return nil
	}
	defer a.under.Delete(ref)
	site, err := a.Sites.OpenSite(ref)
	if err != nil {
		return err
	}
	longest := time.Duration(len(site.Machines)/auditLooks+1) * hostPatience // if no server answers
	claim := AuditClaim{Site: ref, Owner: a.Owner, Until: a.now().Add(a.Every/2 + longest)}
	taken, err := a.claim(ctx, claim, free)
	if err != nil || !taken {
		return err
	}
	belief, err := a.believe(ctx, ref)
	if err != nil || belief.Holder != "" || (belief.Revision.ID == "" && len(belief.Known) == 0) {
		return err
	}
	seen, err := a.surveyor.Look(ctx, site)
	if err != nil {
		return err
	}
	report := Report(belief, seen, a.now())
	if len(report.Events) == 0 {
		return nil
	}
	call, cancel := context.WithTimeoutCause(ctx, storePatience, errStorePatience)
	defer cancel()
	err = a.Store.SaveDrift(call, claim, belief, report)
	if errors.Is(err, ErrFenced) {
		return nil // a roll took the site meanwhile, or another replica its audit: what was seen may be their doing
	}
	return err
}

func (a *Auditor) claim(ctx context.Context, c AuditClaim, free time.Time) (bool, error) {
	call, cancel := context.WithTimeoutCause(ctx, storePatience, errStorePatience)
	defer cancel()
	return a.Store.ClaimAudit(call, c, free)
}

func (a *Auditor) believe(ctx context.Context, site fleet.SiteRef) (Belief, error) {
	call, cancel := context.WithTimeoutCause(ctx, storePatience, errStorePatience)
	defer cancel()
	return a.Store.Belief(call, site)
}
