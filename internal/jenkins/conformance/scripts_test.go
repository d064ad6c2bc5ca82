package conformance

import (
	"context"
	"errors"
	"fmt"

	"railyard/internal/jenkins/jenkinstest"
)

// script is a Pipeline of the cases: what a real Jenkins is given, and the same
// in Go for the stand-in. The two must say the same in console and result.
type script struct {
	groovy string
	inGo   jenkinstest.EngineFunc
}

// engine runs the scripts on the stand-in.
func engine(scripts ...script) jenkinstest.EngineFunc {
	return func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
		for _, s := range scripts {
			if s.groovy == r.Script {
				return s.inGo(ctx, r)
			}
		}
		fmt.Fprintf(r, "ERROR: no such script: %s\n", r.Script)
		return jenkinstest.Failure
	}
}

var allScripts = []script{staged, asking, failing, sleeping, declaring, superseding}

// ended is the result that an error of a step makes.
func ended(r *jenkinstest.Run, err error) jenkinstest.Result {
	var i *jenkinstest.Interrupt
	switch {
	case err == nil:
		return jenkinstest.Success
	case errors.As(err, &i):
		return i.Result
	}
	fmt.Fprintf(r, "ERROR: %v\n", err)
	return jenkinstest.Failure
}

// staged has a stage that is done, and a result before its end.
var staged = script{`stage('Compile') {
  node { sh 'echo compiling' }
}
stage('Check') {
  unstable('a check failed')
  input id: 'go', message: 'Go on?'
}
`, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
	compile := r.Stage("Compile")
	n, err := r.Node(ctx)
	if err == nil {
		step := compile.Step("Shell Script", "echo compiling")
		_, _, err = r.Sh(ctx, jenkinstest.Shell{Step: "sh", Script: "echo compiling", Dir: n.Workspace, Out: step})
		step.End(err)
		n.Release()
	}
	compile.End(err)
	if err != nil {
		return ended(r, err)
	}
	check := r.Stage("Check")
	r.SetResult(jenkinstest.Unstable)
	if _, err = r.Input(ctx, jenkinstest.Input{Step: "go", ID: "go", Message: "Go on?"}); err != nil {
		check.End(err)
		return ended(r, err)
	}
	check.Unstable()
	return jenkinstest.Unstable
}}

// asking puts what it is answered into its description.
var asking = script{`def a = input id: 'deploy', message: 'Deploy?', parameters: [
  choice(name: 'WHERE', choices: ['fat', 'uat']), booleanParam(name: 'SURE', defaultValue: true)]
currentBuild.description = a == null ? 'nothing' : a instanceof Map ? "WHERE=${a['WHERE']} SURE=${a['SURE']}" : "only ${a}"
`, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
	a, err := r.Input(ctx, jenkinstest.Input{Step: "ask", ID: "deploy", Message: "Deploy?", Parameters: []jenkinstest.Parameter{
		{Kind: "choice", Name: "WHERE", Choices: []string{"fat", "uat"}}, {Kind: "boolean", Name: "SURE", Default: "true"},
	}})
	if err != nil {
		return ended(r, err)
	}
	switch v := a.Value().(type) {
	case nil:
		r.SetDescription("nothing")
	case map[string]any:
		r.SetDescription(fmt.Sprintf("WHERE=%v SURE=%v", v["WHERE"], v["SURE"]))
	default:
		r.SetDescription(fmt.Sprintf("only %v", v))
	}
	return jenkinstest.Success
}}

var failing = script{"error('it went wrong')\n", func(_ context.Context, r *jenkinstest.Run) jenkinstest.Result {
	return ended(r, errors.New("it went wrong"))
}}

var sleeping = script{"sleep 600\n", func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
	select {
	case i := <-r.Interrupts():
		return ended(r, i)
	case <-ctx.Done():
		return jenkinstest.Aborted
	}
}}

// declaring has no parameters until it has run once.
var declaring = script{"properties([parameters([string(name: 'REF', defaultValue: 'main')])])\n", func(_ context.Context, r *jenkinstest.Run) jenkinstest.Result {
	return ended(r, r.Configure(jenkinstest.Properties{Parameters: []jenkinstest.Parameter{{Kind: "string", Name: "REF", Default: "main"}}}))
}}

// superseding waits in its first build until a newer one passes the milestone.
var superseding = script{`milestone 1
if (env.BUILD_NUMBER == '1') { input id: 'go', message: 'Go on?' }
milestone 2
`, func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
	err := r.Milestone(1)
	if err == nil && r.Number == 1 {
		_, err = r.Input(ctx, jenkinstest.Input{Step: "go", ID: "go", Message: "Go on?"})
	}
	if err == nil {
		err = r.Milestone(2)
	}
	return ended(r, err)
}}
