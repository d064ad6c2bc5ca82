package pipeline

import (
	"context"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// Statuses marks commits at their code hosts. Implementations are safe for concurrent use and bounded in time.
type Statuses interface {
	// Marks reports whether the commits of a repository can be marked: its host is configured.
	Marks(r fleet.Repository) bool
	// Mark makes the mark of the Coach's commit say s. Repeating it adds nothing. errors.Is(err, ErrRefused): the host
	// answered and will not.
	Mark(ctx context.Context, r fleet.Repository, c rop.Coach, s CommitStatus) error
}

// MarkState is what a mark says.
type MarkState string

// The states of a mark.
const (
	MarkPending MarkState = "pending" // the Coach is on its way
	MarkSuccess MarkState = "success" // it is released
	MarkFailure MarkState = "failure" // it was stopped, rolled back, or never built
	MarkError   MarkState = "error"   // it was withdrawn: nothing is said about the commit
)

// CommitStatus is the mark beside a commit.
type CommitStatus struct {
	State       MarkState
	Description string // "rolled_back PROD: hard breach: …"
}

// text is how a Coach remembers what was marked.
func (s CommitStatus) text() string { return string(s.State) + " " + s.Description }

// StatusOf is what the mark beside the Coach's commit should say: where the Coach is, and once it has ended also why. The
// many reasons on the way are on the page and in Jenkins; hosts keep every mark that was ever set.
func StatusOf(c rop.Coach) CommitStatus {
	where := place(c.State, c.Environment)
	switch c.State {
	case rop.Released:
		return CommitStatus{MarkSuccess, where + ": " + c.Reason}
	case rop.RolledBack, rop.Stopped, rop.Failed:
		return CommitStatus{MarkFailure, where + ": " + c.Reason}
	case rop.Superseded, rop.Revoked:
		return CommitStatus{MarkError, where + ": " + c.Reason}
	}
	return CommitStatus{MarkPending, where}
}

// markCommit keeps the mark at what is true, by the same rules as Jenkins' descriptions: what was told is saved, so a crash
// or a host that was away loses nothing. It reports whether the host has yet to hear something.
func (d *decider) markCommit() (untold bool) {
	tried := d.obs.Marked
	if tried != nil && tried.Err == "" {
		d.Marked = tried.Text
	}
	want := StatusOf(d.Coach)
	if !d.obs.Marks || d.Commit == "" || d.Marked == want.text() {
		return false
	}
	failed := tried != nil && tried.Err != ""
	refused := failed && tried.Refused && tried.Text == want.text()
	again := tellAgain
	if refused {
		again = markRefusedAgain
	}
	switch {
	case d.State.Terminal() && (refused || failed && d.past(d.ended(), giveUpTelling)):
		return false
	case failed && d.now.Sub(tried.At) < again:
		d.wakeIn(again - d.now.Sub(tried.At))
		return true
	}
	d.actions = append(d.actions, Action{Kind: ActMark, Status: want})
	return true
}

// markRefusedAgain is how long a host is left alone that refused: only a person can help there.

const markRefusedAgain = 5 * time.Minute
