package groovy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"railyard/internal/jenkins/jenkinstest/groovy"
)

// Each file breaks one rule, on the line that its name ends with; ok files break none.
func TestTheLinterFindsEveryKindOfViolation(t *testing.T) {
	files := map[string]string{
		"vars/syntax-1.groovy":                 "def call() { [1].each(x -> echo('x')) }\n",
		"vars/var-2.groovy":                    "def call() {\n  var x = 1\n  echo x\n}\n",
		"src/a/serializable-class-2.groovy":    "package a\nclass A { String name }\n",
		"vars/not-serializable-local-2.groovy": "def call() {\n  def m = ('x' =~ /y/)\n  echo 'x'\n}\n",
		"vars/not-serializable-local-3.groovy": "import groovy.json.JsonSlurper\ndef call() {\n  def j = new JsonSlurper().parseText('{}')\n  echo j.a\n}\n",
		"vars/not-serializable-local-1.groovy": "def call() { for (def i = [1].iterator(); i.hasNext();) { echo i.next() } }\n",
		"vars/cps-from-non-cps-3.groovy":       "@NonCPS\ndef pure() {\n  echo 'x'\n}\ndef call() { pure() }\n",
		"vars/cps-from-non-cps-4.groovy":       "class B implements Serializable {\n  def steps\n  String toString() {\n    name()\n  }\n  String name() { 'b' }\n}\ndef call() { }\n",
		"vars/cps-from-non-cps-5.groovy":       "class C implements Serializable {\n  String n\n\n  C() {\n    load()\n  }\n  void load() { }\n}\ndef call() { }\n",
		"vars/untranslated-closure-2.groovy":   "def call() {\n  [2, 1].sort { a, b -> a <=> b }\n}\n",
		"vars/closure-in-gstring-2.groovy":     "def call() {\n  echo \"${-> 'x'}\"\n}\n",
		"vars/gstring-key-2.groovy":            "def call(String a) {\n  def m = [(\"${a}x\"): 1]\n  echo m.ax\n}\n",
		"vars/secret-in-gstring-2.groovy":      "def call() {\n  sh \"curl -H ${env.TOKEN} http://x\"\n}\n",
		"vars/secret-in-gstring-3.groovy":      "def call(String a) {\n  withCredentials([string(credentialsId: 'x', variable: 'Y')]) {\n    sh(script: \"echo ${a}\")\n  }\n}\n",
		"vars/swallowed-abort-4.groovy":        "def call() {\n  try {\n    input 'on?'\n  } catch (Exception e) {\n    echo 'never mind'\n  }\n}\n",
		"vars/ok.groovy": "import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException\n@NonCPS\nList pure(String a) { def m = (a =~ /y/); return m.collect { order(it) }.sort { x, y -> x <=> y } }\n" +
			"@NonCPS\nString order(Object x) { return x.toString() }\n" +
			"def call(String a) {\n  try { pure(a).each { echo it } } catch (FlowInterruptedException e) { echo 'x' }\n  try { sh \"echo ${a}\" } catch (Exception e) { throw e }\n  withCredentials([]) { sh 'echo $TOKEN' }\n}\n",
		"notes.txt": "def call() { var x }",
	}
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	findings, err := groovy.Lint(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, f := range findings {
		found[f.Path] += fmt.Sprintf("%s-%d ", f.Rule, f.Line)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		want := ""
		if base := strings.TrimSuffix(name[strings.LastIndex(name, "/")+1:], ".groovy"); base != "ok" && base != "notes.txt" {
			want = base + " "
		}
		if found[name] != want {
			t.Errorf("%s: found %q, want %q", name, found[name], want)
		}
	}
	for _, f := range findings {
		if f.Text == "" || !strings.Contains(f.String(), f.Path) {
			t.Errorf("finding = %+v", f)
		}
	}
}
