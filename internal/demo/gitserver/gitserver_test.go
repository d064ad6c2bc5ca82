package gitserver

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const hook = `#!/bin/sh
while read -r old new ref; do
	echo "saw $ref at $new of $(git config railyard.repository) for $(git config railyard.url) with $(git config railyard.secretFile)"
done
`

func start(t *testing.T) *Server {
	t.Helper()
	s, err := Start(t.Context(), Options{
		Dir: t.TempDir(), Hook: []byte(hook), WebhookURL: "http://127.0.0.1:1/hooks", SecretFile: "/run/key",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Create(t.Context(), "hotel/hotel-api"); err != nil {
		t.Fatal(err)
	}
	return s
}

func change(branch string, files map[string]string) Change {
	return Change{Repository: "hotel/hotel-api", Branch: branch, Author: "release-engineer", Message: "hotel-api: change", Files: files}
}

// at reads one fact of the bare repository with git itself.
func at(t *testing.T, s *Server, args ...string) string {
	t.Helper()
	out, err := s.git(t.Context(), "reader", append([]string{"-C", filepath.Join(s.opts.Dir, "repositories/hotel/hotel-api.git")}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestThePusherSeesWhatTheHookSays(t *testing.T) {
	s := start(t)
	pushed, err := s.Push(t.Context(), change("release/1.0", map[string]string{"VERSION": "1.0.0\n"}))
	if err != nil {
		t.Fatal(err)
	}
	want := "remote: saw refs/heads/release/1.0 at " + pushed.Commit + " of hotel/hotel-api for http://127.0.0.1:1/hooks with /run/key"
	if !strings.Contains(pushed.Output, want) {
		t.Errorf("output %q, want it to contain %q", pushed.Output, want)
	}
	if got := at(t, s, "rev-parse", "refs/heads/release/1.0"); got != pushed.Commit {
		t.Errorf("branch is at %s, want the pushed commit %s", got, pushed.Commit)
	}
	if pushed.Duration <= 0 || pushed.Began.IsZero() {
		t.Errorf("began %v, took %v; want both known", pushed.Began, pushed.Duration)
	}
}

func TestAChangeKeepsTheRestOfTheTree(t *testing.T) {
	s := start(t)
	for _, files := range []map[string]string{
		{"VERSION": "1.0.0\n", "build.sh": "#!/bin/sh\n"},
		{"VERSION": "1.0.1\n"},
	} {
		if _, err := s.Push(t.Context(), change("release/1.0", files)); err != nil {
			t.Fatal(err)
		}
	}
	if got := at(t, s, "show", "release/1.0:VERSION"); got != "1.0.1" {
		t.Errorf("VERSION %q, want 1.0.1", got)
	}
	if got := at(t, s, "ls-tree", "release/1.0", "build.sh"); !strings.HasPrefix(got, "100755 ") {
		t.Errorf("build.sh is %q, want it kept and executable", got)
	}
	if got := at(t, s, "log", "-1", "--format=%an <%ae>", "release/1.0"); got != "release-engineer <release-engineer@example.invalid>" {
		t.Errorf("author %s", got)
	}
}

func TestANewBranchGrowsFromTheDefaultBranch(t *testing.T) {
	s := start(t)
	first, err := s.Push(t.Context(), change(DefaultBranch, map[string]string{"VERSION": "1.0.0\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Push(t.Context(), change("release/1.1", nil)); err != nil {
		t.Fatal(err)
	}
	if got := at(t, s, "rev-parse", "release/1.1^"); got != first.Commit {
		t.Errorf("release/1.1 grows from %s, want %s", got, first.Commit)
	}
}

func TestAPushTooLargeForOneBufferArrives(t *testing.T) {
	s := start(t)
	noise := make([]byte, 3<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise) // incompressible, so that git sends it in chunks
	if _, err := s.Push(t.Context(), change("main", map[string]string{"image.bin": string(noise)})); err != nil {
		t.Fatal(err)
	}
	if got := at(t, s, "cat-file", "-s", "main:image.bin"); got != "3145728" {
		t.Errorf("image.bin has %s bytes, want 3145728", got)
	}
}

func TestAnyoneCanCloneTheURL(t *testing.T) {
	s := start(t)
	if _, err := s.Push(t.Context(), change(DefaultBranch, map[string]string{"VERSION": "1.0.0\n"})); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(t.TempDir(), "clone")
	if out, err := exec.Command("git", "clone", "--quiet", s.CloneURL("hotel/hotel-api"), tree).CombinedOutput(); err != nil {
		t.Fatalf("clone: %v\n%s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(tree, "VERSION")); err != nil || string(got) != "1.0.0\n" {
		t.Errorf("VERSION %q %v", got, err)
	}
}

func TestAPushToAnUnknownRepositoryFailsAndSaysWhich(t *testing.T) {
	s := start(t)
	_, err := s.Push(t.Context(), Change{Repository: "hotel/nothing", Branch: "main", Author: "release-engineer", Message: "x"})
	if err == nil || !strings.Contains(err.Error(), "push to main of hotel/nothing") || !strings.Contains(err.Error(), "not found") {
		t.Errorf("error %v, want the repository and that it was not found", err)
	}
}

func TestAFileOutsideTheWorkTreeIsRefused(t *testing.T) {
	s := start(t)
	_, err := s.Push(t.Context(), change("main", map[string]string{"../outside": "x"}))
	if err == nil || !strings.Contains(err.Error(), "must stay inside") {
		t.Errorf("error %v, want a refusal", err)
	}
}
