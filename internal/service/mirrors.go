package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"railyard/internal/fleet"
	"railyard/internal/scm"
	"railyard/pipeline"
)

// mirrors keeps one git mirror per followed repository.
type mirrors struct {
	dir  string
	auth scm.Auth

	mu   sync.Mutex
	open map[string]*scm.Mirror // by clone URL
}

func newMirrors(dir string, git Git) (*mirrors, error) {
	password, err := git.Password.Resolve()
	if err != nil {
		return nil, fmt.Errorf("git password: %w", err)
	}
	key, err := git.SSHKey.Resolve()
	if err != nil {
		return nil, fmt.Errorf("git ssh key: %w", err)
	}
	auth := scm.Auth{Username: git.Username, Password: password}
	if key != "" {
		auth.SSHKey = []byte(key + "\n")
	}
	return &mirrors{dir: dir, auth: auth, open: map[string]*scm.Mirror{}}, nil
}

func (m *mirrors) mirror(r fleet.Repository) (pipeline.Mirror, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open[r.Clone] == nil {
		m.open[r.Clone] = scm.OpenMirror(m.dir, r.Clone, m.auth)
	}
	return mirror{m.open[r.Clone]}, nil
}

// commitsShown bounds how many commits of a push are read; people see the newest.
const commitsShown = 200

// mirror is the pipeline's view of an scm.Mirror.
type mirror struct{ *scm.Mirror }

// Fetch implements pipeline.Mirror.
func (m mirror) Fetch(ctx context.Context) error { return m.Mirror.Fetch(ctx) }

// Tip implements pipeline.Mirror.
func (m mirror) Tip(branch string) (string, error) {
	tip, err := m.Mirror.Tip(branch)
	return tip, notFound(err, scm.ErrNoBranch)
}

// Commits implements pipeline.Mirror.
func (m mirror) Commits(since, tip string) ([]pipeline.Commit, error) {
	history, err := m.Mirror.Commits(since, tip, commitsShown)
	if err != nil {
		return nil, err
	}
	commits := make([]pipeline.Commit, len(history.Commits))
	for i, c := range history.Commits {
		subject, _, _ := strings.Cut(c.Message, "\n")
		commits[i] = pipeline.Commit{SHA: c.SHA, Author: c.Author, Subject: subject}
	}
	return commits, nil
}

// File implements pipeline.Mirror.
func (m mirror) File(commit, path string) ([]byte, error) {
	text, err := m.Mirror.File(commit, path)
	return text, notFound(err, scm.ErrNoFile)
}

func notFound(err, kind error) error {
	if errors.Is(err, kind) {
		return fmt.Errorf("%w: %w", pipeline.ErrNotFound, err)
	}
	return err
}
