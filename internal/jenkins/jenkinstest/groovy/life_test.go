package groovy_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatAnInputReturns(t *testing.T) {
	j := start(t)
	cases := []struct{ name, script, json, says string }{
		{"nothing for no parameter", "echo \"<${input(id: 'go', message: 'on?')}>\"", "", "<null>"},
		{"the bare value of one", "echo \"<${input(id: 'go', message: 'on?', parameters: [string(name: 'A')])}>\"",
			`{"parameter":[{"name":"A","value":"x"}]}`, "<x>"},
		{"a map of several", "script = input(id: 'go', message: 'on?', parameters: [string(name: 'A'), booleanParam(name: 'B', defaultValue: true)])\necho \"<${script.A} ${script.B}>\"",
			`{"parameter":[{"name":"A","value":"x"},{"name":"B","value":false}]}`, "<x false>"},
		{"the submitter counts as one", "echo \"<${input(id: 'go', message: 'on?', submitterParameter: 'BY')}>\"", "", "<admin>"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job := j.begin(c.script, "")
			if id := j.asks(job); id != "Go" {
				t.Errorf("input id = %q, want it with its first letter upper-cased", id)
			}
			if c.json == "" {
				j.post("/job/" + job + "/1/input/Go/proceedEmpty")
			} else {
				j.form("/job/"+job+"/1/input/Go/proceed", url.Values{"json": {c.json}})
			}
			if b, console := j.end(job); b.Result != "SUCCESS" || !strings.Contains(console, c.says+"\n") {
				t.Errorf("%s, want %q in\n%s", b.Result, c.says, console)
			}
		})
	}
}

func TestWhoStopsABuildAbortsItAndItsScriptMayNoticeThat(t *testing.T) {
	j := start(t)
	const waiting = `node {
  try { %BODY% }
  catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException e) { echo "noticed ${e.result}: ${e.causes[0].shortDescription}"; throw e }
  finally { sh 'echo tidied up' }
}`
	for name, body := range map[string]string{
		"in a process": "sh 'echo waiting; sleep 60'", "at an input": "echo 'waiting'; input 'on?'", "asleep": "echo 'waiting'; sleep 60",
		"in a branch": "parallel(a: { sh 'echo waiting; sleep 60' }, b: { input 'on?' })",
	} {
		t.Run(name, func(t *testing.T) {
			job := j.begin(strings.Replace(waiting, "%BODY%", body, 1), "")
			j.says(job, "waiting\n")
			j.post("/job/" + job + "/1/stop")
			b, console := j.end(job)
			if b.Result != "ABORTED" || !strings.Contains(console, "noticed ABORTED: Aborted by admin") || !strings.Contains(console, "\ntidied up\n") {
				t.Errorf("%s\n%s", b.Result, console)
			}
		})
	}
	job := j.begin("try { input 'on?' } catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException e) { echo e.causes[0].shortDescription; throw e }", "")
	j.post("/job/" + job + "/1/input/" + j.asks(job) + "/abort")
	if b, console := j.end(job); b.Result != "ABORTED" || !strings.Contains(console, "Rejected by admin") {
		t.Errorf("a rejected input ends the build %s\n%s", b.Result, console)
	}
}

