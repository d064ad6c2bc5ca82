package groovy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"railyard/internal/jenkins/jenkinstest"
)

// running is one build under way. Its maps belong to the goroutine of follow, but for calls, which is locked.
type running struct {
	e      *Engine
	r      *jenkinstest.Run
	key    string
	inbox  *inbox
	stages map[string]*jenkinstest.Stage
	nodes  *nodes

	mu      sync.Mutex
	calls   map[int]context.CancelCauseFunc
	serving sync.WaitGroup
}

func newRunning(e *Engine, r *jenkinstest.Run, key string) *running {
	return &running{
		e: e, r: r, key: key, inbox: newInbox(), stages: map[string]*jenkinstest.Stage{},
		nodes: &nodes{held: map[string]*jenkinstest.Node{}}, calls: map[int]context.CancelCauseFunc{},
	}
}

func (b *running) order(libraries map[string]string) order {
	description, displayName := b.r.Description()
	o := order{
		Op: "run", Build: b.key, Script: b.r.Script, Job: b.r.Job, Number: b.r.Number, DisplayName: displayName, Description: description,
		Result: string(b.r.Result()), Env: b.r.Env, Params: b.r.Params(), Journal: filepath.Join(b.r.Dir, "steps.jsonl"), Libraries: libraries,
	}
	for _, c := range b.r.Causes {
		o.Causes = append(o.Causes, cause{Class: c.Class, ShortDescription: c.Text, UserID: c.User, UserName: c.User})
	}
	if b.r.SCM != nil {
		o.SCM = map[string]string{"url": b.r.SCM.URL, "branch": b.r.SCM.Branch}
	}
	return o
}

// errWithdrawn is the cause of a call's cancellation by the script, say by a timeout.
var errWithdrawn = errors.New("the step was ended")

// follow does what the host asks until the build has ended.
func (b *running) follow(ctx context.Context) jenkinstest.Result {
	defer b.nodes.releaseAll()
	defer b.serving.Wait()
	serve, cancel := context.WithCancelCause(ctx)
	defer func() { // a suspension must not be taken for anything else, however early this comes
		if cause := context.Cause(ctx); cause != nil {
			cancel(cause)
		}
		cancel(errWithdrawn)
	}()
	for {
		select {
		case <-b.inbox.ready:
			for _, m := range b.inbox.take() {
				if m.Op == "end" {
					return jenkinstest.Result(m.Result)
				}
				b.handle(serve, m)
			}
		case i := <-b.r.Interrupts():
			b.interrupt(i)
		case <-ctx.Done():
			_ = b.e.send(order{Op: "suspend", Build: b.key}) // a host that has gone is silent anyway
			return jenkinstest.Aborted
		case <-b.e.ended:
			fmt.Fprintf(b.r, "ERROR: the Groovy host ended: %s\n", b.e.said.String())
			return jenkinstest.Failure
		}
	}
}

func (b *running) interrupt(i *jenkinstest.Interrupt) {
	_ = b.e.send(order{Op: "abort", Build: b.key, Result: string(i.Result), Cause: i.Cause}) // see follow: a dead host is noticed there
}

func (b *running) handle(ctx context.Context, m message) {
	switch m.Op {
	case "log":
		_, _ = b.r.Write([]byte(m.Text)) // the console reports its own trouble
	case "set":
		b.set(m)
	case "stage":
		b.stages[m.ID] = b.r.Stage(m.Name)
	case "stageEnd":
		b.endStage(m)
	case "release":
		b.nodes.release(m.ID)
	case "cancel":
		b.mu.Lock()
		cancel := b.calls[m.Call]
		b.mu.Unlock()
		if cancel != nil {
			cancel(errWithdrawn)
		}
	case "call":
		ctx, cancel := context.WithCancelCause(ctx)
		b.mu.Lock()
		b.calls[m.Call] = cancel
		b.mu.Unlock()
		stage := b.stageOf(m.Stage)
		b.serving.Go(func() {
			defer cancel(nil)
			b.reply(m, b.serve(ctx, m, stage))
			b.mu.Lock()
			delete(b.calls, m.Call)
			b.mu.Unlock()
		})
	}
}

func (b *running) set(m message) {
	if m.Result != "" {
		b.r.SetResult(jenkinstest.Result(m.Result))
	}
	if m.Description != nil {
		b.r.SetDescription(*m.Description)
	}
	if m.DisplayName != nil {
		b.r.SetDisplayName(*m.DisplayName)
	}
}

// stageOf is the stage with that id; nil outside of stages. One that was begun before a restart is found by its name when it ends.
func (b *running) stageOf(id string) *jenkinstest.Stage { return b.stages[id] }

func (b *running) endStage(m message) {
	s := b.stages[m.ID]
	if s == nil { // begun before a restart
		s = b.r.Stage(m.Name)
	}
	switch result := jenkinstest.Result(m.Result); {
	case m.Skipped:
		s.Skip()
	case result == jenkinstest.Unstable:
		s.Unstable()
	case result == jenkinstest.Success:
		s.End(nil)
	case result == jenkinstest.Failure:
		text := "the stage failed"
		if m.Error != nil {
			text = *m.Error
		}
		s.End(errors.New(text))
	default:
		text := ""
		if m.Error != nil {
			text = *m.Error
		}
		s.End(&jenkinstest.Interrupt{Result: result, Cause: text})
	}
}

