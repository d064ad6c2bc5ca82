package groovy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Finding is one place that breaks a rule of Jenkins' CPS: what a script may do that Jenkins saves at every step.
type Finding struct {
	Path string // "vars/railyardStage.groovy"
	Line int
	Rule string // "not-serializable-local"
	Text string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s (%s)", f.Path, f.Line, f.Text, f.Rule)
}

// Lint reads every Jenkinsfile and every .groovy file below a directory, and reports what in them Jenkins would stumble over
// although plain Groovy does not. The rules are those of its CPS library and of Groovy 2.4:
//
//	syntax                  no lambda, method reference or try-with-resources
//	var                     no var
//	serializable-class      classes of a library are saved with the script that holds them
//	not-serializable-local  no variable keeps a Matcher, an iterator, JsonSlurper's lazy map, …
//	cps-from-non-cps        no step or CPS method is called from @NonCPS, a constructor, toString, equals, compareTo, …
//	untranslated-closure    no closure is given to sort, unique, … where Groovy itself would call it
//	closure-in-gstring      no closure stands in a string
//	gstring-key             no key of a map is a GString
//	secret-in-gstring       no secret is put into a shell script by Groovy
//	swallowed-abort         who catches Exception lets an abort pass
//
// They look at one file at a time and know no types, so a variable that is filled by a method of another file is not seen.
// errors.Is: ErrNoGroovy.
func Lint(ctx context.Context, files fs.FS) ([]Finding, error) {
	tools, err := findToolchain()
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".groovy" && !strings.HasSuffix(name, "Jenkinsfile") {
			return err
		}
		text, err := fs.ReadFile(files, name)
		texts[name] = string(text)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the scripts: %w", err)
	}
	classes, err := tools.compiled()
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	var out, problems bytes.Buffer
	cmd := tools.command(classes, "harness.CpsLint")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &problems
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("read the scripts with Groovy: %w: %s", err, problems.String())
	}
	var findings []Finding
	if err := json.Unmarshal(out.Bytes(), &findings); err != nil {
		return nil, fmt.Errorf("read the findings: %w", err)
	}
	return findings, nil
}
