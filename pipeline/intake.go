package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// Commit is a commit as the mirror knows it.
type Commit struct {
	SHA     string
	Author  string // name, for people
	Subject string // first line of the message
}

// Mirror is a followed repository.
type Mirror interface {
	// Fetch brings the mirror up to date.
	Fetch(ctx context.Context) error
	// Branches are the tips of all branches, by name.
	Branches() (map[string]string, error)
	// Tip is the newest commit of a branch; errors.Is(err, ErrNotFound) when the branch does not exist.
	Tip(branch string) (string, error)
	// Commits lists what tip has and since has not, oldest first; with since "" only the tip.
	Commits(since, tip string) ([]Commit, error)
	// File reads a file at a commit; errors.Is(err, ErrNotFound) when it is not there.
	File(commit, path string) ([]byte, error)
}

// Head is what a followed branch looks like after a fetch: the input of intake.
type Head struct {
	Repository fleet.Repository
	Branch     string
	Known      string   // the last tip that was taken in; "" = none
	Tip        string   // the branch's tip now; "" = the branch is gone
	Commits    []Commit // since Known, oldest first
	Plan       []byte   // the plan file at Tip; nil = there is none
	Pusher     string   // who pushed, as the code host says
}

// NewCoach makes the Coach of a pushed head: the next candidate of the branch's running Coach, or the first of a new one.
// It is pure. A plan that cannot be used makes a Coach that has failed, with the file's position in its reason, so that
// the push is answered where its author looks.
func NewCoach(h Head, t *fleet.Topology, latest *rop.Coach, lastSeries func(project string) int, now time.Time) rop.Coach {
	c := rop.Coach{
		Repository: h.Repository.Name, Branch: h.Branch, Commit: h.Tip, Author: h.Pusher, Created: now,
		Project: path.Base(h.Repository.Name), State: rop.Building,
	}
	if n := len(h.Commits); n > 0 {
		c.Subject = h.Commits[n-1].Subject
		if c.Author == "" {
			c.Author = h.Commits[n-1].Author
		}
	}
	problem := readPlan(&c, h, t)
	c.Series, c.Candidate = number(c.Project, latest, t, lastSeries)
	c.ID = rop.CoachID(c.Project, c.Series, c.Candidate)
	c.Authors = authors(c, h, latest)
	c.ROP = rop.PlanStatus{State: rop.PlanDraft, Since: now, Reason: pushWords(h)}
	if problem != nil {
		c.State, c.Reason, c.Closed = rop.Failed, problem.Error(), true
		c.ROP.Reason = c.Reason
		return c
	}
	for _, name := range c.Plan.Apps {
		app, _ := t.App(name)
		c.Builds = append(c.Builds, rop.Build{
			App: name, Attempt: 1, Deployment: rop.DeploymentID(c.ID, name, 1), State: rop.BuildWanted,
			Controller: app.Jenkins.Controller, Job: app.Jenkins.Job,
		})
	}
	c.Stages = []rop.StageTime{{Name: "build", Start: now}}
	c.Reason = pushWords(h)
	return c
}

