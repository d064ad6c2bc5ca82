package access

import (
	"errors"
	"testing"
)

func TestAuthorize(t *testing.T) {
	hotel := Object{Name: "coach/hotel-api-7.2", SBU: "hotel"}
	cases := []struct {
		rule   string
		actor  Actor
		action Action
		object Object
		ok     bool
	}{
		{"a viewer sees production without a shell on it", Actor{"a", Viewer, "hotel"}, Read, hotel, true},
		{"a viewer changes nothing", Actor{"a", Viewer, "*"}, Brake, hotel, false},
		{"a developer may brake what their SBU releases", Actor{"a", Developer, "hotel"}, Brake, hotel, true},
		{"a developer may not brake another SBU", Actor{"a", Developer, "flight"}, Brake, hotel, false},
		{"a developer submits the plans of their SBU", Actor{"a", Developer, "hotel"}, Submit, hotel, true},
		{"a developer does not submit others' plans", Actor{"a", Developer, "flight"}, Submit, hotel, false},
		{"a tester does not submit plans", Actor{"a", Tester, "hotel"}, Submit, hotel, false},
		{"a developer may not approve", Actor{"a", Developer, "hotel"}, Approve, hotel, false},
		{"a release engineer approves in their SBU", Actor{"a", ReleaseEngineer, "hotel"}, Approve, hotel, true},
		{"a release engineer does not approve elsewhere", Actor{"a", ReleaseEngineer, "flight"}, Approve, hotel, false},
		{"an object of nobody is not everybody's", Actor{"a", ReleaseEngineer, ""}, Approve, Object{Name: "x"}, false},
		{"a release engineer catches the servers of their SBU up", Actor{"a", ReleaseEngineer, "hotel"}, Sync, hotel, true},
		{"a release engineer does not catch others' servers up", Actor{"a", ReleaseEngineer, "flight"}, Sync, hotel, false},
		{"a developer does not catch servers up", Actor{"a", Developer, "hotel"}, Sync, hotel, false},
		{"a tester enters verdicts in their SBU", Actor{"a", Tester, "hotel"}, EnterVerdict, hotel, true},
		{"a tester enters none elsewhere", Actor{"a", Tester, "flight"}, EnterVerdict, hotel, false},
		{"a developer enters none", Actor{"a", Developer, "hotel"}, EnterVerdict, hotel, false},
		{"Jenkins enters none: its tests are an indicator of their own", Actor{"jenkins", Jenkins, "*"}, EnterVerdict, hotel, false},
		{"an operator catches any servers up", Actor{"a", Operator, ""}, Sync, hotel, true},
		{"an operator applies topology", Actor{"a", Operator, ""}, ApplyTopology, Object{Name: "topology"}, true},
		{"Jenkins publishes", Actor{"jenkins", Jenkins, ""}, Publish, hotel, true},
		{"Jenkins does not approve", Actor{"jenkins", Jenkins, "*"}, Approve, hotel, false},
		{"people do not publish packages", Actor{"a", Admin, "*"}, Publish, hotel, false},
		{"an unknown role may nothing", Actor{"a", "root", "*"}, Read, hotel, false},
		{"no role may nothing", Actor{}, Read, hotel, false},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			err := Authorize(c.actor, c.action, c.object)
			if (err == nil) != c.ok {
				t.Fatalf("got %v, expected allowed=%v", err, c.ok)
			}
			if err != nil && !errors.Is(err, ErrDenied) {
				t.Errorf("%v is not ErrDenied", err)
			}
		})
	}
}
