package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryCaseIsInTheTable keeps docs/jenkins-contract.md and the suite together.
func TestEveryCaseIsInTheTable(t *testing.T) {
	page, err := os.ReadFile("../../../docs/jenkins-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t, "..", "../jenkinstest")
	known := map[string]int{}
	for _, c := range cases {
		known["conformance: "+c.name] = 0
	}
	if len(known) != len(cases) {
		t.Error("two cases have the same name")
	}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) != 2 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| Jenkins |") {
			continue
		}
		proof := strings.TrimSpace(cells[1])
		for c := range known {
			if rest, ok := strings.CutPrefix(proof, c); ok && (rest == "" || strings.HasPrefix(rest, ", Test")) {
				known[c]++
				proof = strings.TrimPrefix(rest, ", ")
				break
			}
		}
		if proof == "" {
			continue
		}
		for _, name := range strings.Split(proof, ", ") {
			if !tests[name] {
				t.Errorf("the table names %q, which is neither a case nor a test", name)
			}
		}
	}
	for c, n := range known {
		if n != 1 {
			t.Errorf("%q is in the table %d times, want once", c, n)
		}
	}
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

func testNames(t *testing.T, dirs ...string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%d test files in %s, %v", len(files), dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
				names[m[1]] = true
			}
		}
	}
	return names
}
