package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/rollmon"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/internal/verdict"
	"railyard/server/api"
)

func (y *yard) enter(who, coach, body string) (int, string) {
	y.t.Helper()
	return y.do(who, "POST", "/api/v1/coaches/"+coach+"/verdicts", "application/json", strings.NewReader(body))
}

// rolling takes a Coach into production and returns it.
func (y *yard) rolling() rop.Coach {
	y.t.Helper()
	y.baking()
	coaches, err := y.store.Coaches(y.t.Context(), store.CoachFilter{Active: true}, 1)
	if err != nil || len(coaches) != 1 {
		y.t.Fatalf("%d coaches, %v", len(coaches), err)
	}
	return coaches[0]
}

func TestAVerdictOfAPersonIsKeptAndToldInTheLog(t *testing.T) {
	y := newYard(t)
	y.addToken("lin", access.Tester, "hotel", time.Time{})
	coach := y.rolling()
	status, body := y.enter("lin", coach.ID, `{"pass": false, "reason": "cancelling fails"}`)
	var said api.EnteredVerdict
	if err := json.Unmarshal([]byte(body), &said); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if said.Environment != coach.Environment || said.Pass || said.Actor != "person:lin" || said.Reason != "cancelling fails" {
		t.Errorf("%+v", said)
	}
	kept, err := y.store.TestVerdicts(t.Context(), coach.ID)
	if err != nil || len(kept) != 1 || kept[0].Environment != coach.Environment || kept[0].Actor != "person:lin" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	events, err := y.store.Events(t.Context(), store.EventFilter{Coach: coach.ID})
	if err != nil || !slices.ContainsFunc(events, func(e event.Event) bool {
		return e.What == "verdict_entered" && e.To == "fail" && e.Actor == "person:lin" && e.Why == "cancelling fails"
	}) {
		t.Errorf("events %+v, %v", events, err)
	}
	if status, body = y.do("viewer", "GET", "/api/v1/coaches/"+coach.ID+"/verdicts", "", nil); status != 200 || !strings.Contains(body, `"person:lin"`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestWhoMayEnterAVerdict(t *testing.T) {
	y := newYard(t)
	coach := y.rolling()
	y.addToken("lin", access.Tester, "hotel", time.Time{})
	y.addToken("zhang", access.Tester, "flight", time.Time{})
	y.addToken(coach.Author, access.ReleaseEngineer, "*", time.Time{})
	for _, c := range []struct {
		rule, who, coach, body string
		want                   int
	}{
		{"a tester of the SBU", "lin", coach.ID, `{"pass": true, "reason": "r", "environment": "UAT"}`, 200},
		{"a tester of another SBU", "zhang", coach.ID, `{"pass": true, "reason": "r"}`, 403},
		{"a developer", "developer", coach.ID, `{"pass": true, "reason": "r"}`, 403},
		{"the author passes nothing of their own", coach.Author, coach.ID, `{"pass": true, "reason": "r"}`, 403},
		{"the author may say that it is bad", coach.Author, coach.ID, `{"pass": false, "reason": "r"}`, 200},
		{"nobody without a reason", "lin", coach.ID, `{"pass": true, "reason": ""}`, 400},
		{"of an environment that is not there", "lin", coach.ID, `{"pass": true, "reason": "r", "environment": "MOON"}`, 400},
		{"of a Coach that is not there", "lin", "nobody-1.1", `{"pass": true, "reason": "r"}`, 404},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if status, body := y.enter(c.who, c.coach, c.body); status != c.want {
				t.Errorf("%d %s, want %d", status, body, c.want)
			}
		})
	}
}

func TestTheLooksOfARollAreShownAsTheyAreJudgedAgain(t *testing.T) {
	y := newYard(t)
	coach := y.rolling()
	roll := coach.Rolls[0].ID
	look := rollmon.Look{Turned: true, Verdict: verdict.Verdict{Outcome: verdict.Hard, Reason: "5xx rate 3 %", At: start, Stage: "baking",
		Findings: []verdict.Finding{{Indicator: "5xx", Server: "hotel-api-1", Outcome: verdict.Hard, Value: 3, Limit: 1, Test: "binomial", P: new(3e-8), Level: new(2e-6), Samples: 500, Reason: "r"}}}}
	look.Question, look.At = verdict.Question{Roll: roll, Stage: "baking", Exposed: []string{"hotel-api-1"}}, start
	look.Samples = rollmon.Samples{"5xx": {Servers: map[string]rollmon.Sample{"hotel-api-1": {Count: &rollmon.Count{Failures: 15, Attempts: 500}}}}}
	if err := y.store.SaveLook(t.Context(), look); err != nil {
		t.Fatal(err)
	}
	status, body := y.do("viewer", "GET", "/api/v1/rolls/"+roll+"/looks", "", nil)
	var looks []rollmon.Look
	if err := json.Unmarshal([]byte(body), &looks); err != nil || status != 200 || len(looks) != 1 || looks[0].Samples["5xx"].Servers["hotel-api-1"].Count.Failures != 15 {
		t.Errorf("%d %s: %v", status, body, err)
	}
	status, body = y.do("viewer", "GET", "/api/v1/coaches/"+coach.ID+"/verdicts", "", nil)
	var all api.Verdicts
	if err := json.Unmarshal([]byte(body), &all); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if len(all.Rolls) == 0 || len(all.Rolls[0].Verdicts) != 1 || *all.Rolls[0].Verdicts[0].Findings[0].Level != 2e-6 || *all.Rolls[0].Verdicts[0].Findings[0].Test != "binomial" {
		t.Errorf("%s", body)
	}
	if status, _ = y.do("viewer", "GET", "/api/v1/rolls/r-none/looks", "", nil); status != 404 {
		t.Errorf("of no roll: %d", status)
	}
	if status, _ = y.do("", "GET", "/api/v1/rolls/"+roll+"/looks", "", nil); status != 401 {
		t.Errorf("for nobody: %d", status)
	}
}