func TestABuildGoesOnAfterARestartAndRepeatsNothing(t *testing.T) {
	j := start(t)
	notes := filepath.Join(t.TempDir(), "notes")
	script := strings.ReplaceAll(`@Library('railyard') _
pipeline {
  agent none
  stages {
    stage('First') { agent any
      steps { sh 'echo first >> NOTES'; script { env.FIRST = sh(script: 'echo $$', returnStdout: true).trim() }; greet name: 'li' } }
    stage('Wait') { steps { script { def who = input(id: 'on', message: 'on?', submitterParameter: 'WHO'); currentBuild.description = "by ${who}" } } }
    stage('Run') { agent any
      steps { sh 'echo begun >> NOTES; echo running; while ! test -e GO; do sleep 0.05; done; echo ended >> NOTES'; echo "first was ${env.FIRST}" } }
  }
  post { always { echo 'the end' } }
}`, "NOTES", notes)
	script = strings.ReplaceAll(script, "GO", notes+".go")
	job := j.begin(script, "")
	restarts := []func(){
		func() {
			if err := j.s.Restart(); err != nil {
				t.Fatal(err)
			}
		},
		func() {
			if err := j.s.Crash(); err != nil {
				t.Fatal(err)
			}
			j.boot()
		},
	}
	for _, restart := range restarts { // while it waits for a person
		id := j.asks(job)
		restart()
		if again := j.asks(job); again != id {
			t.Errorf("input %q became %q", id, again)
		}
	}
	j.post("/job/" + job + "/1/input/On/proceedEmpty")
	j.says(job, "running\n")
	restarts[0]() // while a process runs
	j.says(job, "Resuming build")
	if err := os.WriteFile(notes+".go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b, console := j.end(job)
	if b.Result != "SUCCESS" || b.Description != "by admin" {
		t.Errorf("build = %+v", b)
	}
	if text, err := os.ReadFile(notes); err != nil || string(text) != "first\nbegun\nended\n" {
		t.Errorf("notes = %q (%v), want every step done once", text, err)
	}
	for word, times := range map[string]int{"Hello li": 1, "first was ": 1, "{ (First)": 1, "{ (Wait)": 1, "the end": 1, "Resuming build at": 3} {
		if n := strings.Count(console, word); n != times {
			t.Errorf("%q is %d times in the console, want %d", word, n, times)
		}
	}
	if t.Failed() {
		t.Log(console)
	}
}

func TestAScriptThatTakesAnotherWayAfterARestartSaysSo(t *testing.T) {
	j := start(t)
	job := j.begin("if (new File('"+t.TempDir()+"/again').createNewFile()) { echo 'first' } else { sleep 0 }\ninput 'on?'", "")
	j.asks(job)
	if err := j.s.Restart(); err != nil {
		t.Fatal(err)
	}
	if b, console := j.end(job); b.Result != "FAILURE" || !strings.Contains(console, "the script took another way") {
		t.Errorf("%s\n%s", b.Result, console)
	}
}

func TestParametersAndPropertiesOfTheJobComeFromTheJenkinsfile(t *testing.T) {
	j := start(t)
	job := j.begin(`pipeline { agent none
  parameters { string(name: 'COACH', defaultValue: 'none', description: 'which'); choice(name: 'MODE', choices: ['regular', 'emergency']); booleanParam(name: 'DRY', defaultValue: true) }
  options { disableConcurrentBuilds() }
  stages { stage('One') { steps { echo "<${params.COACH}>" } } } }`, "")
	if b, console := j.end(job); b.Result != "SUCCESS" || !strings.Contains(console, "<null>") {
		t.Errorf("the first build knows no parameters yet: %s\n%s", b.Result, console)
	}
	var config string
	if !j.get("/job/"+job+"/config.xml", &config) || !strings.Contains(config, "DisableConcurrentBuildsJobProperty") ||
		!strings.Contains(config, "<name>MODE</name>") || !strings.Contains(config, "<string>emergency</string>") {
		t.Errorf("config.xml = %s", config)
	}
}

func TestAHostThatDiesFailsTheBuildAndSaysWhy(t *testing.T) {
	engine, err := newEngine()
	if err != nil {
		t.Fatal(err)
	}
	j := startWith(t, engine)
	job := j.begin("echo 'begun'\nsleep 60", "")
	j.says(job, "begun")
	if err := j.engine.Close(); err != nil {
		t.Fatal(err)
	}
	if b, console := j.end(job); b.Result != "FAILURE" || !strings.Contains(console, "the Groovy host ended") {
		t.Errorf("%s\n%s", b.Result, console)
	}
}
