package fleet_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/fleet"
)

var update = flag.Bool("update", false, "write the goldens")

// Each broken file is testdata/good.yaml with the mistake that its name and its first line tell; its golden is the whole message.
func TestABrokenFileIsRefusedWithItsMistake(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			topology, err := fleet.Load("topology.yaml", data)
			if err == nil || topology != nil {
				t.Fatalf("accepted: %v, %v", topology, err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheGoodFileBehindTheBrokenOnesLoads(t *testing.T) {
	data, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.Load("topology.yaml", data); err != nil {
		t.Fatal(err)
	}
}
