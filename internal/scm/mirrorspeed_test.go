package scm

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFetchOfOneCommitIsQuick measures the way of a push: one small new commit, in a repository of some size.
func TestFetchOfOneCommitIsQuick(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	var stream strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&stream, "commit refs/heads/b%d\nmark :%d\ncommitter a <a@example.com> %d +0000\ndata 2\nm\n", i%50, i+1, 1_700_000_000+i)
		if i > 0 {
			fmt.Fprintf(&stream, "from :%d\n", i)
		}
		fmt.Fprintf(&stream, "M 100644 inline d%d/f%d\ndata 4\n%04d\n", i%20, i%200, i)
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = r.bare, strings.NewReader(stream.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	r.git("fetch", "-q", "origin", "b49")
	r.git("checkout", "-q", "-b", "main", "FETCH_HEAD")
	last := r.commit("first")
	r.push("main")
	m := OpenMirror(t.TempDir(), r.url, Auth{})
	start := time.Now()
	fetch(t, m)
	t.Logf("clone of 5,000 commits on 51 branches: %v", time.Since(start))
	var fetches, reads []time.Duration
	for i := range 15 {
		r.write("f", fmt.Sprint(i))
		want := r.commit("next")
		r.push("main")
		start := time.Now()
		fetch(t, m)
		fetches = append(fetches, time.Since(start))
		start = time.Now()
		tip, err := m.Tip("main")
		if err != nil || tip != want {
			t.Fatalf("tip %s, want %s: %v", tip, want, err)
		}
		news, err := m.Commits(last, tip, 100)
		if err != nil || len(news.Commits) != 1 {
			t.Fatalf("%d commits, want 1: %v", len(news.Commits), err)
		}
		if _, err := m.File(tip, "f"); err != nil {
			t.Fatal(err)
		}
		reads = append(reads, time.Since(start))
		last = tip
	}
	slices.Sort(fetches)
	slices.Sort(reads)
	t.Logf("fetch of one commit: median %v, slowest %v; tip, commits and one file of it: median %v, slowest %v",
		fetches[7], fetches[14], reads[7], reads[14])
	if fetches[7] > 200*time.Millisecond {
		t.Errorf("fetch of one commit takes %v, at most 200ms", fetches[7])
	}
}
