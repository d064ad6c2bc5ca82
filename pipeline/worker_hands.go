package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/rop"
)

// hands ask Jenkins and the code host what the decisions of a Coach or a Train order, beside its loop: at most one thing at a time for
// each build and for the commit, each with a deadline. Its fields belong to the loop.
type hands struct {
	*Worker
	log    logrus.FieldLogger
	ctx    context.Context
	cancel context.CancelFunc
	asking sync.WaitGroup
	done   chan asked
	busy   map[string]bool // deployment id → something is being asked; "" = the commit is being marked

	triggered map[string]Triggered // deployment id → how the last trigger ended
	told      map[string]Telling   // deployment id → how the last description ended
	woken     map[string]Waking    // deployment id → how the last waking ended
	marked    *Telling             // how the last mark ended
}

// whose says for whom hands ask: a Coach, or a Train.
type whose struct {
	id         string
	parameters func(rop.Build) (map[string]string, error) // what a build gets to know; ErrRefused: it cannot be started
	coach      rop.Coach                                  // whose commit is marked; a Train has none
}

// asked is how an action ended. The field of its kind is set.
type asked struct {
	action    Action
	triggered Triggered
	told      Telling // or marked
	woken     Waking
}

// jenkinsPatience is how long Jenkins, or the code host, may take for one action.
const jenkinsPatience = 15 * time.Second

func newHands(ctx context.Context, w *Worker, log logrus.FieldLogger) *hands {
	ctx, cancel := context.WithCancel(ctx)
	return &hands{
		Worker: w, log: log, ctx: ctx, cancel: cancel, done: make(chan asked),
		busy: map[string]bool{}, triggered: map[string]Triggered{}, told: map[string]Telling{}, woken: map[string]Waking{},
	}
}

// start does the action unless its build is busy; then the next decision orders it again.
func (h *hands) start(a Action, of whose) {
	if h.busy[a.Build.Deployment] {
		return
	}
	h.busy[a.Build.Deployment] = true
	h.asking.Go(func() {
		result := h.act(a, of)
		select {
		case h.done <- result:
		case <-h.ctx.Done():
		}
	})
}

func (h *hands) finished(r asked) {
	deployment := r.action.Build.Deployment
	delete(h.busy, deployment)
	switch r.action.Kind {
	case ActTell:
		h.told[deployment] = r.told
	case ActWake:
		if last := h.woken[deployment]; last.Milepost == r.woken.Milepost {
			r.woken.Tries += last.Tries
		}
		h.woken[deployment] = r.woken
	case ActMark:
		h.marked = &r.told
	default:
		h.triggered[deployment] = r.triggered
	}
}

// seen is how things stand with some builds in Jenkins, as far as is known here.
func (h *hands) seen(builds []rop.Build) JobFacts {
	return JobFacts{Builds: h.poller.known(builds), Triggered: maps.Clone(h.triggered), Told: maps.Clone(h.told), Woken: maps.Clone(h.woken)}
}

// end breaks off what is being asked and waits until it is.
func (h *hands) end() {
	h.cancel()
	h.asking.Wait()
}

func (h *hands) act(a Action, of whose) asked {
	ctx, cancel := context.WithTimeoutCause(h.ctx, jenkinsPatience, errors.New("no answer in time"))
	defer cancel()
	result := asked{action: a}
	var what, problem string
	switch a.Kind {
	case ActTell:
		result.told = h.tell(ctx, a, of.id)
		what, problem = "tell Jenkins", result.told.Err
	case ActWake:
		result.woken = h.wakeBuild(ctx, a)
		what, problem = "wake the build", result.woken.Err
	case ActMark:
		result.told = h.mark(ctx, a, of.coach)
		what, problem = "mark commit", result.told.Err
	default:
		result.triggered = h.trigger(ctx, a, of)
		what, problem = "trigger build", result.triggered.Err
	}
	if problem != "" && h.ctx.Err() == nil {
		h.log.WithField("build", a.Build.Deployment).Warnf("%s; trying again: %s", what, problem)
	}
	return result
}

func (h *hands) tell(ctx context.Context, a Action, id string) Telling {
	said := Telling{Text: a.Text}
	var err error
	if a.Keep {
		err = h.Jenkins.Keep(ctx, a.Build)
	}
	if err == nil {
		err = h.Jenkins.Tell(ctx, a.Build, a.Text, id, a.Buttons)
	}
	if err != nil {
		said.Err = err.Error()
	}
	said.At = h.now()
	return said
}

func (h *hands) wakeBuild(ctx context.Context, a Action) Waking {
	w := Waking{Milepost: a.Text, Tries: 1}
	settled, err := h.Jenkins.Wake(ctx, a.Build.Controller, a.Build.Job, a.Build.Number, a.Text)
	if w.Settled = settled && err == nil; err != nil {
		w.Err = err.Error()
	}
	w.At = h.now()
	return w
}

func (h *hands) mark(ctx context.Context, a Action, c rop.Coach) Telling {
	said := Telling{Text: a.Status.text()}
	repo, ok := h.Topology().Repository(c.Repository)
	err := fmt.Errorf("repository %s is no longer in the topology: %w", c.Repository, ErrRefused)
	if ok {
		err = h.Statuses.Mark(ctx, repo, c, a.Status)
	}
	if err != nil {
		said.Err, said.Refused = err.Error(), errors.Is(err, ErrRefused)
	}
	said.At = h.now()
	return said
}

// trigger starts the build; after a try whose end is unknown, only when Jenkins does not have it already.
func (h *hands) trigger(ctx context.Context, a Action, of whose) Triggered {
	failed := func(err error) Triggered {
		return Triggered{At: h.now(), Err: err.Error(), Refused: errors.Is(err, ErrRefused)}
	}
	parameters, err := of.parameters(a.Build)
	if err != nil {
		return failed(err)
	}
	if a.Kind == ActEnsure {
		fact, err := h.Jenkins.Find(ctx, a.Build.Controller, a.Build.Job, a.Build.Deployment)
		if err == nil && fact.Known {
			return Triggered{At: h.now(), QueueID: fact.QueueID}
		}
		if err != nil {
			return failed(err)
		}
	}
	queueID, err := h.Jenkins.Trigger(ctx, a.Build.Controller, a.Build.Job, parameters)
	if err != nil {
		return failed(err)
	}
	return Triggered{At: h.now(), QueueID: queueID}
}
