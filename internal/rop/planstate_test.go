package rop_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"railyard/internal/rop"
)

var monday = time.Date(2026, 11, 30, 22, 0, 0, 0, time.UTC)

func window(from, to time.Duration) *rop.Window {
	return &rop.Window{From: rop.Moment{Time: monday.Add(from)}, To: rop.Moment{Time: monday.Add(to)}}
}

// tested is a plan whose first environment is passed, written by dev, that nobody has approved.
func tested() rop.PlanFacts {
	return rop.PlanFacts{
		Plan:    rop.Plan{Project: "hotel-api", Apps: []string{"hotel-api", "hotel-app"}},
		Seen:    rop.Approval{Coach: "hotel-api-7.2", Plan: "sha256:plan", Packages: map[string]string{"hotel-api": "sha256:a", "hotel-app": "sha256:b"}},
		Authors: []string{"dev"}, Tested: true,
	}
}

// approval is one of everything that tested would take, given for a candidate before it.
func approval(actor string) rop.Approval {
	a := tested().Seen
	a.Actor, a.Coach = actor, "hotel-api-7.1"
	return a
}

func TestNextPlan(t *testing.T) {
	other := func(change func(*rop.Approval)) rop.Approval {
		a := approval("person:eng")
		a.Packages = map[string]string{"hotel-api": "sha256:a", "hotel-app": "sha256:b"}
		change(&a)
		return a
	}
	policy := tested().Seen
	policy.Actor = "policy"
	for _, c := range []struct {
		rule   string
		from   rop.PlanState
		change func(*rop.PlanFacts)
		to     rop.PlanState
		reason string
	}{
		{"a plan is a draft until its first environment is passed", "", func(f *rop.PlanFacts) { f.Tested = false }, rop.PlanDraft, ""},
		{"then it is submitted by itself", rop.PlanDraft, func(*rop.PlanFacts) {}, rop.PlanSubmitted, "first environment is passed"},
		{"unless it says that it is a draft", rop.PlanDraft, func(f *rop.PlanFacts) { f.Plan.Draft = true }, rop.PlanDraft, "railyard rop submit hotel-api-7.2"},
		{"a person submits it earlier", rop.PlanDraft, func(f *rop.PlanFacts) { f.Tested, f.SubmittedBy = false, "person:dev" }, rop.PlanSubmitted, "submitted by person:dev"},
		{"a submitted plan does not pass before its first environment", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Tested, f.Approvals = false, []rop.Approval{approval("person:eng")}
		}, rop.PlanSubmitted, "waits until its first environment is passed"},
		{"a submitted plan waits for somebody", rop.PlanSubmitted, func(*rop.PlanFacts) {}, rop.PlanSubmitted, "somebody who is not its author"},
		{"an approval of the same bytes passes it, whichever candidate it was given for", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Approvals = []rop.Approval{approval("person:eng")}
		}, rop.PlanPassed, "approved by person:eng as hotel-api-7.1: plan and packages are the same bytes"},
		{"an author's approval counts for nothing", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Approvals = []rop.Approval{approval("person:dev")}
		}, rop.PlanSubmitted, "person:dev wrote a part of it"},
		{"a change of the plan asks again", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Approvals = []rop.Approval{other(func(a *rop.Approval) { a.Plan = "sha256:before" })}
		}, rop.PlanSubmitted, "since person:eng approved hotel-api-7.1, the plan changed"},
		{"a change of one package asks again and names it", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Approvals = []rop.Approval{other(func(a *rop.Approval) { a.Packages["hotel-app"] = "sha256:before" })}
		}, rop.PlanSubmitted, "the package of hotel-app changed"},
		{"an app that joined asks again", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Approvals = []rop.Approval{other(func(a *rop.Approval) { delete(a.Packages, "hotel-app") })}
		}, rop.PlanSubmitted, "the package of hotel-app changed"},
		{"a package nobody has seen is approved by nobody", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Seen.Packages["hotel-app"] = ""
			f.Approvals = []rop.Approval{other(func(a *rop.Approval) { a.Packages["hotel-app"] = "" })}
		}, rop.PlanSubmitted, "the package of hotel-app changed"},
		{"an older approval stands again when its bytes return", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Approvals = []rop.Approval{approval("person:eng"), other(func(a *rop.Approval) { a.Plan = "sha256:between" })}
		}, rop.PlanPassed, "approved by person:eng"},
		{"the topology's policy passes it without a person", rop.PlanSubmitted, func(f *rop.PlanFacts) { f.Policy = &policy }, rop.PlanPassed, "approved by policy"},
		{"another plan in the way keeps an approved one from passing", rop.PlanSubmitted, func(f *rop.PlanFacts) {
			f.Approvals, f.Blockers = []rop.Approval{approval("person:eng")}, []string{"hotel-api-7 and hotel-9 both release hotel-api"}
		}, rop.PlanSubmitted, "hotel-9"},
		{"a passed plan is in use when it is rolled", rop.PlanPassed, func(f *rop.PlanFacts) { f.Rolling = true }, rop.PlanInUse, ""},
		{"a plan expires when its window is over", rop.PlanPassed, func(f *rop.PlanFacts) { f.Plan.Window = window(-2*time.Hour, 0) }, rop.PlanExpired, "2026-11-30 20:00 UTC to 2026-11-30 22:00 UTC"},
		{"a draft expires too", rop.PlanDraft, func(f *rop.PlanFacts) { f.Plan.Window = window(-2*time.Hour, 0) }, rop.PlanExpired, ""},
		{"not a moment earlier", rop.PlanPassed, func(f *rop.PlanFacts) { f.Plan.Window = window(-2*time.Hour, time.Microsecond) }, rop.PlanPassed, ""},
		{"in production it does not expire", rop.PlanInUse, func(f *rop.PlanFacts) {
			f.Plan.Window, f.Bound, f.Rolling = window(-2*time.Hour, 0), true, true
		}, rop.PlanInUse, ""},
		{"it can be withdrawn in any state, in production too", rop.PlanInUse, func(f *rop.PlanFacts) { f.Bound, f.Withdrawn = true, "withdrawn by person:eng" }, rop.PlanWithdrawn, "person:eng"},
		{"it is closed with its candidate", rop.PlanInUse, func(f *rop.PlanFacts) { f.Ended = "released: PROD runs it" }, rop.PlanClosed, "PROD runs it"},
		{"a closed plan whose window is over stays closed", rop.PlanClosed, func(f *rop.PlanFacts) { f.Plan.Window = window(-2*time.Hour, 0) }, rop.PlanClosed, ""},
		{"a withdrawn plan stays withdrawn", rop.PlanWithdrawn, func(f *rop.PlanFacts) { f.Ended = "revoked" }, rop.PlanWithdrawn, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			f := tested()
			c.change(&f)
			got := rop.NextPlan(rop.PlanStatus{State: c.from}, f, monday)
			if got.State != c.to || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("got %s %q\nwant %s %q", got.State, got.Reason, c.to, c.reason)
			}
			if changed := got.State != c.from && c.from != ""; changed && !got.Since.Equal(monday) {
				t.Errorf("a transition of %s", got.Since)
			}
		})
	}
}

