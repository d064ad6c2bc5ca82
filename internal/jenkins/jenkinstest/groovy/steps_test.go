package groovy_test

import (
	"strings"
	"testing"
	"testing/fstest"
)

// library is the shared library of these tests.
var library = fstest.MapFS{
	"vars/greet.groovy": {Data: []byte("import org.example.Words\n" +
		"def call(Map args) { echo new Words(this).hello(args.name); env.GREETED = args.name }\n" +
		"def twice(String name) { call(name: name); call(name: name) }\n")},
	"src/org/example/Words.groovy": {Data: []byte("package org.example\n" +
		"class Words implements Serializable {\n  def steps\n  Words(steps) { this.steps = steps }\n" +
		"  String hello(String name) { steps.sh(script: 'echo Hello', returnStdout: true).trim() + ' ' + name }\n}\n")},
	"resources/words.sh": {Data: []byte("echo from the library\n")},
}

func TestWhatAJenkinsfileMeans(t *testing.T) {
	j := start(t)
	declarative := func(steps string) string {
		return "pipeline { agent any\n stages { stage('One') { steps {\n" + steps + "\n} } } }"
	}
	cases := []struct {
		name, script string
		result       string
		says         string // lines that are in the console, in this order, separated by " … "
		never        string // what is not
	}{
		{"a step runs as a process in the workspace", declarative("sh 'pwd; echo $GLOBAL $JOB_NAME'"), "SUCCESS", "/workspace/job1 … everywhere job1", ""},
		{"a failing process fails the build", declarative("sh 'exit 3'\necho 'never'"), "FAILURE", "ERROR: script returned exit code 3", "never\n"},
		{"returnStatus gives the exit code", declarative("script { echo \"code ${sh(script: 'exit 3', returnStatus: true)}\" }"), "SUCCESS", "code 3", ""},
		{"returnStdout gives what it printed, and does not show it", declarative("script { def out = sh(script: 'printf a; printf b', returnStdout: true); echo \"<${out}>\" }"), "SUCCESS", "<ab>", "\nab\n"},
		{"error fails the build", declarative("error 'no such thing'"), "FAILURE", "ERROR: no such thing", ""},
		{"unstable goes on", declarative("unstable 'so so'\necho 'and on'"), "UNSTABLE", "WARNING: so so … and on", ""},
		{"a result only gets worse", declarative("script { currentBuild.result = 'NOT_BUILT'; currentBuild.result = 'SUCCESS'; echo currentBuild.currentResult; error 'end' }"), "NOT_BUILT", "NOT_BUILT", ""},
		{"an unknown step is an error that names it", declarative("launchRocket()"), "FAILURE", "No such DSL method 'launchRocket' found among steps", ""},
		{"a step needs an executor", "pipeline { agent none\n stages { stage('One') { steps { sh 'true' } } } }", "FAILURE", "Perhaps you forgot to surround the sh step", ""},
		{"a failed stage skips the next ones", "pipeline { agent none\n stages { stage('One') { steps { error 'x' } }\n stage('Two') { steps { echo 'never' } } } }",
			"FAILURE", `Stage "Two" skipped due to earlier failure(s)`, "never\n"},
		{"when leaves a stage out", "pipeline { agent none\n stages { stage('One') { when { expression { env.GLOBAL == 'nowhere' } }\n steps { echo 'never' } }\n stage('Two') { when { environment name: 'GLOBAL', value: 'everywhere' }\n steps { echo 'second' } } } }",
			"SUCCESS", `Stage "One" skipped due to when conditional … second`, "never\n"},
		{"post runs what the result asks for, cleanup last", "pipeline { agent none\n stages { stage('One') { steps { error 'x' } } }\n post { cleanup { echo 'cleanup' }\n success { echo 'never' }\n failure { echo 'failure' }\n always { echo 'always' } } }",
			"FAILURE", "always … failure … cleanup", "never\n"},
		{"post of a stage sees the stage", "pipeline { agent none\n stages { stage('One') { steps { catchError(buildResult: 'SUCCESS', stageResult: 'FAILURE') { error 'x' } }\n post { failure { echo 'in the stage' } } } }\n post { success { echo 'all well' } } }",
			"SUCCESS", "in the stage … all well", ""},
		{"environment, of the pipeline and of a stage", "pipeline { agent any\n environment { A = 'one'; B = \"${A} two\" }\n stages { stage('One') { environment { A = 'other' }\n steps { sh 'echo $A, $B'; echo env.A } } } }",
			"SUCCESS", "other, one two … other", ""},
		{"an assignment to env lasts", declarative("script { env.X = 'kept' }\nsh 'echo $X'"), "SUCCESS", "kept", ""},
		{"withEnv lasts for its block", declarative("withEnv(['X=inside']) { sh 'echo \"<$X>\"' }\nsh 'echo \"<${X-none}>\"'"), "SUCCESS", "<inside> … <none>", ""},
		{"a credential reaches the process and not the console", declarative("withCredentials([string(credentialsId: 'token', variable: 'T')]) { sh 'echo ${#T} $T' }"), "SUCCESS", "6 ****", "s3cr3t"},
		{"credentials() of an environment", "pipeline { agent any\n environment { R = credentials('robot') }\n stages { stage('One') { steps { sh 'echo $R_USR ${#R_PSW} $R_PSW' } } } }", "SUCCESS", "robot 4 ****", "pa55"},
		{"a credential that is not there", declarative("withCredentials([string(credentialsId: 'gone', variable: 'T')]) { }"), "FAILURE", "Could not find credentials entry with ID 'gone'", ""},
		{"catchError goes on and worsens the result", declarative("catchError(buildResult: 'UNSTABLE') { error 'x' }\necho 'on'"), "UNSTABLE", "ERROR: x … on", ""},
		{"retry tries again", declarative("retry(2) { sh 'test -e again || { touch again; exit 1; }' }\necho 'done'"), "SUCCESS", "Retrying … done", ""},
		{"a timeout aborts", declarative("timeout(time: 200, unit: 'MILLISECONDS') { sh 'sleep 20' }"), "ABORTED", "Timeout has been exceeded", ""},
		{"a timeout is caught like any interruption", declarative("script { try { timeout(time: 200, unit: 'MILLISECONDS') { sh 'sleep 20' } } catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException e) { echo \"caught ${e.result}\" } }"), "SUCCESS", "caught ABORTED", ""},
		{"catchError(catchInterruptions: false) lets a timeout pass", declarative("timeout(time: 200, unit: 'MILLISECONDS') { catchError(catchInterruptions: false) { sh 'sleep 20' } }"), "ABORTED", "", ""},
		{"parallel stages all run", "pipeline { agent none\n stages { stage('All') { parallel { stage('A') { agent any\n steps { sh 'echo in a' } }\n stage('B') { steps { echo 'in b' } } } } } }", "SUCCESS", "", ""},
		{"files", declarative("dir('sub') { writeFile file: 'f', text: 'content'; script { assert fileExists('f'); echo readFile('f') } }\nsh 'cat sub/f'"), "SUCCESS", "content … content", ""},
		{"archiveArtifacts finds something or fails", declarative("sh 'touch a.txt'\narchiveArtifacts artifacts: '*.txt'\narchiveArtifacts 'none.*'"), "FAILURE", "Archiving … No artifacts found", ""},
		{"junit with failures makes it unstable", declarative("writeFile file: 'r.xml', text: '<testsuite><testcase name=\"a\"/><testcase name=\"b\"><failure/></testcase></testsuite>'\njunit 'r.xml'"), "UNSTABLE", "Recording test results", ""},
		{"a script of its own, without a declaration", "node { sh 'echo scripted' }\necho \"number ${currentBuild.number}\"", "SUCCESS", "scripted … number 1", ""},
		{"methods of the Jenkinsfile", "def helper(x) { echo \"helped ${x}\" }\n" + declarative("helper(7)\nscript { helper(8) }"), "SUCCESS", "helped 7 … helped 8", ""},
		{"description and display name", declarative("script { currentBuild.description = 'where it is'; currentBuild.displayName = 'hotel-api-7.2' }"), "SUCCESS", "", ""},
		{"causes of the build", "node { echo currentBuild.getBuildCauses('hudson.model.Cause$UserIdCause')[0].userId }", "SUCCESS", "admin", ""},
		{"a variable of a library", "@Library('railyard') _\n" + declarative("greet name: 'li'\nscript { greet.twice('wei') }\necho env.GREETED"), "SUCCESS", "Hello li … Hello wei … Hello wei … wei", ""},
		{"a resource of a library", "@Library('railyard@main') _\n" + declarative("sh libraryResource('words.sh')"), "SUCCESS", "from the library", ""},
		{"a library that is not there", "@Library('other') _\n" + declarative("echo 'x'"), "FAILURE", "no such library", ""},
		{"a step in a closure that Groovy sorts with", "node { [2, 1].sort { a, b -> echo 'in it'; a <=> b } }", "FAILURE", "expected to call sort but wound up catching echo", ""},
		{"a section that is not one", "pipeline { agent any\n steps2 { } \n stages { stage('One') { steps { echo 'x' } } } }", "FAILURE", `Undefined section "steps2"`, ""},
		{"a script with a mistake", "pipeline { agent any", "FAILURE", "startup failed", ""},
		{"a post condition that reads the build before", "pipeline { agent none\n stages { stage('One') { steps { echo 'x' } } }\n post { changed { echo 'x' } } }", "FAILURE", "needs the build before", ""},
	}
	for i, c := range cases {
		if i > 0 && c.name == cases[0].name {
			t.Fatal("the first case counts on its job's name")
		}
		t.Run(c.name, func(t *testing.T) {
			b, console := j.end(j.begin(c.script, ""))
			if b.Result != c.result {
				t.Errorf("result = %s, want %s", b.Result, c.result)
			}
			rest := console
			for word := range strings.SplitSeq(c.says, " … ") {
				_, after, found := strings.Cut(rest, word)
				if !found {
					t.Errorf("%q is not in the console, or not in its place", word)
				}
				rest = after
			}
			if c.never != "" && strings.Contains(console, c.never) {
				t.Errorf("%q is in the console", c.never)
			}
			if t.Failed() {
				t.Log(console)
			}
			if c.name == "description and display name" && (b.Description != "where it is" || b.DisplayName != "hotel-api-7.2") {
				t.Errorf("build = %+v", b)
			}
		})
	}
}
