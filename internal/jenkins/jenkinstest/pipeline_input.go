package jenkinstest

import (
	"context"
	"crypto/md5" //nolint:gosec // Jenkins makes the default id of an input with it
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Input is one execution of the input step.
type Input struct {
	Step               string // the engine's id of this execution, the same after a resume
	ID                 string // "deploy"; by default a digest of Message
	Message            string
	OK                 string // label of the button; "Proceed" when empty
	Submitter          string // comma-separated users who may answer; empty: whoever may build
	SubmitterParameter string // is given the user who answered
	Parameters         []Parameter
}

// Answer to an Input.
type Answer struct {
	Values map[string]any // by parameter, strings and bools; nil for none
	User   string         // who answered
}

// Value is what the input step returns: nil, the bare value of a single
// parameter, or a map of several.
func (a Answer) Value() any {
	switch len(a.Values) {
	case 0:
		return nil
	case 1:
		for _, v := range a.Values {
			return v
		}
	}
	return a.Values
}

// settled is an answer as it is saved with the build.
type settled struct {
	Values  map[string]any `json:"values"`
	User    string         `json:"user"`
	Aborted bool           `json:"aborted"`
}

// pendingInput waits for somebody. Guarded by controller.mu.
type pendingInput struct {
	Input
	id      string // with its first letter upper-cased
	defs    []paramDef
	settled *settled
	done    chan struct{} // closed once settled
}

// Input asks people and waits for their answer. The error is an *Interrupt when
// somebody rejects or the build is stopped meanwhile (the interrupt is consumed),
// else the cause of ctx. An input that was answered before a restart returns at
// once.
func (r *Run) Input(ctx context.Context, in Input) (Answer, error) {
	p := r.ask(in)
	select {
	case <-p.done:
	case i := <-r.interrupts:
		r.withdraw(p)
		return Answer{}, i
	case <-ctx.Done():
		r.withdraw(p)
		return Answer{}, context.Cause(ctx)
	}
	if p.settled.Aborted {
		return Answer{}, &Interrupt{Result: Aborted, Cause: "Rejected by " + p.settled.User}
	}
	return Answer{Values: p.settled.Values, User: p.settled.User}, nil
}

// ask makes the input visible, unless it has been answered.
func (r *Run) ask(in Input) *pendingInput {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	p := &pendingInput{Input: in, id: inputID(in), done: make(chan struct{})}
	if p.Step != "" && r.b.Inputs[p.Step] != nil {
		p.settled = r.b.Inputs[p.Step]
		close(p.done)
		return p
	}
	for _, d := range in.Parameters {
		p.defs = append(p.defs, d.def())
	}
	r.b.pending = append(r.b.pending, p)
	fmt.Fprintf(r.b.console, "%s\n%s or Abort\n", in.Message, orElse(in.OK, "Proceed"))
	return p
}

func (r *Run) withdraw(p *pendingInput) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.b.pending = slices.DeleteFunc(r.b.pending, func(x *pendingInput) bool { return x == p })
}

// inputID is Jenkins' id of an input: upper-cased first letter, and without an
// id the MD5 of the message.
func inputID(in Input) string {
	id := in.ID
	if id == "" {
		sum := md5.Sum([]byte(in.Message)) //nolint:gosec // see the import
		id = hex.EncodeToString(sum[:])
	}
	return strings.ToUpper(id[:1]) + id[1:]
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// findInput is the pending input of a build called id; nil when there is none.
func (b *build) findInput(id string) *pendingInput {
	for _, p := range b.pending {
		if p.id == id {
			return p
		}
	}
	return nil
}

// mayAnswer says why who may not answer; "" when they may.
func (p *pendingInput) mayAnswer(who identity) string {
	switch {
	case who.may(administer):
	case p.Submitter == "" && !who.may(jobBuild):
		return "You need to have Job/Build permissions to submit this."
	case p.Submitter != "" && !slices.ContainsFunc(strings.Split(p.Submitter, ","), func(s string) bool {
		return strings.TrimSpace(s) == who.name
	}):
		return "You need to be " + p.Submitter + " to submit this."
	}
	return ""
}

// settle gives an input its answer: saved first, so that a restart does not ask again.
func (c *controller) settleInput(b *build, p *pendingInput, answer settled) {
	p.settled = &answer
	if p.Step != "" {
		if b.Inputs == nil {
			b.Inputs = map[string]*settled{}
		}
		b.Inputs[p.Step] = &answer
	}
	if answer.Aborted {
		fmt.Fprintf(b.console, "Rejected by %s\n", answer.User)
	} else {
		fmt.Fprintf(b.console, "Approved by %s\n", answer.User)
	}
	b.pending = slices.DeleteFunc(b.pending, func(x *pendingInput) bool { return x == p })
	c.saveBuild(b)
	close(p.done)
}
