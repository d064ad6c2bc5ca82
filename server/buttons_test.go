package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/access"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/pipeline"
	"railyard/server"
)

// withButtons is a service whose Jenkins tells of these presses, by number.
func withButtons(t *testing.T, presses ...server.Press) *yard {
	t.Helper()
	y := newYard(t, func(o *server.Options) {
		o.Pressed = func(_ context.Context, controller, job string, number int64) (server.Press, error) {
			if number < 1 || int(number) > len(presses) {
				return server.Press{}, pipeline.ErrNotFound
			}
			p := presses[number-1]
			p.Key = fmt.Sprintf("main/%s #%d", job, number)
			return p, nil
		}
	})
	y.baking()
	return y
}

func (y *yard) press(who string, number int) (int, string) {
	y.t.Helper()
	return y.post(who, "/buttons", fmt.Sprintf(`{"job":"railyard/X","number":%d}`, number))
}

// orders are the pending commands of the baking roll, in words.
func (y *yard) orders() (words []string) {
	y.t.Helper()
	commands, err := y.store.PendingCommands(y.t.Context(), rollID)
	if err != nil {
		y.t.Fatal(err)
	}
	for _, c := range commands {
		words = append(words, fmt.Sprintf("%s %s: %s", c.Actor, c.Kind, c.Reason))
	}
	return words
}

func TestAButtonDoesWhatTheAPIDoesInThePressersName(t *testing.T) {
	press := func(button, person string) server.Press {
		return server.Press{Button: button, Person: person, Coach: coachID, Reason: "looks odd"}
	}
	t.Run("brake", func(t *testing.T) {
		y := withButtons(t, press("brake", "engineer"))
		if status, body := y.press("jenkins", 1); status != 200 || !strings.Contains(body, "brake of roll "+rollID) || !strings.Contains(body, `"person":"engineer"`) {
			t.Fatalf("%d %s", status, body)
		}
		want(t, y.orders(), []string{"person:engineer brake: looks odd [main/railyard/X #1]"})
		if !strings.Contains(strings.Join(y.kicks(), " "), "brake "+rollID) {
			t.Error("the brake took no effect at once")
		}
		events, err := y.store.Events(t.Context(), storeNewest(1))
		if err != nil || events[0].Actor != "person:engineer" || events[0].What != "brake_asked" || events[0].Object != "roll/"+rollID {
			t.Errorf("the event log says %+v (%v); expected the row the API writes", events, err)
		}
	})
	t.Run("relayed twice it is done once", func(t *testing.T) {
		y := withButtons(t, press("brake", "engineer"), press("brake", "engineer"))
		for range 3 {
			if status, body := y.press("jenkins", 1); status != 200 || !strings.Contains(body, "brake of roll") {
				t.Fatalf("%d %s", status, body)
			}
		}
		if orders := y.orders(); len(orders) != 1 {
			t.Errorf("orders = %q", orders)
		}
		y.press("jenkins", 2) // somebody pressed again
		if orders := y.orders(); len(orders) != 2 {
			t.Errorf("orders after another press = %q", orders)
		}
	})
	t.Run("promote", func(t *testing.T) {
		y := withButtons(t, press("promote", "engineer"))
		if status, body := y.press("jenkins", 1); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		coach, err := y.store.Coach(t.Context(), coachID)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := y.store.Facts(t.Context(), coach)
		if err != nil || len(facts.Approvals) != 1 || facts.Approvals[0].Actor != "person:engineer" {
			t.Errorf("approvals = %+v (%v)", facts.Approvals, err)
		}
		if status, _ := y.press("jenkins", 1); status != 200 {
			t.Errorf("again: %d", status)
		}
	})
	t.Run("rollback, regular and emergency", func(t *testing.T) {
		emergency := press("rollback", "engineer")
		emergency.Mode = "emergency"
		y := withButtons(t, press("rollback", "engineer"), emergency)
		y.save(coachID, func(c *rop.Coach) { c.State, c.Environment = rop.Delivering, "PROD" })
		for n, kind := range []pipeline.CommandKind{pipeline.CmdRollback, pipeline.CmdEmergency} {
			if status, body := y.press("jenkins", n+1); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
			coach, err := y.store.Coach(t.Context(), coachID)
			if err != nil {
				t.Fatal(err)
			}
			facts, err := y.store.Facts(t.Context(), coach)
			if err != nil || len(facts.Commands) != n+1 || facts.Commands[n].Kind != kind || facts.Commands[n].Actor != "person:engineer" {
				t.Errorf("commands = %+v (%v)", facts.Commands, err)
			}
		}
	})
	t.Run("resume, when something is paused", func(t *testing.T) {
		y := withButtons(t, press("resume", "engineer"))
		if status, body := y.press("jenkins", 1); status != 409 || !strings.Contains(body, "no roll to resume") {
			t.Errorf("%d %s", status, body)
		}
		y.pause("a soft breach")
		if status, body := y.press("jenkins", 1); status != 200 {
			t.Errorf("%d %s", status, body)
		}
		want(t, y.orders(), []string{"person:engineer resume: looks odd [main/railyard/X #1]"})
	})
}

func TestAButtonOfSomebodyWhoMayNot(t *testing.T) {
	of := func(person string) server.Press { return server.Press{Button: "brake", Person: person, Coach: coachID} }
	cases := []struct {
		rule   string
		who    string
		press  server.Press
		status int
		says   string
	}{
		{"the token of the service gives no rights", "jenkins", of("jenkins"), 403, "has no token here"},
		{"somebody whom Railyard does not know", "jenkins", of("nobody"), 403, "has no token here"},
		{"a viewer", "jenkins", of("viewer"), 403, "not allowed"},
		{"a release engineer of another SBU", "jenkins", of("stranger"), 403, "belongs to"},
		{"somebody whose token has expired", "jenkins", of("left"), 403, "has no token here"},
		{"a person who relays presses themselves", "engineer", of("engineer"), 403, "relay"},
		{"a Coach that is not there", "jenkins", server.Press{Button: "brake", Person: "engineer", Coach: "none"}, 404, "not found"},
		{"a button that is none", "jenkins", server.Press{Button: "launch", Person: "engineer", Coach: coachID}, 400, "there are Promote, Rollback, Brake and Resume"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			y := withButtons(t, c.press)
			y.addToken("left", access.ReleaseEngineer, "hotel", start.Add(-time.Hour))
			if status, body := y.press(c.who, 1); status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d %s, want %d with %q", status, body, c.status, c.says)
			}
			if orders := y.orders(); len(orders) != 0 {
				t.Errorf("it was obeyed: %q", orders)
			}
		})
	}
}

func TestAnAbortedBuildBrakesItsOwnCoach(t *testing.T) {
	y := newYard(t)
	y.baking()
	path := "/deployments/" + coachID + "-hotel-api-a1/brake"
	if status, body := y.post("jenkins", path, `{"reason":"build 12 was aborted"}`); status != 200 || !strings.Contains(body, rollID) {
		t.Fatalf("%d %s", status, body)
	}
	want(t, y.orders(), []string{"service:jenkins " + string(roller.CmdBrake) + ": build 12 was aborted"})
	if status, _ := y.post("engineer", path, `{"reason":"r"}`); status != 403 {
		t.Errorf("a person: %d, expected 403: people brake the roll", status)
	}
	if status, _ := y.post("jenkins", "/rolls/"+rollID+"/commands", `{"command":"resume","reason":"r"}`); status != 403 {
		t.Errorf("a build that resumes: %d, expected 403", status)
	}
}

func want(t *testing.T, got, expected []string) {
	t.Helper()
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("-expected +got:\n%s", diff)
	}
}
