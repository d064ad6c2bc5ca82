package server_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"railyard/internal/access"
	"railyard/internal/rop"
	"railyard/server/api"
)

// waiting stores a Coach whose plan waits for approval, with its package published.
func (y *yard) waiting(change func(*rop.Coach)) {
	y.t.Helper()
	y.takeIn(coach(coachID, "decade0000000000000000000000000000000000", rop.Building))
	y.save(coachID, func(c *rop.Coach) {
		c.State, c.Environment = rop.AwaitingApproval, "FAT"
		c.Authors = []string{"wang.fang", "zhao.min"}
		c.Builds[0].State, c.Builds[0].Package = rop.BuildPublished, newRelease.Package
		c.ROP = rop.PlanStatus{State: rop.PlanSubmitted, Since: start, Reason: rop.WaitsForApproval}
		c.Plan = rop.Plan{Project: "hotel-api", SBU: "hotel", Owner: "hotel-team", Version: "1.4.2", Apps: []string{"hotel-api"},
			Rollback: rop.Rollback{To: "previous", Who: []string{"operator"}}}
		if change != nil {
			change(c)
		}
	})
}

func (y *yard) post(who, path, body string) (int, string) {
	return y.do(who, "POST", "/api/v1"+path, "application/json", strings.NewReader(body))
}

func TestPassingAPlanIsRefused(t *testing.T) {
	for _, c := range []struct {
		rule, who string
		change    func(*rop.Coach)
		status    int
		says      string
	}{
		{"to somebody who wrote a commit of an earlier candidate", "zhao.min", nil, 403, "zhao.min wrote a part of it"},
		{"when it has passed", "engineer", func(c *rop.Coach) { c.ROP.State = rop.PlanInUse }, 409, "the plan is in_use"},
		{"while another plan with its app has passed, by name", "engineer", func(c *rop.Coach) { c.Plan.Apps = []string{"taken"} }, 409, "hotel-api-7 and flight-3 both release taken, and flight-3 passed first"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			y := newYard(t)
			y.waiting(c.change)
			y.addToken("zhao.min", access.ReleaseEngineer, "hotel", time.Time{})
			y.reserve(rop.Reserved{Plan: "flight-3", Apps: []string{"taken"}})
			if status, body := y.post(c.who, "/coaches/"+coachID+"/approve", `{"reason":"r"}`); status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("got %d %s, expected %d and %q", status, body, c.status, c.says)
			}
		})
	}
}

func TestAPlanIsListedAndShown(t *testing.T) {
	y := newYard(t)
	y.waiting(nil)
	var listed []api.Coach
	for state, want := range map[string]int{"submitted": 1, "passed": 0, "closed": 0} {
		_, body := y.do("viewer", "GET", "/api/v1/coaches?plan="+state, "", nil)
		if err := json.Unmarshal([]byte(body), &listed); err != nil || len(listed) != want {
			t.Errorf("plans that are %s: %v, %s; expected %d", state, err, body, want)
		}
	}
	if status, body := y.do("viewer", "GET", "/api/v1/coaches?plan=lost", "", nil); status != 400 {
		t.Errorf("a state that is none: got %d %s", status, body)
	}
	_, body := y.do("viewer", "GET", "/api/v1/coaches/"+coachID, "", nil)
	var shown api.Coach
	if err := json.Unmarshal([]byte(body), &shown); err != nil {
		t.Fatal(err)
	}
	if p := shown.Plan; p == nil || p.State != api.Submitted || p.Owner != "hotel-team" || p.Rollback.Who[0] != "operator" || p.Requires == nil {
		t.Errorf("the plan is %+v", shown.Plan)
	}
}

func TestADraftIsSubmittedByAPerson(t *testing.T) {
	y := newYard(t)
	y.waiting(func(c *rop.Coach) { c.ROP.State = rop.PlanDraft })
	if status, body := y.post("viewer", "/coaches/"+coachID+"/submit", `{"reason":"ready"}`); status != 403 {
		t.Errorf("a viewer: got %d %s", status, body)
	}
	if status, body := y.post("developer", "/coaches/"+coachID+"/submit", `{"reason":"ready"}`); status != 202 {
		t.Fatalf("a developer: got %d %s", status, body)
	}
	y.save(coachID, func(c *rop.Coach) { c.ROP.State = rop.PlanSubmitted })
	if status, body := y.post("developer", "/coaches/"+coachID+"/submit", `{"reason":"again"}`); status != 409 || !strings.Contains(body, "no draft any more") {
		t.Errorf("again: got %d %s", status, body)
	}
}

func TestARegularRollbackIsOrderedByWhomThePlanNames(t *testing.T) {
	y := newYard(t)
	y.baking()
	y.save(coachID, func(c *rop.Coach) { c.Plan.Rollback.Who = []string{"operator"} })
	for _, c := range []struct {
		who, command string
		status       int
	}{{"engineer", "rollback", 403}, {"operator", "rollback", 202}, {"engineer", "emergency", 202}, {"engineer", "brake", 202}} {
		status, body := y.post(c.who, "/rolls/"+rollID+"/commands", `{"command":"`+c.command+`","reason":"r"}`)
		if status != c.status || status == 403 && !strings.Contains(body, "its plan lets operator order it") {
			t.Errorf("%s %s: got %d %s, expected %d", c.who, c.command, status, body, c.status)
		}
	}
}

func TestBookingsAreListed(t *testing.T) {
	y := newYard(t)
	y.waiting(nil)
	w := rop.Window{From: rop.Moment{Time: start}, To: rop.Moment{Time: start.Add(time.Hour)}}
	y.reserve(rop.Reserved{Plan: "hotel-api-7", Bookings: []rop.Booking{{Capacity: "standard", Servers: 4, Window: &w}}})
	status, body := y.do("viewer", "GET", "/api/v1/bookings", "", nil)
	var got []api.Booking
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
		t.Fatalf("got %d %s: %v", status, body, err)
	}
	if len(got) != 1 || got[0].Plan != "hotel-api-7" || got[0].Servers != 4 || !got[0].To.Equal(start.Add(time.Hour)) {
		t.Errorf("bookings: %+v", got)
	}
}
