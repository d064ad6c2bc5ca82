package jenkinstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Engine executes Pipelines. The stand-in keeps everything that is seen through
// HTTP (queue, builds, stages, inputs, console, executors) and survives a
// restart; the engine knows what the script means. Options.Engine names it.
//
// Run takes one build to its end and returns its result. It is called in a
// goroutine of its own, for many builds at once. The result is merged with that
// of Run.SetResult: the worse one counts.
//
// A build can be ended early in two ways. Somebody's stop arrives on
// Run.Interrupts: like Jenkins' FlowInterruptedException it ends the step that is
// running and may be caught by the script. The end of ctx means to return at
// once: context.Cause is ErrSuspended when the controller goes down, and then
// what Run returns is ignored, and the next controller calls Run again with
// Resumed set and the same Dir; any other cause is a hard kill, and the build is
// ABORTED whatever Run returns.
//
// After a suspension, or a crash that gave no notice, an engine repeats or
// continues the script. Steps that it calls again with the same step id are not
// done twice: Input returns the answer that was given, Sh finds its process.
type Engine interface {
	Run(ctx context.Context, r *Run) Result
}

// EngineFunc is an Engine made of a Go function, for tests that need no Groovy.
type EngineFunc func(ctx context.Context, r *Run) Result

// Run implements Engine.
func (f EngineFunc) Run(ctx context.Context, r *Run) Result { return f(ctx, r) }

// ErrSuspended is the cause of a context that ends because the controller goes
// down. The build goes on when it is back.
var ErrSuspended = errShutdown

// errKilled is the cause of a context that ends by J/N/kill.
var errKilled = errors.New("Hard kill!")

// Interrupt ends the step that is running, as Jenkins' FlowInterruptedException.
// Unless the script catches it, it makes the build's result.
type Interrupt struct {
	Result Result // Aborted, or NotBuilt for a build that was superseded
	Cause  string // "Aborted by admin"
	Forced bool   // by J/N/term: steps that would not end are left behind
}

func (i *Interrupt) Error() string { return i.Cause }

// Run is one execution of a Pipeline build: what the engine is told, and its way
// to tell the stand-in what happens. Its fields are read only; its methods are
// safe for concurrent use.
type Run struct {
	Job     string            // "deliver/hotel-api"
	Number  int64             // 7
	Script  string            // the Jenkinsfile
	SCM     *SCM              // where Script came from; nil when it stands in the job
	Resumed bool              // Run was called before for this build
	Dir     string            // for files of the engine; kept as long as the build
	Env     map[string]string // JOB_NAME, BUILD_NUMBER, BUILD_URL, …, parameters, the controller's environment
	Causes  []Cause           // who or what started it

	c          *controller
	b          *build
	interrupts chan *Interrupt
}

// Cause is who or what started a build.
type Cause struct {
	Class string `json:"class"` // "hudson.model.Cause$UserIdCause"
	Text  string `json:"text"`  // "Started by user admin"
	User  string `json:"user"`  // "admin"; "" when no person did
}

// Interrupts delivers what people (or a newer build) ask of the build. It is
// buffered; an engine may look when it can.
func (r *Run) Interrupts() <-chan *Interrupt { return r.interrupts }

// Write adds to the console. Secrets are masked.
func (r *Run) Write(p []byte) (int, error) { return r.b.console.Write(p) }

// Mask hides a secret in what is written to the console from now on.
func (r *Run) Mask(secret string) { r.b.console.mask(secret) }

// Credential is the secret of Options.Credentials called id; it is masked from now on.
func (r *Run) Credential(id string) (Credential, error) {
	cred, ok := r.c.o.Credentials[id]
	if !ok {
		return Credential{}, fmt.Errorf("Could not find credentials entry with ID '%s'", id)
	}
	r.Mask(cred.Secret)
	return cred, nil
}

// Params are the values as the script's `params` shows them: what the build was
// started with, and the defaults of what the job declares. Strings and bools.
func (r *Run) Params() map[string]any {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	out := map[string]any{}
	for _, d := range r.b.job.config.params {
		if p, err := d.accept(d.value); err == nil {
			out[p.Name] = p.typed()
		}
	}
	for _, p := range r.b.Params {
		out[p.Name] = p.typed()
	}
	return out
}

// Result is currentBuild.result: "" while nothing has set it.
func (r *Run) Result() Result {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.b.Result
}

// SetResult worsens the result, which the remote API shows while the build runs.
func (r *Run) SetResult(result Result) {
	r.change(func(b *build) { b.Result = worse(b.Result, result) })
}

