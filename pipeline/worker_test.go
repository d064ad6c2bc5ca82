package pipeline

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// leaseStore is a Store of one Coach and its lease.
type leaseStore struct {
	Store
	hang chan struct{} // Facts answers only when its context ends, once this is closed

	mu       sync.Mutex
	coach    rop.Coach
	commands []Command
	fence    int64
	until    time.Time // of the lease; zero = nobody holds it
}

func (s *leaseStore) PendingDeliveries(context.Context, time.Time, int) ([]Delivery, error) {
	return nil, nil
}

func (s *leaseStore) ClaimCoaches(_ context.Context, owner string, now time.Time, ttl time.Duration) ([]Claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.until) || s.coach.Closed {
		return nil, nil
	}
	s.fence++
	s.until = now.Add(ttl)
	return []Claim{{Coach: s.coach, Owner: owner, Fence: s.fence}}, nil
}

func (s *leaseStore) owns(c Claim) error {
	if c.Fence != s.fence {
		return ErrFenced
	}
	return nil
}

func (s *leaseStore) RenewCoach(_ context.Context, c Claim, now time.Time, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = now.Add(ttl)
	return s.owns(c)
}

func (s *leaseStore) ReleaseCoach(ctx context.Context, c Claim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
	return errors.Join(ctx.Err(), s.owns(c))
}

func (s *leaseStore) SaveCoach(_ context.Context, c Claim, save Save) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.owns(c); err != nil {
		return err
	}
	s.coach = save.Coach
	if len(save.Handled) > 0 {
		s.commands = nil
	}
	return nil
}

func (s *leaseStore) Facts(ctx context.Context, _ rop.Coach) (Facts, error) {
	select {
	case <-s.hang:
		<-ctx.Done()
		return Facts{}, context.Cause(ctx)
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return Facts{Commands: s.commands}, nil
}

// deaf is a Jenkins that takes connections and answers nothing.
type deaf struct{ asked chan struct{} }

func (j deaf) hang(ctx context.Context) error {
	select {
	case j.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (j deaf) Trigger(ctx context.Context, _, _ string, _ map[string]string) (int64, error) {
	return 0, j.hang(ctx)
}
func (j deaf) Poll(ctx context.Context, _ string, _ []Ask) (map[string]BuildFact, error) {
	return nil, j.hang(ctx)
}
func (j deaf) Find(ctx context.Context, _, _, _ string) (BuildFact, error) {
	return BuildFact{}, j.hang(ctx)
}
func (j deaf) Tell(ctx context.Context, _ rop.Build, _, _ string, _ []string) error {
	return j.hang(ctx)
}
func (j deaf) Keep(ctx context.Context, _ rop.Build) error { return j.hang(ctx) }
func (j deaf) Wake(ctx context.Context, _, _ string, _ int64, _ string) (bool, error) {
	return false, j.hang(ctx)
}

// work runs a worker on a new Coach. It is ended, and waited for, by the returned function.
func work(t *testing.T) (store *leaseStore, jenkins deaf, end func()) {
	t.Helper()
	store = &leaseStore{hang: make(chan struct{}), coach: newYard(t).coach}
	store.coach.Repository, store.coach.Created = "hotel", time.Now()
	jenkins = deaf{asked: make(chan struct{}, 1)}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	top := topology()
	top.Repositories = []fleet.Repository{{Name: "hotel", Clone: "http://git.invalid/hotel.git"}}
	w := &Worker{
		Store: store, Jenkins: jenkins, Topology: func() *fleet.Topology { return top }, Log: quiet, Owner: "me", Rescan: 24 * time.Hour,
		Mirror: func(fleet.Repository) (Mirror, error) { return nil, errors.New("no mirror here") },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, nil) }()
	return store, jenkins, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the worker ended with %v, expected the context's end", err)
		}
	}
}

func TestAJenkinsThatHangsCostsNoLeaseAndKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, jenkins, end := work(t)
		<-jenkins.asked
		time.Sleep(time.Minute) // of the bubble's time
		store.mu.Lock()
		if store.fence != 1 {
			t.Errorf("the Coach was claimed %d times, expected once", store.fence)
		}
		store.commands = []Command{{ID: 1, Kind: CmdRevoke, Actor: "person:li", Reason: "not today"}}
		store.mu.Unlock()
		time.Sleep(2 * time.Second)
		store.mu.Lock()
		if store.coach.State != rop.Revoked {
			t.Errorf("two seconds after it was revoked the Coach is %s", store.coach.State)
		}
		store.mu.Unlock()
		end()
	})
}

func TestAWorkerThatEndsInTheMiddleOfAStepGivesItsLeaseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, jenkins, end := work(t)
		<-jenkins.asked
		close(store.hang)
		time.Sleep(2 * time.Second) // it is in the middle of a step now
		end()
		if !store.until.IsZero() {
			t.Errorf("the lease is held until %s, expected that it was given up", store.until)
		}
	})
}

func TestACoachThatIsSupersededWhileItsBuildIsTriggeredStillTellsTheBuild(t *testing.T) {
	y := newYard(t)
	y.steps(1) // Jenkins has been asked, and the answers are on their way
	y.obs.Newer = "hotel-1.2"
	y.steps(2)
	want(t, y.coach.State, rop.Superseded)
	if y.coach.Closed {
		t.Fatal("it is closed before its builds could hear of it")
	}
	y.jenkins().steps(2)
	told := 0
	for _, a := range y.acts {
		if a.Kind == ActTell && a.Text == Description(y.coach) {
			told++
		}
	}
	if told < len(y.coach.Builds) {
		t.Errorf("%d of %d builds are told", told, len(y.coach.Builds))
	}
	y.jenkins().steps(1)
	want(t, y.coach.Closed, true)
}

func TestAnAnswerThatIsNotCompleteTakesNoBuildForLost(t *testing.T) {
	var kicked []string
	p := &poller{
		follows: map[string]follow{"d1": {of: "a", controller: "main"}, "d2": {of: "b", controller: "main"}},
		facts:   map[string]BuildFact{}, kick: func(coach string) { kicked = append(kicked, coach) },
	}
	p.learn("main", map[string]BuildFact{"d1": {Known: true, Number: 7}}, false)
	want(t, p.facts, map[string]BuildFact{"d1": {Known: true, Number: 7}})
	p.learn("main", map[string]BuildFact{"d1": {Known: true, Number: 7}}, true)
	want(t, p.facts, map[string]BuildFact{"d1": {Known: true, Number: 7}, "d2": {}})
	want(t, kicked, []string{"a", "b"})
}
