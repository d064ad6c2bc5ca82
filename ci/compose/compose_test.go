// Package compose holds the example for machines with Docker. No engine runs in
// our tests: they check what can be checked without one.
package compose

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goccy/go-yaml"

	"railyard/internal/fleet"
	"railyard/internal/service"
)

// load reads compose.yaml as `docker compose config` does, against its schema.
func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithEnv(secrets(t)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// secrets gives every variable of example.env a value.
func secrets(t *testing.T) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(read(t, "example.env")) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), "="); ok {
			out = append(out, name+"=x")
		}
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestComposeFileIsValidAndClosedToOtherMachines(t *testing.T) {
	p := load(t)
	if got := p.ServiceNames(); !slices.Equal(got, []string{"database", "jenkins", "railyard"}) {
		t.Errorf("services = %v", got)
	}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s opens port %s on %q", name, port.Published, port.HostIP)
			}
		}
		for _, v := range s.Volumes {
			if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s.Build == nil {
			continue
		}
		dockerfile := read(t, filepath.Join(s.Build.Context, s.Build.Dockerfile))
		if !strings.Contains(dockerfile, " AS "+s.Build.Target+"\n") {
			t.Errorf("%s: the Dockerfile has no target %s", name, s.Build.Target)
		}
	}
}

func TestComposeRefusesToStartWithoutSecrets(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithEnv([]string{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := options.LoadProject(t.Context()); err == nil || !strings.Contains(err.Error(), "write it into .env") {
		t.Errorf("error = %v", err)
	}
}

func TestWhatTheImagesCopyIsThere(t *testing.T) {
	copied := regexp.MustCompile(`(?m)^COPY (?:--from=build )?(\S+) `)
	for _, m := range copied.FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		if strings.HasPrefix(m[1], "/") { // from the first image
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
			t.Errorf("COPY %s: %v", m[1], err)
		}
	}
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../../go.mod"))[1]
	if !strings.Contains(read(t, "Dockerfile"), "FROM golang:"+want+"-") {
		t.Errorf("the Dockerfile does not build with Go %s, as go.mod wants", want)
	}
}

func TestTheConfigurationAndTheTopologyAreValid(t *testing.T) {
	p := load(t)
	cfg, err := service.LoadConfig("railyard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	topology, err := fleet.Load("topology.yaml", []byte(read(t, "topology.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Jenkins) != 1 || topology.Apps[0].Jenkins.Controller != cfg.Jenkins[0].Name {
		t.Errorf("controllers = %+v, the topology uses %s", cfg.Jenkins, topology.Apps[0].Jenkins.Controller)
	}
	given(t, "railyard.yaml", regexp.MustCompile(`env:([A-Z_]+)`), p.Services["railyard"].Environment)
}

func TestJenkinsAsCodeIsYAMLWhoseVariablesAreGiven(t *testing.T) {
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "jenkins.yaml")), &doc); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"jenkins", "credentials", "security", "unclassified", "jobs"} {
		if doc[root] == nil {
			t.Errorf("no %s", root)
		}
	}
	given(t, "jenkins.yaml", regexp.MustCompile(`\$\{([A-Z_]+)\}`), load(t).Services["jenkins"].Environment)
}

// given checks that a container gets every variable that a file of it uses.
func given(t *testing.T, file string, used *regexp.Regexp, environment types.MappingWithEquals) {
	t.Helper()
	names := used.FindAllStringSubmatch(read(t, file), -1)
	if len(names) == 0 {
		t.Errorf("%s uses no variable", file)
	}
	for _, m := range names {
		if environment[m[1]] == nil {
			t.Errorf("%s uses %s, which its container is not given", file, m[1])
		}
	}
}