// Whatever is known: a plan passes only with an approval of the very bytes by nobody who wrote them, moves on only, and once it has
// ended it stays.
func TestPropertyOfNextPlan(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "", "", "why"})
	actor := rapid.SampledFrom([]string{"person:dev", "person:eng", "policy"})
	digest := rapid.SampledFrom([]string{"sha256:plan", "sha256:other"})
	rapid.Check(t, func(t *rapid.T) {
		f := tested()
		for range rapid.IntRange(0, 3).Draw(t, "approvals") {
			a := approval(actor.Draw(t, "actor"))
			a.Plan, a.Packages = digest.Draw(t, "plan"), map[string]string{"hotel-api": rapid.SampledFrom([]string{"sha256:a", "sha256:x"}).Draw(t, "package"), "hotel-app": "sha256:b"}
			f.Approvals = append(f.Approvals, a)
		}
		s := rop.PlanStatus{State: rop.PlanDraft}
		order := rop.PlanStates()
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			f.Tested, f.Rolling, f.Bound = rapid.Bool().Draw(t, "tested"), rapid.Bool().Draw(t, "rolling"), rapid.Bool().Draw(t, "bound")
			f.Withdrawn, f.Ended, f.SubmittedBy = text.Draw(t, "withdrawn"), text.Draw(t, "ended"), text.Draw(t, "submitted")
			f.Blockers = rapid.SampledFrom([][]string{nil, nil, {"another"}}).Draw(t, "blockers")
			f.Plan.Window = rapid.SampledFrom([]*rop.Window{nil, window(-time.Hour, time.Hour), window(-2*time.Hour, -time.Hour)}).Draw(t, "window")
			next := rop.NextPlan(s, f, monday)
			again := rop.NextPlan(s, f, monday)
			switch {
			case next != again:
				t.Fatalf("the same facts give %v and %v", next, again)
			case s.State.Ended() && next != s:
				t.Fatalf("%v ended and became %v", s, next)
			case slices.Index(order, next.State) < slices.Index(order, s.State):
				t.Fatalf("%s went back to %s", s.State, next.State)
			case next.State == rop.PlanPassed && s.State != rop.PlanPassed:
				a, why := rop.Standing(f)
				if why != "" || a.Actor != "person:eng" || len(rop.Touched(a, f.Seen)) > 0 || !f.Tested || len(f.Blockers) > 0 {
					t.Fatalf("passed with %+v (%s) for %+v", a, why, f)
				}
			case next.State == rop.PlanExpired && s.State != rop.PlanExpired && (f.Bound || !f.Plan.Window.Over(monday)):
				t.Fatalf("expired with %+v", f)
			}
			s = next
		}
	})
}
