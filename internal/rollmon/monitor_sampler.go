package rollmon

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
)

// Forgetful is a Source that keeps no history: it can tell of the moment only. A Sampler asks it each minute, so that there
// is a time before the roll to compare with.
type Forgetful interface {
	Source
	// Forgets marks it.
	Forgets()
}

// Sampler watches all sites, all day, through the sources that keep no history. Several replicas share the work: the store says
// whose turn a site is in a minute. What a replica that died had taken is a minute without samples.
type Sampler struct {
	Topology func() *fleet.Topology
	Sources  []Source
	Store    SampleStore
	Log      logrus.FieldLogger
	Owner    string           // this replica's name, unique per process
	Every    time.Duration    // default 1m
	Now      func() time.Time // default time.Now

	busy sync.WaitGroup
}

// sampledAtOnce bounds the sites that are read at a time.
const sampledAtOnce = 16

// Run samples until ctx ends.
func (s *Sampler) Run(ctx context.Context) error {
	if s.Every <= 0 {
		s.Every = time.Minute
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	defer s.busy.Wait()
	places := make(chan struct{}, sampledAtOnce)
	for {
		minute := s.Now().UTC().Truncate(s.Every)
		for _, site := range s.sites() {
			s.busy.Go(func() {
				if !wait(ctx, minute.Add(s.turn(site)).Sub(s.Now())) {
					return
				}
				select {
				case places <- struct{}{}:
				case <-ctx.Done():
					return
				}
				defer func() { <-places }()
				if err := s.sample(ctx, site, minute); err != nil && ctx.Err() == nil {
					s.Log.WithError(err).WithField("site", site.String()).Warn("site not sampled; the next minute is another")
				}
			})
		}
		if !wait(ctx, minute.Add(s.Every).Sub(s.Now())) {
			return ctx.Err()
		}
	}
}

// wait reports whether d went by before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// turn spreads the sites over the first half of the minute by their names, so that not all are asked at once.
func (s *Sampler) turn(site fleet.SiteRef) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(site.String()))
	return time.Duration(h.Sum32()%1000) * s.Every / 2000
}

// sites are those with an indicator that is sampled.
func (s *Sampler) sites() (all []fleet.SiteRef) {
	t := s.Topology()
	if t == nil {
		return nil
	}
	for _, pool := range t.Pools {
		for _, site := range pool.Sites {
			ref := fleet.SiteRef{Environment: site.Environment, Pool: pool.Name}
			if len(site.Servers) > 0 && len(s.indicators(t, ref)) > 0 {
				all = append(all, ref)
			}
		}
	}
	return all
}

// indicators are those of a site, in whatever stage, that a forgetful source reads and whose judge looks back.
func (s *Sampler) indicators(t *fleet.Topology, ref fleet.SiteRef) (all []fleet.Indicator) {
	seen := map[string]bool{}
	for _, stage := range []string{"smoke", "baking", "rolling", "watch"} {
		for _, i := range t.IndicatorsFor(ref, stage) {
			if !seen[i.Name] && i.LooksBack() > 0 && s.source(i) != nil {
				seen[i.Name] = true
				all = append(all, i)
			}
		}
	}
	return all
}

func (s *Sampler) source(i fleet.Indicator) Source {
	for _, source := range s.Sources {
		if _, forgets := source.(Forgetful); forgets && source.Answers(i) {
			return source
		}
	}
	return nil
}

// sample reads one site, if it is this replica's turn.
func (s *Sampler) sample(ctx context.Context, ref fleet.SiteRef, minute time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Every/2, fmt.Errorf("it took more than %s", s.Every/2))
	defer cancel()
	taken, err := s.Store.TakeMinute(ctx, ref, minute, s.Owner)
	if err != nil || !taken {
		return err
	}
	t := s.Topology()
	site, ok := t.Site(ref)
	if !ok {
		return nil
	}
	var names []string
	for _, server := range site.Site.Servers {
		names = append(names, server.Name)
	}
	now := s.Now().UTC()
	var (
		mu      sync.Mutex
		all     sync.WaitGroup
		samples = Samples{}
	)
	for _, i := range s.indicators(t, ref) {
		all.Go(func() {
			reading := read(ctx, s.source(i), Request{
				Indicator: i, Site: ref, Backend: site.Site.Balancer.Backend, Exposed: describe(site, names), Since: now.Add(-s.Every), Now: now,
			})
			mu.Lock()
			defer mu.Unlock()
			samples[i.Name] = reading
		})
	}
	all.Wait()
	return s.Store.SaveMinute(ctx, ref, minute, s.Owner, samples)
}
