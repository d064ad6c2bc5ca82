package fleet

import (
	"os"
	"strings"
	"testing"
)

// TestEverySourceCanBeDeclared loads the examples of docs/sources.md.
func TestEverySourceCanBeDeclared(t *testing.T) {
	base, err := os.ReadFile("testdata/broken/indicator_kind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(base), "indicators:")
	doc, err := os.ReadFile("../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	var indicators strings.Builder
	for _, block := range strings.Split(string(doc), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		text = strings.TrimPrefix(text, "# the topology\n")
		text = strings.TrimPrefix(text, "indicators:\n")
		if strings.HasPrefix(text, "  - name:") {
			indicators.WriteString(strings.ReplaceAll(text, "environments: [UAT]", "environments: [PROD]"))
		}
	}
	loaded, err := Load("topology.yaml", []byte(head+"indicators:\n"+indicators.String()))
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, i := range loaded.Indicators {
		read[i.ReadBy()] = true
	}
	for _, row := range sourceTable {
		if row.name != SourceExec && !read[row.name] { // programs are in docs/drivers.md
			t.Errorf("docs/sources.md has no example of the source %s", row.name)
		}
	}
}
