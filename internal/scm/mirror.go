package scm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

var (
	// ErrUnreachable says that the code host is away or answers with errors. Try again later.
	ErrUnreachable = errors.New("code host unreachable")
	// ErrDenied says that the code host does not let us in. A person has to look at the credentials.
	ErrDenied = errors.New("code host denied access")
	// ErrNoRepository says that the code host has no such repository, or hides it from us.
	ErrNoRepository = errors.New("no such repository")
	// ErrNoBranch says that the mirror has no such branch.
	ErrNoBranch = errors.New("no such branch")
	// ErrNoCommit says that the mirror has no such commit.
	ErrNoCommit = errors.New("no such commit")
	// ErrNoFile says that a commit has no such regular file.
	ErrNoFile = errors.New("no such file")
	// ErrCorrupt says that the mirror is damaged. The next Fetch makes it anew.
	ErrCorrupt = errors.New("mirror is corrupt")
)

const (
	// maxPacks is how many packs a mirror may have. Each fetch that brings something adds one, which makes reading slower; beyond this
	// the mirror is cloned anew, into one pack, instead of being repacked: go-git would take minutes and much memory for that.
	maxPacks = 500
	// objectCache is how many bytes of objects one read may keep. Reads share nothing, so an idle mirror costs no memory.
	objectCache = 8 << 20
)

// Mirror is a bare copy of one repository: all its branches and tags. It is safe for concurrent use; fetches of one Mirror queue up, reads
// go on meanwhile and see each branch as it was before or after. Its directory must belong to one Mirror of one process.
type Mirror struct {
	path   string // "<dir>/hotel-api-1f3870be.git"
	url    string
	shown  string // url without a password
	auth   Auth
	fetch  chan struct{} // holds one token: whoever has it may change the directory
	swap   sync.RWMutex  // held for reading by reads, for writing while the directory is exchanged
	broken atomic.Bool   // a read found damage
	sound  bool          // this process has looked at the mirror once; guarded by fetch
}

// OpenMirror returns the mirror of the repository at url below dir. It touches neither; the first Fetch clones.
func OpenMirror(dir, url string, auth Auth) *Mirror {
	m := &Mirror{url: url, shown: redact(url), auth: auth, fetch: make(chan struct{}, 1)}
	sum := sha256.Sum256([]byte(m.shown))
	name := strings.TrimSuffix(filepath.Base(m.shown), ".git")
	m.path = filepath.Join(dir, name+"-"+hex.EncodeToString(sum[:4])+".git")
	m.fetch <- struct{}{}
	return m
}

func redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.User == nil {
		return rawURL
	}
	u.User = nil
	return u.String()
}

// Fetch makes the mirror like the repository: new and rewritten branches and tags are taken over, deleted ones are dropped. A mirror that is
// missing or damaged is cloned anew. It waits as long as ctx allows; give it a deadline, since a host may hang.
//
// Errors satisfy errors.Is with ErrUnreachable (also when the deadline passed), ErrDenied or ErrNoRepository; the mirror then still has
// what it had.
func (m *Mirror) Fetch(ctx context.Context) error {
	select {
	case <-m.fetch:
		defer func() { m.fetch <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("fetch %s: wait for another fetch: %w", m.shown, context.Cause(ctx))
	}
	if err := m.fetchOrClone(ctx); err != nil {
		return fmt.Errorf("fetch %s: %w", m.shown, err)
	}
	return nil
}

func (m *Mirror) fetchOrClone(ctx context.Context) error {
	if !m.sound {
		if err := m.sweep(); err != nil {
			return err
		}
		if m.check() != nil {
			return m.clone(ctx)
		}
		m.sound = true
	}
	if m.broken.Load() || m.packs() > maxPacks {
		return m.clone(ctx)
	}
	repo, err := m.open(m.path)
	if err != nil {
		return m.clone(ctx)
	}
	err = m.pull(ctx, repo)
	if err == nil || errors.Is(err, ErrUnreachable) || errors.Is(err, ErrDenied) || errors.Is(err, ErrNoRepository) || ctx.Err() != nil {
		return err
	}
	// Neither we nor the host: something in the mirror, such as a torn index. A clone needs nothing of it.
	if cloneErr := m.clone(ctx); cloneErr != nil {
		return errors.Join(err, cloneErr)
	}
	return nil
}

// pull brings repo up to date.
func (m *Mirror) pull(ctx context.Context, repo *git.Repository) error {
	auth, err := m.auth.method(m.url)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	err = repo.FetchContext(ctx, &git.FetchOptions{
		RemoteName: "origin",
		RemoteURL:  m.url,
		// No "+" before them: go-git's Prune takes it for a part of the name, and drops every ref for a moment. Force says the same.
		RefSpecs: []config.RefSpec{"refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"},
		Force:    true,
		Tags:     git.NoTags, // the second refspec has them all
		Prune:    true,
		Auth:     auth,
		CABundle: m.auth.CABundle,
	})
	switch {
	case err == nil, errors.Is(err, git.NoErrAlreadyUpToDate):
		return nil
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return dropRefs(repo)
	}
	return m.explain(ctx, err)
}

// explain tells apart who is at fault, from what go-git says.
func (m *Mirror) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed),
		errors.Is(err, transport.ErrInvalidAuthMethod), isSSHRefusal(err):
		return fmt.Errorf("%w (as %s): %s", ErrDenied, m.auth, brief(err))
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return ErrNoRepository
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Cause(ctx)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: no answer in time: %w", ErrUnreachable, context.Cause(ctx))
	case isHostFailure(err):
		return fmt.Errorf("%w: %s", ErrUnreachable, brief(err))
	}
	return err
}

