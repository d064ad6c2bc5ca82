package provision_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/configxml"
	"railyard/internal/jenkins/jenkinstest"
	"railyard/internal/jenkins/provision"
	"railyard/jenkinsfiles"
)

// plugin is what the script sees of the Job DSL plugin: methods that make an
// item's XML and hand it to the closure of configure.
const plugin = `
class Item {
    Node root
    void configure(Closure c) { c.call(root) }
}
make = { String kind, String name, Closure body ->
    def item = new Item(root: new XmlParser().parseText("<${kind}><description/><left>over</left></${kind}>"))
    body.delegate = item
    body.resolveStrategy = Closure.DELEGATE_FIRST
    body()
    println "ITEM ${name}"
    println groovy.xml.XmlUtil.serialize(item.root).replaceFirst(/<\?xml[^>]*\?>/, '')
}
pipelineJob = { name, body -> make('flow-definition', name, body) }
freeStyleJob = { name, body -> make('project', name, body) }
folder = { name, body -> make('com.cloudbees.hudson.plugins.folder.Folder', name, body) }
listView = { name, body -> make('hudson.model.ListView', name, body) }
`

// TestTheJobDSLMakesWhatSyncMakes runs the script in the Groovy of Jenkins.
func TestTheJobDSLMakesWhatSyncMakes(t *testing.T) {
	wanted := wants("echo 'a' \\ $HOME ''' \"x\"\nsecond &lt;line&gt;")
	wanted = append(wanted, provision.Want{Item: jenkins.Item{Name: "free"}, Config: []byte("<project><builders><hudson.tasks.Shell><command>true</command></hudson.tasks.Shell></builders></project>")})
	wanted = append(wanted, provision.Want{Item: jenkins.Item{Name: "real/deliver"}, Config: jenkinsfiles.Deliver("hotel-api")})
	wanted = append(wanted, provision.Want{Item: jenkins.Item{Name: "train"}, Config: jenkinsfiles.Train()})
	for name, config := range jenkinsfiles.Buttons() {
		wanted = append(wanted, provision.Want{Item: jenkins.Item{Name: "real/" + name}, Config: config})
	}
	script, err := provision.JobDSL(wanted)
	if err != nil {
		t.Fatal(err)
	}
	made := runDSL(t, script)
	w := start(t, jenkinstest.Options{})
	changes, err := provision.Compare(t.Context(), w.client, wanted, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(made) != len(changes) {
		t.Errorf("the script makes %d items, sync %d", len(made), len(changes))
	}
	for _, c := range changes {
		want, err := configxml.Parse(c.Config)
		if err != nil {
			t.Fatal(err)
		}
		got := made[c.Name]
		if got == nil {
			t.Errorf("the script does not make %s", c.Item)
			continue
		}
		if d := configxml.Diff(got, want); len(d) > 0 {
			t.Errorf("%s: %s is %q, want %q", c.Item, d[0].Path, d[0].Stored, d[0].Wanted)
		}
		if got.Child("left") != nil {
			t.Errorf("%s keeps what the plugin made", c.Item)
		}
	}
}

func runDSL(t *testing.T, script []byte) map[string]*configxml.Node {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jobs.groovy")
	if err := os.WriteFile(file, append([]byte(plugin), script...), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := groovy(ctx, file).CombinedOutput()
	if err != nil {
		t.Fatalf("groovy: %v\n%s", err, out)
	}
	made := map[string]*configxml.Node{}
	for _, item := range strings.Split(string(out), "ITEM ")[1:] {
		name, xml, _ := strings.Cut(item, "\n")
		if made[name], err = configxml.Parse([]byte(xml)); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, xml)
		}
	}
	return made
}

// groovy runs a script; Debian's launcher needs to be told where Java is.
func groovy(ctx context.Context, file string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "groovy", file)
	cmd.Env = os.Environ()
	if java, err := filepath.EvalSymlinks("/usr/bin/java"); err == nil && os.Getenv("JAVA_HOME") == "" {
		cmd.Env = append(cmd.Env, fmt.Sprintf("JAVA_HOME=%s", filepath.Dir(filepath.Dir(java))))
	}
	return cmd
}
