package scm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/google/go-cmp/cmp"
)

func TestMirrorFollowsTheRepository(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	m := OpenMirror(filepath.Join(t.TempDir(), "mirrors"), r.url, Auth{})
	if _, err := m.Tip("main"); !errors.Is(err, ErrNoBranch) {
		t.Errorf("before the first fetch: err = %v, want ErrNoBranch", err)
	}
	steps := []struct {
		rule string
		do   func()
	}{
		{"an empty repository", func() {}},
		{"a first branch", func() { r.write("a", "1"); r.commit("one"); r.push("main") }},
		{"nothing new", func() {}},
		{"a new commit", func() { r.write("a", "2"); r.commit("two"); r.push("main") }},
		{"a branch with slashes, and a tag", func() { r.git("tag", "-a", "-m", "x", "v1"); r.push("main:release/1.2", "v1") }},
		{"a rewritten branch", func() { r.git("commit", "-q", "--amend", "-m", "two again"); r.push("main") }},
		{"a deleted branch", func() { r.push(":release/1.2") }},
		{"a branch in place of a directory", func() { r.push("main:release/2"); r.push(":release/2", "main:other"); r.push("main:release") }},
		{"a directory in place of a branch", func() { r.push(":release"); r.push("main:release/3") }},
		{"branches packed by the host", func() {
			r.run(r.bare, "pack-refs", "--all")
			r.run(r.bare, "gc", "-q", "--prune=now")
			r.commit("n")
			r.push("main")
		}},
		{"no branch left", func() {
			r.push(":release/3", ":other")
			r.run(r.bare, "update-ref", "-d", "refs/heads/main")
			r.push(":v1")
		}},
		{"a new start", func() { r.push("main") }},
	}
	for _, s := range steps {
		s.do()
		fetch(t, m)
		if err := r.same(m); err != nil {
			t.Fatalf("%s: %v", s.rule, err)
		}
	}
	if left, _ := filepath.Glob(m.path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestMirrorReads(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	r.write(".railyard/rop.yaml", "project: hotel\n")
	r.write("moved", strings.Repeat("same content\n", 20))
	r.write("big", strings.Repeat("x", MaxFile+1))
	r.write("limit", strings.Repeat("x", MaxFile))
	if err := os.Symlink("/etc/passwd", filepath.Join(r.work, "link")); err != nil {
		t.Fatal(err)
	}
	first := r.commit("first")
	r.git("mv", "moved", "there")
	r.write(".railyard/rop.yaml", "project: hotels\n")
	r.write("dir/旅 \"x\"", "")
	second := r.commit("second")
	r.push("main")
	m := OpenMirror(t.TempDir(), r.url, Auth{})
	fetch(t, m)

	if b, err := m.File(first, ".railyard/rop.yaml"); err != nil || string(b) != "project: hotel\n" {
		t.Errorf("file at the first commit: %q, %v", b, err)
	}
	if b, err := m.File(second, ".railyard/rop.yaml"); err != nil || string(b) != "project: hotels\n" {
		t.Errorf("file at the second commit: %q, %v", b, err)
	}
	if b, err := m.File(second, "limit"); err != nil || len(b) != MaxFile {
		t.Errorf("file of the largest size: %d, %v", len(b), err)
	}
	for _, c := range []struct {
		commit, path string
		want         error
	}{
		{second, "absent", ErrNoFile},
		{second, "absent/deeper", ErrNoFile},
		{second, "", ErrNoFile},
		{second, "/", ErrNoFile},
		{second, "../x", ErrNoFile},
		{second, ".railyard", ErrNoFile},
		{second, ".railyard/rop.yaml/x", ErrNoFile},
		{second, "link", ErrNoFile},
		{second, "big", ErrTooLarge},
		{strings.Repeat("1", 40), "a", ErrNoCommit},
		{"main", "a", ErrNoCommit},
		{"", "a", ErrNoCommit},
	} {
		if _, err := m.File(c.commit, c.path); !errors.Is(err, c.want) || errors.Is(err, ErrCorrupt) {
			t.Errorf("File(%q, %q): err = %v, want %v", c.commit, c.path, err, c.want)
		}
	}
	want := []string{".railyard/rop.yaml", "dir/旅 \"x\"", "moved", "there"}
	if got, err := m.Changed(first, second); err != nil || !cmp.Equal(want, got) {
		t.Errorf("Changed: %q, %v", got, err)
	}
	if got, err := m.Changed(second, first); err != nil || !cmp.Equal(want, got) {
		t.Errorf("Changed the other way: %q, %v", got, err)
	}
	if got, err := m.Changed(second, second); err != nil || len(got) != 0 {
		t.Errorf("Changed to itself: %q, %v", got, err)
	}
	if got, err := m.Changed("", first); err != nil || len(got) != 5 {
		t.Errorf("Changed from nothing: %q, %v", got, err)
	}
	for _, name := range []string{"absent", "", "..", "main/x", "a b"} {
		if _, err := m.Tip(name); !errors.Is(err, ErrNoBranch) {
			t.Errorf("Tip(%q): err = %v, want ErrNoBranch", name, err)
		}
	}
	if m.broken.Load() {
		t.Error("a question without an answer was taken for damage")
	}
}

func TestFetchTellsWhoIsAtFault(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	r.commit("one")
	r.push("main")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	release := make(chan struct{})
	defer close(release)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	onPack := func(f http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				f(w, r)
			}
		}
	}
	hang := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusTeapot)
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n"))
		panic(http.ErrAbortHandler)
	}
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("<html>please log in</html>"))
	}
	cases := []struct {
		rule   string
		url    string
		before http.HandlerFunc
		want   error
	}{
		{"nobody listens", "http://" + gone.Addr().String() + "/x.git", nil, ErrUnreachable},
		{"no such host", "http://nowhere.invalid/x.git", nil, ErrUnreachable},
		{"the host fails", r.url, status(503), ErrUnreachable},
		{"the host fails in the middle", r.url, onPack(status(502)), ErrUnreachable},
		{"the host hangs", r.url, hang, ErrUnreachable},
		{"the host hangs in the middle", r.url, onPack(hang), ErrUnreachable},
		{"the connection is cut", r.url, cut, ErrUnreachable},
		{"the connection is cut in the middle", r.url, onPack(cut), ErrUnreachable},
		{"a page in place of git", r.url, html, ErrUnreachable},
		{"wrong password", r.url, status(401), ErrDenied},
		{"no right", r.url, status(403), ErrDenied},
		{"no repository", h.URL + "/absent.git", nil, ErrNoRepository},
		{"no local repository", "file:///nonexistent/x.git", nil, ErrNoRepository},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			dir := t.TempDir()
			h.intercept(nil)
			m := OpenMirror(dir, c.url, Auth{Username: "railyard", Password: "pa55word"})
			fetched := c.url == r.url
			if fetched {
				fetch(t, m)
				r.commit("next")
				r.push("main")
			}
			old, _ := m.Tip("main")
			h.intercept(c.before)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			err := m.Fetch(ctx)
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "pa55word") {
				t.Errorf("err = %v, want %v", err, c.want)
			}
			if !fetched {
				return
			}
			if tip, err := m.Tip("main"); err != nil || tip != old {
				t.Errorf("the mirror lost what it had: %s, %v", tip, err)
			}
			h.intercept(nil)
			fetch(t, m)
			if err := r.same(m); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(m.path + ".*"); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
	m := OpenMirror(t.TempDir(), r.url, Auth{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Fetch(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("cancelled by us: err = %v, want context.Canceled only", err)
	}
}

func TestCredentialsAreSentAndNeverShown(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	r.commit("one")
	r.push("main")
	h.intercept(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != "railyard" || password != "pa55word" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	for _, m := range []*Mirror{
		OpenMirror(t.TempDir(), r.url, Auth{Username: "railyard", Password: "pa55word"}),
		OpenMirror(t.TempDir(), strings.Replace(r.url, "://", "://railyard:pa55word@", 1), Auth{}),
	} {
		fetch(t, m)
		shown := fmt.Sprintf("%v %+v %#v", m.auth, m.auth, m.auth)
		err := m.read("x", func(*git.Repository) error { return errors.New("some damage") })
		config, readErr := os.ReadFile(filepath.Join(m.path, "config"))
		if text := shown + err.Error() + string(config); readErr != nil || strings.Contains(text, "pa55word") {
			t.Errorf("the password is shown (%v): %s", readErr, text)
		}
	}
	if err := OpenMirror(t.TempDir(), r.url, Auth{Username: "railyard", Password: "wrong"}).Fetch(t.Context()); !errors.Is(err, ErrDenied) {
		t.Errorf("err = %v, want ErrDenied", err)
	}
}

func TestConcurrentFetchesAndReads(t *testing.T) {
	h := newHost(t)
	r := h.newRepo(t, "hotel-api")
	first := r.commit("one")
	r.push("main")
	m := OpenMirror(t.TempDir(), r.url, Auth{})
	fetch(t, m)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				tip, err := m.Tip("main")
				if err == nil {
					_, err = m.Commits(first, tip, 10)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := m.Fetch(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 15 {
		r.write("f", fmt.Sprint(i))
		r.commit("n")
		r.push("main")
		if i%5 == 4 {
			m.broken.Store(true) // the next fetch exchanges the whole directory
		}
	}
	fetch(t, m)
	stop()
	wg.Wait()
	if err := r.same(m); err != nil {
		t.Error(err)
	}
}
