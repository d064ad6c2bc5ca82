package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// Jenkins is what the worker needs of the build servers. Implementations are safe for concurrent use and bounded in time.
type Jenkins interface {
	// Trigger asks for one build. It never retries. errors.Is(err, ErrRefused): Jenkins answered and will not.
	Trigger(ctx context.Context, controller, job string, parameters map[string]string) (queueID int64, err error)
	// Poll says how the asked-for builds stand, by deployment id, in as few requests as it can. One that Jenkins does not
	// show is left out. With an error (one job of many could not be read), what was found is returned too.
	Poll(ctx context.Context, controller string, asks []Ask) (map[string]BuildFact, error)
	// Find looks one deployment id up among a job's builds and the queue. A fact that is not Known says Jenkins has neither.
	Find(ctx context.Context, controller, job, deployment string) (BuildFact, error)
	// Tell writes a build's description, and below it where the buttons are that may be pressed for its Coach.
	Tell(ctx context.Context, b rop.Build, text, coach string, buttons []string) error
	// Keep protects a build from being deleted when Jenkins makes room.
	Keep(ctx context.Context, b rop.Build) error
	// Wake makes a build that waits look how its Coach stands, unless it knows the milepost. settled is false while the build
	// may still come to ask.
	Wake(ctx context.Context, controller, job string, number int64, milepost string) (settled bool, err error)
}

// Ask names one build to look for.
type Ask struct {
	Job        string // "deliver/hotel-api"
	Deployment string
	QueueID    int64 // 0 = not known
}

// ErrRefused means Jenkins, or the code host, answered and will not: somebody has to change something there.
var ErrRefused = errors.New("refused")

// Worker advances Coaches: it takes in pushes, decides, saves, and asks Jenkins. Each Coach has one goroutine, which owns it
// while this replica holds its lease.
type Worker struct {
	Store    Store
	Trains   TrainStore // nil = there are no Trains
	Jenkins  Jenkins
	Statuses Statuses // nil = no commit is marked
	Topology func() *fleet.Topology
	Mirror   func(fleet.Repository) (Mirror, error)
	Log      logrus.FieldLogger
	Owner    string           // this replica's name, unique per process
	LeaseTTL time.Duration    // default 10s
	Rescan   time.Duration    // how often followed repositories are looked at for pushes nobody told of; default 5m
	Now      func() time.Time // default time.Now

	mu       sync.Mutex
	coaches  map[string]*drive
	trains   map[string]*trainDrive
	poller   *poller
	pictures *pictures
}

// Run works until ctx ends, then gives its leases up. News wakes it: something was stored that may matter.
func (w *Worker) Run(ctx context.Context, news <-chan struct{}) error {
	w.defaults()
	group, ctx := errgroup.WithContext(ctx)
	pushed := make(chan struct{}, 1)
	group.Go(func() error { return w.takeInPushes(ctx, pushed) })
	group.Go(func() error { return w.poller.run(ctx) })
	group.Go(func() error { return w.rescan(ctx, pushed) })
	var wg sync.WaitGroup
	group.Go(func() error {
		defer wg.Wait()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			w.claim(ctx, &wg)
			w.claimTrains(ctx, &wg)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-news:
				nudge(pushed)
			case <-tick.C:
				nudge(pushed)
			}
		}
	})
	return group.Wait()
}

func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *Worker) defaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.LeaseTTL == 0 {
		w.LeaseTTL = 10 * time.Second
	}
	if w.Rescan == 0 {
		w.Rescan = 5 * time.Minute
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	w.coaches, w.trains = map[string]*drive{}, map[string]*trainDrive{}
	w.pictures = &pictures{now: w.now}
	if w.Trains != nil {
		w.pictures.read = w.Trains.Picture
	}
	w.poller = &poller{jenkins: w.Jenkins, log: w.Log, follows: map[string]follow{}, facts: map[string]BuildFact{}, busy: map[string]bool{}, kick: w.Kick}
}

func (w *Worker) now() time.Time { return w.Now().UTC().Truncate(time.Microsecond) }

