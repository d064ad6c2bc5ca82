// Package ci holds the set-up, the checks and what keeps them honest: a dependency is a decision, so each one has a line in
// docs/dependencies.md that says why it is there and under which licence.
package ci

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// line is one row of a table in docs/dependencies.md.
type line struct {
	name    string // "github.com/gin-gonic/gin"
	licence string // "MIT"
	why     string // "HTTP routing and middleware of the service"
}

// row matches "| `name` | licence | why | otherwise |".
var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|]*)\\|([^|]*)\\|[^|]+\\|$")

// linkable lists the licences whose code may be linked into an Apache-2.0 binary.
var linkable = map[string]bool{
	"Apache-2.0": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "ISC": true, "MIT": true, "MPL-2.0": true,
}

func TestEveryDirectDependencyIsExplained(t *testing.T) {
	sections := documented(t)
	compare(t, "Go modules", "a direct requirement in go.mod", directModules(t), sections["Go modules"])
	compare(t, "Tools", "a tool in tools/go.mod", toolPackages(t), sections["Tools"])
	compare(t, "Debian packages", "a package in ci/setup", debianPackages(t), sections["Debian packages"])
}

func TestLinkedModulesHaveALicenceThatAllowsIt(t *testing.T) {
	for name, l := range documented(t)["Go modules"] {
		if !linkable[l.licence] {
			t.Errorf("docs/dependencies.md: module %s has licence %q, which is not among those we link; replace the module, or add the licence to the test after reading it", name, l.licence)
		}
	}
}

// compare reports what is required without a line, and the lines that nothing requires.
func compare(t *testing.T, section, source string, required []string, lines map[string]line) {
	t.Helper()
	if len(required) == 0 {
		t.Errorf("%s: nothing found; the test no longer reads its source", source)
	}
	wanted := map[string]bool{}
	for _, name := range required {
		wanted[name] = true
		l, ok := lines[name]
		if !ok {
			t.Errorf("docs/dependencies.md: %s is %s and has no line under %q; add one: licence, why, and what we would otherwise write", name, source, section)
			continue
		}
		if l.licence == "" || l.why == "" {
			t.Errorf("docs/dependencies.md: the line of %s lacks its licence or its reason", name)
		}
	}
	for name := range lines {
		if !wanted[name] {
			t.Errorf("docs/dependencies.md: %s has a line under %q, but is not %s; remove the line", name, section, source)
		}
	}
}

// documented returns the lines of docs/dependencies.md, by section and name.
func documented(t *testing.T) map[string]map[string]line {
	t.Helper()
	text, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]map[string]line{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		sections[title] = map[string]line{}
		for _, m := range row.FindAllStringSubmatch(body, -1) {
			sections[title][m[1]] = line{name: m[1], licence: strings.TrimSpace(m[2]), why: strings.TrimSpace(m[3])}
		}
	}
	return sections
}

func directModules(t *testing.T) []string {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	readJSON(t, &mod, "go", "mod", "edit", "-json", "../go.mod")
	var names []string
	for _, r := range mod.Require {
		if !r.Indirect {
			names = append(names, r.Path)
		}
	}
	return names
}

func toolPackages(t *testing.T) []string {
	t.Helper()
	var mod struct{ Tool []struct{ Path string } }
	readJSON(t, &mod, "go", "mod", "edit", "-json", "../tools/go.mod")
	var names []string
	for _, tool := range mod.Tool {
		names = append(names, tool.Path)
	}
	return names
}

func debianPackages(t *testing.T) []string {
	t.Helper()
	return strings.Fields(string(output(t, "./setup", "--list", "test", "bench", "lint")))
}

func readJSON(t *testing.T, into any, command string, args ...string) {
	t.Helper()
	if err := json.Unmarshal(output(t, command, args...), into); err != nil {
		t.Fatalf("%s %s: %v", command, strings.Join(args, " "), err)
	}
}

func output(t *testing.T, command string, args ...string) []byte {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, stderr.String())
	}
	return out
}
