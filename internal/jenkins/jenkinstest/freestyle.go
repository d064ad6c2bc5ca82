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
	named     map[string]string // what env adds to the environment of this process
	workspace string            // "<home>/workspace/deliver/hotel-api@2"
	out       *console
}

// newExecution makes the environment and, for a build that holds an executor,
// leases a workspace. Called without the lock.
func (c *controller) newExecution(b *build) (*execution, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &execution{c: c, build: b, config: b.job.config, out: b.console, named: c.environment(b)}
	if b.slot != nil {
		dir, err := c.lease(b.job)
		if err != nil {
			return nil, err
		}
		e.workspace = dir
		e.named["WORKSPACE"], e.named["WORKSPACE_TMP"] = dir, dir+"@tmp"
		e.named["NODE_NAME"], e.named["NODE_LABELS"] = "built-in", "built-in"
		e.named["EXECUTOR_NUMBER"] = strconv.Itoa(b.slot.number)
	}
	e.env = os.Environ()
	for name, value := range e.named {
		e.env = append(e.env, name+"="+value)
	}
	return e, nil
}

// lease takes a workspace of the job that no other build uses.
func (c *controller) lease(job *item) (string, error) {
	base := filepath.Join(c.o.Dir, "workspace", filepath.FromSlash(job.fullName()))
	dir := base
	for n := 2; c.workspaces[dir]; n++ {
		dir = base + "@" + strconv.Itoa(n)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the workspace: %w", err)
	}
	c.workspaces[dir] = true
	return dir, nil
}

func (e *execution) close() {
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	delete(e.c.workspaces, e.workspace)
}

// environment is what Jenkins tells every build of itself. Later entries win.
func (c *controller) environment(b *build) map[string]string {
	env := map[string]string{}
	add := func(name, value string) { env[name] = value }
	job, number := b.job.fullName(), strconv.FormatInt(b.Number, 10)
	add("JENKINS_HOME", c.o.Dir)
	add("JOB_NAME", job)
	add("JOB_BASE_NAME", b.job.name)
	add("BUILD_NUMBER", number)
	add("BUILD_ID", number)
	add("BUILD_DISPLAY_NAME", b.name())
	add("BUILD_TAG", "jenkins-"+strings.ReplaceAll(job, "/", "-")+"-"+number)
	add("CI", "true")
	add(cookieVariable, b.Cookie)
	if b.job.branch != "" {
		add("BRANCH_NAME", b.job.branch)
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