func (w *Worker) claim(ctx context.Context, wg *sync.WaitGroup) {
	asked := w.now()
	claims, err := w.Store.ClaimCoaches(ctx, w.Owner, asked, w.LeaseTTL)
	if err != nil && ctx.Err() == nil {
		w.Log.WithError(err).Warn("claim coaches: the database does not answer; trying again")
	}
	for _, c := range claims {
		w.start(ctx, wg, c, asked)
	}
}

// start drives a Coach that was claimed by a call made at the given time: its lease runs from there.
func (w *Worker) start(ctx context.Context, wg *sync.WaitGroup, c Claim, asked time.Time) {
	d := newDrive(w, c, asked)
	w.mu.Lock()
	w.coaches[c.Coach.ID] = d
	w.mu.Unlock()
	wg.Go(func() {
		err := d.run(ctx)
		w.poller.forget(c.Coach.ID)
		w.mu.Lock()
		if w.coaches[c.Coach.ID] == d {
			delete(w.coaches, c.Coach.ID)
		}
		w.mu.Unlock()
		if err != nil && !errors.Is(err, context.Canceled) {
			d.log.WithError(err).Warn("coach handed over")
		}
	})
}

// Kick makes a Coach or a Train look at its facts now, when this replica has it.
func (w *Worker) Kick(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.coaches[id]; d != nil {
		nudge(d.kicked)
	}
	if d := w.trains[id]; d != nil {
		nudge(d.kicked)
	}
}

// takeInPushes processes stored deliveries, branch by branch; a repository that does not answer delays only itself.
func (w *Worker) takeInPushes(ctx context.Context, pushed <-chan struct{}) error {
	in := &intake{store: w.Store, topology: w.Topology, mirror: w.Mirror, now: w.now}
	busy := map[branchKey]bool{}
	done := make(chan branchKey)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		pending, err := w.Store.PendingDeliveries(ctx, w.now(), 200)
		if err != nil && ctx.Err() == nil {
			w.Log.WithError(err).Warn("read deliveries: the database does not answer; trying again")
		}
		for key, deliveries := range byBranch(pending) {
			if busy[key] {
				continue
			}
			busy[key] = true
			wg.Go(func() {
				w.takeIn(ctx, in, key, deliveries)
				select {
				case done <- key:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case key := <-done:
			delete(busy, key)
		case <-pushed:
		}
	}
}

type branchKey struct{ repository, branch string }

func byBranch(pending []Delivery) map[branchKey][]Delivery {
	groups := map[branchKey][]Delivery{}
	for _, d := range pending {
		key := branchKey{d.Repository, d.Branch}
		groups[key] = append(groups[key], d)
	}
	return groups
}

func (w *Worker) takeIn(ctx context.Context, in *intake, key branchKey, deliveries []Delivery) {
	log := w.Log.WithFields(logrus.Fields{"repository": key.repository, "branch": key.branch})
	work, cancel := context.WithTimeoutCause(ctx, fetchPatience, errors.New("the code host gave no answer in time"))
	defer cancel()
	coach, err := in.take(work, key.repository, key.branch, deliveries)
	switch {
	case err == nil && coach != nil:
		log.WithField("coach", coach.ID).Info("push taken in")
		return
	case err == nil || ctx.Err() != nil || errors.Is(err, ErrConflict):
		return // another replica was faster, or the next start goes on
	}
	log.WithError(err).Warn("push not taken in yet; trying again")
	for _, d := range deliveries {
		if err := w.Store.PutOffDelivery(ctx, d.ID, err.Error(), w.now().Add(backoff(d.Tries+1))); err != nil {
			log.WithError(err).Warn("put off delivery")
		}
	}
}

const fetchPatience = time.Minute

// parameters are what a build gets to know. The deployment id makes it recognisable.
func parameters(c rop.Coach, b rop.Build, repo fleet.Repository) map[string]string {
	return map[string]string{
		"RAILYARD_DEPLOYMENT": b.Deployment, "APP": b.App, "REPO_URL": repo.Clone, "BRANCH": c.Branch, "COMMIT": c.Commit,
	}
}