// clone makes the mirror from nothing beside the old one and then takes its place, so that a process killed at any moment leaves a whole one.
func (m *Mirror) clone(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(m.path), filepath.Base(m.path)+cloneSuffix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // nothing is there any more once it took its place
	repo, err := git.Init(newStorage(temp), nil)
	if err != nil {
		return fmt.Errorf("init mirror: %w", err)
	}
	if _, err := repo.CreateRemote(&config.RemoteConfig{Name: "origin", URLs: []string{m.shown}}); err != nil {
		return fmt.Errorf("init mirror: %w", err)
	}
	if err := m.pull(ctx, repo); err != nil {
		return err
	}
	if err := m.replaceBy(temp); err != nil {
		return fmt.Errorf("replace mirror: %w", err)
	}
	m.broken.Store(false)
	m.sound = true
	return nil
}

// replaceBy puts the directory temp in the mirror's place when no read is under way.
func (m *Mirror) replaceBy(temp string) error {
	old := temp + oldSuffix
	defer os.RemoveAll(old)
	m.swap.Lock()
	defer m.swap.Unlock()
	if err := os.Rename(m.path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, m.path)
}

const (
	cloneSuffix = ".clone-" // of a clone under way: "hotel-api-1f3870be.git.clone-123"
	oldSuffix   = ".old"    // of the mirror that it replaces, for a moment
)

// sweep removes what a killed process left. go-git writes an index under its last name before its pack gets there, and never writes an
// index anew: a torn one without its pack would ruin the next fetch that brings the same pack.
func (m *Mirror) sweep() error {
	if _, err := os.Stat(m.path); errors.Is(err, fs.ErrNotExist) {
		// Killed between the two renames of an exchange: what was, is better than nothing while the host is away.
		if olds, err := filepath.Glob(m.path + cloneSuffix + "*" + oldSuffix); err == nil && len(olds) > 0 {
			if err := os.Rename(olds[0], m.path); err != nil {
				return fmt.Errorf("restore mirror: %w", err)
			}
		}
	}
	clones, err := filepath.Glob(m.path + cloneSuffix + "*")
	if err != nil {
		return err
	}
	packs := filepath.Join(m.path, "objects", "pack")
	temps, err := filepath.Glob(filepath.Join(packs, "tmp_*"))
	if err != nil {
		return err
	}
	indexes, err := filepath.Glob(filepath.Join(packs, "*.idx"))
	if err != nil {
		return err
	}
	refs, err := filepath.Glob(filepath.Join(m.path, refTemp+"*"))
	if err != nil {
		return err
	}
	left := slices.Concat(clones, temps, refs)
	for _, idx := range indexes {
		if _, err := os.Stat(strings.TrimSuffix(idx, ".idx") + ".pack"); errors.Is(err, fs.ErrNotExist) {
			left = append(left, idx)
		}
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove left-over of a killed fetch: %w", err)
		}
	}
	return nil
}

// check opens the mirror and reads what every branch points to.
func (m *Mirror) check() error {
	repo, err := m.open(m.path)
	if err != nil {
		return err
	}
	branches, err := branchesOf(repo)
	if err != nil {
		return err
	}
	for _, hash := range branches {
		commit, err := repo.CommitObject(plumbing.NewHash(hash))
		if err != nil {
			return err
		}
		if _, err := commit.Tree(); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mirror) packs() int {
	packs, err := filepath.Glob(filepath.Join(m.path, "objects", "pack", "*.pack"))
	if err != nil {
		return 0
	}
	return len(packs)
}

func (m *Mirror) open(path string) (*git.Repository, error) {
	if _, err := os.Stat(filepath.Join(path, "HEAD")); err != nil {
		return nil, err
	}
	return git.Open(newStorage(path), nil)
}

func dropRefs(repo *git.Repository) error {
	refs, err := repo.References()
	if err != nil {
		return err
	}
	return refs.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() != plumbing.HashReference {
			return nil
		}
		return repo.Storer.RemoveReference(ref.Name())
	})
}
