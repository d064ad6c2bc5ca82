package scm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCommits(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	one := r.commit("one")
	two := r.commit("two")
	three := r.commit("three\n\nwith a body")
	r.git("checkout", "-q", "-b", "side", two)
	side := r.commit("side")
	r.git("checkout", "-q", "main")
	r.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	merge := r.git("rev-parse", "HEAD")
	r.git("checkout", "-q", "-b", "rewritten", two)
	rewritten := r.commit("rewritten")
	r.git("checkout", "-q", "--orphan", "unrelated")
	unrelated := r.commit("unrelated")
	r.push("main", "rewritten", "unrelated")
	m := OpenMirror(t.TempDir(), r.url, Auth{})
	fetch(t, m)
	absent := strings.Repeat("1", 40)

	cases := []struct {
		rule       string
		since, tip string
		limit      int
		want       []string
		truncated  bool
		rewritten  bool
	}{
		{"the new commits, oldest first", one, three, 10, []string{two, three}, false, false},
		{"a new branch has its tip only", "", three, 10, []string{three}, false, false},
		{"nothing new", three, three, 10, nil, false, false},
		{"a merge brings its side", three, merge, 10, []string{side, merge}, false, false},
		{"a merge and what went before", two, merge, 10, []string{three, side, merge}, false, false},
		{"at the limit nothing is cut", one, merge, 4, []string{two, three, side, merge}, false, false},
		{"over the limit the last are kept", one, merge, 2, []string{side, merge}, true, false},
		{"no limit", one, merge, 0, []string{two, three, side, merge}, false, false},
		{"a force push counts from the merge base", three, rewritten, 10, []string{rewritten}, false, true},
		{"a branch set back has nothing new", merge, two, 10, nil, false, true},
		{"an unrelated history is new as a whole", merge, unrelated, 10, []string{unrelated}, false, true},
		{"a since that is gone leaves the tip", absent, three, 10, []string{three}, false, true},
		{"a since that is no hash leaves the tip", "v1.0", three, 10, []string{three}, false, true},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			got, err := m.Commits(c.since, c.tip, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			var hashes []string
			for _, commit := range got.Commits {
				hashes = append(hashes, commit.SHA)
			}
			if !cmp.Equal(c.want, hashes) || got.Truncated != c.truncated || got.Rewritten != c.rewritten {
				t.Errorf("got %q truncated %v rewritten %v", hashes, got.Truncated, got.Rewritten)
			}
		})
	}
	if _, err := m.Commits(one, absent, 1); !errors.Is(err, ErrNoCommit) {
		t.Errorf("unknown tip: err = %v, want ErrNoCommit", err)
	}
	got, err := m.Commits("", three, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := Commit{SHA: three, Author: "Alice", Email: "alice@example.com", Message: "three\n\nwith a body\n",
		When: time.Date(2026, 1, 2, 3, 7, 5, 0, time.UTC)}
	if diff := cmp.Diff(want, got.Commits[0]); diff != "" {
		t.Error(diff)
	}
}

// dag is a random history in memory, and who is whose parent.
type dag struct {
	repo    *git.Repository
	hashes  []string
	parents map[string][]string
}

func (d *dag) ancestors(of string) map[string]bool {
	found, todo := map[string]bool{}, []string{of}
	for len(todo) > 0 {
		hash := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !found[hash] {
			found[hash] = true
			todo = append(todo, d.parents[hash]...)
		}
	}
	return found
}

// newDAG draws a history whose clocks are wrong by up to a day between a commit and any of its ancestors.
func newDAG(t *rapid.T) *dag {
	repo, err := git.Init(memory.NewStorage(), nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	d := &dag{repo: repo, parents: map[string][]string{}}
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range rapid.IntRange(1, 25).Draw(t, "commits") {
		// A day passes per four commits, so that walks do end before the root.
		when := base.Add(time.Duration(i)*6*time.Hour - time.Duration(rapid.IntRange(0, 23*60).Draw(t, "skew"))*time.Minute)
		sign := object.Signature{Name: "a", When: when}
		c := &object.Commit{Message: fmt.Sprint(i), Author: sign, Committer: sign}
		var parents []string
		if i > 0 {
			for _, p := range rapid.SliceOfNDistinct(rapid.IntRange(max(0, i-6), i-1), 0, 3, rapid.ID).Draw(t, "parents") {
				parents = append(parents, d.hashes[p])
				c.ParentHashes = append(c.ParentHashes, plumbing.NewHash(d.hashes[p]))
			}
		}
		obj := repo.Storer.NewEncodedObject()
		if err := c.Encode(obj); err != nil {
			t.Fatalf("%v", err)
		}
		hash, err := repo.Storer.SetEncodedObject(obj)
		if err != nil {
			t.Fatalf("%v", err)
		}
		d.hashes = append(d.hashes, hash.String())
		d.parents[hash.String()] = parents
	}
	return d
}

func TestCommitsAreExactlyThoseReachableFromTipAndNotFromSince(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDAG(t)
		since, tip := rapid.SampledFrom(d.hashes).Draw(t, "since"), rapid.SampledFrom(d.hashes).Draw(t, "tip")
		got, err := commits(d.repo, since, tip, 0)
		if err != nil {
			t.Fatalf("%v", err)
		}
		want := d.ancestors(tip)
		if got.Rewritten == want[since] {
			t.Fatalf("rewritten %v", got.Rewritten)
		}
		for hash := range d.ancestors(since) {
			delete(want, hash)
		}
		seen := map[string]bool{}
		for _, c := range got.Commits {
			if !want[c.SHA] || seen[c.SHA] {
				t.Fatalf("%s is not new, or twice", c.Message)
			}
			for _, p := range d.parents[c.SHA] {
				if want[p] && !seen[p] {
					t.Fatalf("%s comes before its parent", c.Message)
				}
			}
			seen[c.SHA] = true
		}
		if len(seen) != len(want) || got.Truncated {
			t.Fatalf("%d commits, want %d, truncated %v", len(seen), len(want), got.Truncated)
		}
		limit := rapid.IntRange(1, 30).Draw(t, "limit")
		cut, err := commits(d.repo, since, tip, limit)
		if err != nil || cut.Truncated != (len(want) > limit) || !cmp.Equal(cut.Commits, got.Commits[max(0, len(want)-limit):]) {
			t.Fatalf("limit %d: %d commits, truncated %v, %v", limit, len(cut.Commits), cut.Truncated, err)
		}
	})
}

func TestCommitTextsAreValidAndBounded(t *testing.T) {
	c := convertCommit(&object.Commit{Message: strings.Repeat("é", maxMessage) + "\xff", Author: object.Signature{Name: "caf\xe9"}})
	if len(c.Message) > maxMessage || !strings.HasSuffix(c.Message, "é") || c.Author != "caf�" {
		t.Errorf("%d bytes ending in %q by %q", len(c.Message), c.Message[len(c.Message)-4:], c.Author)
	}
}
