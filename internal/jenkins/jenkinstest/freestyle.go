package jenkinstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// execution is what a runner works with: one build, its environment, its
// directory and its console.
type execution struct {
	c         *controller
	build     *build
	config    *config
	env       []string
	workspace string // "<home>/workspace/deliver/hotel-api@2"
	out       *console
}

// newExecution leases a workspace and makes the environment. Called without the lock.
func (c *controller) newExecution(b *build) (*execution, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	base := filepath.Join(c.o.Dir, "workspace", filepath.FromSlash(b.job.fullName()))
	dir := base
	for n := 2; c.workspaces[dir]; n++ {
		dir = base + "@" + strconv.Itoa(n)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the workspace: %w", err)
	}
	c.workspaces[dir] = true
	return &execution{
		c: c, build: b, config: b.job.config, env: c.environment(b, dir), workspace: dir, out: b.console,
	}, nil
}

func (e *execution) close() {
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	delete(e.c.workspaces, e.workspace)
}

// environment of a build's processes. Later entries win.
func (c *controller) environment(b *build, workspace string) []string {
	env := os.Environ()
	add := func(name, value string) { env = append(env, name+"="+value) }
	job, number := b.job.fullName(), strconv.FormatInt(b.Number, 10)
	add("JENKINS_HOME", c.o.Dir)
	add("JOB_NAME", job)
	add("JOB_BASE_NAME", b.job.name)
	add("BUILD_NUMBER", number)
	add("BUILD_ID", number)
	add("BUILD_DISPLAY_NAME", b.name())
	add("BUILD_TAG", "jenkins-"+strings.ReplaceAll(job, "/", "-")+"-"+number)
	add("NODE_NAME", "built-in")
	add("NODE_LABELS", "built-in")
	add("WORKSPACE", workspace)
	add("WORKSPACE_TMP", workspace+"@tmp")
	add("CI", "true")
	add("HUDSON_COOKIE", b.Cookie)
	if b.slot != nil {
		add("EXECUTOR_NUMBER", strconv.Itoa(b.slot.number))
	}
	if c.rootURL != "" {
		add("JENKINS_URL", c.rootURL)
		add("JOB_URL", c.rootURL+b.job.path())
		add("BUILD_URL", c.rootURL+b.path())
	}
	for name, value := range c.o.Env {
		add(name, value)
	}
	for name, value := range c.o.Secrets {
		add(name, value)
	}
	for _, p := range b.Params {
		add(p.Name, p.Value)
	}
	return env
}

// freestyle runs the "Execute shell" steps of a job, one after the other.
type freestyle struct{}

func (freestyle) needsExecutor() bool { return true }

func (freestyle) run(ctx context.Context, e *execution) Result {
	fmt.Fprintf(e.out, "Running as SYSTEM\nBuilding in workspace %s\n", e.workspace)
	result := Success
	for _, step := range e.config.shells {
		if ctx.Err() != nil {
			return result
		}
		code, err := e.shell(ctx, step.command)
		switch {
		case ctx.Err() != nil:
			return result
		case err != nil:
			fmt.Fprintf(e.out, "FATAL: command execution failed: %v\n", err)
			return Failure
		case code == 0:
		case code == step.unstableReturn:
			result = worse(result, Unstable)
			fmt.Fprint(e.out, "Build step 'Execute shell' changed build result to UNSTABLE\n")
		default:
			fmt.Fprint(e.out, "Build step 'Execute shell' marked build as failure\n")
			return Failure
		}
	}
	return result
}

// shell runs a script as Jenkins does: from a file, with /bin/sh -xe unless its
// first line names another interpreter.
func (e *execution) shell(ctx context.Context, script string) (exitCode int, err error) {
	file, err := os.CreateTemp(e.c.scripts(), "jenkins*.sh")
	if err != nil {
		return 0, fmt.Errorf("write the script: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(strings.ReplaceAll(script, "\r\n", "\n"))
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, fmt.Errorf("write the script: %w", err)
	}
	args := []string{"/bin/sh", "-xe"}
	if first, _, _ := strings.Cut(script, "\n"); strings.HasPrefix(first, "#!") {
		args = strings.Fields(first[2:])
	}
	args = append(args, file.Name())
	fmt.Fprintf(e.out, "[%s] $ %s\n", filepath.Base(e.workspace), strings.Join(args, " "))
	return e.process(ctx, args)
}

// scripts is where the scripts of running steps are. Those that a crash has left
// go when the controller is loaded again.
func (c *controller) scripts() string { return filepath.Join(c.o.Dir, "tmp") }

// noPipelines stands where the runner of pipeline jobs belongs.
type noPipelines struct{}

func (noPipelines) needsExecutor() bool { return false }

func (noPipelines) run(_ context.Context, e *execution) Result {
	fmt.Fprint(e.out, "ERROR: no pipeline runner configured: this stand-in runs freestyle jobs only\n")
	return Failure
}
