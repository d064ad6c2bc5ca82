package scm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the process that is killed in TestKilledFetchHeals.
func TestMain(m *testing.M) {
	if url := os.Getenv("SCM_TEST_FETCH_URL"); url != "" {
		if err := OpenMirror(os.Getenv("SCM_TEST_FETCH_DIR"), url, Auth{}).Fetch(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// heal fetches and reads until all is well, as a worker would: at most one read may fail, since it orders the repair.
func heal(t *testing.T, r *repo, m *Mirror) error {
	t.Helper()
	if err := m.Fetch(t.Context()); err != nil {
		return err
	}
	if err := r.same(m); err == nil {
		return nil
	} else if !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("after one fetch: %w", err)
	}
	if err := m.Fetch(t.Context()); err != nil {
		return err
	}
	if err := r.same(m); err != nil {
		return fmt.Errorf("after a repair: %w", err)
	}
	return nil
}

func TestDamagedMirrorHeals(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	r.write("a", strings.Repeat("some text\n", 500))
	r.commit("one")
	r.push("main", "main:release/1.0")
	origin := t.TempDir()
	m := OpenMirror(origin, r.url, Auth{})
	fetch(t, m)
	r.write("dir/b", "two")
	r.commit("two")
	r.push("main")
	fetch(t, m) // a second pack
	var names []string
	err := filepath.WalkDir(m.path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(m.path, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil || len(names) < 8 {
		t.Fatalf("mirror has %q (%v)", names, err)
	}
	damages := map[string]func(path string) error{
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"cut": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.Truncate(path, info.Size()/2)
		},
		"removed": os.Remove,
		"zeroed": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, make([]byte, info.Size()), 0o600)
		},
	}
	for _, name := range names {
		for damage, do := range damages {
			for _, restarted := range []bool{true, false} {
				rule := fmt.Sprintf("%s %s, restarted %v", name, damage, restarted)
				t.Run(rule, func(t *testing.T) {
					m := OpenMirror(t.TempDir(), r.url, Auth{})
					if err := os.CopyFS(m.path, os.DirFS(filepath.Join(origin, filepath.Base(m.path)))); err != nil {
						t.Fatal(err)
					}
					path := filepath.Join(m.path, name)
					if err := os.Chmod(path, 0o600); err != nil {
						t.Fatal(err)
					}
					if !restarted {
						fetch(t, m)
					}
					if err := do(path); err != nil {
						t.Fatal(err)
					}
					if err := heal(t, r, m); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	t.Run("everything removed", func(t *testing.T) {
		if err := os.RemoveAll(m.path); err != nil {
			t.Fatal(err)
		}
		if err := heal(t, r, m); err != nil {
			t.Error(err)
		}
	})
	t.Run("killed in the middle of an exchange, with the host away", func(t *testing.T) {
		if err := os.Rename(m.path, m.path+cloneSuffix+"123"+oldSuffix); err != nil {
			t.Fatal(err)
		}
		h.intercept(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		restarted := OpenMirror(origin, r.url, Auth{})
		if err := restarted.Fetch(t.Context()); !errors.Is(err, ErrUnreachable) {
			t.Errorf("err = %v, want ErrUnreachable", err)
		}
		h.intercept(nil)
		if err := r.same(restarted); err != nil {
			t.Error(err)
		}
	})
}

func TestManyPacksAreClonedIntoOne(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	r.commit("one")
	r.push("main")
	m := OpenMirror(t.TempDir(), r.url, Auth{})
	fetch(t, m)
	for i := range maxPacks {
		if err := os.WriteFile(filepath.Join(m.path, "objects", "pack", fmt.Sprintf("pack-%040x.pack", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fetch(t, m)
	if n := m.packs(); n != 1 {
		t.Errorf("%d packs, want 1", n)
	}
	if err := r.same(m); err != nil {
		t.Error(err)
	}
}

// killWriter kills a process when more than n bytes went to it.
type killWriter struct {
	http.ResponseWriter
	left int
	kill func()
}

func (k *killWriter) Write(p []byte) (int, error) {
	if k.left -= len(p); k.left < 0 {
		k.kill()
	}
	return k.ResponseWriter.Write(p)
}

// TestKilledFetchHeals ends a fetching process by SIGKILL at many moments of its life: while the pack comes, while it is indexed, while
// files take their places.
func TestKilledFetchHeals(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	for i := range 300 {
		r.write(fmt.Sprintf("d%d/f", i), strings.Repeat(fmt.Sprint(i), 200))
	}
	r.commit("one")
	r.push("main")
	dir := t.TempDir()
	m := OpenMirror(dir, r.url, Auth{})

	appears := func(pattern string) func() bool {
		return func() bool { found, _ := filepath.Glob(pattern); return len(found) > 0 }
	}
	gone := func() bool { return false } // it may end by itself
	clone, pack := m.path+cloneSuffix+"*", "objects/pack/"
	moments := []struct {
		rule  string
		fresh bool // the mirror is not there yet
		bytes int  // of the pack that may pass; -1 for all
		when  func() bool
	}{
		{"cloning, nothing received", true, 0, gone},
		{"cloning, something received", true, 4000, gone},
		{"cloning, the pack is written", true, -1, appears(clone + "/" + pack + "tmp_*")},
		{"cloning, the index is there", true, -1, appears(clone + "/" + pack + "*.idx")},
		{"cloning, the pack is there", true, -1, appears(clone + "/" + pack + "*.pack")},
		{"cloning, a branch is there", true, -1, appears(clone + "/refs/heads/main")},
		{"fetching, nothing received", false, 0, gone},
		{"fetching, something received", false, 4000, gone},
		{"fetching, the pack is written", false, -1, appears(m.path + "/" + pack + "tmp_*")},
		{"fetching, a second index is there", false, -1, func() bool {
			found, _ := filepath.Glob(m.path + "/" + pack + "*.idx")
			return len(found) > 1
		}},
		{"fetching, a second pack is there", false, -1, func() bool {
			found, _ := filepath.Glob(m.path + "/" + pack + "*.pack")
			return len(found) > 1
		}},
	}
	kills := 0
	for _, moment := range moments {
		t.Run(moment.rule, func(t *testing.T) {
			if err := os.RemoveAll(m.path); err != nil {
				t.Fatal(err)
			}
			if !moment.fresh {
				fetch(t, OpenMirror(dir, r.url, Auth{}))
				for i := range 300 {
					r.write(fmt.Sprintf("d%d/f", i), strings.Repeat(fmt.Sprint(i, r.now.Unix()), 50))
				}
				r.commit("next")
				r.push("main")
			}
			if killed := killFetch(t, h, dir, r.url, moment.bytes, moment.when); killed {
				kills++
			} else if moment.bytes >= 0 {
				t.Error("the fetching process was not killed")
			}
			restarted := OpenMirror(dir, r.url, Auth{})
			if err := heal(t, r, restarted); err != nil {
				t.Error(err)
			}
			left, _ := filepath.Glob(m.path + ".*")
			temps, _ := filepath.Glob(filepath.Join(m.path, "tmp*"))
			packs, _ := filepath.Glob(filepath.Join(m.path, pack, "tmp*"))
			if all := slices.Concat(left, temps, packs); len(all) > 0 {
				t.Errorf("left behind: %q", all)
			}
		})
	}
	if kills < 6 {
		t.Errorf("only %d of %d fetches were killed in time, which proves little", kills, len(moments))
	}
}

// TestTornIndexOfAKilledFetchDoesNotStay is the worst moment, made by hand: go-git writes the index under its last name, then renames the
// pack, and on the next try leaves an index alone that is there.
func TestTornIndexOfAKilledFetchDoesNotStay(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	r.commit("one")
	r.push("main")
	m := OpenMirror(t.TempDir(), r.url, Auth{})
	fetch(t, m)
	before := t.TempDir()
	if err := os.CopyFS(before, os.DirFS(m.path)); err != nil {
		t.Fatal(err)
	}
	r.commit("two")
	r.push("main")
	fetch(t, m)
	torn := 0
	all, _ := filepath.Glob(filepath.Join(m.path, "objects", "pack", "*.idx"))
	for _, path := range all {
		old := filepath.Join(before, "objects", "pack", filepath.Base(path))
		if _, err := os.Stat(old); errors.Is(err, fs.ErrNotExist) {
			torn++
			if err := os.WriteFile(old, []byte("torn"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if torn != 1 {
		t.Fatalf("the second fetch brought %d packs, want 1", torn)
	}
	if err := errors.Join(os.RemoveAll(m.path), os.Rename(before, m.path)); err != nil {
		t.Fatal(err)
	}
	restarted := OpenMirror(filepath.Dir(m.path), r.url, Auth{})
	fetch(t, restarted)
	if err := r.same(restarted); err != nil {
		t.Error(err)
	}
}

// killFetch runs a fetch in a process of its own and kills it at a moment. It says whether the process died of that.
func killFetch(t *testing.T, h *host, dir, url string, bytes int, when func() bool) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SCM_TEST_FETCH_URL="+url, "SCM_TEST_FETCH_DIR="+dir)
	pdeathsig(cmd)
	started := make(chan struct{})
	var once sync.Once
	kill := func() {
		once.Do(func() {
			<-started
			_ = cmd.Process.Kill()
		})
	}
	if bytes >= 0 {
		h.wrapWith(func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
			if req.Method != http.MethodPost {
				return w
			}
			return &killWriter{w, bytes, kill}
		})
		defer h.wrapWith(nil)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case err := <-done:
			return isKilled(err)
		case <-deadline:
			kill()
			t.Fatal("the fetching process neither ended nor came to the moment of its kill")
		default:
			if when() {
				kill()
				return isKilled(<-done)
			}
		}
	}
}

func isKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signal() == syscall.SIGKILL
}
