package pipeline

import (
	"context"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

// branchStore is a Store of one branch: what intake needs of it.
type branchStore struct {
	Store
	tip    string
	latest *rop.Coach
	series int
	taken  []TakeIn
}

func (s *branchStore) Tip(context.Context, string, string) (string, error) { return s.tip, nil }
func (s *branchStore) LastSeries(context.Context, string) (int, error)     { return s.series, nil }
func (s *branchStore) TakeIn(_ context.Context, t TakeIn) error {
	s.taken = append(s.taken, t)
	return nil
}
func (s *branchStore) LatestCoach(context.Context, string, string) (rop.Coach, error) {
	if s.latest == nil {
		return rop.Coach{}, ErrNotFound
	}
	return *s.latest, nil
}

// branchMirror is a Mirror of one branch.
type branchMirror struct {
	Mirror
	tip  string
	plan string
}

func (m branchMirror) Fetch(context.Context) error { return nil }
func (m branchMirror) Tip(string) (string, error) {
	if m.tip == "" {
		return "", ErrNotFound
	}
	return m.tip, nil
}
func (m branchMirror) Commits(since, tip string) ([]Commit, error) {
	return []Commit{{SHA: tip, Author: "dev", Subject: "change since " + since}}, nil
}
func (m branchMirror) File(string, string) ([]byte, error) {
	if m.plan == "" {
		return nil, ErrNotFound
	}
	return []byte(m.plan), nil
}

const goodPlan = `project: hotel
sbu: hotel
owner: hotel-team
apps: [hotel-api, hotel-app]
version: 1.4.2
rollback: {to: previous, who: [release-engineer]}
`

func TestIntake(t *testing.T) {
	webhook, missed := Delivery{ID: 1, Provider: "github"}, Delivery{ID: 2, Provider: providerRescan}
	coach := func(series, candidate int, commit string, state rop.State, environment string) *rop.Coach {
		return &rop.Coach{Project: "hotel", Series: series, Candidate: candidate, Commit: commit, State: state, Environment: environment}
	}
	cases := []struct {
		rule       string
		store      branchStore
		mirror     branchMirror
		branch     string
		deliveries []Delivery
		coach      string // "" = none
		state      rop.State
		reason     string
		tells      string // the newest Coach
	}{
		{rule: "the first push becomes the first candidate of the first Coach",
			mirror: branchMirror{tip: "aaa", plan: goodPlan}, coach: "hotel-1.1", state: rop.Building, reason: "first push"},
		{rule: "a push while the candidate before is on its way becomes the next candidate",
			store:  branchStore{tip: "aaa", latest: coach(3, 1, "aaa", rop.Building, ""), series: 3},
			mirror: branchMirror{tip: "bbb", plan: goodPlan}, coach: "hotel-3.2", state: rop.Building, reason: "1 commit(s) since aaa"},
		{rule: "so does a push after one that stopped before production",
			store:  branchStore{tip: "aaa", latest: coach(3, 1, "aaa", rop.Stopped, "FAT"), series: 3},
			mirror: branchMirror{tip: "bbb", plan: goodPlan}, coach: "hotel-3.2", state: rop.Building},
		{rule: "a push while the Coach is in production opens the next Coach",
			store:  branchStore{tip: "aaa", latest: coach(3, 1, "aaa", rop.Delivering, "PROD"), series: 3},
			mirror: branchMirror{tip: "bbb", plan: goodPlan}, coach: "hotel-4.1", state: rop.Building},
		{rule: "so does a push after a release",
			store:  branchStore{tip: "aaa", latest: coach(3, 2, "aaa", rop.Released, "PROD"), series: 3},
			mirror: branchMirror{tip: "bbb", plan: goodPlan}, coach: "hotel-4.1", state: rop.Building},
		{rule: "a second delivery of the same push makes nothing",
			store:  branchStore{tip: "aaa", latest: coach(3, 1, "aaa", rop.Building, ""), series: 3},
			mirror: branchMirror{tip: "aaa", plan: goodPlan}, reason: "nothing new"},
		{rule: "a push whose tip was only noted is built when the code host tells of it",
			store: branchStore{tip: "aaa"}, mirror: branchMirror{tip: "aaa", plan: goodPlan}, coach: "hotel-1.1", state: rop.Building},
		{rule: "a tip that was only noted is not built by looking again",
			store: branchStore{tip: "aaa"}, mirror: branchMirror{tip: "aaa", plan: goodPlan}, deliveries: []Delivery{missed}, reason: "nothing new"},
		{rule: "a push nobody told of is built",
			store:  branchStore{tip: "aaa", latest: coach(3, 1, "aaa", rop.Released, "PROD"), series: 3},
			mirror: branchMirror{tip: "bbb", plan: goodPlan}, deliveries: []Delivery{missed}, coach: "hotel-4.1", state: rop.Building},
		{rule: "a branch that is not followed makes nothing", branch: "main", mirror: branchMirror{tip: "aaa", plan: goodPlan}, reason: "not followed"},
		{rule: "a branch that was deleted makes nothing",
			store: branchStore{tip: "aaa"}, mirror: branchMirror{}, reason: "deleted"},
		{rule: "its newest Coach is told, in the same write",
			store:  branchStore{tip: "aaa", latest: coach(3, 1, "aaa", rop.AwaitingApproval, "FAT"), series: 3},
			mirror: branchMirror{}, reason: "deleted", tells: "branch release/1.4 of hotel was deleted"},
		{rule: "a broken plan fails the Coach with the file's position",
			mirror: branchMirror{tip: "aaa", plan: strings.Replace(goodPlan, "owner:", "ownr:", 1)}, coach: "hotel-1.1", state: rop.Failed, reason: "rop.yaml:3:1"},
		{rule: "a plan that names what the topology does not know fails the Coach with the file's position",
			mirror: branchMirror{tip: "aaa", plan: strings.Replace(goodPlan, "hotel-app", "hotel-web", 1)}, coach: "hotel-1.1", state: rop.Failed, reason: "rop.yaml:4:"},
		{rule: "a plan that is for another branch fails the Coach and names both",
			mirror: branchMirror{tip: "aaa", plan: goodPlan + "branch: release/1.3\n"}, coach: "hotel-1.1", state: rop.Failed, reason: `the plan is for "release/1.3" and lies on "release/1.4"`},
		{rule: "a branch without a plan fails the Coach and says what to add",
			mirror: branchMirror{tip: "aaa"}, coach: "hotel-1.1", state: rop.Failed, reason: "has no plan file"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			topology := topology()
			topology.Repositories = []fleet.Repository{{Name: "hotel", Branches: []string{"release/*"}, Plan: ".railyard/rop.yaml"}}
			in := &intake{
				store: &c.store, topology: func() *fleet.Topology { return topology }, now: func() time.Time { return time.Unix(0, 0) },
				mirror: func(fleet.Repository) (Mirror, error) { return c.mirror, nil },
			}
			if c.branch == "" {
				c.branch = "release/1.4"
			}
			if c.deliveries == nil {
				c.deliveries = []Delivery{webhook}
			}
			got, err := in.take(t.Context(), "hotel", c.branch, c.deliveries)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.store.taken) != 1 {
				t.Fatalf("%d writes, expected one", len(c.store.taken))
			}
			if told := c.store.taken[0].Command; (told != nil) != (c.tells != "") || told != nil && (told.Reason != c.tells || told.Kind != CmdBranchGone) {
				t.Errorf("the newest Coach is told %+v, expected %q", told, c.tells)
			}
			why := c.store.taken[0].Events[len(c.store.taken[0].Events)-1].Why
			if c.coach == "" {
				want(t, got, (*rop.Coach)(nil))
			} else {
				want(t, got.ID, c.coach)
				want(t, got.State, c.state)
				want(t, got.Closed, c.state == rop.Failed)
				why = got.Reason
			}
			if !strings.Contains(why, c.reason) {
				t.Errorf("got %q, expected it to say %q", why, c.reason)
			}
		})
	}
}