// SetDescription is an assignment to currentBuild.description.
func (r *Run) SetDescription(text string) { r.change(func(b *build) { b.Description = text }) }

// SetDisplayName is an assignment to currentBuild.displayName.
func (r *Run) SetDisplayName(text string) { r.change(func(b *build) { b.DisplayName = text }) }

// Description and DisplayName of the build, which people may have changed.
func (r *Run) Description() (description, displayName string) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.b.Description, r.b.name()
}

func (r *Run) change(f func(*build)) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	f(r.b)
	r.c.saveBuild(r.b)
}

// Configure rewrites the job's properties, as `parameters`, `options` and
// `properties` of a Jenkinsfile do. Properties it does not name stay.
func (r *Run) Configure(p Properties) error {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.b.job.config.rewrite(p)
	if err := r.c.saveConfig(r.b.job); err != nil {
		return err
	}
	r.c.maintain()
	return nil
}

// Milestone passes a milestone. Older builds that have not passed it are
// interrupted as superseded; the error is an *Interrupt when a newer build has
// passed it already.
func (r *Run) Milestone(ordinal int) error {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	for _, other := range r.b.job.builds {
		if other.Number > r.b.Number && other.Milestone >= ordinal {
			return &Interrupt{Result: NotBuilt, Cause: "Superseded by " + other.name()}
		}
	}
	r.b.Milestone = ordinal
	r.c.saveBuild(r.b)
	for _, other := range r.b.job.builds {
		if other.Number < r.b.Number && other.isBuilding() && other.Milestone < ordinal {
			other.interrupt(&Interrupt{Result: NotBuilt, Cause: "Superseded by " + r.b.name()})
		}
	}
	return nil
}

// interrupt sends i to a Pipeline that runs; a full buffer means that it has
// been told often enough.
func (b *build) interrupt(i *Interrupt) {
	if b.run == nil || !b.isBuilding() {
		return
	}
	select {
	case b.run.interrupts <- i:
	default:
	}
}

// pipelines hands builds of Pipeline jobs to the engine.
type pipelines struct{ engine Engine }

func (pipelines) needsExecutor() bool { return false }

func (p pipelines) run(ctx context.Context, e *execution) Result {
	r, err := e.c.newRun(ctx, e)
	if err != nil {
		fmt.Fprintf(e.out, "ERROR: %v\n", err)
		return Failure
	}
	if p.engine == nil {
		fmt.Fprint(e.out, "ERROR: no pipeline engine is configured: this stand-in runs freestyle jobs only\n")
		return Failure
	}
	if r.Resumed {
		fmt.Fprintf(e.out, "Resuming build at %s after Jenkins restart\n", e.c.o.Clock.Now().Format(time.UnixDate))
	} else {
		fmt.Fprint(e.out, "[Pipeline] Start of Pipeline\n")
	}
	result := p.engine.Run(ctx, r)
	if !errors.Is(context.Cause(ctx), ErrSuspended) {
		e.c.endRun(r, result)
		fmt.Fprint(e.out, "[Pipeline] End of Pipeline\n")
	}
	return result
}

// newRun reads the script and makes what the engine is given.
func (c *controller) newRun(ctx context.Context, e *execution) (*Run, error) {
	b := e.build
	c.mu.Lock()
	r := &Run{
		Job: b.job.fullName(), Number: b.Number, Resumed: b.resumed, Dir: filepath.Join(b.dir(), "engine"),
		Script: e.config.script, Env: e.named, Causes: b.Causes, c: c, b: b, interrupts: make(chan *Interrupt, 8),
	}
	scm, branch := e.config.scm, b.job.branch
	c.mu.Unlock()
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the engine's directory: %w", err)
	}
	if scm != nil {
		if branch != "" {
			scm = &SCM{URL: scm.URL, Branch: branch, ScriptPath: scm.ScriptPath}
		}
		script, at, err := readScript(ctx, *scm, filepath.Join(r.Dir, "script"), r.Resumed)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(e.out, "Obtained %s from %s\n", scm.ScriptPath, at.Commit)
		r.Script, r.SCM = script, &at
		r.change(func(b *build) { b.Revision = &at })
	}
	c.mu.Lock()
	b.run = r
	c.mu.Unlock()
	return r, nil
}

// endRun closes what the engine left open.
func (c *controller) endRun(r *Run, result Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Clock.Now()
	for _, s := range r.b.Stages {
		s.close(statusOf(worse(r.b.Result, result)), now)
	}
	r.b.pending = nil
	r.b.run = nil
}
