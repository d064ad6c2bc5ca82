package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/rop"
)

// pollEvery: a look costs Jenkins three requests, and now and then one more; so it gets at most two a second, over any ten
// seconds, and a result is known within three.
const pollEvery = 1700 * time.Millisecond

// poller follows all builds of all Coaches and Trains with one look per controller at a time, however many there are.
type poller struct {
	jenkins Jenkins
	log     logrus.FieldLogger
	kick    func(id string) // of a Coach or a Train

	mu      sync.Mutex
	follows map[string]follow    // deployment id → where to look
	facts   map[string]BuildFact // deployment id → the newest fact
	busy    map[string]bool      // controllers that are being asked
}

type follow struct {
	of, controller string // of: a Coach, or a Train
	ask            Ask
}

// follow adds those builds of a Coach or a Train that Jenkins may still say something about.
func (p *poller) follow(of string, builds []rop.Build) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range builds {
		if b.State == rop.BuildWanted || b.State == rop.BuildFailed || b.State == rop.BuildEnded || (b.State == rop.BuildPublished && b.Number > 0) {
			delete(p.follows, b.Deployment)
			continue
		}
		p.follows[b.Deployment] = follow{of, b.Controller, Ask{Job: b.Job, Deployment: b.Deployment, QueueID: b.QueueID}}
	}
}

func (p *poller) forget(of string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for deployment, f := range p.follows {
		if f.of == of {
			delete(p.follows, deployment)
			delete(p.facts, deployment)
		}
	}
}

// known returns what is known of some builds; a deployment that was not asked about yet is absent.
func (p *poller) known(builds []rop.Build) map[string]BuildFact {
	p.mu.Lock()
	defer p.mu.Unlock()
	facts := map[string]BuildFact{}
	for _, b := range builds {
		if f, ok := p.facts[b.Deployment]; ok {
			facts[b.Deployment] = f
		}
	}
	return facts
}

func (p *poller) run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			p.look(ctx)
		}
	}
}

// look asks every controller that is not still busy with the look before; one that hangs delays only itself.
func (p *poller) look(ctx context.Context) {
	for controller, asks := range p.asks() {
		if !p.begin(controller) {
			continue
		}
		go func() {
			defer p.end(controller)
			ctx, cancel := context.WithTimeoutCause(ctx, jenkinsPatience, errors.New("Jenkins gave no answer in time"))
			defer cancel()
			facts, err := p.jenkins.Poll(ctx, controller, asks)
			p.learn(controller, facts, err == nil)
			if err != nil && ctx.Err() == nil {
				p.log.WithError(err).WithField("controller", controller).Warn("follow builds; trying again")
			}
		}()
	}
}

func (p *poller) begin(controller string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[controller] {
		return false
	}
	p.busy[controller] = true
	return true
}

func (p *poller) end(controller string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, controller)
}

func (p *poller) asks() map[string][]Ask {
	p.mu.Lock()
	defer p.mu.Unlock()
	asks := map[string][]Ask{}
	for _, f := range p.follows {
		asks[f.controller] = append(asks[f.controller], f.ask)
	}
	return asks
}

// learn takes in an answer. That a build is missing means something only in a complete one.
func (p *poller) learn(controller string, facts map[string]BuildFact, complete bool) {
	p.mu.Lock()
	var news []string
	for deployment, f := range p.follows {
		if f.controller != controller {
			continue
		}
		fact, found := facts[deployment] // the zero fact: asked, and not known
		if !found && !complete {
			continue
		}
		if old, ok := p.facts[deployment]; !ok || old != fact {
			news = append(news, f.of)
		}
		p.facts[deployment] = fact
	}
	p.mu.Unlock()
	for _, id := range news {
		p.kick(id)
	}
}