// authors are everybody who had a hand in what the Coach carries: nobody of them approves it.
func authors(c rop.Coach, h Head, latest *rop.Coach) (names []string) {
	if latest != nil && latest.Project == c.Project && latest.Series == c.Series {
		names = append(slices.Clone(latest.Authors), latest.Author)
	}
	names = append(names, c.Author)
	for _, commit := range h.Commits {
		names = append(names, commit.Author)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

func pushWords(h Head) string {
	n := len(h.Commits)
	subject := ""
	if n > 0 {
		subject = h.Commits[n-1].Subject
	}
	if h.Known == "" {
		return fmt.Sprintf("first push to %s seen: %s", h.Branch, subject)
	}
	return fmt.Sprintf("%d commit(s) since %s: %s", n, h.Known[:min(8, len(h.Known))], subject)
}

// readPlan fills in what the plan says, or returns why it cannot be used.
func readPlan(c *rop.Coach, h Head, t *fleet.Topology) error {
	where := h.Repository.Plan
	if h.Plan == nil {
		return fmt.Errorf("%s: the release branch %q of %s has no plan file; add one (railyard check %s)", where, h.Branch, h.Repository.Name, where)
	}
	plan, err := rop.LoadPlan(where, h.Plan)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(h.Plan)
	c.Plan, c.PlanDigest, c.Project, c.SBU = plan, "sha256:"+hex.EncodeToString(sum[:]), plan.Project, plan.SBU
	if err := rop.CheckBranch(where, h.Plan, plan, h.Branch); err != nil {
		return err
	}
	if err := rop.Check(where, h.Plan, plan, t, h.Repository.Name); err != nil {
		return err
	}
	c.Waves, err = rop.Waves(plan, t)
	return err
}

// number gives the next candidate of the branch's Coach, until that one has reached production or was withdrawn.
func number(project string, latest *rop.Coach, t *fleet.Topology, lastSeries func(string) int) (series, candidate int) {
	if latest != nil && latest.Project == project && !reachedProduction(*latest, t) && latest.State != rop.Revoked {
		return latest.Series, latest.Candidate + 1
	}
	return lastSeries(project) + 1, 1
}

func reachedProduction(c rop.Coach, t *fleet.Topology) bool {
	env, _ := t.Environment(c.Environment)
	return env.Production
}

// intake turns stored deliveries into Coaches.
type intake struct {
	store    Store
	topology func() *fleet.Topology
	mirror   func(fleet.Repository) (Mirror, error)
	now      func() time.Time
}

// take processes the deliveries of one branch: fetch, compare with the last known tip, save the new Coach. The mirror's tip
// is what counts, not what the host said, so deliveries may come late, twice, or out of order.
func (in *intake) take(ctx context.Context, repository, branch string, deliveries []Delivery) (coach *rop.Coach, err error) {
	t := in.topology()
	repo, ok := t.Repository(repository)
	if !ok || !t.Follows(repository, branch) {
		return nil, in.save(ctx, TakeIn{Repository: repository, Branch: branch}, deliveries, "not followed: the topology does not name this branch")
	}
	head, latest, err := in.head(ctx, repo, branch)
	if err != nil {
		return nil, err
	}
	for _, d := range deliveries {
		if d.Pusher != "" {
			head.Pusher = d.Pusher
		}
	}
	take := TakeIn{Repository: repository, Branch: branch, OldTip: head.Known, NewTip: head.Tip}
	switch {
	case head.Tip == "":
		if latest != nil {
			take.Command = &Command{
				Coach: latest.ID, Kind: CmdBranchGone, Actor: event.Railyard, At: in.now(), Reason: fmt.Sprintf("branch %s of %s was deleted", branch, repository),
			}
		}
		return nil, in.save(ctx, take, deliveries, "the branch was deleted")
	case head.Tip == head.Known && (carried(latest, head.Tip) || !announced(deliveries)):
		return nil, in.save(ctx, take, deliveries, "nothing new: the tip is "+head.Tip)
	}
	var seriesErr error
	c := NewCoach(head, t, latest, func(project string) int {
		n, err := in.store.LastSeries(ctx, project)
		seriesErr = errors.Join(seriesErr, err)
		return n
	}, in.now())
	if seriesErr != nil {
		return nil, seriesErr
	}
	take.Coach = &c
	take.Events = append(take.Events, event.Event{
		At: c.Created, Actor: "push:" + c.Author, Object: "coach/" + c.ID, Coach: c.ID, What: "coach_created",
		To: place(c.State, ""), Why: firstLine(c.Reason),
	})
	return &c, in.save(ctx, take, deliveries, "became "+c.ID)
}

// carried reports whether the branch's newest Coach carries the commit. A tip that no Coach carries was only noted, by a
// look for missed pushes that was faster than the webhook.
func carried(latest *rop.Coach, commit string) bool { return latest != nil && latest.Commit == commit }

// announced reports whether a code host told of the push.
func announced(deliveries []Delivery) bool {
	return slices.ContainsFunc(deliveries, func(d Delivery) bool { return d.Provider != providerRescan })
}

func (in *intake) head(ctx context.Context, repo fleet.Repository, branch string) (Head, *rop.Coach, error) {
	h := Head{Repository: repo, Branch: branch}
	mirror, err := in.mirror(repo)
	if err != nil {
		return h, nil, err
	}
	if err := mirror.Fetch(ctx); err != nil {
		return h, nil, err
	}
	if h.Known, err = in.store.Tip(ctx, repo.Name, branch); err != nil {
		return h, nil, err
	}
	var latest *rop.Coach
	switch c, err := in.store.LatestCoach(ctx, repo.Name, branch); {
	case err == nil:
		latest = &c
	case !errors.Is(err, ErrNotFound):
		return h, nil, err
	}
	if h.Tip, err = mirror.Tip(branch); err != nil {
		return h, latest, ignore(err, ErrNotFound)
	}
	if h.Tip == h.Known && carried(latest, h.Tip) {
		return h, latest, nil
	}
	since := h.Known
	if since == h.Tip {
		since = "" // noted, but never built: the tip alone
	}
	if h.Commits, err = mirror.Commits(since, h.Tip); err != nil {
		return h, nil, err
	}
	if h.Plan, err = mirror.File(h.Tip, repo.Plan); ignore(err, ErrNotFound) != nil {
		return h, nil, err
	}
	return h, latest, nil
}

func (in *intake) save(ctx context.Context, t TakeIn, deliveries []Delivery, why string) error {
	for _, d := range deliveries {
		t.Deliveries = append(t.Deliveries, d.ID)
		t.Events = append(t.Events, event.Event{
			At: in.now(), Actor: event.Railyard, Object: fmt.Sprintf("delivery/%d", d.ID), What: "delivery_processed", Why: why, Coach: coachOf(t),
		})
	}
	return in.store.TakeIn(ctx, t)
}

func coachOf(t TakeIn) string {
	if t.Coach == nil {
		return ""
	}
	return t.Coach.ID
}

func ignore(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
