package scm

import (
	"container/heap"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Commit is what people want to know of a commit. Texts are valid UTF-8.
type Commit struct {
	SHA     string
	Author  string
	Email   string
	Message string    // whole, at most 64 KiB
	When    time.Time // it was committed
}

// History is what a branch gained between two tips.
type History struct {
	Commits   []Commit // parents before children; at least the tip unless nothing is new
	Truncated bool     // there were more than the limit: only the last are here
	Rewritten bool     // since is not an ancestor of tip: the branch was force-pushed, or since is gone; false where nobody can tell
}

const (
	maxMessage = 64 << 10
	// maxWalk is how many commits one question may visit; each takes some memory while it does.
	maxWalk = 20_000
	// clockSlop is how much older than its parent a commit may claim to be. Time alone says when both histories have met.
	clockSlop = 24 * time.Hour
)

// Commits returns the commits that are reachable from tip and not from since, the last limit of them (20,000 if limit is not positive).
// Where since is "" (a new branch) or unknown (rewritten and gone), that is the tip alone. A commit dated more than a day before its
// own parent can make older commits appear. Errors satisfy errors.Is with ErrNoCommit if tip is unknown.
func (m *Mirror) Commits(since, tip string, limit int) (history History, err error) {
	err = m.read("commits", func(repo *git.Repository) error {
		history, err = commits(repo, since, tip, limit)
		return err
	})
	return history, err
}

func commits(repo *git.Repository, since, tip string, limit int) (History, error) {
	if limit <= 0 {
		limit = maxWalk
	}
	last, err := commitOf(repo, tip)
	if err != nil {
		return History{}, err
	}
	if since == "" {
		return History{Commits: []Commit{convertCommit(last)}}, nil
	}
	first, err := commitOf(repo, since)
	if errors.Is(err, ErrNoCommit) {
		return History{Commits: []Commit{convertCommit(last)}, Rewritten: true}, nil
	}
	if err != nil {
		return History{}, err
	}
	w := walk{repo: repo, seen: map[plumbing.Hash]*node{}, oldest: last.Committer.When}
	w.paint(first, old)
	w.paint(last, fresh)
	whole, err := w.run()
	if err != nil {
		return History{}, err
	}
	found := w.ordered(last.Hash)
	h := History{
		Truncated: !whole || len(found) > limit,
		Rewritten: whole && w.seen[first.Hash].colour&fresh == 0,
	}
	for _, c := range found[max(0, len(found)-limit):] {
		h.Commits = append(h.Commits, convertCommit(c))
	}
	return h, nil
}

// A commit is fresh if tip leads to it and old if since does. Those that are only fresh are new.
const (
	fresh = 1 << iota
	old
)

type node struct {
	commit *object.Commit
	colour int
	queued bool
}

// walk goes through two histories at once, the newest commit first, and paints what each leads to. It stops when all that is left to
// visit is old, as git rev-list does.
type walk struct {
	repo   *git.Repository
	seen   map[plumbing.Hash]*node
	queue  queue
	fresh  int       // how many of the queue are only fresh
	oldest time.Time // date of the oldest commit that was only fresh when visited
}

// paint adds a colour to a commit, and queues it if that is news.
func (w *walk) paint(c *object.Commit, colour int) {
	n := w.seen[c.Hash]
	if n == nil {
		n = &node{commit: c}
		w.seen[c.Hash] = n
	}
	if n.colour|colour == n.colour {
		return
	}
	if n.queued && n.colour == fresh {
		w.fresh--
	}
	n.colour |= colour
	if !n.queued {
		n.queued = true
		heap.Push(&w.queue, n)
	}
	if n.colour == fresh {
		w.fresh++
	}
}

// run paints until the answer is known. It gives up, and says so, where the histories are too long to go on.
func (w *walk) run() (whole bool, err error) {
	for w.queue.Len() > 0 && (w.fresh > 0 || w.queue[0].commit.Committer.When.After(w.oldest.Add(-clockSlop))) {
		if len(w.seen) > maxWalk {
			return false, nil
		}
		n := heap.Pop(&w.queue).(*node)
		n.queued = false
		if n.colour == fresh {
			w.fresh--
			if n.commit.Committer.When.Before(w.oldest) {
				w.oldest = n.commit.Committer.When
			}
		}
		for _, hash := range n.commit.ParentHashes {
			if parent := w.seen[hash]; parent != nil {
				w.paint(parent.commit, n.colour)
				continue
			}
			c, err := w.repo.CommitObject(hash)
			if err != nil {
				return false, fmt.Errorf("parent of %s: %w", n.commit.Hash, err)
			}
			w.paint(c, n.colour)
		}
	}
	return true, nil
}

// ordered returns the new commits that tip leads to, parents first.
func (w *walk) ordered(tip plumbing.Hash) []*object.Commit {
	var commits []*object.Commit
	done := map[plumbing.Hash]bool{}
	type step struct {
		n    *node
		next int // parent to visit
	}
	isNew := func(hash plumbing.Hash) bool {
		n := w.seen[hash]
		return n != nil && n.colour == fresh && !n.queued && !done[hash]
	}
	if !isNew(tip) {
		return nil
	}
	done[tip] = true
	stack := []step{{n: w.seen[tip]}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next == len(top.n.commit.ParentHashes) {
			commits = append(commits, top.n.commit)
			stack = stack[:len(stack)-1]
			continue
		}
		parent := top.n.commit.ParentHashes[top.next]
		top.next++
		if isNew(parent) {
			done[parent] = true
			stack = append(stack, step{n: w.seen[parent]})
		}
	}
	return commits
}

// queue is a heap of commits, the newest first; of two with one time, the order of their hashes decides, so that results never vary.
type queue []*node

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := q[i].commit, q[j].commit
	if !a.Committer.When.Equal(b.Committer.When) {
		return a.Committer.When.After(b.Committer.When)
	}
	return a.Hash.String() < b.Hash.String()
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*node)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	n := (*q)[last]
	*q = (*q)[:last]
	return n
}

func convertCommit(c *object.Commit) Commit {
	message := strings.ToValidUTF8(c.Message, "�")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	return Commit{
		SHA:     c.Hash.String(),
		Author:  strings.ToValidUTF8(c.Author.Name, "�"),
		Email:   strings.ToValidUTF8(c.Author.Email, "�"),
		Message: message,
		When:    c.Committer.When,
	}
}
