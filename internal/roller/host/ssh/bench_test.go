package ssh

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// BenchmarkSwitch compares a switch between two releases that are in place with the same two steps done by hand over the
// same warm connection: a link and a restart.
func BenchmarkSwitch(b *testing.B) {
	s := startSSHD(b)
	h := s.host(b, s.config, nil)
	m := roller.Machine{
		Server: fleet.Server{Name: "hotel-1", Address: s.address, Dir: b.TempDir()},
		Apps:   []fleet.App{{Name: "api", Restart: "true"}},
	}
	var revisions [2]roller.Revision
	for i := range revisions {
		a := roller.AppRelease{App: "api", Package: fmt.Sprintf("sha256:%064d", i)}
		a.Package = "sha256:" + fmt.Sprintf("%d", i+1) + a.Package[len("sha256:")+1:]
		revisions[i] = roller.NewRevision(a)
		dir := filepath.Join(m.Server.Dir, "api", "releases", a.Name())
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".complete"), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("by hand", func(b *testing.B) {
		script := `ln -sfn releases/"$2" "$1/link.new" && mv -T "$1/link.new" "$1/link" && true`
		for i := range b.N {
			out, err := h.transport.Run(b.Context(), m, "/bin/sh", "-c", script, "sh", m.Server.Dir, revisions[i%2].Apps[0].Name())
			if err != nil || out.Code != 0 {
				b.Fatal(out, err)
			}
		}
	})
	b.Run("switch", func(b *testing.B) {
		for i := range b.N {
			if err := h.Switch(b.Context(), m, revisions[i%2]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("nothing to do", func(b *testing.B) {
		if err := h.Switch(b.Context(), m, revisions[0]); err != nil {
			b.Fatal(err)
		}
		for range b.N {
			if err := h.Switch(b.Context(), m, revisions[0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("observe", func(b *testing.B) {
		for range b.N {
			if _, err := h.Observe(b.Context(), m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