// answer is what a call comes to.
type answer struct {
	value any
	err   error
}

func (b *running) reply(m message, a answer) {
	o := order{Op: "reply", Build: b.key, Call: m.Call, Value: a.value}
	var i *jenkinstest.Interrupt
	switch {
	case errors.As(a.err, &i) && strings.HasPrefix(i.Cause, "Rejected by "), errors.As(a.err, &i) && m.What == "milestone":
		o.Aborted, o.Cause = string(i.Result), i.Cause
	case errors.As(a.err, &i): // this call took it, but it is meant for the whole build
		b.interrupt(i)
		return
	case errors.Is(a.err, jenkinstest.ErrSuspended), errors.Is(a.err, errWithdrawn):
		return
	case a.err != nil:
		o.Error = a.err.Error()
	}
	_ = b.e.send(o) // see follow: a dead host is noticed there
}

// serve does what a step asks for.
func (b *running) serve(ctx context.Context, m message, stage *jenkinstest.Stage) answer {
	switch m.What {
	case "sh":
		return b.shell(ctx, m, stage)
	case "node":
		node, err := b.r.Node(ctx)
		if err != nil {
			return answer{err: err}
		}
		b.nodes.add(m.ID, node)
		return answer{value: map[string]any{"path": node.Workspace, "env": node.Env}}
	case "input":
		given, err := b.r.Input(ctx, inputOf(m))
		if err != nil {
			return answer{err: err}
		}
		values := map[string]any{}
		for name, value := range given.Values {
			values[name] = value
		}
		if m.SubmitterParameter != "" {
			values[m.SubmitterParameter] = given.User
		}
		return answer{value: values}
	case "credential":
		c, err := b.r.Credential(m.ID)
		return answer{value: map[string]string{"user": c.User, "secret": c.Secret}, err: err}
	case "checkout":
		at, err := b.r.Checkout(ctx, m.Dir)
		return answer{value: at, err: err}
	case "milestone":
		return answer{err: b.r.Milestone(m.Ordinal)}
	case "properties":
		return answer{err: b.r.Configure(jenkinstest.Properties{
			Parameters: parametersOf(m.Parameters), DisableConcurrentBuilds: m.DisableConcurrentBuilds, AbortPrevious: m.AbortPrevious,
		})}
	}
	return answer{err: fmt.Errorf("the host asks for %q, which this stand-in does not know", m.What)}
}

func (b *running) shell(ctx context.Context, m message, stage *jenkinstest.Stage) answer {
	s := jenkinstest.Shell{Step: m.ID, Script: m.Script, Dir: m.Dir, Env: m.Env, Out: b.r, Return: m.Stdout}
	var step *jenkinstest.Step
	if stage != nil {
		detail := m.Label
		if detail == "" {
			detail, _, _ = strings.Cut(strings.TrimSpace(m.Script), "\n")
		}
		step = stage.Step("Shell Script", detail)
		s.Out = step
	}
	code, stdout, err := b.r.Sh(ctx, s)
	if step != nil {
		ended := err
		if ended == nil && code != 0 {
			ended = fmt.Errorf("script returned exit code %d", code)
		}
		step.End(ended)
	}
	return answer{value: map[string]any{"code": code, "stdout": stdout}, err: err}
}

func inputOf(m message) jenkinstest.Input {
	return jenkinstest.Input{
		Step: m.Step, ID: m.ID, Message: m.Message, OK: m.OK, Submitter: m.Submitter, SubmitterParameter: m.SubmitterParameter,
		Parameters: parametersOf(m.Parameters),
	}
}

func parametersOf(list []parameter) (out []jenkinstest.Parameter) {
	for _, p := range list {
		out = append(out, jenkinstest.Parameter(p))
	}
	return out
}

// nodes are the executors that a build holds, by the step that took them.
type nodes struct {
	mu   sync.Mutex
	held map[string]*jenkinstest.Node
}

func (n *nodes) add(step string, node *jenkinstest.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[step] = node
}

func (n *nodes) release(step string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if node := n.held[step]; node != nil {
		node.Release()
		delete(n.held, step)
	}
}

func (n *nodes) releaseAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for step, node := range n.held {
		node.Release()
		delete(n.held, step)
	}
}

// inbox keeps what the host said until the build takes it, so that a slow build does not hold up the others.
type inbox struct {
	mu    sync.Mutex
	kept  []message
	ready chan struct{} // has a token while kept is not empty
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (i *inbox) put(m message) {
	i.mu.Lock()
	i.kept = append(i.kept, m)
	i.mu.Unlock()
	select {
	case i.ready <- struct{}{}:
	default:
	}
}

func (i *inbox) take() []message {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := i.kept
	i.kept = nil
	return out
}
